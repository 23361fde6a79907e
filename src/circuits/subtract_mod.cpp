#include "circuits/subtract_mod.h"

#include "base/error.h"

namespace flexroom::circuits {
namespace {

struct Difference {
  Bits bits;
  Bit borrow;
};

/// c - r and whether it is negative; one AND a bit.
Difference subtract(const Bits& c, const Bits& r) {
  Difference d;
  for (size_t i = 0; i < c.size(); ++i) {
    d.bits.push_back(c[i] ^ r[i] ^ d.borrow);
    d.borrow ^= ~(c[i] ^ d.borrow) & (r[i] ^ d.borrow);  // majority of ~c, r, borrow
  }
  return d;
}

bool bit_of_p256(size_t i) {  // p = 2^256 - 2^224 + 2^192 + 2^96 - 1
  return i < 96 || i == 192 || i >= 224;
}

Bits add_p256_if(const Difference& d) {
  Bits out;
  Bit carry;
  for (size_t i = 0; i < 256; ++i) {
    const Bit addend = bit_of_p256(i) ? d.borrow : Bit();
    const Bit with_carry = d.bits[i] ^ carry;
    out.push_back(with_carry ^ addend);
    if (i < 255) carry ^= with_carry & (addend ^ carry);
  }
  return out;
}

/// + borrow * (2^l - t) mod 2^l is - borrow * t.
Bits subtract_if(const Difference& d, uint32_t t) {
  Bits out;
  Bit borrow;
  for (size_t i = 0; i < d.bits.size(); ++i) {
    const Bit subtrahend = ((t >> std::min<size_t>(i, 31)) & 1) != 0 ? d.borrow : Bit();
    out.push_back(d.bits[i] ^ subtrahend ^ borrow);
    if (i + 1 == d.bits.size()) break;
    if (subtrahend.is_constant()) {
      borrow = ~d.bits[i] & borrow;
    } else {
      borrow ^= ~(d.bits[i] ^ borrow) & (subtrahend ^ borrow);
    }
  }
  return out;
}

}  // namespace

size_t field_bits(NamedGroup group) { return group == NamedGroup::kX25519 ? 255 : 256; }

Bits subtract_mod(NamedGroup group, const Bits& c, const Bits& r) {
  FLEXROOM_ASSERT(c.size() == field_bits(group) && r.size() == field_bits(group));
  const Difference d = subtract(c, r);
  return group == NamedGroup::kX25519 ? subtract_if(d, 19) : add_p256_if(d);
}

Bits subtract_mod_1305(const Bits& c, const Bits& r) {
  FLEXROOM_ASSERT(c.size() == kPoly1305Bits && r.size() == kPoly1305Bits);
  return subtract_if(subtract(c, r), 5);
}

Bits arithmetic_to_boolean(NamedGroup group, const Bits& c, std::span<const Bits> masks) {
  Bits x = c;
  for (const Bits& mask : masks) x = subtract_mod(group, x, mask);
  return x;
}

}  // namespace flexroom::circuits
