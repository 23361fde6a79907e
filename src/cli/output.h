#pragma once

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "agent/timeline.h"
#include "base/error.h"

namespace flexroom::cli {

/// Documented exit codes (`flexroom --help`).
enum ExitCode : int {
  kOk = 0,
  kUsage = 2,          // wrong arguments
  kBadInput = 3,       // a file or value is wrong; nothing was changed
  kRefused = 4,        // members disagree, or somebody said no; nothing was contacted
  kNetworkFailed = 5,  // a member or the service failed; can be tried again
  kCheat = 6,          // a protocol check failed
  kUnknown = 7,        // a request may have been carried out
  kServiceRefused = 8  // the service answered, with an error
};

/// Lines for people, or with --json one object an event and a final one. Bytes that are no UTF-8
/// (of a service, of a file name) become U+FFFD there.
class Output {
 public:
  explicit Output(bool json) : json_(json) {}
  bool json() const { return json_; }
  void line(std::string_view text);
  /// What is shown for a decision: on stderr, where the question is, so that stdout holds the
  /// command's result alone.
  void summary(std::string_view text);
  /// Something that happens now: on one line that is overwritten at a terminal.
  void progress(std::string_view phase, uint64_t done, uint64_t total);
  void end_progress();
  void note(const std::string& text);
  void event(const std::string& name, nlohmann::json fields);
  /// The last word of a command.
  void result(nlohmann::json fields);
  void table(const std::vector<agent::Timeline::Phase>& phases);
  /// y/N at the terminal; throws when there is none. A set `cancel` ends the waiting: kCancelled.
  bool confirm(std::string_view question, const std::atomic<bool>* cancel = nullptr);

 private:
  bool json_;
  bool progress_shown_ = false;
  std::string phase_;
  std::string last_note_;
  std::chrono::steady_clock::time_point phase_start_{}, last_shown_{};
};

/// Prints an error and returns the exit code that belongs to it.
int report(Output& out, const std::exception& error, bool released);

}  // namespace flexroom::cli
