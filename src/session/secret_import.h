#pragma once

#include <filesystem>
#include <string>

#include "base/secret.h"
#include "session/member_session.h"

namespace flexroom::session {

/// One member's file for `secret import` (docs/secrets.md):
///   {"name": "...", "kind": "...", "class": "b64", "length": 40, "share": "<hex>"}   at every
///   member,
/// the XOR of all shares being the value, or
///   {"name": ..., "owner": "hospital-a", "value": "..."} at the owner, without "value" elsewhere.
/// Both may have "purposes": ["..."], what it may be used for (call/purpose.h); without one it is
/// usable nowhere. "provider": "NAME" of room.toml, whose hosts may get it, goes with purposes;
/// "entropy": bits that an attacker would have to guess, at least 128 for a key that signs.
/// "replaces": K when it takes the place of version K of a secret of that name.
struct SecretFile {
  std::string name;
  std::string kind;
  std::string value_class;
  uint32_t length = 0;  // bytes
  std::string owner;    // empty: XOR shares
  std::vector<std::string> purposes;
  std::string provider;
  uint32_t entropy = 0;
  uint32_t replaces = 0;  // 0: a new name
  SecretBytes material;   // share, or the owner's value; empty at the others
  /// Throws InputError; never shows the material.
  static SecretFile load(const std::filesystem::path& file, std::string_view self_name);
};

/// Brings a secret into the store: authenticated at its owner(s), summed, re-masked, its class
/// checked in MPC, put in two phases. Returns what was stored.
store::RecordMeta import_secret(MemberSession& session, const SecretFile& file,
                                const Digest& proposal);

/// The record that an import makes, but for its id, epoch and provenance. Throws InputError if its
/// fields contradict each other or the room (check_secret_terms).
store::RecordMeta planned_record(const RoomConfig& room, const SecretFile& file);

/// What the members approve for an import: all fields, and `new` or `replaces NAME vK` (§5.1).
agreement::Proposal import_proposal(const RoomConfig& room, const SecretFile& file);

/// Throws InputError where this member's store has something else under that name: a secret that
/// the file does not say it replaces, another version, another owner, class, kind, provider,
/// entropy or set of purposes.
void check_import(MemberState& state, const SecretFile& file);

/// What the members approve when they erase a secret. It need not be there at all of them: a
/// removal, or a member's disk, may have failed half way. Throws InputError if nobody has it.
agreement::Proposal remove_proposal(MemberSession& session, const std::string& name);
/// Erases all versions that are here.
void remove_secret(MemberSession& session, const std::string& name);

}  // namespace flexroom::session
