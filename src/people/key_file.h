#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/secret.h"
#include "people/voice.h"

namespace flexroom::people {

/// A person's Ed25519 key in a file (members.md 7.2): mode 0600, sealed under a passphrase
/// (Argon2id, as state.db) or not. The public key stands in it in the clear.
///
/// Errors  InputError naming the file: missing, open to others, altered, wrong passphrase
class KeyFile {
 public:
  using AskPassphrase = std::function<SecretBytes()>;
  /// Makes a new file; `passphrase` empty: not sealed. Never overwrites. Returns the public key.
  static Key create(const std::filesystem::path& file, const SecretBytes& passphrase);
  /// `ask` is called where the file is sealed.
  static KeyFile load(const std::filesystem::path& file, const AskPassphrase& ask);
  /// Without the passphrase.
  static Key public_key(const std::filesystem::path& file);

  const Key& key() const { return key_; }
  /// Ed25519 over challenge_of(st) under kPersonDomain. Whoever calls it has shown what st says.
  Voice sign(ByteView st) const;

 private:
  KeyFile() = default;
  Key key_;
  SecretBytes seed_;
};

}  // namespace flexroom::people
