#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace flexroom {

/// What an abort means for what lives longer than the run (boolean-engine.md §10.2, tls-in-mpc.md
/// §0.3(10)).
enum class AbortClass : uint8_t {
  kRefuse,        // members disagree on public data: nothing was started, no strike
  kNetwork,       // connection or session dead, epoch lives, no strike
  kFpCheat,       // all F_p state of the session is destroyed, one strike
  kBooleanCheat,  // the epoch is burned
};

/// Every reason for which a run ends early. The class follows from the code: abort_class().
enum class AbortCode : uint8_t {
  // refuse
  kDisagreement,  // proposal, template, policy, record version, parameters
  kRefusedByRule,
  kEpochBurned,
  kTooManyUnfinished,  // dirty or LIFE counter is full
  // network
  kPeerLost,
  kTimeout,
  kBadFrame,           // malformed or oversized message from a peer, before any check
  kUnexpectedMessage,  // another label or length than the protocol step takes
  kViewMismatch,       // members saw different server bytes
  kServer,             // the service misbehaved: alert, bad certificate, parse error, bad tag ...
  kCancelled,          // the operator, or another party said abort
  // F_p cheat
  kFpMac,
  kFpAuth,
  kFpSacrifice,
  kFpProof,     // QuickSilver over F_p
  kFpKeyShare,  // proof of knowledge, off-curve point
  kFpRange,     // private edaBit
  // boolean cheat
  kBaseOt,
  kPprf,
  kRowCheck,
  kBitConsistency,
  kDeltaConsistency,
  kCoin,
  kEcho,
  kMac,
  kZeroTest,
  kSacrifice,
  kLabelProof,
  kCProof,
  kBitProof,  // QuickSilver over bits
  kReuse,     // a peer tried to use single-use material twice
  kRowTag,    // the members' rows of a secret do not fit their tag
};

AbortClass abort_class(AbortCode code);
std::string_view to_string(AbortCode code);
std::string_view to_string(AbortClass abort_class);

/// The one exception of protocols: a peer or the service misbehaved or vanished. Caught in session/
/// and main only; afterwards the session refuses everything.
class ProtocolAbort : public std::runtime_error {
 public:
  /// `operation` names the step ("cot/row check"), `detail` says what was expected and what came,
  /// never a byte of a secret. `peer` is the party whose message failed, if one can be named.
  ProtocolAbort(AbortCode code, std::string_view operation, std::string_view detail,
                std::optional<PartyId> peer = std::nullopt);

  AbortCode code() const { return code_; }
  AbortClass abort_class() const { return flexroom::abort_class(code_); }
  std::optional<PartyId> peer() const { return peer_; }
  const std::string& operation() const { return operation_; }
  const std::string& detail() const { return detail_; }

 private:
  AbortCode code_;
  std::optional<PartyId> peer_;
  std::string operation_;
  std::string detail_;
};

/// The user's (or a file's) input is wrong: place, what is wrong, and what to do about it.
class InputError : public std::runtime_error {
 public:
  InputError(std::string_view place, std::string_view problem, std::string_view remedy = "");
  const std::string& place() const { return place_; }
  const std::string& problem() const { return problem_; }
  const std::string& remedy() const { return remedy_; }

 private:
  std::string place_, problem_, remedy_;
};

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace flexroom

/// On in every build: a bug stops the process before it can leak or sign anything.
#define FLEXROOM_ASSERT(expression)    \
  ((expression) ? static_cast<void>(0) \
                : ::flexroom::assertion_failed(#expression, __FILE__, __LINE__))
