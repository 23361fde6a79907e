#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agreement/approval.h"
#include "agreement/statement.h"

namespace flexroom::store {

/// What an entry says. The first three and kFailed are outcomes (agreement::Outcome).
enum class LogOutcome : uint8_t {
  kDone,
  kNothingHappened,
  kEffectMayHaveHappened,  // the run ended after a request may have reached the provider
  kApproved,               // by all members; what came of it stands in a later entry
  kFailed,                 // the answer is here and is an error, or the script failed
  kRefused,                // this or another member said no
  kNote,
  kChange,   // who is in the room, under which keys, from here on
  kConsent,  // this member's own approval, on its people's signatures (APPROVE)
  kRule      // who speaks for this member from here on
};
std::string_view to_string(LogOutcome outcome);
/// What a RESULT says of it; nothing for what is no outcome of a run.
std::optional<agreement::Outcome> outcome_of(LogOutcome outcome);
LogOutcome log_outcome_of(agreement::Outcome outcome);

/// One entry as people read it; what is signed is the statement (agreement/statement.h).
struct LogEntry {
  uint64_t unix_seconds = 0;  // agreed by the members for a joint entry
  Digest proposal{};
  LogOutcome outcome = LogOutcome::kNothingHappened;
  std::string text;                             // what was done, no secrets
  std::optional<agreement::Approval> approval;  // of a kApproved entry
  uint32_t status = 0;                          // HTTP status of the answer; 0: none
  Digest run{};                                 // session of the approval; zeros: of none
};

/// One entry whose place in the chain and signatures are verified (store/log_verifier.h).
struct VerifiedEntry {
  LogEntry entry;
  bool joint = false;  // all members signed it, or the proposal of a kApproved entry
  Digest head{};       // of the chain, this entry included
  agreement::Statement statement;
};

}  // namespace flexroom::store
