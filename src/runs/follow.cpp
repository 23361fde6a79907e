#include "runs/follow.h"

#include <fmt/core.h>

#include <algorithm>
#include <thread>

#include "base/display.h"
#include "base/error.h"
#include "call/loader.h"

namespace flexroom::runs {
namespace {

using Clock = std::chrono::system_clock;

constexpr std::chrono::minutes kTellAgain{1};

/// The line behind the mark.
std::string reason(std::string_view report) {
  report.remove_prefix(std::min(report.size(), kFailedMark.size() + 1));
  constexpr size_t kMost = 500;  // it goes into the run's record
  return display_short(report.substr(0, report.find('\n')), kMost);
}

/// The mark of the run was read through this link before the machine started: who is turned away
/// now is turned away for good.
bool ends_the_wait(const FetchResult& got) {
  return link_is_dead(got) || got.status == 401 || got.status == 403 || got.status == 410;
}

void sleep(std::chrono::milliseconds time, const std::atomic<bool>* cancel) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end && (cancel == nullptr || !cancel->load())) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

Followed follow_result(const RoomConfig& room, const std::string& url, const std::string& before,
                       const Patience& patience, const std::function<void(std::string_view)>& tell,
                       const std::atomic<bool>* cancel) {
  const auto start = std::chrono::steady_clock::now();
  auto told = start;
  Followed out;
  for (;;) {
    std::string words;
    bool untouched = false;
    try {
      FetchResult got = fetch(room, url, kMaxResultBytes, kLinkTimeout, cancel);
      const std::string_view text = as_text(got.body);
      const bool begun = text.starts_with(kBegunMark);
      const bool waiting = begun || text.starts_with(kWaitingMark) || text.starts_with(kLoaderMark);
      if (got.status == 200 && got.too_large) {
        out.how = Followed::How::kTooLarge;
        return out;
      }
      if (got.status == 200 && !waiting && got.version != before) {
        const bool failed = text.starts_with(kFailedMark);
        out.how = failed ? Followed::How::kFailed : Followed::How::kResult;
        out.words = failed ? reason(text) : "";
        out.body = std::move(got.body);
        return out;
      }
      untouched = got.status == 200 && !begun;
      words = got.status == 200 ? std::string(begun ? kBegun : kNothingYet) : answer_words(got);
      if (ends_the_wait(got)) {
        out.how = Followed::How::kDeadLink;
        out.words = words;
        return out;
      }
    } catch (const ProtocolAbort& abort) {  // the network may come back
      if (abort.code() == AbortCode::kCancelled) throw;
      words = abort.what();
    }
    const auto now = std::chrono::steady_clock::now();
    if (tell && (words != out.words || now - told >= kTellAgain)) {
      tell(words);
      told = now;
    }
    out.words = words;
    if (Clock::now() >= patience.until) return out;
    if (untouched && Clock::now() >= patience.begun_by) {
      out.how = Followed::How::kNotBegun;
      return out;
    }
    if (cancel != nullptr && cancel->load()) {
      throw ProtocolAbort(
          AbortCode::kCancelled, "result",
          "stopped by the operator; the machine goes on: `flexroom result` collects "
          "it later");
    }
    const auto waited = std::chrono::steady_clock::now() - start;
    sleep(waited < std::chrono::seconds(60) ? std::chrono::milliseconds(500)
                                            : std::chrono::milliseconds(5000),
          cancel);
  }
}

}  // namespace flexroom::runs
