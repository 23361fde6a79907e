#include "circuits/decode.h"

#include <array>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

constexpr size_t kGroup = 4;  // of base64

Bit choose(Bit which, Bit one, Bit zero) { return zero ^ (which & (one ^ zero)); }

/// Sum of a character's low bits and a constant that may hang on bits, without the last carry.
Bits sum_of(std::span<const Bit> a, std::span<const Bit> b) {
  Bits out;
  Bit carry;
  for (size_t i = 0; i < a.size(); ++i) {
    out.push_back(a[i] ^ b[i] ^ carry);
    if (i + 1 < a.size()) carry ^= (a[i] ^ carry) & (b[i] ^ carry);
  }
  return out;
}

/// '0'..'9' have bit 6 clear and their value in four bits; 'a' and 'A' stand for 1 + 9.
Bits hex_value(const ByteBits& c) {
  const Bit letter = c[6];
  return sum_of(std::span(c.data(), 4), std::array{letter, Bit(), Bit(), letter});
}

/// 'a' and 'A' have 1 in five bits, '2' has 2 in three, and stands for 26.
Bits base32_value(const ByteBits& c) {
  const Bit letter = c[6], set(true);
  Bits out;
  Bit borrow = set;
  for (size_t i = 0; i < 5; ++i) {
    const Bit digit = i < 3 ? c[i] : set;
    out.push_back(choose(letter, c[i] ^ borrow, digit));
    if (i < 4) borrow = borrow & ~c[i];
  }
  return out;
}

/// Letters of either case by the five low bits, 'A' being 0 and 'a' 26; digits are 52 and more;
/// '+' and '/' differ in bit 2 and have, beside '=', bits 6 and 4 clear.
Bits base64_value(const ByteBits& c) {
  const Bit letter = c[6], upper = ~c[5], digit = c[4], set(true), clear;
  const std::array letters = {c[0], c[1], c[2], c[3], c[4], clear};
  // - 1 or + 25.
  const Bits of_letter = sum_of(letters, std::array{set, upper, upper, set, set, upper});
  const std::array low = {c[0], c[1], c[2], c[3], clear, clear};
  const Bits of_digit = sum_of(low, std::array{clear, clear, set, clear, set, set});
  const std::array of_sign = {c[2], set, set, set, set, set};
  Bits out;
  for (size_t i = 0; i < 6; ++i) {
    out.push_back(choose(letter, of_letter[i], choose(digit, of_digit[i], of_sign[i])));
  }
  return out;
}

Bits value_of(TextCode code, const ByteBits& c) {
  switch (code) {
    case TextCode::kHex:
      return hex_value(c);
    case TextCode::kBase32:
      return base32_value(c);
    case TextCode::kBase64:
      break;
  }
  return base64_value(c);
}

}  // namespace

Text decode(TextCode code, const Text& text) {
  const auto size = decoded_bytes(code, static_cast<uint32_t>(text.size()));
  FLEXROOM_ASSERT(size.has_value());
  Bits stream;  // as it is read, most significant bit first
  for (const ByteBits& c : text) {
    const Bits value = value_of(code, c);
    stream.insert(stream.end(), value.rbegin(), value.rend());
  }
  Text out(*size);
  for (size_t k = 0; k < out.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) out[k][7 - b] = stream[8 * k + b];
  }
  return out;
}

Padding padding_of(const Text& base64) {
  const size_t size = base64.size();
  std::vector<Bit> is_pad;
  for (const ByteBits& c : base64) is_pad.push_back(is_member(c, byte_set("=")));
  Padding out;
  const bool may_pad = size % kGroup == 0 && size > 0;
  Bit misplaced;
  for (size_t k = 0; k + (may_pad ? 2 : 0) < size; ++k) misplaced = misplaced | is_pad[k];
  if (may_pad) {
    out.one_or_two = is_pad[size - 1];
    out.two = is_pad[size - 2];
    misplaced = misplaced | (out.two & ~out.one_or_two);
  }
  out.fits = ~misplaced;
  return out;
}

}  // namespace flexroom::circuits
