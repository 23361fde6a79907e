#include "agent/reply.h"

#include <fmt/core.h>

namespace flexroom::agent {
namespace {

/// Of a sealed answer nothing else was seen than its status.
std::string seen_of(const Reply& reply) {
  if (reply.sealed == nullptr) return reply.partial.summary();
  if (reply.sealed->status == 0) return "sealed, no status of it came";
  return fmt::format("sealed, its status {}", reply.sealed->status);
}

}  // namespace

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
          *reply.unknown_outcome, seen_of(reply)),
      reply.partial);
}

}  // namespace flexroom::agent
