#include "circuits/json_characters.h"

#include "base/error.h"

namespace flexroom::circuits {
namespace {

constexpr std::string_view kLetters = "\"\\/bfnrt", kBytes = "\"\\/\b\f\n\r\t";

/// The byte that a backslash and this letter stand for.
char escaped_byte(char letter) {
  const size_t at = kLetters.find(letter);
  FLEXROOM_ASSERT(at != std::string_view::npos);
  return kBytes[at];
}

ByteSet hex_digits(unsigned value) {
  constexpr std::string_view kLower = "0123456789abcdef", kUpper = "0123456789ABCDEF";
  return byte_set({&kLower[value], 1}) | byte_set({&kUpper[value], 1});
}

}  // namespace

JsonCharacters::JsonCharacters(std::string_view literal)
    : letters_(byte_set(kLetters) | byte_set("u")), good_(true) {
  for (unsigned c = 0x20; c < 256; ++c) plain_.set(c);
  for (size_t k = 0; k < literal.size(); ++k) {
    const bool escaped = literal[k] == '\\';
    FLEXROOM_ASSERT(!escaped || k + 1 < literal.size());
    const auto byte = static_cast<uint8_t>(escaped ? escaped_byte(literal[++k]) : literal[k]);
    if (byte < 0x80) low_digit_[byte >> 4] |= hex_digits(byte & 15);
    if (byte >= 0x80) letters_.reset('u');  // it may be spelled `\u00e9`
    if (byte == '/') (escaped ? plain_ : letters_).reset('/');
  }
}

// Exactly one of the three states holds as long as all was good; what follows a fault is not
// looked at.
void JsonCharacters::read(ByteDecoder& byte) {
  static const ByteSet kHex = byte_set("0123456789abcdefABCDEF");
  const Bit plain = byte.in(plain_);
  const Bit fits =
      plain ^ (escaped_ & (plain ^ byte.in(letters_))) ^ (in_digits() & (plain ^ byte.in(kHex)));
  good_ = good_ & fits & ~spells_literal(byte);
  const Bit code = escaped_ & byte.is('u');
  escaped_ = byte.is('\\') & ~escaped_;
  digit_ = {code, digit_[0], digit_[1], digit_[2]};
}

Bit JsonCharacters::spells_literal(ByteDecoder& byte) {
  Bit out;
  for (size_t high = 0; high < 8; ++high) {
    if (low_digit_[high].none()) continue;
    out ^= high_digit_[high] & byte.in(low_digit_[high]);
    high_digit_[high] = two_zeros_ & byte.is(static_cast<char>('0' + high));
  }
  two_zeros_ = one_zero_ & byte.is('0');
  one_zero_ = digit_[0] & byte.is('0');
  return out;
}

}  // namespace flexroom::circuits
