#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"

struct evp_md_st;

namespace flexroom::tls {

/// A digest, a secret or a chaining value of the hash of a cipher suite: at most 64 bytes, wiped
/// when it goes.
class HashValue {
 public:
  HashValue() = default;
  HashValue(const Digest& digest) : HashValue(ByteView(digest)) {}  // of SHA-256
  /// At most 64 bytes (asserted).
  explicit HashValue(ByteView bytes);
  HashValue(const HashValue&) = default;
  HashValue& operator=(const HashValue&) = default;
  ~HashValue();

  const uint8_t* data() const { return bytes_.data(); }
  size_t size() const { return size_; }
  const uint8_t* begin() const { return data(); }
  const uint8_t* end() const { return data() + size_; }
  uint8_t& operator[](size_t i) { return bytes_.at(i); }
  uint8_t operator[](size_t i) const { return bytes_.at(i); }

  /// Of what is public.
  friend bool operator==(const HashValue& a, const HashValue& b);

 private:
  std::array<uint8_t, 64> bytes_{};
  size_t size_ = 0;
};

/// W_t + K_t of a public block, word after word, each little-endian: as `pub` bits, the order in
/// which circuits take them (tls-in-mpc.md §3.7).
using RoundWords = Bytes;

/// The hash of a cipher suite (RFC 8446 §7.1), also with its chaining value in the open, for HMACs
/// that begin or end inside MPC. Values are public or opened.
struct HashKind {
  std::string_view name;
  size_t digest_bytes;
  size_t block_bytes;
  size_t state_bytes;
  size_t length_bytes;  // of the padding
  const evp_md_st* (*md)();
  /// The chaining value behind one more block.
  HashValue (*compress)(const HashValue& state, ByteView block);
  RoundWords (*round_words)(ByteView block);
};
const HashKind& sha256_kind();
const HashKind& sha384_kind();

HashValue hash_of(const HashKind& kind, ByteView data);
HashValue hmac(const HashKind& kind, ByteView key, ByteView message);

/// The one padded block that ends a message: `tail` follows `bytes_before` bytes (whole blocks)
/// that are in the chaining value already. It must fit (asserted).
Bytes last_block(const HashKind& kind, ByteView tail, uint64_t bytes_before);

/// The rest of an HMAC: the hash over `message`, of one block with its padding, from `inner`, which
/// has eaten one block.
HashValue inner_hash(const HashKind& kind, const HashValue& inner, ByteView message);

}  // namespace flexroom::tls
