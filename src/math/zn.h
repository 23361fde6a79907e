#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "base/prg.h"
#include "math/u256.h"

namespace flexroom::math {

/// Integers of a number of limbs, least significant first. Constant time.
template <size_t N>
constexpr uint64_t add_limbs(std::array<uint64_t, N>& out, const std::array<uint64_t, N>& a,
                             const std::array<uint64_t, N>& b) {
  U128 carry = 0;
  for (size_t i = 0; i < N; ++i) {
    carry += U128{a[i]} + b[i];
    out[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
  return static_cast<uint64_t>(carry);
}

template <size_t N>
constexpr uint64_t sub_limbs(std::array<uint64_t, N>& out, const std::array<uint64_t, N>& a,
                             const std::array<uint64_t, N>& b) {
  uint64_t borrow = 0;
  for (size_t i = 0; i < N; ++i) {
    const U128 d = U128{a[i]} - b[i] - borrow;
    out[i] = static_cast<uint64_t>(d);
    borrow = static_cast<uint64_t>(d >> 64) & 1;
  }
  return borrow;
}

/// A public odd modulus of exactly `kModulusBits` bits, with what arithmetic modulo it needs.
template <unsigned kModulusBits>
class ZnModulus {
 public:
  static_assert(kModulusBits % 64 == 0);
  static constexpr size_t kLimbs = kModulusBits / 64;
  using Integer = std::array<uint64_t, kLimbs>;

  /// Asserts that n is odd and has its top bit set.
  explicit ZnModulus(const Integer& n);

  const Integer& n() const { return n_; }

  /// v + carry * 2^kModulusBits, below 2 n, mod n.
  Integer reduce_once(const Integer& v, uint64_t carry) const {
    Integer d;
    const uint64_t borrow = sub_limbs(d, v, n_);
    const uint64_t take = 0 - (carry | (borrow ^ 1));
    for (size_t i = 0; i < kLimbs; ++i) d[i] = (d[i] & take) | (v[i] & ~take);
    return d;
  }
  /// a b / 2^kModulusBits mod n for a, b < n.
  Integer montgomery(const Integer& a, const Integer& b) const;
  Integer multiply(const Integer& a, const Integer& b) const {
    return montgomery(montgomery(a, b), r2_);
  }
  /// v / 2^128 mod n: what two steps of Montgomery's reduction leave.
  Integer shift_down_128(const std::array<uint64_t, kLimbs + 2>& v) const;
  /// v mod n.
  Integer reduce_wide(const std::array<uint64_t, kLimbs + 2>& v) const {
    return montgomery(shift_down_128(v), r_times_2_128_);
  }

 private:
  Integer n_;
  uint64_t factor_;        // -n^-1 mod 2^64
  Integer r2_;             // 2^(2 kModulusBits) mod n
  Integer r_times_2_128_;  // 2^(kModulusBits + 128) mod n
};

/// Element of Z_N for an RSA modulus N that is known at run time, with the interface of Fp: the
/// arithmetic engine treats Z_N as a field, because a non-zero element without inverse would factor
/// N (tls-in-mpc.md §1.1, §5.9(4)).
///
/// The modulus is that of the innermost Scope of the thread; an operation outside of one stops the
/// process. Elements are kept reduced, as integers; they must be used under the modulus that they
/// were made with.
///
/// Timing    constant, except for uniform(), whose rejected candidates say nothing about the result
template <unsigned kModulusBits>
class Zn {
 public:
  using Modulus = ZnModulus<kModulusBits>;
  using Integer = typename Modulus::Integer;
  static constexpr unsigned kBits = kModulusBits;
  static constexpr size_t kBytes = kModulusBits / 8;
  static constexpr size_t kLimbs = Modulus::kLimbs;
  using Wide = std::array<uint64_t, kLimbs + 2>;
  /// Blocks of randomness that give an element with bias < 2^-128.
  static constexpr size_t kUniformBlocks = kLimbs / 2 + 1;

  /// Sets the modulus of this thread's operations, and puts the former one back. `modulus` must
  /// outlive the scope.
  class Scope {
   public:
    explicit Scope(const Modulus& modulus) : saved_(current_) { current_ = &modulus; }
    ~Scope() { current_ = saved_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    const Modulus* saved_;
  };

  Zn() = default;
  static Zn from_u64(uint64_t v) { return raw({v}); }
  static Zn one() { return from_u64(1); }
  static const Integer& modulus() { return current().n(); }

  static Zn from_any(const Integer& v) { return raw(current().reduce_once(v, 0)); }
  static Zn from_wide(const Wide& v) { return raw(current().reduce_wide(v)); }
  /// A fixed map whose image of uniform blocks is uniform to 2^-128.
  static Zn from_uniform(const std::array<Block, kUniformBlocks>& blocks) {
    Wide v;
    for (size_t i = 0; i < kUniformBlocks; ++i) {
      v[2 * i] = blocks[i].lo;
      v[2 * i + 1] = blocks[i].hi;
    }
    return raw(current().shift_down_128(v));
  }
  static Zn random(Prg& prg) {
    std::array<Block, kUniformBlocks> blocks;
    for (Block& b : blocks) b = prg.next_block();
    return from_uniform(blocks);
  }
  /// Uniform in 0 .. N-1, exactly.
  static Zn uniform(Prg& prg) {
    for (;;) {
      Zn out;
      for (size_t i = 0; i < kLimbs; i += 2) {
        const Block b = prg.next_block();
        out.v_[i] = b.lo;
        out.v_[i + 1] = b.hi;
      }
      Integer unused;
      if (sub_limbs(unused, out.v_, modulus()) == 1) return out;
    }
  }

  /// Canonical bytes only; nullopt for an integer >= N.
  static std::optional<Zn> from_bytes_be(std::span<const uint8_t, kBytes> in) {
    Zn out;
    for (size_t k = 0; k < kBytes; ++k) {
      out.v_[k / 8] |= uint64_t{in[kBytes - 1 - k]} << (8 * (k % 8));
    }
    Integer unused;
    if (sub_limbs(unused, out.v_, modulus()) == 0) return std::nullopt;
    return out;
  }
  void to_bytes_be(std::span<uint8_t, kBytes> out) const {
    for (size_t k = 0; k < kBytes; ++k) {
      out[kBytes - 1 - k] = static_cast<uint8_t>(v_[k / 8] >> (8 * (k % 8)));
    }
  }
  void append_be(Bytes& out) const {
    out.resize(out.size() + kBytes);
    to_bytes_be(std::span<uint8_t, kBytes>(out.data() + out.size() - kBytes, kBytes));
  }
  const Integer& canonical() const { return v_; }

  friend Zn operator+(const Zn& a, const Zn& b) {
    Zn r;
    const uint64_t carry = add_limbs(r.v_, a.v_, b.v_);
    r.v_ = current().reduce_once(r.v_, carry);
    return r;
  }
  friend Zn operator-(const Zn& a, const Zn& b) {
    Zn r;
    const uint64_t negative = 0 - sub_limbs(r.v_, a.v_, b.v_);
    const Integer& n = modulus();
    Integer back;
    for (size_t i = 0; i < kLimbs; ++i) back[i] = n[i] & negative;
    add_limbs(r.v_, r.v_, back);
    return r;
  }
  friend Zn operator-(const Zn& a) { return Zn() - a; }
  friend Zn operator*(const Zn& a, const Zn& b) { return raw(current().multiply(a.v_, b.v_)); }
  Zn& operator+=(const Zn& b) { return *this = *this + b; }
  Zn& operator-=(const Zn& b) { return *this = *this - b; }
  Zn& operator*=(const Zn& b) { return *this = *this * b; }
  Zn square() const { return *this * *this; }
  Zn doubled() const { return *this + *this; }

  bool is_zero() const {
    uint64_t any = 0;
    for (const uint64_t limb : v_) any |= limb;
    return any == 0;
  }
  friend bool operator==(const Zn& a, const Zn& b) {
    uint64_t any = 0;
    for (size_t i = 0; i < kLimbs; ++i) any |= a.v_[i] ^ b.v_[i];
    return any == 0;
  }
  friend bool operator!=(const Zn& a, const Zn& b) { return !(a == b); }

  /// `a` if bit, else `b`; bit in {0,1}.
  static Zn select(uint64_t bit, const Zn& a, const Zn& b) {
    const uint64_t mask = 0 - bit;
    Zn r;
    for (size_t i = 0; i < kLimbs; ++i) r.v_[i] = (a.v_[i] & mask) | (b.v_[i] & ~mask);
    return r;
  }
  /// this^65537, the only exponent of RSA keys that are taken: 16 squarings and a product.
  Zn pow_65537() const {
    Zn r = *this;
    for (unsigned t = 0; t < 16; ++t) r = r.square();
    return r * *this;
  }

 private:
  static const Modulus& current() {
    FLEXROOM_ASSERT(current_ != nullptr);
    return *current_;
  }
  static Zn raw(const Integer& v) {
    Zn r;
    r.v_ = v;
    return r;
  }

  static inline constinit thread_local const Modulus* current_ = nullptr;
  Integer v_{};
};

using Z2048 = Zn<2048>;
using Z3072 = Zn<3072>;
using Z4096 = Zn<4096>;

}  // namespace flexroom::math
