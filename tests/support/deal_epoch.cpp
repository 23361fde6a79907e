#include "support/deal_epoch.h"

#include "base/prg.h"

namespace flexroom::support {

BlockVec punctured(std::span<const Block> leaves, unsigned subfield_bits, const Block& delta) {
  const ot::PprfShape shape{subfield_bits};
  BlockVec out(leaves.size());
  for (size_t v = 0; v < shape.num_trees(); ++v) {
    size_t alpha = 0;
    for (unsigned b = 0; b < subfield_bits; ++b) {
      alpha |= size_t{delta.bit(static_cast<unsigned>(v * subfield_bits + b))} << b;
    }
    for (size_t y = 1; y < shape.leaves_per_tree(); ++y) {
      out[v * shape.leaves_per_tree() + y] = leaves[v * shape.leaves_per_tree() + (y ^ alpha)];
    }
  }
  return out;
}

std::vector<prep::EpochState> deal_epoch(size_t num_parties, unsigned subfield_bits,
                                         uint64_t seed) {
  Prg prg(Block(seed, 0xd0));
  const size_t n = num_parties;
  std::vector<prep::EpochState> out(n);
  for (PartyId i = 0; i < n; ++i) {
    out[i].eid[0] = static_cast<uint8_t>(seed);
    out[i].self = i;
    out[i].num_parties = n;
    out[i].delta = prg.next_block();
    out[i].delta.set_bit(0, true);
    out[i].delta.set_bit(1, i == 0);
    out[i].pairs.resize(n);
    out[i].zero_keys.resize(n);
  }
  for (PartyId i = 0; i < n; ++i) {
    for (PartyId j = 0; j < n; ++j) {
      if (i == j) continue;
      // Direction: i is COT receiver, j is COT sender.
      LockedBlocks leaves(ot::PprfShape{subfield_bits}.num_leaves());
      prg.fill(leaves.span());
      out[j].pairs[i].sender_leaves =
          LockedBlocks(punctured(leaves.span(), subfield_bits, out[j].delta).span());
      out[i].pairs[j].receiver_leaves = std::move(leaves);
      out[i].pairs[j].subfield_bits = subfield_bits;
      if (i < j) out[i].zero_keys[j] = out[j].zero_keys[i] = prg.next_block();
    }
  }
  return out;
}

}  // namespace flexroom::support
