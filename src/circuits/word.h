#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "mpc/builder.h"

namespace flexroom::circuits {

using flexroom::append;  // stays visible beside the overloads for Text
using mpc::Bit;
using mpc::Bits;

/// A 32-bit word of bits, bit 0 least significant; operators as in the standards that use it.
class Word {
 public:
  /// The constant 0.
  Word() = default;
  explicit Word(uint32_t constant);

  Bit& operator[](size_t i) { return bits_[i]; }
  const Bit& operator[](size_t i) const { return bits_[i]; }
  bool is_constant() const;
  /// Only of a constant (asserted).
  uint32_t constant_value() const;

 private:
  std::array<Bit, 32> bits_;
};

Word operator^(const Word& a, const Word& b);
/// 32 ANDs.
Word operator&(const Word& a, const Word& b);
/// Sum mod 2^32: 31 ANDs, fewer where a constant's low bits let the carry fold.
Word operator+(const Word& a, const Word& b);
Word rotr(const Word& x, size_t n);
Word shr(const Word& x, size_t n);

/// The sum of all terms mod 2^32. Constants are added up front and enter first, where the carries
/// of their low bits fold; the rest follows in order (31 ANDs a further term).
Word sum(std::span<const Word> terms);

/// One byte of text, bit 0 least significant (tls-in-mpc.md §0.3(8)).
using ByteBits = std::array<Bit, 8>;
/// A string whose bytes are constant, secret or mixed.
using Text = std::vector<ByteBits>;

ByteBits constant_byte(uint8_t value);
Text constant_text(ByteView bytes);
void append(Text& out, const Text& more);
void append(Text& out, ByteView more);
/// Byte k of the text is bits 8k .. 8k+7.
Text text_of(const Bits& bits);
Bits bits_of(const Text& text);

/// Big-endian, as SHA-256 reads and writes its words; the size of the text is a multiple of 4.
std::vector<Word> words_of(const Text& text);
Text text_of(std::span<const Word> words);

}  // namespace flexroom::circuits
