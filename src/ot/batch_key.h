#pragma once

#include "math/re_hash.h"
#include "ot/leaf_expander.h"
#include "ot/pprf.h"

namespace flexroom::ot {

inline constexpr std::string_view kKeyTreesLabel = "key trees";

/// Where the trees of one ordered pair under the masking key of one batch belong.
struct KeyTreesOf {
  PprfShape shape;         // key_bits = K
  PairContext pair;        // cot_sender: key holder; cot_receiver: tree owner; batch_id > 0
  uint64_t first_counter;  // of K tweaks, never used before under the hash key
};

/// Trees under the masking key Gamma_j of one batch, at their owner P_i, which is COT receiver.
///
/// Protocol   engine-v2.md §2.2. The base keys come from the authenticated bits of the key itself:
///            kk_{q,b} = H(K_i[Gamma_j[q]] + b * Delta_i), tweak (6, i, j, counter); the holder can
///            compute kk_{q,Gamma_j[q]} alone
/// Single use moved into the one COT batch whose rows they make (cot.h), and gone with it: no later
///            batch, and nothing after the coin h, can be made under them
class KeyTreesOwner {
 public:
  /// `keys` [K]: this party's keys of the holder's bits; `delta` its global key.
  KeyTreesOwner(const KeyTreesOf& of, const math::ReHash& hash, std::span<const Block> keys,
                const Block& delta, Prg& prg);
  KeyTreesOwner(KeyTreesOwner&&) noexcept = default;
  KeyTreesOwner& operator=(KeyTreesOwner&&) noexcept = default;

  /// M1, to the key holder: 32K + 32K/k + 32 bytes.
  const Bytes& message() const { return trees_.message; }
  const PprfShape& shape() const { return shape_; }

 private:
  friend class CotReceiver;
  PprfShape shape_;
  PprfOwner trees_;
  LeafExpander streams_;
};

/// The same trees at the key holder P_j, which is COT sender: all leaves but one of each tree, in
/// relative order. They exist only once they are checked.
///
/// Guarantee  a cheating owner passes only by guessing bits of the key (engine-v2.md §2.7); the key
/// has no
///            triple yet
/// Aborts     kPprf, naming the owner
/// Timing     independent of the key
class KeyTreesHolder {
 public:
  /// `macs` [K]: this party's MACs of its key bits under the owner's global key, bit 0 the bit.
  /// Everything that the verdict hangs on is in `message`: nothing is waited for here.
  KeyTreesHolder(const KeyTreesOf& of, const math::ReHash& hash, std::span<const Block> macs,
                 ByteView message);
  KeyTreesHolder(KeyTreesHolder&&) noexcept = default;
  KeyTreesHolder& operator=(KeyTreesHolder&&) noexcept = default;

  const PprfShape& shape() const { return shape_; }

 private:
  friend class CotSender;
  PprfShape shape_;
  BlockVec key_;  // [1]: bits [0, K)
  BlockVec leaves_;
  LeafExpander streams_;
};

/// The key as one block: bit q is bit 0 of `macs[q]`.
Block key_of_macs(std::span<const Block> macs);

}  // namespace flexroom::ot
