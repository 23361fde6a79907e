#include "agent/secret_gcm_tag.h"

#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/pack.h"

namespace flexroom::agent {
namespace {

constexpr size_t kBlock = 16;

size_t blocks_of(size_t bytes) { return (bytes + kBlock - 1) / kBlock; }

}  // namespace

SecretGcmTag::SecretGcmTag(prep::Source& source, size_t aad_bytes, size_t text_bytes)
    : aad_bytes_(aad_bytes),
      text_bytes_(text_bytes),
      key_(source, blocks_of(aad_bytes) + blocks_of(text_bytes) + 1, 0),
      products_(source.vec_triples(std::vector<size_t>(blocks_of(text_bytes), 1))) {
  FLEXROOM_ASSERT(text_bytes > 0);
}

prep::AuthBits SecretGcmTag::tag(net::Party& party, prep::Source& source, const Block& d,
                                 ByteView aad, const prep::AuthBits& ciphertext,
                                 const prep::AuthBits& j0) {
  FLEXROOM_ASSERT(aad.size() == aad_bytes_ && ciphertext.size() == 8 * text_bytes_);
  FLEXROOM_ASSERT(products_.size() == blocks_of(text_bytes_));  // single use
  const size_t count = products_.size();

  // What is public of X_1 .. X_m: the ciphertext stands as zeros.
  key_.set_difference(d);
  prep::AuthField sum = key_.hash_short(ghash_input(aad, Bytes(text_bytes_)));
  prep::add(sum, prep::pack(ghash_order(j0)));

  // Block k of the ciphertext, from 0, meets H^(count + 1 - k).
  prep::AuthBits padded = ciphertext.clone();
  padded.append(
      prep::AuthBits(padded.self(), padded.num_parties(), 8 * (kBlock * count - text_bytes_)));
  prep::AuthField x = prep::pack(ghash_order(padded));
  Bytes unit(kBlock);
  unit[0] = 0x80;
  prep::AuthField powers_of_h(x.self(), x.num_parties(), 0);
  for (size_t k = 0; k < count; ++k) {
    std::vector<Block> one(count + 1 - k);
    one[0] = prep::ghash_block(unit);
    powers_of_h.append(key_.hash_short(one));
  }
  const prep::AuthField secret_part =
      multiply(party, source.delta(), std::move(x), std::move(powers_of_h), std::move(products_),
               "jwe/tag products");
  products_.clear();
  for (size_t k = 0; k < count; ++k) prep::add(sum, secret_part.slice(k, 1));
  key_.erase();

  return ghash_order(prep::unpack(party, source, sum, "jwe/tag"));
}

}  // namespace flexroom::agent
