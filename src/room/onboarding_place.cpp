#include "room/onboarding_place.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>

#include "agreement/words.h"
#include "base/error.h"
#include "net/identity.h"
#include "session/room_terms.h"

namespace flexroom::room {

FolderLock::FolderLock(const std::filesystem::path& folder)
    : fd_(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_.valid() && ::flock(fd_.get(), LOCK_EX) == 0) return;
  throw InputError(folder.string(), std::string("cannot be locked: ") + std::strerror(errno),
                   "name a folder of this user");
}

Place::Place(const std::filesystem::path& member_file)
    : member(MemberConfig::load(member_file)), folder(member.room_file.parent_path()) {}

bool is_there(const std::filesystem::path& file) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(file, ignored));
}

std::pair<std::string, RoomConfig> load_draft(const Place& place) {
  std::string text = read_onboarding(
      place.draft(), "the founder of the room has it: `flexroom room new` makes it");
  RoomConfig out = parse_draft(text, place.draft());
  const net::Identity own = net::Identity::load(place.member.identity_dir);
  if (out.members.front().name != place.member.name ||
      out.members.front().certificate() != own.fingerprint()) {
    throw InputError(place.draft().string(), "has not this member as its first one",
                     "the founder stands first, with the certificate in its identity folder");
  }
  return {std::move(text), std::move(out)};
}

RoomConfig with_member(const RoomConfig& invited, const MemberEntry& own) {
  RoomConfig out = invited;
  out.members.push_back(own);
  return out;
}

std::string words_of(const RoomConfig& config, PartyId member) {
  return agreement::words(session::member_text(config, member), agreement::kKeyWords);
}

}  // namespace flexroom::room
