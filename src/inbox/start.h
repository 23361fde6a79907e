#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agreement/approval.h"
#include "agreement/member_statements.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "net/identity.h"
#include "net/party.h"

// START: how a session begins a run that all members approved while they were apart
// (members.md §8.2, Appendix A).

namespace flexroom::inbox {

class Inbox;

/// One run that could begin.
struct ReadyRun {
  Digest id{};        // run_id()
  Digest complete{};  // D
  uint32_t index = 0;
  uint32_t tries = 0;  // STARTs so far
};

using agreement::StartSaying;  // flow 1 of one member

/// The common choice: of the runs that all list as ready and that `conflicts` with nobody's
/// unresolved run, the one with the fewest tries (the largest that anybody states), then the
/// smallest id. All honest members choose alike, because they saw the same sayings.
std::optional<Digest> choose_run(
    const std::vector<StartSaying>& all,
    const std::function<bool(const Digest& run, const Digest& unresolved)>& conflicts);

/// What this member brings to START.
struct StartContext {
  uint8_t place = 0;
  uint32_t incarnation = 0;
  uint64_t session_counter = 0;
  uint64_t clock = 0;  // this member's, seconds since 1970
};

/// A run that all members began; START stands in this member's log.
struct Started {
  ReadyRun run;
  uint32_t try_number = 0;
  uint64_t now = 0;  // agreed: party 0's clock
  agreement::JointStart record;
};

/// With all members of the configuration in force, party index = place in its list. Flows: 1, to
/// all with echo, a second time where the members would not choose alike; 2, signatures. On return
/// the floor is `now`, the try is counted and START is in the log: both durable.
///
/// Nobody is asked here: the decision is the stored APPROVE.
/// Throws ProtocolAbort
///  - kDisagreement naming the member and the field (configuration, place, statements, run): then
///    the caller exchanges statements with that member,
///  - kRefusedByRule: no run that all have ready ("nothing to start"), a clock more than 300 s
///    off, a time below this member's floor, an author with a fork, a wrong signature.
/// Nothing was armed then.
Started start(net::Party& party, Inbox& inbox, const StartContext& context);

}  // namespace flexroom::inbox
