#pragma once

#include "agent/gcm.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// The GCM tag over public associated data and a ciphertext that stays shared (SP 800-38D): of the
/// products that GHASH is made of, those with a secret block are multiplications in GF(2^128)
/// (tls-in-mpc.md §5.9(5)). Single use.
///
/// Guarantee  the bits of the right tag, or abort. Opened: blocks and powers of H behind one-time
///            masks, the tag behind 128 fresh bits
/// Aborts     kMac, and what the source throws
/// Cost       powers up to the number of blocks; a field product and 2 openings of 16 bytes a block
///            of ciphertext
class SecretGcmTag {
 public:
  SecretGcmTag(prep::Source& source, size_t aad_bytes, size_t text_bytes);

  /// R [128], in byte order: what H is opened behind.
  prep::AuthBits hash_key_mask() const { return key_.random_bits(); }

  /// In   d: H xor R as opened; ciphertext [8 text_bytes] and j0 [128] in byte order
  /// Out  the tag [128], byte order
  prep::AuthBits tag(net::Party& party, prep::Source& source, const Block& d, ByteView aad,
                     const prep::AuthBits& ciphertext, const prep::AuthBits& j0);

 private:
  const size_t aad_bytes_, text_bytes_;
  GhashKey key_;
  std::vector<prep::VecTriple> products_;  // one a block of ciphertext
};

}  // namespace flexroom::agent
