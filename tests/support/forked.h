#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"

namespace flexroom::support {

/// Runs `work` in a copy of this process and gives what it returned; nothing if the copy crashed.
/// The caller has no threads running. One preparation can so serve many runs.
inline std::optional<Bytes> run_in_copy(const std::function<Bytes()>& work) {
  int ends[2];
  FLEXROOM_ASSERT(pipe(ends) == 0);
  const pid_t child = fork();
  FLEXROOM_ASSERT(child >= 0);
  if (child == 0) {
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
