#include "arith/edabits.h"

#include "arith/coefficients.h"
#include "arith/open.h"
#include "arith/quicksilver.h"
#include "math/zn.h"

namespace flexroom::arith {
namespace {

constexpr std::string_view kIntegerLabel = "arith/edabits/integers";

template <size_t N>
bool bit(const std::array<uint64_t, N>& v, unsigned t) {
  return t < 64 * N && ((v[t / 64] >> (t % 64)) & 1) != 0;
}

/// rho << shift; the shift is public and below 64.
template <typename F>
typename F::Wide shifted(const typename F::Integer& rho, unsigned shift) {
  typename F::Wide out{};
  for (size_t i = 0; i < rho.size(); ++i) {
    out[i] |= rho[i] << shift;
    if (shift != 0) out[i + 1] |= rho[i] >> (64 - shift);
  }
  return out;
}

/// a + b or a - b; false if it is negative or does not fit.
template <size_t N>
bool combine(std::array<uint64_t, N>& out, const std::array<uint64_t, N>& a,
             const std::array<uint64_t, N>& b, bool negative) {
  uint64_t carry = negative ? 1 : 0;
  for (size_t i = 0; i < N; ++i) {
    const math::U128 s = math::U128{a[i]} + (negative ? ~b[i] : b[i]) + carry;
    out[i] = static_cast<uint64_t>(s);
    carry = static_cast<uint64_t>(s >> 64);
  }
  return carry == (negative ? 1 : 0);
}

/// p - 1 - v for v < p, v public or secret.
template <typename F>
typename F::Integer complement_of(const typename F::Integer& v) {
  typename F::Integer out = F::modulus();
  uint64_t borrow = 1;
  for (size_t i = 0; i < out.size(); ++i) {
    const math::U128 d = math::U128{out[i]} - v[i] - borrow;
    out[i] = static_cast<uint64_t>(d);
    borrow = static_cast<uint64_t>(d >> 64) & 1;
  }
  return out;
}

template <size_t N>
void append_bits(math::SecretVector<uint8_t>& out, const std::array<uint64_t, N>& v,
                 unsigned count) {
  for (unsigned t = 0; t < count; ++t) out.push_back(bit(v, t) ? 1 : 0);
}

/// x + (y << shift) = z, or z + (y << shift) = x if `subtract`, bit by bit for `length` bits: with
/// z public the carries are linear in the bits (tls-in-mpc.md §1.9 step 4).
template <size_t N>
void carry_relations(std::span<const Block> x, std::span<const Block> y, unsigned shift,
                     const std::array<uint64_t, N>& z, unsigned length, bool subtract,
                     const Block& one, const BitSink& sink) {
  const auto x_at = [&](unsigned t) { return t < x.size() ? x[t] : Block(); };
  const auto y_at = [&](unsigned t) {
    return t >= shift && t - shift < y.size() ? y[t - shift] : Block();
  };
  const auto z_at = [&](unsigned t) { return bit(z, t) ? one : Block(); };
  Block carry = x_at(0) ^ y_at(0) ^ z_at(0);
  sink(Block(), Block(), carry);  // nothing is carried into bit 0
  for (unsigned t = 0; t < length; ++t) {
    const Block next = x_at(t + 1) ^ y_at(t + 1) ^ z_at(t + 1);
    sink(y_at(t) ^ (subtract ? x_at(t) : z_at(t)), x_at(t) ^ z_at(t), carry ^ next);
    carry = next;
  }
}

}  // namespace

template <typename F>
MaskWitness<F> MaskWitness<F>::random(Prg& prg) {
  MaskWitness w;
  w.rho_element = F::uniform(prg);
  w.rho = w.rho_element.canonical();
  for (unsigned v = 0; v < kEdaRepetitions; ++v) {
    constexpr unsigned kBits = PrivateEdaBits<F>::kIntegerBits;
    constexpr size_t kLimbs = std::tuple_size_v<typename F::Wide>;
    static_assert(kLimbs % 2 == 0 && kBits < 64 * kLimbs);  // z_v is one bit longer
    for (size_t i = 0; i < kLimbs; i += 2) {
      const Block b = prg.next_block();
      w.a[v][i] = b.lo;
      w.a[v][i + 1] = b.hi;
    }
    w.a[v] = math::low_bits(w.a[v], kBits);
    w.a_elements[v] = F::from_wide(w.a[v]);
  }
  return w;
}

template <typename F>
PrivateEdaBits<F>::PrivateEdaBits(net::Party& party, prep::Source& source,
                                  std::span<const MaskWitness<F>> own)
    : party_(party), source_(source), own_(own) {
  math::SecretVector<uint8_t> bits;
  bits.reserve(own.size() * kBitsPerMask);
  for (const MaskWitness<F>& w : own) {
    const math::Wiped<typename F::Integer> complement(complement_of<F>(w.rho));
    append_bits(bits, w.rho, kBits);
    append_bits(bits, complement.value, kBits);
    for (const Wide& a : w.a) append_bits(bits, a, kIntegerBits);
  }
  for (PartyId owner = 0; owner < party.num_parties(); ++owner) {
    bits_.push_back(source.owned_bits_of(
        owner, own.size() * kBitsPerMask,
        owner == party.id() ? std::span<const uint8_t>(bits) : std::span<const uint8_t>()));
    proof_masks_.push_back(source.owned_bits(owner, 128 * (party.num_parties() - 1)));
  }
}

template <typename F>
void PrivateEdaBits<F>::append_elements(size_t m, math::SecretVector<F>& out) const {
  out.push_back(own_[m].rho_element);
  out.insert(out.end(), own_[m].a_elements.begin(), own_[m].a_elements.end());
}

template <typename F>
std::vector<typename PrivateEdaBits<F>::Challenge> PrivateEdaBits<F>::challenges(
    const Digest& coin1, PartyId owner) const {
  Coefficients stream(party_, coin1, "edabits challenge " + std::to_string(owner));
  std::vector<Challenge> out(own_.size() * kEdaRepetitions);
  for (Challenge& c : out) {
    const auto v = static_cast<unsigned>(stream.below(2 * kEdaShifts + 1));
    c = {v == 0, v % 2 == 1, v == 0 ? 0 : (v - 1) / 2};
  }
  return out;
}

template <typename F>
void PrivateEdaBits<F>::exchange_integers(const Digest& coin1) {
  FLEXROOM_ASSERT(integers_.empty());
  const size_t n = party_.num_parties();
  for (PartyId owner = 0; owner < n; ++owner) challenges_.push_back(challenges(coin1, owner));
  integers_.assign(n, std::vector<Wide>(own_.size() * kEdaRepetitions));
  const PartyId self = party_.id();
  Bytes message;
  for (size_t m = 0; m < own_.size(); ++m) {
    for (unsigned v = 0; v < kEdaRepetitions; ++v) {
      const Challenge& c = challenges_[self][m * kEdaRepetitions + v];
      Wide& z = integers_[self][m * kEdaRepetitions + v];
      const Wide rho = c.zero ? Wide{} : shifted<F>(own_[m].rho, c.shift);
      if (!combine(z, own_[m].a[v], rho, c.negative)) {
        throw ProtocolAbort(
            AbortCode::kCancelled, kIntegerLabel,
            "a mask was too small to hide its value (probability 2^-64), try again");
      }
      append(message, {reinterpret_cast<const uint8_t*>(z.data()), kIntegerBytes});
    }
  }
  party_.broadcast(kIntegerLabel, message);
  for (const PartyId j : party_.peers()) {
    const Bytes got = party_.receive_broadcast(j, kIntegerLabel, message.size());
    for (size_t t = 0; t < integers_[j].size(); ++t) {
      Wide& z = integers_[j][t];
      std::memcpy(z.data(), got.data() + t * kIntegerBytes, kIntegerBytes);
      // Modulo 2^130 - 5 the relations do not reach these bits, the F_p side does: what stands
      // there could be any integer, and its element any.
      for (unsigned b = kIntegerBits + 1; b < 8 * kIntegerBytes; ++b) {
        if (bit(z, b)) {
          throw ProtocolAbort(AbortCode::kFpRange, kIntegerLabel, "an integer is out of range", j);
        }
      }
    }
  }
}

template <typename F>
void PrivateEdaBits<F>::write_relations(PartyId owner, std::span<const Block> bits,
                                        const Block& one, const BitSink& sink) const {
  const typename F::Integer largest = complement_of<F>({});  // p - 1
  for (size_t m = 0; m < own_.size(); ++m) {
    const auto mask = bits.subspan(m * kBitsPerMask, kBitsPerMask);
    const auto rho = mask.first(kBits);
    carry_relations(mask.subspan(kBits, kBits), rho, 0, largest, kBits, false, one, sink);
    for (unsigned v = 0; v < kEdaRepetitions; ++v) {
      const Challenge& c = challenges_[owner][m * kEdaRepetitions + v];
      carry_relations(mask.subspan(2 * kBits + v * kIntegerBits, kIntegerBits),
                      c.zero ? std::span<const Block>() : rho, c.shift,
                      integers_[owner][m * kEdaRepetitions + v], kIntegerBits + 1, c.negative, one,
                      sink);
    }
  }
}

template <typename F>
void PrivateEdaBits<F>::check(
    const F& gamma, const Digest& coin2,
    const std::function<std::span<const AuthValue<F>>(PartyId, size_t)>& values) {
  FLEXROOM_ASSERT(!integers_.empty() && !checked_);
  for (PartyId owner = 0; owner < party_.num_parties(); ++owner) {
    Values<F> sums;
    std::vector<F> claims;
    for (size_t m = 0; m < own_.size(); ++m) {
      const auto elements = values(owner, m);
      for (unsigned v = 0; v < kEdaRepetitions; ++v) {
        const size_t t = m * kEdaRepetitions + v;
        const Challenge& c = challenges_[owner][t];
        F factor = c.zero ? F() : F::from_u64(uint64_t{1} << c.shift);
        if (c.negative) factor = -factor;
        sums.push_back(elements[1 + v] + elements[0] * factor);
        claims.push_back(F::from_wide(integers_[owner][t]));
      }
    }
    check_private_values<F>(party_, gamma, owner, sums, claims, "arith/edabits/elements",
                            AbortCode::kFpRange);
    prove_bit_relations(
        party_, source_.delta(), owner, bits_[owner], proof_masks_[owner],
        [&](std::span<const Block> bits, const Block& one, const BitSink& sink) {
          write_relations(owner, bits, one, sink);
        },
        coin2, "arith/edabits/bits");
  }
  checked_ = true;
}

template <typename F>
prep::AuthBits PrivateEdaBits<F>::rho_bits(PartyId owner, size_t m) const {
  FLEXROOM_ASSERT(checked_);
  return bits_[owner].slice(m * kBitsPerMask, kBits);
}

#define FLEXROOM_INSTANTIATE_EDABITS(F) \
  template struct MaskWitness<F>;       \
  template class PrivateEdaBits<F>;
FLEXROOM_INSTANTIATE_EDABITS(math::F25519)
FLEXROOM_INSTANTIATE_EDABITS(math::FP256)
FLEXROOM_INSTANTIATE_EDABITS(math::FPoly1305)
FLEXROOM_INSTANTIATE_EDABITS(math::Z2048)
FLEXROOM_INSTANTIATE_EDABITS(math::Z3072)
FLEXROOM_INSTANTIATE_EDABITS(math::Z4096)

}  // namespace flexroom::arith
