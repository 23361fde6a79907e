#include "store/passphrase.h"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::store {
namespace {

constexpr std::string_view kFormat = "flexroom passphrase argon2id 1";
constexpr size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
// Who alters the file cannot make us take the whole machine.
constexpr PassphraseCost kMostCost{16, uint64_t{4} << 30};

/// All of a record but the sealed key: its associated data.
struct Header {
  PassphraseCost cost;
  Bytes salt;
  Bytes encode() const {
    return Writer().field(kFormat).u64(cost.passes).u64(cost.memory_bytes).raw(salt).take();
  }
};

SealKey derive(const SecretBytes& passphrase, const Header& header) {
  SecretBytes out(kKeyBytes);
  const int result = crypto_pwhash(
      out.writable().data(), kKeyBytes, reinterpret_cast<const char*>(passphrase.reveal().data()),
      passphrase.size(), header.salt.data(), header.cost.passes,
      static_cast<size_t>(header.cost.memory_bytes), crypto_pwhash_ALG_ARGON2ID13);
  if (result != 0) {
    throw InputError("passphrase",
                     fmt::format("argon2id needs {} MiB of memory, which cannot be had",
                                 header.cost.memory_bytes >> 20),
                     "free some memory and run the same command again; nothing was changed");
  }
  return SealKey(std::move(out));
}

}  // namespace

Bytes make_key_record(const SealKey& key, const SecretBytes& passphrase, PassphraseCost cost) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  if (passphrase.size() < kMinPassphraseBytes) {
    throw InputError("passphrase",
                     fmt::format("is shorter than {} characters", kMinPassphraseBytes),
                     "take a longer one, for example six random words; nothing was changed");
  }
  Header header{cost, Bytes(crypto_pwhash_SALTBYTES)};
  randombytes_buf(header.salt.data(), header.salt.size());
  Bytes record = header.encode();
  append(record, seal(derive(passphrase, header), key.reveal(), header.encode()));
  return record;
}

SealKey open_key_record(ByteView record, const SecretBytes& passphrase) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  const size_t header_bytes = Header{{}, Bytes(crypto_pwhash_SALTBYTES)}.encode().size();
  if (record.size() != header_bytes + kKeyBytes + kSealBytes) {
    throw InputError("state.db", "holds no passphrase that this version knows",
                     "name its key file in member.toml, or restore state.db from a backup");
  }
  const Bytes prefix = Writer().field(kFormat).take();
  const bool known = std::equal(prefix.begin(), prefix.end(), record.begin());
  Reader in(record.subspan(prefix.size()), "key record");
  Header header;
  header.cost.passes = in.u64();
  header.cost.memory_bytes = in.u64();
  const ByteView salt = in.raw(crypto_pwhash_SALTBYTES);
  header.salt.assign(salt.begin(), salt.end());
  const PassphraseCost& cost = header.cost;
  if (!known || cost.passes < crypto_pwhash_OPSLIMIT_MIN || cost.passes > kMostCost.passes ||
      cost.memory_bytes < crypto_pwhash_MEMLIMIT_MIN ||
      cost.memory_bytes > kMostCost.memory_bytes) {
    throw InputError("state.db", "holds an altered passphrase record",
                     "restore state.db from a backup; never restore once.db");
  }
  auto key = unseal(derive(passphrase, header), record.subspan(header_bytes), header.encode());
  if (!key) {
    throw InputError("state.db", "this is not its passphrase",
                     "run the command again with the right one; nothing was changed");
  }
  return SealKey(std::move(*key));
}

}  // namespace flexroom::store
