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
/// Both may have "purposes": ["..."], where in requests it may stand (call/purpose.h).
struct SecretFile {
  std::string name;
  std::string kind;
  std::string value_class;
  uint32_t length = 0;  // bytes
  std::string owner;    // empty: XOR shares
  std::vector<std::string> purposes;
  SecretBytes material;  // share, or the owner's value; empty at the others
  /// Throws InputError; never shows the material.
  static SecretFile load(const std::filesystem::path& file, std::string_view self_name);
};

/// Brings a secret into the store: authenticated at its owner(s), summed, re-masked, its class
/// checked in MPC, put in two phases. Returns what was stored.
store::RecordMeta import_secret(MemberSession& session, const SecretFile& file,
                                const Digest& proposal);

/// What the members approve for an import.
agreement::Proposal import_proposal(const RoomConfig& room, const SecretFile& file);

/// What the members approve when they erase a secret. It need not be there at all of them: a
/// removal, or a member's disk, may have failed half way. Throws InputError if nobody has it.
agreement::Proposal remove_proposal(MemberSession& session, const std::string& name);
/// Erases all versions that are here.
void remove_secret(MemberSession& session, const std::string& name);

}  // namespace flexroom::session
