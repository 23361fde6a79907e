#pragma once

#include <memory>
#include <span>
#include <vector>

#include "math/u256.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::arith {

/// How the polynomial of a Poly1305 tag (RFC 8439 §2.5) over `blocks` blocks is evaluated: powers
/// r^1 .. r^baby, and one segment of `baby` coefficients for each of (r^baby)^0 ..
/// (r^baby)^(giant-1).
struct Poly1305Plan {
  size_t blocks = 0;
  size_t baby = 0;
  size_t giant = 0;

  /// The split with the fewest triples, about 3 sqrt(blocks) (tls-in-mpc.md §4.7).
  static Poly1305Plan of(size_t blocks);

  /// Powers of the mask of r^baby that giant steps need: none for up to two segments.
  size_t giant_powers() const { return giant > 2 ? giant - 1 : 0; }
  /// Multiplications behind the ciphertext, one opening for all.
  size_t products() const { return giant - 1; }
  size_t triples() const {
    return baby - 1 + (giant_powers() > 0 ? giant_powers() - 1 : 0) + products();
  }
};

/// What a tag's masks send to each other member, in bytes, but for the COTs of their bits: triples
/// of 1.6 and the elements that are authenticated. For plans.
double poly1305_bytes_to_each_peer(const Poly1305Plan& plan);

class Poly1305Secrets;  // powers, triples and masks over F_p; poly1305_batch.h

/// Everything one Poly1305 tag needs from F_p, p = 2^130 - 5, made beforehand. Single use: one
/// (generation, sequence) of one direction, one opening of the masked accumulator (two under one
/// mask give r). Move-only; secrets are wiped.
struct Poly1305Masks {
  Poly1305Plan plan;
  Digest id{};  // RO digest of its index in this session
  /// Masks of the key and of the accumulator: 130 bits of party i, LSB first, known to i. Inputs
  /// (group kZero) of the circuits that compute r - sum rho_i and acc + s from acc + sum sigma_i.
  std::vector<prep::AuthBits> rho, sigma;
  std::unique_ptr<Poly1305Secrets> secrets;  // null once used

  Poly1305Masks();
  Poly1305Masks(Poly1305Masks&&) noexcept;
  Poly1305Masks& operator=(Poly1305Masks&&) noexcept;
  ~Poly1305Masks();
};

/// A block as RFC 8439 §2.5.1 reads it: little-endian, with one bit behind its last byte.
math::U256 poly1305_block(ByteView bytes /* 1 .. 16 */);
/// What an AEAD authenticates (RFC 8439 §2.8): both padded with zeros to whole blocks, then their
/// lengths.
std::vector<math::U256> poly1305_aead_blocks(ByteView aad, ByteView ciphertext);
size_t poly1305_aead_block_count(size_t aad_bytes, size_t ciphertext_bytes);

/// One tag of poly1305_masked().
struct Poly1305Use {
  Poly1305Masks* masks = nullptr;
  std::vector<uint8_t> c;          // bits of r - sum rho_i mod p, LSB first, public, canonical
  std::vector<math::U256> blocks;  // 1 to plan.blocks, public and equal at all members
};

/// The polynomials of several tags under shared r, masked (tls-in-mpc.md §4.7): two openings more
/// than the last one where any of them has more than two segments.
///
/// In       masks consumed: a second call throws ProtocolAbort(kRefusedByRule), also after an
/// abort.
///          Of fewer blocks than the masks are for, those in front are as if they were zero
/// Out      of each, bits of acc + sum sigma_i mod p, LSB first, public; acc = sum blocks[i]
/// r^(L-i) Throws   ProtocolAbort kFpMac; an honest member blames whoever sent the share Secure
/// everything opened is uniform: r^baby under a mask of its own, Beaver differences, the
///          accumulator under sigma. A member that opens something else is caught (1/p)
/// Rounds   1 half round for one segment, 2 for two, else 3
std::vector<std::vector<uint8_t>> poly1305_masked(net::Party& party, std::span<Poly1305Use> tags);
/// The same of one tag.
std::vector<uint8_t> poly1305_masked(net::Party& party, Poly1305Masks& masks,
                                     const std::vector<uint8_t>& c,
                                     std::span<const math::U256> blocks);

}  // namespace flexroom::arith
