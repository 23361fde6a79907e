#include "ot/batch_key.h"

#include "base/error.h"
#include "base/secret.h"

namespace flexroom::ot {
namespace {

// Tree v reads at level l (most significant bit first) key bit k*v + (k-1-l); its base keys are
// those of instance v*k + l.
size_t key_bit(const PprfShape& shape, size_t instance) {
  const size_t k = shape.subfield_bits;
  return instance / k * k + (k - 1 - instance % k);
}

Block tweak(const KeyTreesOf& of) {
  return math::hash_tweak(math::HashDomain::kKeyTree, of.pair.cot_receiver, of.pair.cot_sender,
                          of.first_counter);
}

void require_fits(const KeyTreesOf& of, size_t bits) {
  FLEXROOM_ASSERT(of.shape.key_bits == bits && bits <= 128 && of.pair.batch_id > 0);
  FLEXROOM_ASSERT(bits % of.shape.subfield_bits == 0);
}

// (s_0 + kk_1, s_1 + kk_0): the holder of bit p can unmask the side 1 - p alone.
PprfOwner grow(const KeyTreesOf& of, const math::ReHash& hash, std::span<const Block> keys,
               const Block& delta, Prg& prg) {
  require_fits(of, keys.size());
  BlockVec zero(keys.size()), one(keys.size());
  hash.hash2(tweak(of), keys, delta, zero.span(), one.span());
  BaseOtSenderKeys masks{BlockVec(keys.size()), BlockVec(keys.size())};
  for (size_t instance = 0; instance < keys.size(); ++instance) {
    masks.key0[instance] = one[key_bit(of.shape, instance)];
    masks.key1[instance] = zero[key_bit(of.shape, instance)];
  }
  return grow_trees(of.shape, of.pair, masks, prg);
}

BlockVec recover(const KeyTreesOf& of, const math::ReHash& hash, std::span<const Block> macs,
                 const Block& key, ByteView message) {
  require_fits(of, macs.size());
  BlockVec known(macs.size()), chosen(macs.size());
  hash.hash1(tweak(of), macs, known.span());
  for (size_t instance = 0; instance < macs.size(); ++instance) {
    chosen[instance] = known[key_bit(of.shape, instance)];
  }
  return recover_trees(of.shape, of.pair, key, chosen.span(), message, kKeyTreesLabel);
}

BlockVec packed_key(std::span<const Block> macs) {
  BlockVec key(1);
  Block value = key_of_macs(macs);
  key[0] = value;
  wipe(&value, sizeof value);
  return key;
}

}  // namespace

Block key_of_macs(std::span<const Block> macs) {
  Block key;
  for (size_t q = 0; q < macs.size(); ++q) {
    (q < 64 ? key.lo : key.hi) |= (macs[q].lo & 1) << (q % 64);
  }
  return key;
}

KeyTreesOwner::KeyTreesOwner(const KeyTreesOf& of, const math::ReHash& hash,
                             std::span<const Block> keys, const Block& delta, Prg& prg)
    : shape_(of.shape),
      trees_(grow(of, hash, keys, delta, prg)),
      streams_(shape_, trees_.leaves.span(), false, of.pair) {}

KeyTreesHolder::KeyTreesHolder(const KeyTreesOf& of, const math::ReHash& hash,
                               std::span<const Block> macs, ByteView message)
    : shape_(of.shape),
      key_(packed_key(macs)),
      leaves_(recover(of, hash, macs, key_[0], message)),
      streams_(shape_, leaves_.span(), true, of.pair) {}

}  // namespace flexroom::ot
