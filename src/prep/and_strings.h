#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "math/gf128.h"
#include "math/secret_vector.h"
#include "prep/bit_supply.h"

namespace flexroom::prep {

/// Strings of w bits: the low bits of blocks, as uint64_t (w = 64) or Block (w = 128).
template <typename String>
String truncate(const Block& block);
template <>
inline uint64_t truncate<uint64_t>(const Block& block) {
  return block.lo;
}
template <>
inline Block truncate<Block>(const Block& block) {
  return block;
}

/// The block whose low bits are the string.
inline Block widened(uint64_t string) { return {0, string}; }
inline Block widened(const Block& string) { return string; }

/// `string` if `bit` (0 or 1), else zero; no branch.
inline uint64_t masked(uint64_t bit, uint64_t string) { return (0 - bit) & string; }
inline Block masked(uint64_t bit, const Block& string) { return Block(0 - bit, 0 - bit) & string; }

inline uint8_t bit1(uint64_t string) { return static_cast<uint8_t>((string >> 1) & 1); }
inline uint8_t bit1(const Block& string) { return bit1(string.lo); }

inline void accumulate(math::GfSum& sum, std::span<const Block> chi,
                       std::span<const Block> strings) {
  math::gf_accumulate(sum, chi, strings);
}

/// 128 x 64 bits: half the multiplications of the general product.
inline void accumulate(math::GfSum& sum, std::span<const Block> chi,
                       std::span<const uint64_t> strings) {
  __m128i low = _mm_setzero_si128(), middle = _mm_setzero_si128();
  for (size_t t = 0; t < strings.size(); ++t) {
    const __m128i string = _mm_cvtsi64_si128(static_cast<long long>(strings[t]));
    low = _mm_xor_si128(low, _mm_clmulepi64_si128(chi[t].m(), string, 0x00));
    middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(chi[t].m(), string, 0x01));
  }
  sum.add_parts(low, middle, _mm_setzero_si128());
}

/// bits_t += bit t of `packed`, LSB first.
inline void add_packed_bits(std::span<uint8_t> bits, const uint8_t* packed) {
  for (size_t t = 0; t < bits.size(); ++t) {
    bits[t] = static_cast<uint8_t>(bits[t] ^ ((packed[t / 8] >> (t % 8)) & 1));
  }
}

inline constexpr size_t kStringKernelItems = 512;  // worked on at a time: stays in the L1 cache

/// The strings U and the additive shares S_i of (xy + r) * Delta (boolean-engine.md §5.2, steps 1
/// to 3; the same in engine-v2.md §2.5, steps 1 to 3).
///
/// Security  a wrong U at an item is unnoticed iff the receiver's x is 0 there; S depends on an
///           honest Delta and never leaves (§3.7)
/// Timing    independent of all shares and of Delta
template <typename String>
class AndStrings {
 public:
  /// `label` of the messages. Everything must outlive the object.
  AndStrings(Context& context, std::string_view label)
      : context_(context),
        party_(context.party),
        delta_(context.bits.delta()),
        label_(label),
        messages_(party_.num_parties()) {}

  /// x, y, r of one set, with tweaks that nobody else uses.
  struct Set {
    const AuthBits &x, &y, &r;
    uint64_t first_counter;
  };

  /// Sends U to all and takes theirs; writes S_i [x.size()]. The peers' strings are taken a few
  /// messages behind the own ones: both directions flow, a long line is full, and little is queued.
  /// `meanwhile` runs when all of the own left and the last of theirs are waited for.
  void exchange(const Set& set, std::span<String> sums, const std::function<void()>& meanwhile) {
    const size_t items = set.x.size();
    size_t received = 0;
    for (size_t first = 0; first < items; first += kMessageItems) {
      send_strings(set, sums, first, std::min(kMessageItems, items - first));
      if (first >= kMessagesAhead * kMessageItems) {
        receive_strings(set, sums, received, kMessageItems);
        received += kMessageItems;
      }
    }
    if (meanwhile) meanwhile();
    for (; received < items; received += kMessageItems) {
      receive_strings(set, sums, received, std::min(kMessageItems, items - received));
    }
  }

 private:
  static constexpr size_t kMessageItems = size_t{1} << 13;  // strings in one message
  static constexpr size_t kMessagesAhead = 16;              // 1 MiB: what 50 MB/s have on 20 ms
  static constexpr size_t kKernelItems = kStringKernelItems;

  void send_strings(const Set& set, std::span<String> sums, size_t first, size_t count) {
    for (const PartyId j : party_.peers()) messages_[j].resize(count * sizeof(String));
    for (size_t done = 0; done < count; done += kKernelItems) {
      const size_t here = std::min(kKernelItems, count - done);
      String* const sum = sums.data() + first + done;
      begin_sums(set, sum, first + done, here);
      for (const PartyId j : party_.peers()) {
        mask_strings(set, sum, j, first + done, here, messages_[j].data() + done * sizeof(String));
      }
    }
    for (const PartyId j : party_.peers()) party_.send(j, label_, messages_[j]);
  }

  // Phi = y*Delta + sum_j (K[y^j] + M_j[y]), so that the sum over the parties is y * Delta.
  // S = x*Phi + r*Delta + sum_j (K[r^j] + M_j[r]) so far.
  void begin_sums(const Set& set, String* sum, size_t first, size_t count) {
    const PartyId any = set.x.first_peer();
    const Block* x = set.x.mac[any].data() + first;
    const Block* y = set.y.mac[any].data() + first;
    const Block* r = set.r.mac[any].data() + first;
    const String delta = truncate<String>(delta_);
    for (size_t t = 0; t < count; ++t) phi_[t] = masked(y[t].lo & 1, delta);
    for (const PartyId j : party_.peers()) add_keys_and_macs(phi_.data(), set.y, j, first, count);
    for (size_t t = 0; t < count; ++t) {
      sum[t] = masked(x[t].lo & 1, phi_[t]) ^ masked(r[t].lo & 1, delta);
    }
    for (const PartyId j : party_.peers()) add_keys_and_macs(sum, set.r, j, first, count);
  }

  static void add_keys_and_macs(String* out, const AuthBits& bits, PartyId j, size_t first,
                                size_t count) {
    const Block* key = bits.key[j].data() + first;
    const Block* mac = bits.mac[j].data() + first;
    for (size_t t = 0; t < count; ++t)
      out[t] ^= truncate<String>(key[t]) ^ truncate<String>(mac[t]);
  }

  // U = H(K[x^j]) + H(K[x^j] + Delta) + Phi; S += H(K[x^j]).
  void mask_strings(const Set& set, String* sum, PartyId j, size_t first, size_t count,
                    uint8_t* out) {
    context_.bits.hash().hash2(tweak(set, party_.id(), j, first),
                               set.x.key[j].span().subspan(first, count), delta_,
                               pad0_.span().first(count), pad1_.span().first(count));
    for (size_t t = 0; t < count; ++t) {
      const String pad = truncate<String>(pad0_[t]);
      sum[t] ^= pad;
      const String u = pad ^ truncate<String>(pad1_[t]) ^ phi_[t];
      std::memcpy(out + t * sizeof(String), &u, sizeof(String));
    }
  }

  // S += H(M_j[x]) + x * U, with the sender's tweak.
  void receive_strings(const Set& set, std::span<String> sums, size_t first, size_t count) {
    for (const PartyId j : party_.peers()) {
      Bytes& message = messages_[j];  // what was sent in it has left
      message.resize(count * sizeof(String));
      party_.receive_into(j, label_, message);
      for (size_t done = 0; done < count; done += kKernelItems) {
        const size_t here = std::min(kKernelItems, count - done);
        const std::span<const Block> macs = set.x.mac[j].span().subspan(first + done, here);
        context_.bits.hash().hash1(tweak(set, j, party_.id(), first + done), macs,
                                   pad0_.span().first(here));
        const uint8_t* in = message.data() + done * sizeof(String);
        String* const sum = sums.data() + first + done;
        for (size_t t = 0; t < here; ++t) {
          String u;
          std::memcpy(&u, in + t * sizeof(String), sizeof(String));
          sum[t] ^= truncate<String>(pad0_[t]) ^ masked(macs[t].lo & 1, u);
        }
      }
    }
  }

  static Block tweak(const Set& set, PartyId sender, PartyId receiver, size_t item) {
    return math::hash_tweak(math::HashDomain::kLeakyAnd, sender, receiver,
                            set.first_counter + item);
  }

  Context& context_;
  net::Party& party_;
  const Block& delta_;
  const std::string label_;
  std::vector<Bytes> messages_;  // by peer
  math::SecretVector<String> phi_ = math::SecretVector<String>(kKernelItems);
  BlockVec pad0_ = BlockVec(kKernelItems), pad1_ = BlockVec(kKernelItems);
};

}  // namespace flexroom::prep
