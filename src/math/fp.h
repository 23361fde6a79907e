#pragma once

#include <algorithm>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/prg.h"
#include "math/u256.h"

namespace flexroom::math {

/// The moduli of the arithmetic engine: coordinate fields and scalar fields of both groups
/// (tls-in-mpc.md §2.1), and the field of Poly1305 (§4.7).
struct Modulus25519 {  // 2^255 - 19
  static constexpr U256 kValue = {0xffffffffffffffedu, 0xffffffffffffffffu, 0xffffffffffffffffu,
                                  0x7fffffffffffffffu};
  static constexpr unsigned kBits = 255;
};
struct ModulusP256 {  // 2^256 - 2^224 + 2^192 + 2^96 - 1
  static constexpr U256 kValue = {0xffffffffffffffffu, 0x00000000ffffffffu, 0x0000000000000000u,
                                  0xffffffff00000001u};
  static constexpr unsigned kBits = 256;
};
struct Order25519 {  // 2^252 + 27742317777372353535851937790883648493
  static constexpr U256 kValue = {0x5812631a5cf5d3edu, 0x14def9dea2f79cd6u, 0x0000000000000000u,
                                  0x1000000000000000u};
  static constexpr unsigned kBits = 253;
};
struct OrderP256 {
  static constexpr U256 kValue = {0xf3b9cac2fc632551u, 0xbce6faada7179e84u, 0xffffffffffffffffu,
                                  0xffffffff00000000u};
  static constexpr unsigned kBits = 256;
};
struct ModulusPoly1305 {  // 2^130 - 5
  static constexpr U256 kValue = {0xfffffffffffffffbu, 0xffffffffffffffffu, 3u, 0u};
  static constexpr unsigned kBits = 130;
};

namespace detail {

/// -m^-1 mod 2^64 by Newton's iteration, m odd.
constexpr uint64_t montgomery_factor(uint64_t m) {
  uint64_t inverse = m;
  for (int i = 0; i < 6; ++i) inverse *= 2 - m * inverse;
  return 0 - inverse;
}

/// t + carry * 2^256 - m if that is not negative, else t. One subtraction, no branch.
constexpr U256 reduce_once(const U256& t, uint64_t carry, const U256& m) {
  U256 d{};
  const uint64_t borrow = sub_into(d, t, m);
  return select_u256(0 - (carry | (borrow ^ 1)), d, t);
}

/// 2^e mod m.
constexpr U256 power_of_two(unsigned e, const U256& m) {
  U256 r = {1, 0, 0, 0};
  for (unsigned i = 0; i < e; ++i) {
    const uint64_t carry = add_into(r, r, r);
    r = reduce_once(r, carry, m);
  }
  return r;
}

}  // namespace detail

/// Element of the prime field Z_p, p = M::kValue < 2^256, kept as a * 2^256 mod p (Montgomery).
///
/// Every operation runs in constant time (no secret-dependent branch or index) except the ones
/// whose name ends in _vartime. Fully reduced at all times, so == and is_zero are exact.
template <typename M>
class Fp {
 public:
  static constexpr U256 kModulus = M::kValue;
  static constexpr unsigned kBits = M::kBits;
  static constexpr size_t kBytes = (kBits + 7) / 8;  // of an encoded element
  using Integer = U256;
  using Wide = std::array<uint64_t, 6>;
  /// Blocks of randomness that give an element with bias < 2^-128.
  static constexpr size_t kUniformBlocks = 3;

  constexpr Fp() = default;
  static constexpr Fp from_u64(uint64_t v) { return from_reduced({v, 0, 0, 0}); }
  static constexpr Fp one() { return raw(kR1); }

  static constexpr const U256& modulus() { return kModulus; }

  /// `v` must be below p.
  static constexpr Fp from_reduced(const U256& v) { return raw(multiply(v, kR2)); }
  /// (low + high * 2^256) mod p for any 256 + 128 bits: pads and coefficients with bias < 2^-128.
  static constexpr Fp from_wide(const U256& low, uint64_t high0, uint64_t high1) {
    return raw(multiply(low, kR2)) + raw(multiply({high0, high1, 0, 0}, kR3));
  }
  static constexpr Fp from_wide(const Wide& v) {
    return from_wide({v[0], v[1], v[2], v[3]}, v[4], v[5]);
  }
  static Fp from_uniform(const std::array<Block, kUniformBlocks>& b) {
    return from_wide({b[0].lo, b[0].hi, b[1].lo, b[1].hi}, b[2].lo, b[2].hi);
  }
  /// Any 256-bit integer mod p.
  static constexpr Fp from_any(const U256& v) { return raw(multiply(v, kR2)); }
  /// The next 384 bits of `prg`, mod p.
  static Fp random(Prg& prg);
  /// Uniform in 0 .. p-1, exactly.
  static Fp uniform(Prg& prg);
  /// Uniform in 1 .. p-1, exactly.
  static Fp random_nonzero(Prg& prg);

  /// kBytes canonical bytes only; nullopt for an integer >= p.
  static std::optional<Fp> from_bytes_be(std::span<const uint8_t, kBytes> in) {
    std::array<uint8_t, 32> padded{};
    std::copy(in.begin(), in.end(), padded.end() - kBytes);
    const U256 v = load_be(padded);
    if (less_than(v, kModulus) == 0) return std::nullopt;
    return from_reduced(v);
  }
  static std::optional<Fp> from_bytes_le(std::span<const uint8_t, kBytes> in) {
    std::array<uint8_t, kBytes> reversed;
    std::reverse_copy(in.begin(), in.end(), reversed.begin());
    return from_bytes_be(reversed);
  }
  void to_bytes_be(std::span<uint8_t, kBytes> out) const {
    const U256 v = canonical();
    for (size_t k = 0; k < kBytes; ++k) {
      out[kBytes - 1 - k] = static_cast<uint8_t>(v[k / 8] >> (8 * (k % 8)));
    }
  }
  void append_be(Bytes& out) const {
    out.resize(out.size() + kBytes);
    to_bytes_be(std::span<uint8_t, kBytes>(out.data() + out.size() - kBytes, kBytes));
  }
  /// The integer in [0, p).
  constexpr U256 canonical() const { return multiply(v_, {1, 0, 0, 0}); }

  friend constexpr Fp operator+(const Fp& a, const Fp& b) {
    Fp r;
    const uint64_t carry = add_into(r.v_, a.v_, b.v_);
    r.v_ = detail::reduce_once(r.v_, carry, kModulus);
    return r;
  }
  friend constexpr Fp operator-(const Fp& a, const Fp& b) {
    Fp r;
    const uint64_t borrow = sub_into(r.v_, a.v_, b.v_);
    U256 back{};
    add_into(back, r.v_, kModulus);
    r.v_ = select_u256(0 - borrow, back, r.v_);
    return r;
  }
  friend constexpr Fp operator-(const Fp& a) { return Fp() - a; }
  friend constexpr Fp operator*(const Fp& a, const Fp& b) { return raw(multiply(a.v_, b.v_)); }
  constexpr Fp& operator+=(const Fp& b) { return *this = *this + b; }
  constexpr Fp& operator-=(const Fp& b) { return *this = *this - b; }
  constexpr Fp& operator*=(const Fp& b) { return *this = *this * b; }
  constexpr Fp square() const { return *this * *this; }
  constexpr Fp doubled() const { return *this + *this; }

  /// Constant time; the result is public as soon as somebody branches on it.
  constexpr bool is_zero() const { return is_zero_u256(v_) != 0; }
  friend constexpr bool operator==(const Fp& a, const Fp& b) { return (a - b).is_zero(); }
  friend constexpr bool operator!=(const Fp& a, const Fp& b) { return !(a == b); }

  /// `a` if bit, else `b`; bit in {0,1}.
  static constexpr Fp select(uint64_t bit, const Fp& a, const Fp& b) {
    return raw(select_u256(0 - bit, a.v_, b.v_));
  }

  /// this^exponent; the exponent is public, the base may be secret.
  constexpr Fp pow(const U256& exponent) const {
    Fp r = one();
    for (unsigned t = 256; t-- > 0;) {
      r = r.square();
      if (bit_of(exponent, t)) r *= *this;
    }
    return r;
  }
  /// this^-1 by Fermat: the sequence of operations depends on p alone. 0 gives 0.
  constexpr Fp inverse() const {
    U256 e{};
    sub_into(e, kModulus, {2, 0, 0, 0});
    return pow(e);
  }

 private:
  static constexpr uint64_t kFactor = detail::montgomery_factor(M::kValue[0]);
  static constexpr U256 kR1 = detail::power_of_two(256, M::kValue);
  static constexpr U256 kR2 = detail::power_of_two(512, M::kValue);
  static constexpr U256 kR3 = detail::power_of_two(768, M::kValue);

  static constexpr Fp raw(const U256& v) {
    Fp r;
    r.v_ = v;
    return r;
  }

  /// a * b / 2^256 mod p, for a < 2^256 and b < p (CIOS).
  static constexpr U256 multiply(const U256& a, const U256& b) {
    uint64_t t[6] = {};
    for (size_t i = 0; i < 4; ++i) {
      U128 c = 0;
      for (size_t j = 0; j < 4; ++j) {
        c += U128{a[j]} * b[i] + t[j];
        t[j] = static_cast<uint64_t>(c);
        c >>= 64;
      }
      c += t[4];
      t[4] = static_cast<uint64_t>(c);
      t[5] = static_cast<uint64_t>(c >> 64);
      const uint64_t m = t[0] * kFactor;
      c = U128{m} * kModulus[0] + t[0];
      c >>= 64;
      for (size_t j = 1; j < 4; ++j) {
        c += U128{m} * kModulus[j] + t[j];
        t[j - 1] = static_cast<uint64_t>(c);
        c >>= 64;
      }
      c += t[4];
      t[3] = static_cast<uint64_t>(c);
      t[4] = t[5] + static_cast<uint64_t>(c >> 64);
    }
    return detail::reduce_once({t[0], t[1], t[2], t[3]}, t[4], kModulus);
  }

  U256 v_{};
};

template <typename M>
Fp<M> Fp<M>::random(Prg& prg) {
  const Block b0 = prg.next_block();
  const Block b1 = prg.next_block();
  const Block b2 = prg.next_block();
  return from_uniform({b0, b1, b2});
}

template <typename M>
Fp<M> Fp<M>::uniform(Prg& prg) {
  for (;;) {
    const Block b0 = prg.next_block();
    const Block b1 = prg.next_block();
    const U256 v = low_bits(U256{b0.lo, b0.hi, b1.lo, b1.hi}, kBits);
    // Rejected candidates say nothing about the one that is kept.
    if (less_than(v, kModulus) != 0) return from_reduced(v);
  }
}

template <typename M>
Fp<M> Fp<M>::random_nonzero(Prg& prg) {
  for (;;) {
    const Fp v = uniform(prg);
    if (!v.is_zero()) return v;
  }
}

using FPoly1305 = Fp<ModulusPoly1305>;
using F25519 = Fp<Modulus25519>;
using FP256 = Fp<ModulusP256>;
using Q25519 = Fp<Order25519>;
using QP256 = Fp<OrderP256>;

}  // namespace flexroom::math
