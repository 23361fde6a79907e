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

}  // namespace

void replace_file(const std::filesystem::path& file, ByteView content) {
  std::filesystem::path next = file;
  next += "." + std::to_string(::getpid());
  (void)::unlink(next.c_str());
  if (!write_new_file(next, content)) fail(next, "cannot be written");
  if (::rename(next.c_str(), file.c_str()) != 0) fail(file, "cannot be replaced");
  sync_directory(file.parent_path());
}

}  // namespace flexroom
