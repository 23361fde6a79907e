#include "math/zn.h"

#include "math/fp.h"

namespace flexroom::math {

template <unsigned kModulusBits>
ZnModulus<kModulusBits>::ZnModulus(const Integer& n)
    : n_(n), factor_(detail::montgomery_factor(n[0])) {
  FLEXROOM_ASSERT((n[0] & 1) == 1 && n[kLimbs - 1] >> 63 == 1);
  Integer power{};  // 2^kModulusBits - n < n, because the top bit of n is set
  sub_limbs(power, power, n_);
  for (unsigned e = kModulusBits; e < 2 * kModulusBits; ++e) {
    if (e == kModulusBits + 128) r_times_2_128_ = power;
    const uint64_t carry = add_limbs(power, power, power);
    power = reduce_once(power, carry);
  }
  r2_ = power;
}

// CIOS, as for Fp; all values below 2 n before the last subtraction.
template <unsigned kModulusBits>
typename ZnModulus<kModulusBits>::Integer ZnModulus<kModulusBits>::montgomery(
    const Integer& a, const Integer& b) const {
  std::array<uint64_t, kLimbs + 2> t{};
  for (size_t i = 0; i < kLimbs; ++i) {
    U128 c = 0;
    for (size_t j = 0; j < kLimbs; ++j) {
      c += U128{a[j]} * b[i] + t[j];
      t[j] = static_cast<uint64_t>(c);
      c >>= 64;
    }
    c += t[kLimbs];
    t[kLimbs] = static_cast<uint64_t>(c);
    t[kLimbs + 1] = static_cast<uint64_t>(c >> 64);
    const uint64_t m = t[0] * factor_;
    c = U128{m} * n_[0] + t[0];
    c >>= 64;
    for (size_t j = 1; j < kLimbs; ++j) {
      c += U128{m} * n_[j] + t[j];
      t[j - 1] = static_cast<uint64_t>(c);
      c >>= 64;
    }
    c += t[kLimbs];
    t[kLimbs - 1] = static_cast<uint64_t>(c);
    t[kLimbs] = t[kLimbs + 1] + static_cast<uint64_t>(c >> 64);
  }
  Integer low;
  std::copy_n(t.begin(), kLimbs, low.begin());
  return reduce_once(low, t[kLimbs]);
}

// (v + m n) / 2^128 with m < 2^128 is below 2^kModulusBits + n < 3 n.
template <unsigned kModulusBits>
typename ZnModulus<kModulusBits>::Integer ZnModulus<kModulusBits>::shift_down_128(
    const std::array<uint64_t, kLimbs + 2>& v) const {
  std::array<uint64_t, kLimbs + 3> t{};
  std::copy(v.begin(), v.end(), t.begin());
  for (size_t i = 0; i < 2; ++i) {
    const uint64_t m = t[i] * factor_;
    U128 c = 0;
    for (size_t j = 0; j < kLimbs; ++j) {
      c += U128{m} * n_[j] + t[i + j];
      t[i + j] = static_cast<uint64_t>(c);
      c >>= 64;
    }
    for (size_t j = i + kLimbs; j < t.size(); ++j) {
      c += t[j];
      t[j] = static_cast<uint64_t>(c);
      c >>= 64;
    }
  }
  Integer out;
  std::copy_n(t.begin() + 2, kLimbs, out.begin());
  uint64_t carry = t[kLimbs + 2];
  for (size_t i = 0; i < 2; ++i) {
    Integer d;
    const uint64_t borrow = sub_limbs(d, out, n_);
    const uint64_t fits = carry | (borrow ^ 1);  // out >= n
    const uint64_t take = 0 - fits;
    for (size_t k = 0; k < kLimbs; ++k) out[k] = (d[k] & take) | (out[k] & ~take);
    carry &= 1 ^ (fits & borrow);  // used up by a subtraction that borrowed
  }
  return out;
}

template class ZnModulus<2048>;
template class ZnModulus<3072>;
template class ZnModulus<4096>;

}  // namespace flexroom::math
