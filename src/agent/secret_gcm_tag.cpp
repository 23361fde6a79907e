#include "agent/secret_gcm_tag.h"

#include "base/codec.h"
#include "math/gf128.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/open.h"

namespace flexroom::agent {
namespace {

constexpr size_t kBlock = 16;

size_t blocks_of(size_t bytes) { return (bytes + kBlock - 1) / kBlock; }

/// 128 bits a block, between byte order (bit 0 of a byte first) and the order of GHASH elements,
/// whose coefficient i is bit 7 - (i mod 8) of byte i / 8. Its own inverse.
prep::AuthBits other_bit_order(const prep::AuthBits& bits) {
  FLEXROOM_ASSERT(bits.size() % (8 * kBlock) == 0);
  prep::AuthBits out(bits.self(), bits.num_parties(), bits.size());
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (size_t i = 0; i < bits.size(); ++i) {
      out.mac[j][i] = bits.mac[j][i ^ 7];
      out.key[j][i] = bits.key[j][i ^ 7];
    }
  }
  return out;
}

/// [[x_h y_h]] from (b, a, c = a b) of each product: x + b and y + a are opened, once.
prep::AuthField multiply(net::Party& party, const Block& delta, const prep::AuthField& x,
                         const prep::AuthField& y, std::vector<prep::VecTriple> products) {
  prep::AuthField a = std::move(products[0].a), b = std::move(products[0].b);
  prep::AuthField out = std::move(products[0].c);
  for (size_t h = 1; h < products.size(); ++h) {
    a.append(products[h].a);
    b.append(products[h].b);
    out.append(products[h].c);
  }
  const size_t count = x.size();
  FLEXROOM_ASSERT(y.size() == count && out.size() == count);
  prep::AuthField masked = x.clone();
  prep::add(masked, b);
  prep::AuthField masked_y = y.clone();
  prep::add(masked_y, a);
  masked.append(masked_y);
  const std::vector<Block> opened = prep::open_field(party, delta, masked, "jwe/tag products");
  const std::span<const Block> dx(opened.data(), count), dy(opened.data() + count, count);
  std::vector<Block> both;
  for (size_t h = 0; h < count; ++h) both.push_back(math::gf_mul(dx[h], dy[h]));
  prep::scale(a, dx);
  prep::scale(b, dy);
  prep::add(out, a);
  prep::add(out, b);
  prep::add_constants(out, both, delta);
  return out;
}

}  // namespace

SecretGcmTag::SecretGcmTag(prep::Source& source, size_t aad_bytes, size_t text_bytes)
    : aad_bytes_(aad_bytes),
      text_bytes_(text_bytes),
      powers_(source.powers(blocks_of(aad_bytes) + blocks_of(text_bytes) + 1)),
      products_(source.vec_triples(std::vector<size_t>(blocks_of(text_bytes), 1))) {
  FLEXROOM_ASSERT(text_bytes > 0);
}

prep::AuthBits SecretGcmTag::hash_key_mask() const { return other_bit_order(powers_.r_bits); }

prep::AuthBits SecretGcmTag::tag(net::Party& party, prep::Source& source, const Block& d,
                                 ByteView aad, const prep::AuthBits& ciphertext,
                                 const prep::AuthBits& j0) {
  FLEXROOM_ASSERT(aad.size() == aad_bytes_ && ciphertext.size() == 8 * text_bytes_);
  FLEXROOM_ASSERT(products_.size() == blocks_of(text_bytes_));  // single use
  const size_t count = products_.size();

  // What is public of X_1 .. X_m: the ciphertext stands as zeros.
  std::vector<Block> known;
  prep::append_ghash_blocks(known, aad);
  known.resize(known.size() + count);
  Writer lengths;
  lengths.u64(8 * aad.size()).u64(8 * text_bytes_);
  known.push_back(prep::ghash_block(lengths.bytes()));
  prep::AuthField sum = prep::ghash_share(powers_, d, known);
  prep::add(sum, prep::pack(other_bit_order(j0)));

  // Block k of the ciphertext, from 0, meets H^(count + 1 - k).
  prep::AuthBits padded = ciphertext.clone();
  padded.append(
      prep::AuthBits(padded.self(), padded.num_parties(), 8 * (kBlock * count - text_bytes_)));
  const prep::AuthField x = prep::pack(other_bit_order(padded));
  Bytes unit(kBlock);
  unit[0] = 0x80;
  prep::AuthField powers_of_h(x.self(), x.num_parties(), 0);
  for (size_t k = 0; k < count; ++k) {
    std::vector<Block> one(count + 1 - k);
    one[0] = prep::ghash_block(unit);
    powers_of_h.append(prep::ghash_share(powers_, d, one));
  }
  const prep::AuthField secret_part =
      multiply(party, source.delta(), x, powers_of_h, std::move(products_));
  products_.clear();
  for (size_t k = 0; k < count; ++k) prep::add(sum, secret_part.slice(k, 1));
  powers_ = prep::Powers();

  // To bits (boolean-engine.md §9.2): 128 fresh ones hide the tag while it is opened.
  prep::AuthBits bits = source.random_bits(8 * kBlock);
  prep::add(sum, prep::pack(bits));
  const Block masked = prep::open_field(party, source.delta(), sum, "jwe/tag")[0];
  std::vector<uint8_t> constants(8 * kBlock);
  for (unsigned t = 0; t < constants.size(); ++t) constants[t] = masked.bit(t) ? 1 : 0;
  prep::add_constants(bits, constants, source.delta());
  return other_bit_order(bits);
}

}  // namespace flexroom::agent
