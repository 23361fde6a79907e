#include "tls/hash_kind.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "base/secret.h"
#include "base/sha256_block.h"
#include "base/sha512_block.h"

namespace flexroom::tls {
namespace {

template <typename Array>
Array array_of(ByteView bytes) {
  Array out;
  FLEXROOM_ASSERT(bytes.size() == out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

template <typename Words>
RoundWords little_endian(const Words& words) {
  constexpr size_t kBytes = sizeof(words[0]);
  RoundWords out;
  out.reserve(kBytes * words.size());
  for (const auto word : words) {
    for (size_t k = 0; k < kBytes; ++k) out.push_back(static_cast<uint8_t>(word >> (8 * k)));
  }
  return out;
}

}  // namespace

HashValue::HashValue(ByteView bytes) : size_(bytes.size()) {
  FLEXROOM_ASSERT(bytes.size() <= bytes_.size());
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

HashValue::~HashValue() { wipe(bytes_.data(), bytes_.size()); }

bool operator==(const HashValue& a, const HashValue& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

const HashKind& sha256_kind() {
  static constexpr HashKind kKind = {
      "SHA-256",
      32,
      64,
      32,
      8,
      EVP_sha256,
      [](const HashValue& state, ByteView block) {
        return HashValue(sha256_state_bytes(sha256_compress(
            sha256_state_from(array_of<Digest>(state)), array_of<Sha256BlockBytes>(block))));
      },
      [](ByteView block) {
        return little_endian(sha256_schedule_plus_k(array_of<Sha256BlockBytes>(block)));
      }};
  return kKind;
}

const HashKind& sha384_kind() {
  static constexpr HashKind kKind = {
      "SHA-384",
      48,
      128,
      64,
      16,
      EVP_sha384,
      [](const HashValue& state, ByteView block) {
        return HashValue(ByteView(sha512_state_bytes(
            sha512_compress(sha512_state_from(array_of<std::array<uint8_t, 64>>(state)),
                            array_of<Sha512BlockBytes>(block)))));
      },
      [](ByteView block) {
        return little_endian(sha512_schedule_plus_k(array_of<Sha512BlockBytes>(block)));
      }};
  return kKind;
}

HashValue hash_of(const HashKind& kind, ByteView data) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  FLEXROOM_ASSERT(EVP_Digest(data.data(), data.size(), out.data(), &size, kind.md(), nullptr) ==
                      1 &&
                  size == kind.digest_bytes);
  return HashValue(ByteView(out).first(size));
}

HashValue hmac(const HashKind& kind, ByteView key, ByteView message) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  static constexpr uint8_t kEmpty[1] = {0};
  FLEXROOM_ASSERT(HMAC(kind.md(), key.empty() ? kEmpty : key.data(), static_cast<int>(key.size()),
                       message.data(), message.size(), out.data(), &size) != nullptr &&
                  size == kind.digest_bytes);
  HashValue value(ByteView(out).first(size));
  wipe(out.data(), out.size());
  return value;
}

Bytes last_block(const HashKind& kind, ByteView tail, uint64_t bytes_before) {
  FLEXROOM_ASSERT(tail.size() + 1 + kind.length_bytes <= kind.block_bytes &&
                  bytes_before % kind.block_bytes == 0);
  Bytes block(kind.block_bytes);
  std::copy(tail.begin(), tail.end(), block.begin());
  block[tail.size()] = 0x80;
  const uint64_t bits = 8 * (bytes_before + tail.size());
  for (size_t i = 0; i < 8; ++i) {
    block[block.size() - 8 + i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
  }
  return block;
}

HashValue inner_hash(const HashKind& kind, const HashValue& inner, ByteView message) {
  const HashValue state = kind.compress(inner, last_block(kind, message, kind.block_bytes));
  return HashValue(ByteView(state).first(kind.digest_bytes));
}

}  // namespace flexroom::tls
