#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/sealed_reply.h"
#include "base/error.h"
#include "http/response.h"

namespace flexroom::agent {

/// What came back for a request that was released.
struct Reply {
  http::Response response;  // whole and authentic, unless unknown_outcome is set
  /// Set when what was frozen does not tell whether the request was carried out (§5.8), and why.
  std::optional<std::string> unknown_outcome;
  /// With unknown_outcome: all that could be decrypted. To be kept and shown, not acted upon.
  http::PartialAnswer partial;
  /// A member did not confirm the end of the run, and why. The answer was checked by this member
  /// itself and stands.
  std::optional<std::string> unconfirmed;
  /// The connection may carry another request behind this answer (tls-in-mpc.md §4.9(1)).
  bool goes_on = false;
  /// What became of a sealed answer. `response` has the status alone then.
  std::shared_ptr<SealedReply> sealed;
};

/// ProtocolAbort(kServer): the request may have been carried out, and its answer is none. Carries
/// what came of it, for whoever reports the failure or keeps the history of the run.
class UnknownOutcome : public ProtocolAbort {
 public:
  UnknownOutcome(std::string_view operation, std::string_view detail, http::PartialAnswer partial);
  const http::PartialAnswer& partial() const { return partial_; }

 private:
  http::PartialAnswer partial_;
};

/// Throws UnknownOutcome naming `operation` if the reply is not a whole answer.
void require_answer(const Reply& reply, std::string_view operation);

}  // namespace flexroom::agent
