#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "base/fd.h"
#include "config/config.h"
#include "room/onboarding_files.h"

namespace flexroom::room {

/// One command at a time changes what lies in a member's folder. Throws InputError.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);

 private:
  Fd fd_;
};

/// Where a member's room is, and what lies beside it.
struct Place {
  static constexpr const char* kDraft = "room.draft.toml";
  static constexpr const char* kAccepted = "invitation.toml";

  explicit Place(const std::filesystem::path& member_file);
  std::filesystem::path draft() const { return folder / kDraft; }
  std::filesystem::path accepted() const { return folder / kAccepted; }
  std::filesystem::path invitation(const std::string& room) const {
    return folder / (room + ".invitation.toml");
  }

  MemberConfig member;
  std::filesystem::path folder;
};

bool is_there(const std::filesystem::path& file);
/// The draft, whose founder this member is, as text and read.
std::pair<std::string, RoomConfig> load_draft(const Place& place);
/// The room of an invitation, with this member in it.
RoomConfig with_member(const RoomConfig& invited, const MemberEntry& own);
/// The four words of a member (members.md 1.1). About a second.
std::string words_of(const RoomConfig& config, PartyId member);

}  // namespace flexroom::room
