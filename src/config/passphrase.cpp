#include "config/passphrase.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/ct.h"
#include "base/display.h"
#include "base/error.h"
#include "base/private_file.h"
#include "config/terminal.h"

namespace flexroom {
namespace {

constexpr size_t kMaxBytes = 1024;
constexpr std::string_view kForms =
    "write \"prompt\", \"file:PATH\", \"fd:N\" or \"credential:NAME\"; the passphrase itself never "
    "stands here";

// Since the terminal's echo is off.
volatile std::sig_atomic_t caught = 0;
void on_signal(int number) { caught = number; }

/// Up to a newline or the end, byte by byte: what follows is not ours.
SecretBytes read_line(int fd, std::string_view place) {
  SecretBytes buffer(kMaxBytes);
  size_t size = 0;
  while (true) {
    uint8_t byte = 0;
    const ssize_t got = ::read(fd, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw InputError(place, std::string("cannot be read: ") + std::strerror(errno));
    }
    if (got == 0 || byte == '\n') break;
    if (size == kMaxBytes) throw InputError(place, "holds more than 1024 bytes in its first line");
    buffer.writable()[size++] = byte;
    wipe(&byte, 1);
  }
  return SecretBytes::copy_of(buffer.reveal().first(size));
}

SecretBytes read_descriptor(int fd, const std::string& place) {
  if (isatty(fd) != 0) {
    throw InputError(place, "is a terminal, which would show the passphrase",
                     "use \"prompt\" there");
  }
  SecretBytes line = read_line(fd, place);
  if (line.empty()) throw InputError(place, "holds no passphrase");
  return line;
}

SecretBytes read_file(const std::filesystem::path& file) {
  const Fd fd = open_private_file(file, "the file holds the passphrase in its first line");
  return read_descriptor(fd.get(), file.string());
}

SecretBytes read_credential(const std::string& name) {
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr) {
    throw InputError("credential " + name, "is not there: the service got no credentials",
                     fmt::format("put LoadCredential={}:PATH into the unit", name));
  }
  return read_file(std::filesystem::path(directory) / name);
}

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

SecretBytes ask(Terminal& terminal, std::string_view question) {
  constexpr std::string_view kPlace = "passphrase";
  while (true) {
    std::optional<SecretBytes> line;
    {
      const QuietTerminal quiet(terminal.fd());
      if (!quiet.ok()) throw InputError(kPlace, "the terminal's echo cannot be turned off");
      terminal.say(fmt::format("{}: ", display(question)));
      line = terminal.read_line(kMaxBytes, kPlace, [] { return caught != 0; });
    }  // a signal that ends the process does so here
    terminal.say("\n");
    if (!line && caught == SIGTSTP) continue;  // stopped and continued
    if (!line) {
      throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
    }
    if (line->empty()) throw InputError(kPlace, "none was given", "nothing was changed");
    return std::move(*line);
  }
}

SecretBytes prompt(std::string_view question, bool twice) {
  std::optional<Terminal> terminal = Terminal::controlling();
  if (!terminal) {
    throw InputError("passphrase", "there is no terminal to ask at",
                     "run it in a terminal, or let state_passphrase in member.toml name a "
                     "\"file:PATH\", \"fd:N\" or \"credential:NAME\"");
  }
  SecretBytes first = ask(*terminal, question);
  if (twice) {
    const SecretBytes second = ask(*terminal, "the same again");
    if (!ct_equal(first.reveal(), second.reveal())) {
      throw InputError("passphrase", "the two are not alike", "run the command again");
    }
  }
  return first;
}

}  // namespace

PassphraseSource PassphraseSource::parse(std::string_view text, std::string_view place,
                                         const std::filesystem::path& base) {
  PassphraseSource out;
  if (text == "prompt") return out;
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string value(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  const char* end = value.data() + value.size();
  const auto plain = [](char c) { return c > 0x20 && c < 0x7f && c != '/'; };
  if (kind == "file" && !value.empty()) {
    out.kind = Kind::kFile;
    out.file = base / value;  // an absolute path replaces the base
  } else if (kind == "fd" && std::from_chars(value.data(), end, out.descriptor).ptr == end &&
             out.descriptor >= 0) {
    out.kind = Kind::kDescriptor;
  } else if (kind == "credential" && !value.empty() && value.front() != '.' &&
             std::all_of(value.begin(), value.end(), plain)) {
    out.kind = Kind::kCredential;
    out.credential = value;
  } else {
    throw InputError(place, "is no source of a passphrase", kForms);
  }
  return out;
}

std::string PassphraseSource::text() const {
  switch (kind) {
    case Kind::kPrompt:
      return "prompt";
    case Kind::kFile:
      return "file:" + file.string();
    case Kind::kDescriptor:
      return fmt::format("fd:{}", descriptor);
    case Kind::kCredential:
      return "credential:" + credential;
  }
  return "";
}

SecretBytes read_passphrase(const PassphraseSource& source, std::string_view question, bool twice) {
  switch (source.kind) {
    case PassphraseSource::Kind::kPrompt:
      return prompt(question, twice);
    case PassphraseSource::Kind::kFile:
      return read_file(source.file);
    case PassphraseSource::Kind::kDescriptor:
      return read_descriptor(source.descriptor, source.text());
    case PassphraseSource::Kind::kCredential:
      return read_credential(source.credential);
  }
  throw InputError("passphrase", "has no source");
}

}  // namespace flexroom
