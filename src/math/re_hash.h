#pragma once

#include <span>

#include "base/block.h"

namespace flexroom::math {

/// Domains of H (boolean-engine.md §2.3): bits 127..120 of a tweak.
enum class HashDomain : uint8_t {
  kLeakyAnd = 1,
  kFieldOle = 2,
  kGarbling = 3,
  kOtConversion = 4,
  kKeyTuple = 5,  // engine-v2.md §2.4
  kKeyTree = 6,   // engine-v2.md §2.2
};

/// Tweak: domain 127..120, sender 119..112, receiver or target 111..104, counter 63..0.
inline Block hash_tweak(HashDomain domain, PartyId sender, PartyId receiver, uint64_t counter) {
  return {static_cast<uint64_t>(domain) << 56 | uint64_t{sender & 0xff} << 48 |
              uint64_t{receiver & 0xff} << 40,
          counter};
}

/// sigma(hi || lo) = (hi + lo) || hi, 64-bit halves: a linear orthomorphism.
inline Block hash_sigma(const Block& x) { return {x.hi ^ x.lo, x.hi}; }

/// The re-keyed hash H(S, t, x) = AES_{S+t}(sigma(x)) + sigma(x) (boolean-engine.md §2.3; MITCCRH
/// of Guo et al., ePrint 2019/1168): multi-instance tweakable circular-correlation robust.
///
/// Rule       one (S, t) is used for at most two points, x and x + Delta of one party. Mandatory
///            for everything that is masked with Delta
/// Timing     constant; S and t are public, x is not
/// Cost       one AES key schedule a tweak, computed 16 tweaks at a time
class ReHash {
 public:
  /// `s` is public, fresh per session or instance.
  explicit ReHash(const Block& s) : s_(s) {}
  const Block& s() const { return s_; }

  Block hash(const Block& tweak, const Block& x) const;

  /// out[t] = H(S, tweak + t, x[t]): consecutive 64-bit counters from that of `tweak`. `out` may be
  /// `x`.
  void hash1(const Block& tweak, std::span<const Block> x, std::span<Block> out) const;
  /// out0[t] = H(S, tweak + t, x[t]), out1[t] = H(S, tweak + t, x[t] + delta). An output may be
  /// `x`.
  void hash2(const Block& tweak, std::span<const Block> x, const Block& delta,
             std::span<Block> out0, std::span<Block> out1) const;

 private:
  Block s_;
};

}  // namespace flexroom::math
