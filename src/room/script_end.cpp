#include "room/script_end.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "base/hex_digest.h"

namespace flexroom::room {
namespace {

struct End {
  store::LogOutcome outcome = store::LogOutcome::kNote;
  std::string words;
};

End end_of(const runs::Run& run) {
  switch (run.state) {
    case runs::RunState::kSucceeded:
      return {store::LogOutcome::kDone, "the script ended, its result is here"};
    case runs::RunState::kElsewhere:
      return {store::LogOutcome::kDone, "the script ended, its result is too large to fetch"};
    case runs::RunState::kFailed:
      return {store::LogOutcome::kFailed, "the script failed: " + run.detail};
    default:
      return {store::LogOutcome::kNote, "how the script ended is not known: " + run.detail};
  }
}

}  // namespace

void log_script_end(session::MemberState& state, const runs::Run& run) {
  const End end = end_of(run);
  store::LogEntry entry;
  entry.unix_seconds = static_cast<uint64_t>(std::time(nullptr));
  entry.outcome = end.outcome;
  entry.proposal = digest_of_hex(run.proposal).value_or(Digest{});
  entry.run = digest_of_hex(run.session).value_or(Digest{});
  entry.text = fmt::format("run-script {}, run {}: {}", run.job, run.short_id(), end.words);
  state.log().append_alone(entry);
}

}  // namespace flexroom::room
