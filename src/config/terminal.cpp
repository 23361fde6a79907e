#include "config/terminal.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace flexroom {
namespace {

constexpr int kSliceMs = 100;

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

}  // namespace flexroom
