#include "cli/output.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/codec.h"
#include "base/display.h"
#include "base/fd.h"
#include "config/terminal.h"
#include "room/failure.h"

namespace flexroom::cli {
namespace {

constexpr std::chrono::seconds kStill{3};

bool write_all(int fd, std::string_view text) { return flexroom::write_all(fd, as_bytes(text)); }

/// stderr is for people: what cannot be written there changes nothing.
void write_error(std::string_view text) { (void)write_all(STDERR_FILENO, text); }

template <typename Action>
void never_throws(std::atomic<bool>& lost, Action action) noexcept {
  try {
    action();
  } catch (...) {  // no memory for the text
    lost = true;
  }
}

}  // namespace

void reserve_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is this one. Writing to /dev/full fails.
    const char* const in_place = fd == STDOUT_FILENO ? "/dev/full" : "/dev/null";
    if (::open(in_place, O_RDWR) != fd) (void)::open("/dev/null", O_RDWR);
  }
}

Output::~Output() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  if (ticker_.joinable()) ticker_.join();
}

void Output::end_progress() noexcept {
  const std::lock_guard lock(mutex_);
  if (!progress_shown_) return;
  write_error("\r\033[K");
  progress_shown_ = false;
}

void Output::line(std::string_view text) noexcept {
  if (json_) return;
  end_progress();
  never_throws(lost_, [&] {
    if (!write_all(STDOUT_FILENO, display_lines(text) + "\n")) lost_ = true;
  });
}

void Output::summary(std::string_view text) noexcept {
  if (json_) return;
  end_progress();
  never_throws(lost_, [&] { write_error(display_lines(text) + "\n"); });
}

void Output::problem(std::string_view text) noexcept {
  end_progress();
  never_throws(lost_, [&] { write_error("flexroom: " + display_lines(text) + "\n"); });
}

void Output::body(ByteView bytes) noexcept {
  end_progress();
  never_throws(lost_, [&] {
    std::string text = to_text(bytes);
    if (isatty(STDOUT_FILENO) != 0) {
      text = display_lines(text);
      if (!text.empty() && text.back() != '\n') text.push_back('\n');
    }
    if (!write_all(STDOUT_FILENO, text)) lost_ = true;
  });
}

void Output::write_json(const nlohmann::json& object) {
  constexpr bool kAscii = true;  // no control and no bidi character reaches a screen
  const std::string text =
      object.dump(-1, ' ', kAscii, nlohmann::json::error_handler_t::replace) + "\n";
  if (!write_all(STDOUT_FILENO, text)) lost_ = true;
}

void Output::event(std::string_view name, nlohmann::json fields) noexcept {
  if (!json_) return;
  never_throws(lost_, [&] {
    fields["event"] = name;
    write_json(fields);
  });
}

void Output::result(nlohmann::json fields) noexcept {
  if (!json_) return;
  never_throws(lost_, [&] { write_json(fields); });
}

void Output::note(std::string_view text) noexcept {
  never_throws(lost_, [&] {
    if (text == last_note_) return;
    last_note_ = text;
    if (json_) return event("note", {{"text", text}});
    end_progress();
    write_error(display_lines(text) + "\n");
  });
}

/// Says that nothing has moved for a while, in place of a time left that would not become less.
void Output::tick() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    wake_.wait_for(lock, std::chrono::seconds(1));
    const auto still = Clock::now() - last_shown_;
    if (ended_ || !progress_shown_ || still < kStill) continue;
    never_throws(lost_, [&] {
      write_error(fmt::format("\r\033[K{}  nothing new for {} s", shown_,
                              std::chrono::duration_cast<std::chrono::seconds>(still).count()));
    });
  }
}

void Output::show_progress(const std::string& text) {
  const std::lock_guard lock(mutex_);
  write_error("\r\033[K" + text);
  progress_shown_ = true;
  if (!ticker_.joinable()) ticker_ = std::thread([this] { tick(); });
}

void Output::progress(const Progress& progress) noexcept {
  never_throws(lost_, [&] {
    if (json_) {
      nlohmann::json fields = {{"phase", progress.phase}};
      if (progress.share) fields["percent"] = 100 * *progress.share;
      if (progress.seconds_left) fields["eta_seconds"] = *progress.seconds_left;
      return event("progress", std::move(fields));
    }
    if (isatty(STDERR_FILENO) == 0) return;
    std::string text = display(progress.phase) +
                       (progress.share ? fmt::format(" {:.0f} %", 100 * *progress.share) : " ...");
    {
      const std::lock_guard lock(mutex_);
      shown_ = text;
      last_shown_ = Clock::now();
    }
    if (progress.seconds_left) {
      text += fmt::format("  about {:.1f} s left", *progress.seconds_left);
    }
    show_progress(text);
  });
}

void Output::table(const std::vector<Phase>& phases) noexcept {
  never_throws(lost_, [&] {
    nlohmann::json rows = nlohmann::json::array();
    double longest = 1e-9;
    for (const auto& phase : phases) longest = std::max(longest, phase.seconds);
    line(fmt::format("{:<34} {:>9} {:>10} {:>9} {:>7}", "where the seconds went", "seconds",
                     "KB sent", "ANDs", "flows"));
    double total = 0;
    for (const auto& phase : phases) {
      total += phase.seconds;
      const auto bar = static_cast<size_t>(20 * phase.seconds / longest);
      line(fmt::format("  {:<32} {:>9.3f} {:>10.1f} {:>9} {:>7} {}", phase.name, phase.seconds,
                       static_cast<double>(phase.bytes_sent) / 1000, phase.ands, phase.half_rounds,
                       std::string(bar, '#')));
      rows.push_back({{"phase", phase.name},
                      {"seconds", phase.seconds},
                      {"bytes_sent", phase.bytes_sent},
                      {"ands", phase.ands},
                      {"half_rounds", phase.half_rounds}});
    }
    line(fmt::format("  {:<32} {:>9.3f}", "total", total));
    event("timeline", {{"phases", rows}, {"total_seconds", total}});
  });
}

bool Output::has_terminal() { return isatty(STDIN_FILENO) != 0; }

void Output::require_terminal() {
  if (has_terminal()) return;
  throw InputError("approval", "there is no terminal to ask at",
                   "run it in a terminal, or pass --yes if a rule of your organisation allows it");
}

bool Output::confirm(std::string_view question, const std::atomic<bool>* cancel) {
  require_terminal();
  std::optional<Terminal> terminal = Terminal::of(STDIN_FILENO);
  if (!terminal) throw InputError("approval", "the terminal cannot be opened");
  end_progress();
  terminal->discard_typed();
  write_error(fmt::format("{} [y/N] ", display(question)));
  constexpr size_t kMaxAnswer = 200;
  const std::optional<SecretBytes> line = terminal->read_line(
      kMaxAnswer, "approval", [cancel] { return cancel != nullptr && *cancel; });
  if (!line) throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
  const std::string answer = to_text(line->reveal());
  return answer == "y" || answer == "Y" || answer == "yes";
}

std::optional<SecretBytes> Output::ask(std::string_view question,
                                       std::optional<std::chrono::seconds> within,
                                       const std::atomic<bool>* cancel,
                                       const std::map<std::string, std::string>& shown) {
  constexpr size_t kMaxAnswer = 65'536;
  const auto asked = Clock::now();
  std::optional<Terminal> terminal = Terminal::of(STDIN_FILENO);
  if (terminal) {
    terminal->discard_typed();
  } else {
    terminal = Terminal::input(STDIN_FILENO);
  }
  end_progress();
  nlohmann::json fields{{"text", std::string(question)}};
  if (within) fields["within_seconds"] = within->count();
  for (const auto& [name, value] : shown) fields["shown"][name] = value;
  event("question", std::move(fields));
  write_error(fmt::format("{}> ", display_lines(question)));
  if (!terminal) return std::nullopt;
  const auto is_cancelled = [cancel] { return cancel != nullptr && *cancel; };
  const auto is_late = [&] { return within && Clock::now() - asked > *within; };
  std::optional<SecretBytes> line =
      terminal->read_line(kMaxAnswer, "answer", [&] { return is_cancelled() || is_late(); });
  if (is_cancelled()) {
    throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
  }
  if (!line) write_error("\n");
  return line && !line->empty() ? std::move(line) : std::nullopt;
}

std::optional<SecretBytes> Output::ask_secret(std::string_view question) {
  std::optional<Terminal> terminal = Terminal::of(STDIN_FILENO);
  if (!terminal) return std::nullopt;
  end_progress();
  return ask_unseen(*terminal, question, "private value");
}

int report(Output& out, const std::exception& error, bool released) noexcept {
  int code = released ? kUnknown : kBadInput;
  try {
    const Error::Fields fields = room::describe(error, released);
    code = static_cast<int>(fields.exit);
    if (out.json()) {
      nlohmann::json last{
          {"ok", false}, {"class", fields.kind}, {"error", fields.text}, {"exit", code}};
      if (!fields.place.empty()) {
        last.update(
            {{"place", fields.place}, {"problem", fields.problem}, {"remedy", fields.remedy}});
      }
      if (!fields.member.empty()) last["member"] = fields.member;
      if (!fields.partial_answer.empty()) {
        last["partial_hex"] = to_hex(to_bytes(fields.partial_answer));
        if (!fields.partial_file.empty()) last["partial_file"] = fields.partial_file;
      }
      out.result(last);
    } else {
      out.problem(fields.text);
    }
  } catch (...) {  // no memory to say it; the code does
  }
  return code;
}

}  // namespace flexroom::cli
