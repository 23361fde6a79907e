#include "room/script_end.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "base/bytes.h"

namespace flexroom::room {
namespace {

/// As the history holds it, which has looked at its length.
Digest digest_or_zeros(const std::string& hex) {
  Digest out{};
  const Bytes bytes = from_hex(hex);
  std::copy_n(bytes.begin(), std::min(bytes.size(), out.size()), out.begin());
  return out;
}

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
  entry.proposal = digest_or_zeros(run.proposal);
  entry.run = digest_or_zeros(run.session);
  entry.text = fmt::format("run-script {}, run {}: {}", run.job, run.short_id(), end.words);
  state.log().append_alone(entry);
}

}  // namespace flexroom::room
