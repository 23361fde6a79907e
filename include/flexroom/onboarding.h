#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "flexroom/error.h"

/// From nothing to a room (docs/onboarding.md): the founder drafts it and invites, the others
/// reply, the founder seals, and every pair of people compares words by telephone. Files go by any
/// way: none holds a secret, and one that was altered on its way has other words.
///
/// Every step may be repeated: what is there already is not made again and never overwritten, and a
/// kill at any moment leaves what the same command goes on from. All throw Error.
namespace flexroom {

struct NewRoom {
  std::string room, member;      // names
  std::string address;           // HOST:PORT where the others reach this member
  std::filesystem::path folder;  // this member's, made, mode 0700
  std::string state_passphrase;  // as in IdentityOptions
  size_t members = 0;            // of the room, 2 to 16
  std::string provider;          // "aws" or "sandbox": the entry that the draft begins with
  std::string ca_file = "ca.pem", connect_to = "*:443=127.0.0.1:8443";  // of the sandbox
  /// Who opens the joint account, and who holds its root (members.md §1.4): 1 to 64 printable
  /// characters of ASCII; `kBornInRoom` where the room's own flow makes the account.
  std::string account_opener, account_root;
};
inline constexpr const char* kBornInRoom = "the room";

/// What a step left, and whether it was there before.
struct OnboardingStep {
  std::filesystem::path file;
  bool was_there = false;
  std::string words;           // of this member: what its person tells the others' people
  size_t members = 0, of = 0;  // in the draft, and of the room
};

/// The founder: keys, member.toml, and room.draft.toml with this member's entry.
OnboardingStep new_room(const NewRoom& options);
/// What is said to who founds a room or joins one (members.md §1.3 and members.md §1.4): `opener`
/// and `root` as above.
std::string room_warning(size_t members, const std::string& opener, const std::string& root);

/// The founder: ROOM.invitation.toml beside the draft. `now`: Unix seconds.
OnboardingStep invite(const std::filesystem::path& member_file, int64_t lasts_seconds, int64_t now);

struct JoinRoom {
  std::filesystem::path invitation;
  std::string member, address;  // as in NewRoom
  std::filesystem::path folder;
  std::string state_passphrase;
};
struct Joining {
  OnboardingStep step;
  std::string room, opener, root;
  std::vector<std::string> lines;  // what this member agrees to: terms, and who is in
};
/// The joiner: keys, drawn after the invitation was read, member.toml, the invitation as it was
/// accepted, and NAME.reply.toml. Refuses an identity that was made for anything else: words of a
/// key stand for what its owner saw before the key was there.
Joining join_room(const JoinRoom& options, int64_t now);

/// The founder: takes a reply to this room's invitation into the draft.
OnboardingStep add_member(const std::filesystem::path& member_file,
                          const std::filesystem::path& reply, int64_t now);
/// The founder, when all are in: room.toml, which goes to all.
OnboardingStep seal_room(const std::filesystem::path& member_file);
/// The others: takes that room.toml, held against the invitation and the own reply.
OnboardingStep finish_room(const std::filesystem::path& member_file,
                           const std::filesystem::path& sealed);

/// Whose words were compared, and whose are to be: of room.toml, before that of the draft or the
/// invitation.
struct WordsOfRoom {
  std::string own;  // four words
  std::vector<std::string> compared, missing;
};
/// `with_own`: also the own ones, which take a second.
WordsOfRoom words_of_room(const std::filesystem::path& member_file, bool with_own = true);
/// Of room.toml alone, which must be there. Of a member whose member.toml has no
/// `words_file` nothing is missing: its people compared fingerprints.
std::vector<std::string> words_missing(const std::filesystem::path& member_file);
/// Holds what this member's person heard, by member, against the entries here, and keeps what fits.
/// Throws Exit::kRefused naming the members whose words do not fit; the right ones are not told.
void compare_words(const std::filesystem::path& member_file,
                   const std::map<std::string, std::string>& heard);
/// Throws Exit::kRefused naming a member whose words are missing, as Session::init does: no room is
/// set up with a member whose words were not compared. Once it is, another certificate alone asks
/// for words again.
void require_words_compared(const std::filesystem::path& member_file);

}  // namespace flexroom
