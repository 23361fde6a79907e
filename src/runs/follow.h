#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "call/result_link.h"
#include "config/config.h"

namespace flexroom::runs {

/// The last answer, where what lies at the link is still what run-script wrote there.
inline constexpr std::string_view kNothingYet = "nothing there yet";
/// The same, where the machine's loader has said there that it runs.
inline constexpr std::string_view kBegun = "the machine has begun";

/// What came of waiting for a result.
struct Followed {
  enum class How {
    kResult,    // `body`
    kFailed,    // the machine says which step failed: `words`; `body` is the whole report
    kNothing,   // not until `until`; `words`: the last answer of the link
    kNotBegun,  // at `begun_by` the link still held what run-script wrote there
    kTooLarge,  // the result is there, and over kMaxResultBytes
    kDeadLink   // the link answers that it is of no use (`words`): no waiting helps
  };
  How how = How::kNothing;
  Bytes body;
  std::string words;
};

/// How long is waited.
struct Patience {
  std::chrono::system_clock::time_point until;
  /// A machine whose loader has not said by then that it runs never will.
  std::chrono::system_clock::time_point begun_by = std::chrono::system_clock::time_point::max();
};

/// Asks the link until something new lies there, `before` (BeforeRun::version) being old, or as
/// long as `patience` says. `tell` gets the last answer in few words when it changes, and once a
/// minute. Looks once at least. Throws ProtocolAbort(kCancelled) once `cancel` is set; the machine
/// goes on without us.
Followed follow_result(const RoomConfig& room, const std::string& url, const std::string& before,
                       const Patience& patience, const std::function<void(std::string_view)>& tell,
                       const std::atomic<bool>* cancel);

}  // namespace flexroom::runs
