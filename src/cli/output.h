#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "flexroom/decider.h"
#include "flexroom/error.h"

namespace flexroom::cli {

/// Documented exit codes (`flexroom --help`): those of the library, flexroom/error.h.
enum ExitCode : int {
  kOk = static_cast<int>(Exit::kOk),
  kUsage = static_cast<int>(Exit::kUsage),
  kBadInput = static_cast<int>(Exit::kBadInput),
  kRefused = static_cast<int>(Exit::kRefused),
  kNetworkFailed = static_cast<int>(Exit::kFailed),
  kCheat = static_cast<int>(Exit::kCheat),
  kUnknown = static_cast<int>(Exit::kUnknown),
  kServiceRefused = static_cast<int>(Exit::kServiceRefused),
  kOutputLost = static_cast<int>(Exit::kOutputLost),
  kResultElsewhere = static_cast<int>(Exit::kResultElsewhere),
  kGoesOn = static_cast<int>(Exit::kGoesOn),
};

/// All that this program writes to a person or a machine: lines for people, or with --json one
/// object an event and a final one. Nothing here throws: what happens to the text (a closed or full
/// descriptor) never ends a run, and never loses its outcome. Text is filtered here
/// (base/display.h), whoever wrote it; JSON is ASCII, and bytes that are no UTF-8 become U+FFFD
/// there.
class Output {
 public:
  explicit Output(bool json) : json_(json) {}
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  bool json() const { return json_; }
  void line(std::string_view text) noexcept;
  /// What is shown for a decision: on stderr, where the question is, so that stdout holds the
  /// command's result alone.
  void summary(std::string_view text) noexcept;
  /// The body of an answer, byte for byte, except at a terminal: there the service has no control
  /// over it.
  void body(ByteView bytes) noexcept;
  /// "flexroom: ..." on stderr.
  void problem(std::string_view text) noexcept;
  /// Something that happens now: on one line that is overwritten at a terminal, where it says so
  /// when nothing has moved for a while.
  void progress(const Progress& progress) noexcept;
  void end_progress() noexcept;
  void note(std::string_view text) noexcept;
  void event(std::string_view name, nlohmann::json fields) noexcept;
  /// The last word of a command.
  void result(nlohmann::json fields) noexcept;
  void table(const std::vector<Phase>& phases) noexcept;
  /// Throws InputError where confirm() would, for a look before anybody is joined.
  static void require_terminal();
  static bool has_terminal();
  /// y/N at the terminal; throws when there is none. What was typed before the question was shown
  /// counts for nothing. A set `cancel` ends the waiting: kCancelled.
  bool confirm(std::string_view question, const std::atomic<bool>* cancel = nullptr);
  /// A line of this member's person. At a terminal what was typed before the question was shown
  /// counts for nothing; else a line of standard input, for a program that answers in a person's
  /// place: the event `question` says when. Nothing: an empty line, the end of the input, not
  /// `within` the time. A set `cancel` ends the waiting: kCancelled. `shown` goes into the event.
  std::optional<SecretBytes> ask(std::string_view question,
                                 std::optional<std::chrono::seconds> within,
                                 const std::atomic<bool>* cancel,
                                 const std::map<std::string, std::string>& shown);
  /// The same of a secret, at a terminal alone, without echo. Nothing: there is no terminal.
  std::optional<SecretBytes> ask_secret(std::string_view question);
  /// Something that was meant for standard output could not be written.
  bool lost() const noexcept { return lost_; }
  /// The exit code of a command that ended with `code`: kOutputLost if it is kOk and output was
  /// lost.
  int finish(int code) const noexcept { return code == kOk && lost_ ? int{kOutputLost} : code; }

 private:
  using Clock = std::chrono::steady_clock;
  void write_json(const nlohmann::json& object);
  void show_progress(const std::string& text);
  void tick();

  bool json_;
  std::atomic<bool> lost_{false};
  std::mutex mutex_;  // of what the ticking thread sees: the line at the terminal
  std::condition_variable wake_;
  std::thread ticker_;  // only at a terminal
  bool ended_ = false;
  bool progress_shown_ = false;
  std::string shown_;  // without the time left
  std::string last_note_;
  Clock::time_point last_shown_{};
};

/// Prints an error and returns the exit code that belongs to it.
int report(Output& out, const std::exception& error, bool released) noexcept;

/// Whatever the caller of this program left closed of descriptors 0, 1 and 2 is opened, so that no
/// file of ours gets that number; what would go to a closed standard output counts as lost.
void reserve_standard_descriptors();

}  // namespace flexroom::cli
