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

namespace {
constexpr size_t kWaitingBytes = size_t{1} << 16;
}

TraceFile::TraceFile(const std::filesystem::path& file) {
  // A pipe that nobody reads is refused, and not waited for.
  fd_ = Fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd_.valid() || ::fchmod(fd_.get(), 0600) != 0 || ::ftruncate(fd_.get(), 0) != 0) {
    throw InputError("--trace " + file.string(),
                     std::string("cannot be written: ") + std::strerror(errno),
                     "give a file that this user may write");
  }
}

TraceFile::~TraceFile() { flush(); }

// What cannot be written is missing from the trace, and nowhere else.
void TraceFile::flush() {
  (void)write_all(fd_.get(), as_bytes(waiting_));
  waiting_.clear();
}

void TraceFile::write(const net::TraceEntry& entry) {
  const net::MessageId& message = entry.message;
  waiting_ += nlohmann::json{{"from", message.sender},        {"to", message.receiver},
                             {"label", message.label},        {"index", message.index},
                             {"bytes", message.bytes},        {"half_round", entry.half_round},
                             {"sha256", to_hex(entry.digest)}}
                  .dump() +
              '\n';
  if (waiting_.size() >= kWaitingBytes) flush();
}

}  // namespace flexroom::room
