#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "circuits/text.h"

namespace flexroom::circuits {

/// Follows the characters of a JSON string byte by byte, for the search of a literal in it
/// (tls-in-mpc.md §5.5): a character is a byte, a backslash and a letter, or `\uXXXX`. While
/// unambiguous() is 1 the literal's characters have one spelling each, so that the decoded literal
/// stands where begins_character() is 1 and the literal's bytes follow, and nowhere else.
class JsonCharacters {
 public:
  /// `literal`: whole characters as they are sent, with no `\u` and one spelling of the slash
  /// (http::is_json_literal); public.
  explicit JsonCharacters(std::string_view literal);

  /// Whether the byte that is read next begins a character.
  Bit begins_character() const { return ~(escaped_ ^ in_digits()); }
  void read(ByteDecoder& byte);
  /// Nothing so far is no character, or another spelling of one of the literal's.
  Bit unambiguous() const { return good_; }

 private:
  Bit in_digits() const { return digit_[0] ^ digit_[1] ^ digit_[2] ^ digit_[3]; }
  /// What the byte makes of `\u00XX`: 1 at the last digit of one that spells a literal's byte.
  Bit spells_literal(ByteDecoder& byte);

  ByteSet plain_, letters_;           // bytes of their own, and behind a backslash
  std::array<ByteSet, 8> low_digit_;  // last digits of the literal's bytes, by their high digit
  Bit escaped_;                       // the next byte is behind a backslash
  std::array<Bit, 4> digit_;          // the next byte is digit k of `\uXXXX`
  Bit one_zero_, two_zeros_;          // `\u0`, `\u00` is before it
  std::array<Bit, 8> high_digit_;     // `\u00k` is before it
  Bit good_;
};

}  // namespace flexroom::circuits
