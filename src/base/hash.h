#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "base/block.h"
#include "base/bytes.h"

namespace flexroom {

using Digest = std::array<uint8_t, 32>;

/// Incremental SHA-256 (FIPS 180-4).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(ByteView data);
  Sha256& update(std::string_view text) { return update(as_bytes(text)); }
  /// The digest of what came so far; more may follow.
  Digest digest() const;

 private:
  void* context_;  // EVP_MD_CTX
};

Digest sha256(ByteView data);
std::array<uint8_t, 64> sha512(ByteView data);
Digest hmac_sha256(ByteView key, ByteView message);

/// Where in the world a random-oracle call stands: part of every call (boolean-engine.md §2.3).
struct RoScope {
  Digest eid{};   // epoch; suid before the epoch exists
  Digest sid{};   // session
  Digest csid{};  // TLS connection, or zero
};

inline constexpr uint32_t kNoParty = 0xffffffff;

/// RO(tag, fields...) = SHA-256 over tag, version, eid, sid, csid, counter, sender, receiver and
/// the fields, each with a 32-bit length prefix.
class RandomOracle {
 public:
  RandomOracle(std::string_view tag, const RoScope& scope, uint64_t counter = 0,
               uint32_t sender = kNoParty, uint32_t receiver = kNoParty);
  RandomOracle& field(ByteView data);
  RandomOracle& field(std::string_view text) { return field(as_bytes(text)); }
  RandomOracle& field(const Block& block) { return field(block_bytes(block)); }
  RandomOracle& field(uint64_t value);
  /// A field of `size` bytes that arrives in pieces: begin, then raw() until size bytes are in.
  RandomOracle& begin_field(uint64_t size);
  RandomOracle& raw(ByteView piece);
  Digest digest() const { return hash_.digest(); }
  /// The first 128 bits: seeds and keys.
  Block block() const;
  /// RO512, for hashing to a group.
  static std::array<uint8_t, 64> wide(std::string_view tag, const RoScope& scope, uint64_t counter,
                                      uint32_t sender, uint32_t receiver,
                                      std::initializer_list<ByteView> fields);

 private:
  Sha256 hash_;
};

}  // namespace flexroom
