#include "agent/reply.h"

#include <fmt/core.h>

namespace flexroom::agent {

UnknownOutcome::UnknownOutcome(std::string_view operation, std::string_view detail,
                               http::PartialAnswer partial)
    : ProtocolAbort(AbortCode::kServer, operation, detail), partial_(std::move(partial)) {}

void require_answer(const Reply& reply, std::string_view operation) {
  if (!reply.unknown_outcome) return;
  throw UnknownOutcome(
      operation,
      fmt::format(
          "outcome unknown: {}. The request may have been carried out. The service's answer "
          "so far: {}",
          *reply.unknown_outcome, reply.partial.summary()),
      reply.partial);
}

}  // namespace flexroom::agent
