#include "config/terminal.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/display.h"
#include "base/error.h"

namespace flexroom {
namespace {

constexpr int kSliceMs = 100;
constexpr size_t kMaxUnseen = 1024;

// Since the terminal's echo is off.
volatile std::sig_atomic_t caught = 0;
void on_signal(int number) { caught = number; }

/// The terminal without echo; a signal on the way gives the echo back before it acts.
class QuietTerminal {
 public:
  explicit QuietTerminal(int fd) : fd_(fd) {
    caught = 0;
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &old_[i]);
    ok_ = tcgetattr(fd, &before_) == 0;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ICANON | ISIG;
    ok_ = ok_ && set(quiet);
  }
  ~QuietTerminal() {
    if (ok_) (void)set(before_);
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &old_[i], nullptr);
    if (caught != 0) raise(caught);
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;
  bool ok() const { return ok_; }

 private:
  /// Throws away what was typed. A signal while the terminal drains does not leave it half done.
  bool set(const termios& mode) const {
    while (tcsetattr(fd_, TCSAFLUSH, &mode) != 0) {
      if (errno != EINTR) return false;
    }
    return true;
  }
  static constexpr std::array<int, 5> kSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
  int fd_;
  bool ok_ = false;
  termios before_{};
  std::array<struct sigaction, kSignals.size()> old_{};
};

}  // namespace

std::optional<Terminal> Terminal::controlling() {
  Fd fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return std::nullopt;
  return Terminal(std::move(fd), false);
}

std::optional<Terminal> Terminal::of(int fd) {
  if (isatty(fd) == 0) return std::nullopt;
  // O_NONBLOCK on `fd` itself would be seen by every process that shares it.
  const std::string again = fmt::format("/proc/self/fd/{}", fd);
  Fd own(::open(again.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (own.valid()) return Terminal(std::move(own), false);
  if (std::optional<Terminal> terminal = controlling()) return terminal;
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return std::nullopt;
  return Terminal(std::move(copy), true);
}

std::optional<Terminal> Terminal::input(int fd) {
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return std::nullopt;
  return Terminal(std::move(copy), true);
}

void Terminal::discard_typed() { (void)tcflush(fd_.get(), TCIFLUSH); }

void Terminal::say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd_.get(), text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    pollfd output{fd_.get(), POLLOUT, 0};
    if (n < 0 && errno == EAGAIN && ::poll(&output, 1, 1000) > 0) continue;
    return;
  }
}

std::optional<SecretBytes> Terminal::read_line(size_t most, std::string_view place,
                                               const std::function<bool()>& stop) {
  SecretBytes buffer(most);
  size_t size = 0;
  while (true) {
    if (stop()) return std::nullopt;
    // Always in slices: a signal whose handler ran just before does not end this wait.
    pollfd input{fd_.get(), POLLIN, 0};
    if (::poll(&input, 1, kSliceMs) <= 0) continue;
    if (blocks_ && stop()) return std::nullopt;
    uint8_t byte = 0;
    const ssize_t got = ::read(fd_.get(), &byte, 1);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) {
      throw InputError(place, std::string("cannot be read: ") + std::strerror(errno));
    }
    if (got == 0 || byte == '\n' || byte == '\r') break;
    if (size == most) {
      discard_typed();
      throw InputError(place, fmt::format("more than {} bytes were typed", most));
    }
    buffer.writable()[size++] = byte;
    wipe(&byte, 1);
  }
  return SecretBytes::copy_of(buffer.reveal().first(size));
}

SecretBytes ask_unseen(Terminal& terminal, std::string_view question, std::string_view place) {
  while (true) {
    std::optional<SecretBytes> line;
    {
      const QuietTerminal quiet(terminal.fd());
      if (!quiet.ok()) throw InputError(place, "the terminal's echo cannot be turned off");
      terminal.say(fmt::format("{}: ", display(question)));
      line = terminal.read_line(kMaxUnseen, place, [] { return caught != 0; });
    }  // a signal that ends the process does so here
    terminal.say("\n");
    if (!line && caught == SIGTSTP) continue;  // stopped and continued
    if (!line) {
      throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
    }
    if (line->empty()) throw InputError(place, "none was given", "nothing was changed");
    return std::move(*line);
  }
}

}  // namespace flexroom
