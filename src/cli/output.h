#pragma once

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  /// One step of a longer work and what it takes, in any unit.
  struct Step {
    std::string phase;
    double weight = 0;
  };
  /// From here on percentages and the time left are of all these steps together: progress() with
  /// the phase of a step begins it, with another phase it tells how far the present one is. Ends
  /// when others, or none, are expected.
  void expect(std::vector<Step> steps);
  /// Something that happens now: on one line that is overwritten at a terminal. `total` 0: of
  /// unknown length.
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
  using Clock = std::chrono::steady_clock;
  double share_of_all(std::string_view phase, uint64_t done, uint64_t total);

  bool json_;
  bool progress_shown_ = false;
  std::string phase_;
  std::vector<Step> steps_;
  size_t step_ = 0;  // the present one, and how far it is
  double step_share_ = 0;
  std::string last_note_;
  Clock::time_point start_{}, last_shown_{};  // start of the phase, or of all steps
};

/// Prints an error and returns the exit code that belongs to it.
int report(Output& out, const std::exception& error, bool released);

}  // namespace flexroom::cli
