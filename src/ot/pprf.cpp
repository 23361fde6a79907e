#include "ot/pprf.h"

#include <utility>

#include "base/ct.h"
#include "base/error.h"

namespace flexroom::ot {
namespace {

struct Leaf {
  Block key;
  Digest check;
};

RandomOracle oracle(std::string_view tag, const PairContext& pair, size_t tree) {
  RandomOracle out(tag, pair.scope, tree, pair.cot_sender, pair.cot_receiver);
  out.field(uint64_t{pair.lane}).field(pair.batch_id);
  return out;
}

Block child(const PairContext& pair, size_t tree, bool right, const Block& seed) {
  return oracle(right ? "G1" : "G0", pair, tree).field(seed).block();
}

Leaf finish_leaf(const PairContext& pair, size_t tree, const Block& seed) {
  return {oracle("leaf", pair, tree).field(seed).block(),
          oracle("chk", pair, tree).field(seed).digest()};
}

void add(Digest& a, const Digest& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] ^= b[i];
}

// Swaps when `bit`, without a branch.
void swap_if(bool bit, Block& a, Block& b) {
  const Block difference = select(bit, a ^ b);
  a ^= difference;
  b ^= difference;
}

void swap_if(bool bit, Digest& a, Digest& b) {
  const auto mask = static_cast<uint8_t>(0 - static_cast<unsigned>(bit));
  for (size_t i = 0; i < a.size(); ++i) {
    const auto difference = static_cast<uint8_t>((a[i] ^ b[i]) & mask);
    a[i] ^= difference;
    b[i] ^= difference;
  }
}

ByteView level_sum(ByteView message, size_t instance, size_t b) {
  return message.subspan(32 * instance + 16 * b, 16);
}

// Bit l of alpha_v, most significant first.
bool path_bit(const PprfShape& shape, const Block& key, size_t tree, size_t level) {
  return key.bit(static_cast<unsigned>((tree + 1) * shape.subfield_bits - 1 - level));
}

// Seeds of one tree's leaves in relative order y = x + alpha, entry 0 (unknown) zero. The nodes of
// a level are kept relative to the path too: node 0 is the one on it, and a node's children are
// swapped when the path turns right, so that no access depends on alpha.
BlockVec relative_leaves(const PprfShape& shape, const PairContext& pair, const Block& key,
                         size_t tree, std::span<const Block> chosen_keys, ByteView message) {
  BlockVec nodes(1);
  for (size_t level = 0; level < shape.subfield_bits; ++level) {
    const bool right = path_bit(shape, key, tree, level);
    const size_t instance = tree * shape.subfield_bits + level;
    BlockVec next(2 * nodes.size());
    // Masked sum of all (1-p)-children, unmasked by the key of choice 1-p.
    Block sibling = load_block(level_sum(message, instance, 1).data());
    sibling ^= select(right, sibling ^ load_block(level_sum(message, instance, 0).data()));
    sibling ^= chosen_keys[instance];
    for (size_t y = 1; y < nodes.size(); ++y) {
      Block same = child(pair, tree, false, nodes[y]);
      Block other = child(pair, tree, true, nodes[y]);
      swap_if(right, same, other);
      next[2 * y] = same;
      next[2 * y + 1] = other;
      sibling ^= other;
    }
    next[1] = sibling;
    nodes = std::move(next);
  }
  return nodes;
}

}  // namespace

PprfOwner grow_trees(const PprfShape& shape, const PairContext& pair, const BaseOtSenderKeys& keys,
                     Prg& prg) {
  const size_t k = shape.subfield_bits;
  PprfOwner out{BlockVec(shape.num_leaves()), Bytes(shape.message_bytes())};
  RandomOracle all_checks = oracle("chk all", pair, 0);
  const auto level_bytes = static_cast<ptrdiff_t>(32 * shape.key_bits);
  for (size_t v = 0; v < shape.num_trees(); ++v) {
    BlockVec nodes(1);
    nodes[0] = prg.next_block();
    for (size_t level = 0; level < k; ++level) {
      BlockVec next(2 * nodes.size());
      Block sum[2];
      for (size_t x = 0; x < nodes.size(); ++x) {
        for (size_t b = 0; b < 2; ++b) {
          next[2 * x + b] = child(pair, v, b == 1, nodes[x]);
          sum[b] ^= next[2 * x + b];
        }
      }
      const size_t instance = v * k + level;
      store_block(out.message.data() + 32 * instance, sum[0] ^ keys.key0[instance]);
      store_block(out.message.data() + 32 * instance + 16, sum[1] ^ keys.key1[instance]);
      nodes = std::move(next);
    }
    Digest tree_sum{};
    for (size_t x = 0; x < nodes.size(); ++x) {
      const Leaf leaf = finish_leaf(pair, v, nodes[x]);
      out.leaves[v * nodes.size() + x] = leaf.key;
      add(tree_sum, leaf.check);
      all_checks.field(leaf.check);
    }
    std::copy(tree_sum.begin(), tree_sum.end(),
              out.message.begin() + level_bytes + static_cast<ptrdiff_t>(32 * v));
  }
  const Digest digest = all_checks.digest();
  std::copy(digest.begin(), digest.end(), out.message.end() - 32);
  return out;
}

LockedBlock pprf_choices(const PprfShape& shape, const Block& key) {
  LockedBlock out;
  for (size_t v = 0; v < shape.num_trees(); ++v) {
    for (size_t level = 0; level < shape.subfield_bits; ++level) {
      out.set_bit(static_cast<unsigned>(v * shape.subfield_bits + level),
                  !path_bit(shape, key, v, level));
    }
  }
  return out;
}

BlockVec recover_trees(const PprfShape& shape, const PairContext& pair, const Block& key,
                       std::span<const Block> chosen_keys, ByteView message,
                       std::string_view label) {
  FLEXROOM_ASSERT(message.size() == shape.message_bytes() && chosen_keys.size() == shape.key_bits);
  const size_t leaves = shape.leaves_per_tree();
  BlockVec out(shape.num_leaves());
  RandomOracle all_checks = oracle("chk all", pair, 0);
  for (size_t v = 0; v < shape.num_trees(); ++v) {
    const BlockVec seeds = relative_leaves(shape, pair, key, v, chosen_keys, message);
    std::vector<Digest> checks(leaves);
    const ByteView tree_sum = message.subspan(32 * shape.key_bits + 32 * v, 32);
    std::copy(tree_sum.begin(), tree_sum.end(), checks[0].begin());
    for (size_t y = 1; y < leaves; ++y) {
      const Leaf leaf = finish_leaf(pair, v, seeds[y]);
      out[v * leaves + y] = leaf.key;
      checks[y] = leaf.check;
      add(checks[0], leaf.check);  // in the end: the check value of the leaf it does not know
    }
    // The digest is over absolute order: entry x is relative entry x + alpha.
    for (size_t bit = 0; bit < shape.subfield_bits; ++bit) {
      const bool alpha = key.bit(static_cast<unsigned>(v * shape.subfield_bits + bit));
      for (size_t y = 0; y < leaves; ++y) {
        if ((y >> bit & 1) == 0) swap_if(alpha, checks[y], checks[y | size_t{1} << bit]);
      }
    }
    for (const Digest& check : checks) all_checks.field(check);
  }
  if (!ct_equal(all_checks.digest(), message.last(32))) {
    throw ProtocolAbort(AbortCode::kPprf, label, "the trees do not fit their digest",
                        pair.cot_receiver);
  }
  return out;
}

}  // namespace flexroom::ot
