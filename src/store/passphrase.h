#pragma once

#include "base/secret.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// What argon2id may cost; stands in the key record, so that it can be raised later.
struct PassphraseCost {
  uint64_t passes = 3;
  uint64_t memory_bytes = 256 << 20;
};

/// Shortest passphrase that is taken when one is set.
inline constexpr size_t kMinPassphraseBytes = 12;

/// A database key sealed under a passphrase: format, cost, a fresh salt, and the key under
/// XChaCha20-Poly1305 with a key from argon2id (libsodium). The database's own key is random: a new
/// passphrase is a new record, and no row is written again.
/// Not given  an old copy of the file opens with the passphrase it had.
/// Throws InputError if the passphrase is too short or the memory is not there.
Bytes make_key_record(const SealKey& key, const SecretBytes& passphrase, PassphraseCost cost = {});

/// Throws InputError: wrong passphrase (or altered record; the two look alike), or a record that
/// asks for a cost beyond reason, or that is none.
SealKey open_key_record(ByteView record, const SecretBytes& passphrase);

}  // namespace flexroom::store
