#include "flexroom/onboarding.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/replace_file.h"
#include "config/toml.h"
#include "flexroom/identity.h"
#include "net/identity.h"
#include "room/failure.h"
#include "room/onboarding_place.h"
#include "session/room_terms.h"

namespace flexroom {
namespace room {
namespace {

constexpr const char* kAnotherFolder =
    "nothing was changed; take another folder, or take away what is there";

/// Writes it, or finds it there to the letter: true.
bool write_or_find(const std::filesystem::path& file, const std::string& text) {
  if (place_new_file(file, as_bytes(text))) return false;
  if (read_onboarding(file, "") == text) return true;
  throw InputError(file.string(), "is there already, and is another one; it is never overwritten",
                   kAnotherFolder);
}

/// The keys of who founds or joins: made now, or by the same command when it was interrupted.
net::Identity own_identity(const std::string& member, const std::filesystem::path& folder,
                           const std::string& passphrase) {
  const std::filesystem::path file = folder / "member.toml";
  if (is_there(file)) {
    const MemberConfig config = MemberConfig::load(file);
    if (config.name != member || !config.words_file) {
      throw InputError(
          file.string(),
          fmt::format("is of {}, and was made for something else", display(config.name)),
          kAnotherFolder);
    }
    return net::Identity::load(config.identity_dir);
  }
  (void)make_identity({member, folder, passphrase, true});
  return net::Identity::load(folder / "identity");
}

MemberEntry entry_of(const std::string& name, const std::string& address,
                     const std::string& certificate) {
  return {name, parse_address(address, "--address"), certificate};
}

// ---------------------------------------------------------------------------------- founder

std::string provider_text(const NewRoom& options) {
  if (options.provider == "aws") return "[provider.aws]\nhosts = [\"*.amazonaws.com\"]\n";
  if (options.provider != "sandbox") {
    throw InputError("--provider", "is neither aws nor sandbox",
                     "begin with one of them, and write other providers into the draft "
                     "(docs/files.md) before you invite");
  }
  return fmt::format(
      "[provider.sandbox]\nhosts = [\"*.amazonaws.com\", \"*.flexroom.example\"]\nca_file = {}\n"
      "connect_to = [{}]\n",
      nlohmann::json(options.ca_file).dump(), nlohmann::json(options.connect_to).dump());
}

std::string draft_text(const NewRoom& options) {
  for (const auto& [text, option] :
       {std::pair(&options.account_opener, "--opens"), {&options.account_root, "--root"}}) {
    if (!is_few_words(*text)) {
      throw InputError(option, "is not 1 to 64 printable characters of ASCII",
                       fmt::format("say in a few words who it is, or \"{}\"", kBornInRoom));
    }
  }
  return fmt::format(
      "# The room {0}: the same at every member (docs/files.md).\n[room]\nname = \"{0}\"\n"
      "size = {1}\ntriples = \"masked\"\naccount_opened_by = {2}\naccount_root = {3}\n\n{4}",
      options.room, options.members, nlohmann::json(options.account_opener).dump(),
      nlohmann::json(options.account_root).dump(), provider_text(options));
}

OnboardingStep step_of(const std::filesystem::path& file, bool was_there,
                       const RoomConfig& config) {
  OnboardingStep out;
  out.file = file;
  out.was_there = was_there;
  out.members = config.members.size();
  out.of = config.size;
  return out;
}

OnboardingStep found(const NewRoom& options) {
  for (const std::string* name : {&options.room, &options.member}) {
    if (!is_name(*name)) throw InputError(*name, "is not a name", kNameRemedy);
  }
  if (options.members < 2 || options.members > 16) {
    throw InputError("--members", "is not 2 to 16", "count this member too");
  }
  const std::filesystem::path draft = options.folder / Place::kDraft;
  const std::string text = draft_text(options);
  // What is wrong is said before anything is made.
  (void)parse_draft(
      text + entry_text(entry_of(options.member, options.address, std::string(64, '0'))), draft);
  if (is_there(draft)) {
    const auto [there, config] = load_draft(Place(options.folder / "member.toml"));
    if (config.name != options.room) {
      throw InputError(draft.string(), fmt::format("is of the room {}", config.name),
                       kAnotherFolder);
    }
    return step_of(draft, true, config);
  }
  const net::Identity own = own_identity(options.member, options.folder, options.state_passphrase);
  const std::string whole =
      text + entry_text(entry_of(options.member, options.address, to_hex(own.fingerprint())));
  const RoomConfig config = parse_draft(whole, draft);
  return step_of(draft, write_or_find(draft, whole), config);
}

/// Of the founder's terms and those of somebody else, the first that differs.
void require_same_terms(const RoomConfig& here, const RoomConfig& there, const std::string& place,
                        std::string_view whose) {
  const auto differ =
      session::differences({session::founding_terms(here), session::founding_terms(there)}, 0);
  if (differ.empty()) return;
  throw InputError(
      place,
      fmt::format("differs from {} in {}: {} here, {} there", whose,
                  display_short(differ.front().name), display_short(differ.front().there),
                  display_short(differ.front().here)),
      "what the room is stays what was invited to: begin anew with a new draft, "
      "invitation and replies, or ask who altered it");
}

/// From here on the terms are fixed, and with them this member's words.
OnboardingStep send_invitation(const Place& place, int64_t lasts_seconds, int64_t now) {
  const FolderLock lock(place.folder);
  const auto [text, config] = load_draft(place);
  const std::filesystem::path file = place.invitation(config.name);
  const bool was_there = is_there(file);
  if (was_there) {
    const Invitation sent = Invitation::load(file);
    if (sent.expires < now) {
      throw InputError(file.string(), "has ended", "take it away, and invite again");
    }
    require_same_terms(sent.room, config, place.draft().string(), "the invitation that lies there");
  } else {
    constexpr int64_t kHour = 3600, kLongest = 90 * 24 * kHour;
    if (lasts_seconds < kHour || lasts_seconds > kLongest) {
      throw InputError("--lasts", "is not an hour to 90 days", "write for example 14d");
    }
    (void)write_or_find(file, Invitation::write(text, config.name, now + lasts_seconds));
  }
  OnboardingStep out = step_of(file, was_there, config);
  out.words = words_of(config, 0);
  return out;
}

/// A member that is not in yet, by name, address and certificate. True: it is in, to the letter.
bool is_in(const RoomConfig& config, const MemberEntry& entry, const std::string& place) {
  for (const MemberEntry& member : config.members) {
    const bool name = member.name == entry.name,
               address = to_string(member.address) == to_string(entry.address),
               certificate = member.certificate_sha256 == entry.certificate_sha256;
    if (name && address && certificate) return true;
    if (!name && !address && !certificate) continue;
    throw InputError(place,
                     fmt::format("has the {} of {}, who is in already with another entry",
                                 name      ? "name"
                                 : address ? "address"
                                           : "certificate",
                                 member.name),
                     "each member has its own name, address and certificate; a member that begins "
                     "anew is taken out of the draft first");
  }
  return false;
}

OnboardingStep take_reply(const Place& place, const std::filesystem::path& file, int64_t now) {
  const FolderLock lock(place.folder);
  auto [text, config] = load_draft(place);
  const Reply reply = Reply::load(file);
  const Invitation sent = Invitation::load(place.invitation(config.name));
  if (reply.invitation != sent.digest) {
    throw InputError(file.string(), "answers another invitation than the one that lies here",
                     "somebody altered the invitation on its way, or it was an older one: send "
                     "this one again; the member joins in a new folder");
  }
  require_same_terms(sent.room, config, place.draft().string(), "the invitation that was sent");
  const bool was_there = is_in(config, reply.member, file.string());
  if (!was_there) {
    if (sent.expires < now) {
      throw InputError(file.string(),
                       fmt::format("comes late: the invitation ended {:%Y-%m-%d "
                                   "%H:%M}Z",
                                   fmt::gmtime(static_cast<std::time_t>(sent.expires))),
                       "take the old invitation away, invite again; the member joins in a new "
                       "folder");
    }
    text += entry_text(reply.member);
    config = parse_draft(text, place.draft());
    replace_file(place.draft(), as_bytes(text));
  }
  return step_of(place.draft(), was_there, config);
}

OnboardingStep seal(const Place& place) {
  const FolderLock lock(place.folder);
  const auto [text, draft] = load_draft(place);
  if (draft.members.size() < 2 || (draft.size != 0 && draft.members.size() != draft.size)) {
    throw InputError(place.draft().string(),
                     fmt::format("has {} of {} members", draft.members.size(), draft.size),
                     "take the replies of the others first: `flexroom room add REPLY`");
  }
  const RoomConfig config =
      RoomConfig::of(TomlTable::parse(text, place.draft().string()), place.member.room_file);
  return step_of(place.member.room_file, write_or_find(place.member.room_file, text), config);
}

// ----------------------------------------------------------------------------------- joiner

std::vector<std::string> lines_of(const RoomConfig& config) {
  std::vector<std::string> out;
  for (const session::Term& term : session::founding_terms(config)) {
    out.push_back(fmt::format("{}: {}", display(term.name), display(term.value)));
  }
  for (const MemberEntry& member : config.members) {
    out.push_back(fmt::format("member {} at {}, certificate {}", member.name,
                              to_string(member.address), member.certificate_sha256));
  }
  return out;
}

Joining join(const JoinRoom& options, int64_t now) {
  if (!is_name(options.member)) throw InputError(options.member, "is not a name", kNameRemedy);
  const std::string from = options.invitation.string();
  const Invitation invitation = Invitation::load(options.invitation);
  const RoomConfig& invited = invitation.room;
  const std::filesystem::path accepted = options.folder / Place::kAccepted;
  if (is_there(accepted) && read_onboarding(accepted, "") != invitation.text) {
    throw InputError(accepted.string(),
                     "is another invitation, which this folder's keys were made for",
                     kAnotherFolder);
  }
  if (invitation.expires < now && !is_there(accepted)) {
    throw InputError(from,
                     fmt::format("ended {:%Y-%m-%d %H:%M}Z",
                                 fmt::gmtime(static_cast<std::time_t>(invitation.expires))),
                     "ask its founder for a new one");
  }
  const MemberEntry asked = entry_of(options.member, options.address, std::string(64, '0'));
  (void)is_in(invited, asked, from);
  if (invited.size != 0 && invited.members.size() >= invited.size) {
    throw InputError(from, "is of a room whose members are all in", "ask its founder");
  }
  const net::Identity own = own_identity(options.member, options.folder, options.state_passphrase);
  const MemberEntry entry = entry_of(options.member, options.address, to_hex(own.fingerprint()));
  (void)write_or_find(accepted, invitation.text);
  const std::filesystem::path reply = options.folder / (options.member + ".reply.toml");
  const bool was_there = write_or_find(reply, Reply::write(invitation.digest, entry, own));
  const RoomConfig config = with_member(invited, entry);
  Joining out;
  out.step = step_of(reply, was_there, config);
  out.step.words = words_of(config, static_cast<PartyId>(invited.members.size()));
  out.room = invited.name;
  out.opener = invited.account_opener;
  out.root = invited.account_root;
  out.lines = lines_of(invited);
  return out;
}

OnboardingStep finish(const Place& place, const std::filesystem::path& sealed) {
  const FolderLock lock(place.folder);
  const std::string from = sealed.string();
  const std::string text = read_onboarding(sealed, "name the room.toml that the founder sent");
  // As it will stand beside member.toml: what it names is looked for there.
  const RoomConfig config = RoomConfig::of(TomlTable::parse(text, from), place.member.room_file);
  const Invitation invitation = Invitation::load(place.accepted());
  require_same_terms(invitation.room, config, from, "the invitation");
  const net::Identity own = net::Identity::load(place.member.identity_dir);
  const MemberEntry& self = config.members[config.member_id(place.member.name)];
  if (self.certificate() != own.fingerprint()) {
    throw InputError(from,
                     fmt::format("has another certificate of {} than this member's own", self.name),
                     "somebody altered the reply or this file on its way: have it sent again, "
                     "another way");
  }
  for (const MemberEntry& member : invitation.room.members) {
    const bool same = std::any_of(
        config.members.begin(), config.members.end(),
        [&](const MemberEntry& entry) { return entry_text(entry) == entry_text(member); });
    if (same) continue;
    throw InputError(from,
                     fmt::format("has not the entry of {} that the invitation has", member.name),
                     "one of the two was altered, or the founder began anew: ask it, and have both "
                     "sent again");
  }
  return step_of(place.member.room_file, write_or_find(place.member.room_file, text), config);
}

}  // namespace
}  // namespace room

OnboardingStep new_room(const NewRoom& options) {
  return room::translated({}, [&] { return room::found(options); });
}

std::string room_warning(size_t members, const std::string& opener, const std::string& root) {
  const bool born = root == kBornInRoom;
  return fmt::format(
      "All {} members are needed for every run, for every change, and to keep the secrets. If one "
      "is gone for good, or refuses, the secrets of the room are lost: no one can rebuild them, "
      "which is the reason why no one can use them alone. What the account's owner can make anew "
      "at the provider is not lost; an account whose password only this room knows IS lost with "
      "it.\n\nWho opens the account: {}. Who holds its root: {}.\n{}",
      members, display(opener), display(root),
      born
          ? "Nobody holds it: the account is made inside the room (`flexroom create-account`), and "
            "is lost with any member that is gone for good."
          : "Whoever holds the root can use, change and close the account alone. If a member is "
            "gone for good, make a new room; the holder of the root makes new credentials for it "
            "at the provider and deletes the old ones there.");
}

OnboardingStep invite(const std::filesystem::path& member_file, int64_t lasts_seconds,
                      int64_t now) {
  return room::translated(
      {}, [&] { return room::send_invitation(room::Place(member_file), lasts_seconds, now); });
}

Joining join_room(const JoinRoom& options, int64_t now) {
  return room::translated({}, [&] { return room::join(options, now); });
}

OnboardingStep add_member(const std::filesystem::path& member_file,
                          const std::filesystem::path& reply, int64_t now) {
  return room::translated({},
                          [&] { return room::take_reply(room::Place(member_file), reply, now); });
}

OnboardingStep seal_room(const std::filesystem::path& member_file) {
  return room::translated({}, [&] { return room::seal(room::Place(member_file)); });
}

OnboardingStep finish_room(const std::filesystem::path& member_file,
                           const std::filesystem::path& sealed) {
  return room::translated({}, [&] { return room::finish(room::Place(member_file), sealed); });
}

}  // namespace flexroom
