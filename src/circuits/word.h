#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "mpc/builder.h"

namespace flexroom::circuits {

using flexroom::append;  // stays visible beside the overloads for Text
using mpc::Bit;
using mpc::Bits;

/// A word of 32 or 64 bits, bit 0 least significant; operators as in the standards that use it.
template <size_t kBits>
class BasicWord {
 public:
  using Value = std::conditional_t<kBits == 64, uint64_t, uint32_t>;
  static constexpr size_t kSize = kBits;

  /// The constant 0.
  BasicWord() = default;
  explicit BasicWord(Value constant);

  Bit& operator[](size_t i) { return bits_[i]; }
  const Bit& operator[](size_t i) const { return bits_[i]; }
  bool is_constant() const;
  /// Only of a constant (asserted).
  Value constant_value() const;

 private:
  std::array<Bit, kBits> bits_;
};

using Word = BasicWord<32>;
using Word64 = BasicWord<64>;

template <size_t kBits>
BasicWord<kBits> operator^(const BasicWord<kBits>& a, const BasicWord<kBits>& b);
/// An AND a bit.
template <size_t kBits>
BasicWord<kBits> operator&(const BasicWord<kBits>& a, const BasicWord<kBits>& b);
/// Sum mod 2^32 or 2^64: 31 or 63 ANDs, fewer where a constant's low bits let the carry fold.
template <size_t kBits>
BasicWord<kBits> operator+(const BasicWord<kBits>& a, const BasicWord<kBits>& b);
template <size_t kBits>
BasicWord<kBits> rotr(const BasicWord<kBits>& x, size_t n);
template <size_t kBits>
BasicWord<kBits> shr(const BasicWord<kBits>& x, size_t n);

/// The sum of all terms. Constants are added up front and enter first, where the carries of their
/// low bits fold; the rest follows in order (31 or 63 ANDs a further term).
Word sum(std::span<const Word> terms);
Word64 sum(std::span<const Word64> terms);

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

/// Big-endian, as SHA-2 reads and writes its words; the size of the text is a multiple of 4 or 8.
std::vector<Word> words_of(const Text& text);
std::vector<Word64> words64_of(const Text& text);
Text text_of(std::span<const Word> words);
Text text_of(std::span<const Word64> words);

}  // namespace flexroom::circuits
