#pragma once

#include <bitset>
#include <optional>
#include <utility>

#include "circuits/word.h"

namespace flexroom::circuits {

/// A set of byte values.
using ByteSet = std::bitset<256>;
ByteSet byte_set(std::string_view members);

/// Encoders on secret text (tls-in-mpc.md §5.2, §5.3). Constant bytes cost nothing.

/// Hex digits of a nibble [4 bits]: 4 ANDs.
ByteBits hex_digit_lower(std::span<const Bit> nibble);
ByteBits hex_digit_upper(std::span<const Bit> nibble);
/// Two lower-case digits a byte: 8 ANDs a byte.
Text hex_lower(const Text& in);
/// `%XX` for every byte, upper case: 8 ANDs a byte.
Text percent_encode(const Text& in);
/// `\u00xx` for every byte, lower case: 8 ANDs a byte. The bytes must be 0x20 .. 0x7e.
Text json_escape(const Text& in);
/// `&#xXX;` for every byte: 8 ANDs a byte. The bytes must be 0x20 .. 0x7e.
Text xml_escape(const Text& in);
/// RFC 4648 §4 with padding: 16 ANDs a character; 4 more through percent_encode.
Text base64(const Text& in);
/// RFC 4648 §5 without padding: as base64, with '-' and '_'.
Text base64url(const Text& in);
/// The character of a 6-bit value, bit 0 least significant.
ByteBits base64_char(std::span<const Bit> value);
ByteBits base64url_char(std::span<const Bit> value);

/// Decoder of one byte, after tls-in-mpc.md §5.5: minterms of its bit pairs (1 AND gives all four)
/// and nibbles (1 AND each), made when first asked for and shared by all sets that are asked of the
/// byte. Minterms exclude each other, so OR is XOR and free.
class ByteDecoder {
 public:
  explicit ByteDecoder(const ByteBits& byte) : byte_(byte) {}

  /// 1 if the byte is in the set. The same set again costs nothing.
  Bit in(const ByteSet& set);
  Bit is(char c);

 private:
  Bit make(const ByteSet& set);
  Bit nibble_in(size_t nibble, uint32_t set);
  Bit pairs_in(size_t nibble, size_t high, uint32_t lows);
  const std::array<Bit, 4>& pair(size_t index);

  ByteBits byte_;
  std::array<std::optional<std::array<Bit, 4>>, 4> pairs_;
  std::array<std::array<std::array<std::optional<Bit>, 16>, 4>, 2> products_;  // by low pairs
  std::vector<std::pair<ByteSet, Bit>> made_;
};

/// 1 if the byte is in the set: at most 22 ANDs for the classes of requests.
Bit is_member(const ByteBits& byte, const ByteSet& set);
/// 1 if every byte is in the set; one more AND a byte. Constant 1 for empty text.
Bit all_members(const Text& text, const ByteSet& set);

}  // namespace flexroom::circuits
