#pragma once

#include <filesystem>
#include <string>

#include "flexroom/error.h"

namespace flexroom {

/// What a new member starts with.
struct IdentityOptions {
  std::string name;              // as in room.toml: letters, digits, '-', '_' and '.', at most 64
  std::filesystem::path folder;  // made, mode 0700
  /// Where a passphrase for state.db comes from: "prompt", or for machines "file:PATH" (mode 0600,
  /// relative to the working directory), "fd:N" or "credential:NAME". Empty: a key file seals it.
  std::string state_passphrase;
  /// member.toml asks for the words of the others before the room is set up
  /// (flexroom/onboarding.h).
  bool compares_words = false;
};

struct IdentityMade {
  std::filesystem::path keys;  // the folder of the keys
  std::string certificate;     // SHA-256, hexadecimal: what the members tell each other
};

/// Makes a member's own files in a folder: `identity/` with the signing key, the TLS key and its
/// certificate, the key that seals state.db (or state.db under a passphrase), and `member.toml`,
/// where one that is there stays. Keys never leave the folder. The passphrase is asked for first:
/// what is wrong with it leaves no half identity.
/// Throws Error, Exit::kBadInput: no name, an identity or a state.db that is there, a passphrase
/// that is too short, a folder that cannot be made or is open to others.
IdentityMade make_identity(const IdentityOptions& options);

struct PassphraseChanged {
  std::string source;              // as it should stand in member.toml: state_passphrase
  std::filesystem::path key_file;  // that member.toml still names; it opens state.db too. Or empty
};

/// Another passphrase for state.db, or its first one; `source` as in IdentityOptions. The database
/// keeps its own key and no row is written again: copies made before open as they did.
/// Throws Error, Exit::kBadInput: the old key or passphrase is wrong, the new one too short, no
/// state.db. Then the old one still opens it.
PassphraseChanged change_passphrase(const std::filesystem::path& member_file,
                                    const std::string& source);

}  // namespace flexroom
