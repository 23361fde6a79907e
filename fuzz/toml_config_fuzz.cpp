#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "call/recipe.h"
#include "config/config.h"
#include "config/toml.h"
#include "fuzz.h"
#include "room/onboarding_files.h"

// The configuration files, and those that members exchange to found a room. First byte: which
// loader. The text is given to it as a file in memory.

namespace flexroom {
namespace {

void load(uint8_t which, const std::string& path) {
  switch (which % 8) {
    case 0: {
      const RoomConfig room = RoomConfig::load(path);
      FLEXROOM_ASSERT(room.members.size() >= 2);
      FLEXROOM_ASSERT(room.courier_id() != 0);
      break;
    }
    case 1:
      MemberConfig::load(path);
      break;
    case 2:
      JobConfig::load(path);
      break;
    case 3:
      LinksConfig::load(path);
      break;
    case 4:
      Recipe::load(path);
      break;
    case 5: {
      const room::Invitation invitation = room::Invitation::load(path);
      FLEXROOM_ASSERT(!invitation.room.members.empty());
      // Every member's entry is one of room.toml: nothing in it ends its text.
      for (const MemberEntry& member : invitation.room.members) {
        const std::string text = "[room]\nname = \"r\"\n" + room::entry_text(member);
        FLEXROOM_ASSERT(room::parse_draft(text, "draft").members.size() == 1);
      }
      break;
    }
    case 6: {
      const std::string text =
          "[room]\nname = \"r\"\n" + room::entry_text(room::Reply::load(path).member);
      FLEXROOM_ASSERT(room::parse_draft(text, "draft").members.size() == 1);
      break;
    }
    default:
      FLEXROOM_ASSERT(!room::ComparedWords::load(path).write().empty());
  }
}

}  // namespace
}  // namespace flexroom

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const int file = memfd_create("toml", MFD_CLOEXEC);
  FLEXROOM_ASSERT(file >= 0);
  FLEXROOM_ASSERT(fchmod(file, 0600) == 0);
  FLEXROOM_ASSERT(write(file, data + 1, size - 1) == static_cast<ssize_t>(size - 1));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  flexroom::fuzz::accepts([&] { flexroom::load(data[0], path); });
  close(file);
  return 0;
}
