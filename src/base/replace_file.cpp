#include "base/replace_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/private_file.h"

namespace flexroom {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what) {
  throw InputError(file.string(), what + ": " + std::strerror(errno),
                   "free some space, or let this user write there");
}

/// The content under a name of this process beside the file, on disk.
std::filesystem::path write_beside(const std::filesystem::path& file, ByteView content) {
  std::filesystem::path out = file;
  out += "." + std::to_string(::getpid());
  (void)::unlink(out.c_str());
  if (!write_new_file(out, content)) fail(out, "cannot be written");
  return out;
}

}  // namespace

void replace_file(const std::filesystem::path& file, ByteView content) {
  const std::filesystem::path next = write_beside(file, content);
  if (::rename(next.c_str(), file.c_str()) != 0) fail(file, "cannot be replaced");
  sync_directory(file.parent_path());
}

bool place_new_file(const std::filesystem::path& file, ByteView content) {
  const std::filesystem::path next = write_beside(file, content);
  const bool placed = ::link(next.c_str(), file.c_str()) == 0;
  const int error = errno;
  (void)::unlink(next.c_str());
  errno = error;
  if (!placed && error != EEXIST) fail(file, "cannot be written");
  if (placed) sync_directory(file.parent_path());
  return placed;
}

}  // namespace flexroom
