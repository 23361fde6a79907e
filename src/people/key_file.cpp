#include "people/key_file.h"

#include <fmt/core.h>
#include <sodium.h>

#include <cerrno>
#include <cstring>

#include "base/base64.h"
#include "base/codec.h"
#include "base/ct.h"
#include "base/error.h"
#include "base/hex_digest.h"
#include "base/private_file.h"
#include "people/person_statement.h"
#include "store/passphrase.h"

namespace flexroom::people {
namespace {

// Three lines: what it is, the public key, and the seed, plain or as a key record.
constexpr std::string_view kHeader = "flexroom person key 1\n";
constexpr std::string_view kPublic = "public ", kSeed = "seed ", kSealed = "sealed ";
constexpr size_t kMaxFileBytes = 4096;
constexpr std::string_view kMissing = "make one with `flexroom people key FILE`";

struct Lines {
  std::string_view public_hex, secret;
  bool sealed = false;
};

std::string_view take_line(std::string_view& rest, std::string_view begins, bool& right) {
  const size_t end = rest.find('\n');
  right = right && end != std::string_view::npos && rest.starts_with(begins);
  if (!right) return {};
  const std::string_view out = rest.substr(begins.size(), end - begins.size());
  rest.remove_prefix(end + 1);
  return out;
}

Lines lines_of(std::string_view text, const std::string& name) {
  Lines out;
  bool right = text.starts_with(kHeader);
  if (right) text.remove_prefix(kHeader.size());
  out.public_hex = take_line(text, kPublic, right);
  out.sealed = text.starts_with(kSealed);
  out.secret = take_line(text, out.sealed ? kSealed : kSeed, right);
  if (!right || !text.empty() || !is_hex(out.public_hex, 64)) {
    throw InputError(name, "is no key file of a person", std::string(kMissing));
  }
  return out;
}

Key key_of(ByteView public_key) {
  Key out;
  out.kind = KeyKind::kFile;
  out.bytes.assign(public_key.begin(), public_key.end());
  return out;
}

struct Pair {
  Bytes public_key = Bytes(crypto_sign_PUBLICKEYBYTES);
  SecretBytes secret = SecretBytes(crypto_sign_SECRETKEYBYTES);
};

Pair pair_of(ByteView seed) {
  FLEXROOM_ASSERT(sodium_init() >= 0 && seed.size() == crypto_sign_SEEDBYTES);
  Pair out;
  crypto_sign_seed_keypair(out.public_key.data(), out.secret.writable().data(), seed.data());
  return out;
}

// The record is that of state.db; what is wrong with it is said of this file.
SecretBytes unsealed(std::string_view record, const SecretBytes& passphrase,
                     const std::string& name) {
  const auto bytes = base64_decode(record);
  if (!bytes) throw InputError(name, "is no key file of a person", std::string(kMissing));
  try {
    const store::SealKey key = store::open_key_record(*bytes, passphrase);
    return SecretBytes::copy_of(key.reveal());
  } catch (const InputError& error) {
    if (error.place() != "state.db") throw;
    throw InputError(name, "does not open with this passphrase, or was altered",
                     "type the one that it was made with");
  }
}

}  // namespace

Key KeyFile::create(const std::filesystem::path& file, const SecretBytes& passphrase) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  SecretBytes seed(crypto_sign_SEEDBYTES);
  randombytes_buf(seed.writable().data(), seed.size());
  const Pair pair = pair_of(seed.reveal());
  std::string text(kHeader);
  text += std::string(kPublic) + to_hex(pair.public_key) + "\n";
  if (passphrase.empty()) {
    std::string hex = to_hex(seed.reveal());
    text.reserve(text.size() + kSeed.size() + hex.size() + 1);  // no copy is left behind
    text += kSeed;
    text += hex;
    wipe(hex.data(), hex.size());
  } else {
    text += kSealed;
    text += base64_encode(store::make_key_record(store::SealKey(std::move(seed)), passphrase));
  }
  text += "\n";
  const bool written = write_new_file(file, as_bytes(text));
  const int problem = errno;
  wipe(text.data(), text.size());
  if (!written) {
    throw InputError(file.string(), std::string("cannot be made: ") + std::strerror(problem),
                     problem == EEXIST ? "keep this key, or choose another name" : "");
  }
  return key_of(pair.public_key);
}

Key KeyFile::public_key(const std::filesystem::path& file) {
  const SecretBytes text = read_private_file(file, kMaxFileBytes, kMissing);
  return key_of(from_hex(lines_of(as_text(text.reveal()), file.string()).public_hex));
}

KeyFile KeyFile::load(const std::filesystem::path& file, const AskPassphrase& ask) {
  const SecretBytes text = read_private_file(file, kMaxFileBytes, kMissing);
  const Lines lines = lines_of(as_text(text.reveal()), file.string());
  KeyFile out;
  if (lines.sealed) {
    out.seed_ = unsealed(lines.secret, ask(), file.string());
  } else if (is_hex(lines.secret, 64)) {
    out.seed_ = SecretBytes(from_hex(lines.secret));
  } else {
    throw InputError(file.string(), "is no key file of a person", std::string(kMissing));
  }
  out.key_ = key_of(from_hex(lines.public_hex));
  if (!ct_equal(pair_of(out.seed_.reveal()).public_key, out.key_.bytes)) {
    throw InputError(file.string(), "was altered: its two keys do not belong together",
                     "take a backup of it, or have another key enrolled");
  }
  return out;
}

Voice KeyFile::sign(ByteView st) const {
  const Pair pair = pair_of(seed_.reveal());
  const Bytes text =
      Writer().field("flexroom").field(kPersonDomain).field(ByteView(challenge_of(st))).take();
  Voice out;
  out.st.assign(st.begin(), st.end());
  out.key_id = key_.bytes;
  out.signature.resize(crypto_sign_BYTES);
  crypto_sign_detached(out.signature.data(), nullptr, text.data(), text.size(),
                       pair.secret.reveal().data());
  return out;
}

}  // namespace flexroom::people
