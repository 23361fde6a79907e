#include "support/forked.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace {

bool is_copy = false;

}  // namespace

// base/secret.h wipes with this. In a copy, pages that it shares with its parent would first be
// copied to be filled with zeros; whole ones are given back instead, and read as zeros from then
// on.
extern "C" void explicit_bzero(void* data, size_t size) noexcept {
  auto* begin = static_cast<uint8_t*>(data);
  constexpr uintptr_t kPage = 4096, kWorthIt = 16 * kPage;
  if (is_copy && size >= kWorthIt) {
    const uintptr_t at = reinterpret_cast<uintptr_t>(begin);
    const size_t first = (kPage - at % kPage) % kPage, whole = (size - first) / kPage * kPage;
    if (::madvise(begin + first, whole, MADV_DONTNEED) == 0) {
      std::memset(begin, 0, first);
      begin += first + whole;
      size -= first + whole;
    }
  }
  std::memset(begin, 0, size);
  asm volatile("" : : "r"(begin) : "memory");
}

namespace flexroom::support {

std::optional<Bytes> run_in_copy(const std::function<Bytes()>& work) {
  int ends[2];
  FLEXROOM_ASSERT(pipe(ends) == 0);
  const pid_t child = fork();
  FLEXROOM_ASSERT(child >= 0);
  if (child == 0) {
    is_copy = true;
    const Bytes out = work();
    for (size_t at = 0; at < out.size();) {
      const ssize_t done = ::write(ends[1], out.data() + at, out.size() - at);
      if (done <= 0) break;
      at += static_cast<size_t>(done);
    }
    _exit(0);
  }
  ::close(ends[1]);
  Bytes got;
  uint8_t buffer[4096];
  ssize_t size = 0;
  while ((size = ::read(ends[0], buffer, sizeof buffer)) > 0) {
    append(got, ByteView(buffer, static_cast<size_t>(size)));
  }
  ::close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return got;
}

}  // namespace flexroom::support
