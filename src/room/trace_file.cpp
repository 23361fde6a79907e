#include "room/trace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::room {

TraceFile::TraceFile(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  const bool is_private = fd >= 0 && ::fchmod(fd, 0600) == 0;
  const int problem = errno;
  if (fd >= 0) ::close(fd);
  if (is_private) out_.open(file, std::ios::trunc);
  if (!is_private || !out_) {
    throw InputError(
        "--trace " + file.string(),
        std::string("cannot be written: ") + std::strerror(is_private ? errno : problem),
        "give a file that this user may write");
  }
}

void TraceFile::write(const net::TraceEntry& entry) {
  const net::MessageId& message = entry.message;
  out_ << nlohmann::json{{"from", message.sender},        {"to", message.receiver},
                         {"label", message.label},        {"index", message.index},
                         {"bytes", message.bytes},        {"half_round", entry.half_round},
                         {"sha256", to_hex(entry.digest)}}
              .dump()
       << '\n';
}

}  // namespace flexroom::room
