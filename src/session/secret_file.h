#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/secret.h"

namespace flexroom::session {

/// One member's file for `secret import` (docs/secrets.md):
///   {"name": "...", "kind": "...", "class": "b64", "length": 40, "share": "<hex>",
///    "salt": "<hex>", "commitments": ["<hex>", ...]}
/// at every member, the XOR of all shares being the value, and the commitments (one a member, in
/// the order of room.toml) the same in all files: SHA-256 of salt and share. Without salt and
/// commitments only of class raw (tls-in-mpc.md §5.13). Or
///   {"name": ..., "owner": "hospital-a", "value": "..."}
/// at the owner, without "value" elsewhere. Both may have "purposes": ["..."], what it may be used
/// for (call/purpose.h); without one it is usable nowhere. "provider": "NAME" of room.toml, whose
/// hosts may get it, goes with purposes; "entropy": bits that an attacker would have to guess, at
/// least 128 for a key that signs. "replaces": K when it takes the place of version K of a secret
/// of that name.
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
  SecretBytes salt;       // 16 bytes; empty without commitments
  std::vector<Digest> commitments;
  bool ends_in_newline = false;  // of an owner's value: as a shell's `echo` leaves it

  /// Throws InputError with line and column; never shows the material.
  static SecretFile load(const std::filesystem::path& file, std::string_view self_name);
};

/// What a secret may be called that members bring or draw: 1 to 128 letters, digits and - _ . /
/// With a `:` it is a value of a flow, and only the flow says what stands there.
bool is_secret_name(std::string_view text);

inline constexpr size_t kSaltBytes = 16;

}  // namespace flexroom::session
