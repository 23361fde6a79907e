#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/replace_file.h"
#include "flexroom/onboarding.h"
#include "room/compared_words.h"
#include "room/failure.h"
#include "room/onboarding_place.h"
#include "session/room_terms.h"

// Four words a member, compared by telephone (members.md 1.1).

namespace flexroom {
namespace room {
namespace {

/// The room as this member knows it so far.
RoomConfig room_so_far(const Place& place) {
  if (is_there(place.member.room_file)) return RoomConfig::load(place.member.room_file);
  if (is_there(place.draft())) return load_draft(place).second;
  const Invitation invitation = Invitation::load(place.accepted());
  // The address that was told to the founder stands in the reply alone.
  return with_member(invitation.room,
                     Reply::load(place.folder / (place.member.name + ".reply.toml")).member);
}

bool is_compared(const ComparedWords& words, const RoomConfig& config, PartyId member) {
  const MemberEntry& entry = config.members[member];
  const Digest text = sha256(session::member_text(config, member));
  return std::any_of(words.all.begin(), words.all.end(), [&](const ComparedWords::One& one) {
    return one.member == entry.name && one.certificate == entry.certificate_sha256 &&
           (one.text == text || words.done);
  });
}

WordsOfRoom look_at_words(const MemberConfig& member, const RoomConfig& config) {
  WordsOfRoom out;
  if (!member.words_file) return out;
  const ComparedWords words = ComparedWords::load(*member.words_file);
  const PartyId self = config.member_id(member.name);
  for (PartyId j = 0; j < config.members.size(); ++j) {
    if (j == self) continue;
    (is_compared(words, config, j) ? out.compared : out.missing).push_back(config.members[j].name);
  }
  return out;
}

/// "Abacus - abandon": as people write what they hear.
std::string plain_words(std::string_view heard) {
  std::string out;
  for (const char c : heard) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower >= 'a' && lower <= 'z') {
      out += lower;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

[[noreturn]] void refuse_words(const std::string& names) {
  Error::Fields fields;
  fields.exit = Exit::kRefused;
  fields.kind = "refuse";
  fields.problem = "the words that were heard do not fit the entry of " + names;
  fields.remedy =
      "say them to each other once more. If they stay different, somebody altered a file on its "
      "way: do not go on; exchange invitation and reply again, another way, in new folders";
  fields.text = fields.problem + "\n  -> " + fields.remedy;
  throw Error(fields);
}

void compare(const Place& place, const std::map<std::string, std::string>& heard) {
  const FolderLock lock(place.folder);
  const RoomConfig config = room_so_far(place);
  const PartyId self = config.member_id(place.member.name);
  ComparedWords words = ComparedWords::load(*place.member.words_file);
  std::string wrong;
  for (const auto& [name, said] : heard) {
    const PartyId member = config.member_id(name);
    if (member == self) {
      throw InputError(name, "is this member itself", "type what the others' people say");
    }
    if (plain_words(said) != words_of(config, member)) {
      wrong += (wrong.empty() ? "" : ", ") + name;
      continue;
    }
    std::erase_if(words.all, [&](const ComparedWords::One& one) { return one.member == name; });
    words.all.push_back({name, config.members[member].certificate_sha256,
                         sha256(session::member_text(config, member))});
  }
  replace_file(*place.member.words_file, as_bytes(words.write()));
  if (!wrong.empty()) refuse_words(wrong);
}

void require_words_file(const Place& place) {
  if (place.member.words_file) return;
  throw InputError(place.member.file.string(), "has no `words_file`",
                   "the room was written by hand: read the certificates in room.toml to each "
                   "other. Or begin with `flexroom room new` and `room join`");
}

}  // namespace

void require_compared(const MemberConfig& member, const RoomConfig& config) {
  const std::vector<std::string> missing = look_at_words(member, config).missing;
  if (missing.empty()) return;
  Error::Fields fields;
  fields.exit = Exit::kRefused;
  fields.kind = "refuse";
  fields.member = missing.front();
  fields.problem = "the words of " + missing.front() + " were not compared yet";
  fields.remedy =
      "let its person tell you four words by telephone, then `flexroom room words "
      "--words " +
      missing.front() + "=\"...\"`";
  fields.text = fields.problem + "\n  -> " + fields.remedy;
  throw Error(fields);
}

void note_set_up(const MemberConfig& member) {
  if (!member.words_file) return;
  const FolderLock lock(member.room_file.parent_path());
  ComparedWords words = ComparedWords::load(*member.words_file);
  if (words.done) return;
  words.done = true;
  replace_file(*member.words_file, as_bytes(words.write()));
}

}  // namespace room

WordsOfRoom words_of_room(const std::filesystem::path& member_file, bool with_own) {
  return room::translated({}, [&] {
    const room::Place place(member_file);
    room::require_words_file(place);
    const RoomConfig config = room::room_so_far(place);
    WordsOfRoom out = room::look_at_words(place.member, config);
    if (with_own) out.own = room::words_of(config, config.member_id(place.member.name));
    return out;
  });
}

std::vector<std::string> words_missing(const std::filesystem::path& member_file) {
  return room::translated({}, [&] {
    const room::Place place(member_file);
    return room::look_at_words(place.member, RoomConfig::load(place.member.room_file)).missing;
  });
}

void compare_words(const std::filesystem::path& member_file,
                   const std::map<std::string, std::string>& heard) {
  room::translated({}, [&] {
    const room::Place place(member_file);
    room::require_words_file(place);
    room::compare(place, heard);
  });
}

void require_words_compared(const std::filesystem::path& member_file) {
  room::translated({}, [&] {
    const room::Place place(member_file);
    room::require_compared(place.member, RoomConfig::load(place.member.room_file));
  });
}

}  // namespace flexroom
