#include "store/open_mark.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/codec.h"
#include "base/error.h"
#include "base/private_file.h"

namespace flexroom::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxMarks = 64;  // sessions of one member at a time
constexpr std::string_view kFormat = "flexroom open/1\n";
constexpr size_t kStateAt = kFormat.size();
constexpr size_t kBytesBefore = kStateAt + 1 + 2 * sizeof(Digest);  // without the members
constexpr size_t kBytes = kBytesBefore + sizeof(Digest);

fs::path folder(const fs::path& directory) { return directory / "open"; }

/// Locked; `busy` if another process holds it.
Fd open_locked(const fs::path& file, int flags, bool* busy = nullptr) {
  Fd fd(open(file.c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  const bool locked = fd.valid() && flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
  if (busy != nullptr) *busy = fd.valid() && !locked;
  if (!locked) fd.reset(-1);
  return fd;
}

bool is_state(uint8_t byte) {
  return std::string_view("coasb").find(static_cast<char>(byte)) != std::string_view::npos;
}

int rank(OpenMark::State state) {
  if (state == OpenMark::State::kBurn) return 2;
  return state == OpenMark::State::kStrike ? 1 : 0;
}

// Empty: not written to its end, so its session never began.
std::optional<OpenMark::Left> read_mark(int fd) {
  std::array<uint8_t, kBytes> bytes{};
  const ssize_t read = pread(fd, bytes.data(), bytes.size(), 0);
  if ((read != static_cast<ssize_t>(kBytes) && read != static_cast<ssize_t>(kBytesBefore)) ||
      as_text(ByteView(bytes).first(kFormat.size())) != kFormat || !is_state(bytes[kStateAt])) {
    return std::nullopt;
  }
  OpenMark::Left out;
  out.state = static_cast<OpenMark::State>(bytes[kStateAt]);
  std::copy_n(bytes.begin() + kStateAt + 1, sizeof(Digest), out.room.begin());
  std::copy_n(bytes.begin() + kStateAt + 1 + sizeof(Digest), sizeof(Digest), out.epoch.begin());
  if (read == static_cast<ssize_t>(kBytes)) {
    std::copy_n(bytes.begin() + kBytesBefore, sizeof(Digest), out.members.emplace().begin());
  }
  return out;
}

bool write_state(int fd, OpenMark::State state, bool flush = true) {
  const auto byte = static_cast<uint8_t>(state);
  return pwrite(fd, &byte, 1, kStateAt) == 1 && (!flush || fdatasync(fd) == 0);
}

}  // namespace

OpenMark::OpenMark(const fs::path& directory, const Digest& room, const Digest& epoch,
                   const Digest& members) {
  const fs::path marks = folder(directory);
  if (!fs::exists(marks)) {
    make_private_folder(marks);
    sync_directory(directory);
  }
  const Bytes bytes = Writer()
                          .raw(as_bytes(kFormat))
                          .u8(static_cast<uint8_t>(State::kOpen))
                          .raw(room)
                          .raw(epoch)
                          .raw(members)
                          .take();
  for (size_t k = 0; k < kMaxMarks; ++k) {
    const fs::path file = marks / std::to_string(k);
    bool busy = false;
    Fd locked = open_locked(file, O_CREAT, &busy);
    if (busy) continue;
    if (!locked.valid()) throw InputError(file.string(), std::strerror(errno));
    // What another session left in it meanwhile is not for this one to overwrite.
    if (const auto before = read_mark(locked.get()); before && before->state != State::kClosed) {
      continue;
    }
    if (pwrite(locked.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
        fsync(locked.get()) != 0) {
      const bool full = errno == ENOSPC || errno == EDQUOT;
      throw InputError(file.string(),
                       full ? "the disk (or the quota) is full" : "cannot be written",
                       full ? "free some space and run the same command again" : "");
    }
    sync_directory(marks);
    file_ = file;
    fd_ = std::move(locked);
    return;
  }
  throw InputError(marks.string(), "more than 64 sessions of this member are open",
                   "let some of them end");
}

OpenMark::~OpenMark() {
  if (!fd_.valid()) return;
  if (state_ == State::kOpen && !left_) (void)write_state(fd_.get(), State::kClosed);
}

void OpenMark::move_to(const Digest& room, const Digest& epoch) {
  Bytes bytes(room.begin(), room.end());
  append(bytes, epoch);
  const ssize_t written = pwrite(fd_.get(), bytes.data(), bytes.size(), kStateAt + 1);
  if (written == static_cast<ssize_t>(bytes.size()) && fdatasync(fd_.get()) == 0) return;
  throw InputError(file_.string(), std::string("cannot be written: ") + std::strerror(errno),
                   "is the disk read-only? Nothing is prepared as long as what a check says could "
                   "not be noted");
}

bool OpenMark::put(State state) {
  if (rank(state) < rank(state_)) return true;
  if (!write_state(fd_.get(), state, rank(state) > 0)) return false;
  state_ = state;
  return true;
}

void OpenMark::write(State state) {
  if (!put(state)) {
    throw InputError(file_.string(), std::string("cannot be written: ") + std::strerror(errno),
                     "is the disk read-only? Nothing is prepared as long as what a check says "
                     "could not be noted");
  }
}

void OpenMark::settle(const fs::path& directory, const std::function<bool(const Left&)>& entered) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder(directory), error)) {
    const Fd locked = open_locked(entry.path(), 0);
    if (!locked.valid()) continue;
    auto found = read_mark(locked.get());
    if (!found || found->state == State::kClosed) continue;
    found->file = entry.path();
    if (!entered(*found)) continue;
    if (!write_state(locked.get(), State::kClosed)) {
      throw InputError(entry.path().string(), "cannot be written", "is the disk read-only?");
    }
  }
}

std::vector<OpenMark::Left> OpenMark::left(const fs::path& directory) {
  std::vector<Left> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder(directory), error)) {
    const Fd fd(open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    // Shared, and only to see that no session runs: who begins one meanwhile takes another file.
    if (!fd.valid() || flock(fd.get(), LOCK_SH | LOCK_NB) != 0) continue;
    auto found = read_mark(fd.get());
    if (!found || found->state == State::kClosed) continue;
    found->file = entry.path();
    out.push_back(std::move(*found));
  }
  std::sort(out.begin(), out.end(), [](const Left& a, const Left& b) { return a.file < b.file; });
  return out;
}

bool OpenMark::Left::is_of(const Digest& room_id, const Digest& marked) const {
  if (room != Digest{}) return room == room_id;
  return !members || *members == marked;
}

Digest marked_members(std::vector<MemberId> members) {
  std::sort(members.begin(), members.end());
  RandomOracle out("open mark", RoScope{});
  for (const MemberId& member : members) out.field(member);
  return out.digest();
}

std::string_view to_string(OpenMark::State state) {
  switch (state) {
    case OpenMark::State::kBurn:
      return "a failed check of the boolean engine";
    case OpenMark::State::kStrike:
      return "a failed check over F_p";
    case OpenMark::State::kArmed:
      return "a session that ended while a verdict was awaited";
    case OpenMark::State::kOpen:
    case OpenMark::State::kClosed:
      break;
  }
  return "a session that ended without a word";
}

}  // namespace flexroom::store
