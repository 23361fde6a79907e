#include "circuits/word.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::circuits {

Word::Word(uint32_t constant) {
  for (size_t i = 0; i < 32; ++i) bits_[i] = Bit(((constant >> i) & 1) != 0);
}

bool Word::is_constant() const {
  return std::all_of(bits_.begin(), bits_.end(), [](Bit b) { return b.is_constant(); });
}

uint32_t Word::constant_value() const {
  uint32_t value = 0;
  for (size_t i = 0; i < 32; ++i) value |= static_cast<uint32_t>(bits_[i].constant_value()) << i;
  return value;
}

Word operator^(const Word& a, const Word& b) {
  Word out;
  for (size_t i = 0; i < 32; ++i) out[i] = a[i] ^ b[i];
  return out;
}

Word operator&(const Word& a, const Word& b) {
  Word out;
  for (size_t i = 0; i < 32; ++i) out[i] = a[i] & b[i];
  return out;
}

Word operator+(const Word& a, const Word& b) {
  Word out;
  Bit carry;
  for (size_t i = 0; i < 32; ++i) {
    const Bit with_carry = a[i] ^ carry;
    out[i] = with_carry ^ b[i];
    if (i < 31) carry ^= with_carry & (b[i] ^ carry);
  }
  return out;
}

Word rotr(const Word& x, size_t n) {
  Word out;
  for (size_t i = 0; i < 32; ++i) out[i] = x[(i + n) % 32];
  return out;
}

Word shr(const Word& x, size_t n) {
  Word out;
  for (size_t i = 0; i + n < 32; ++i) out[i] = x[i + n];
  return out;
}

Word sum(std::span<const Word> terms) {
  uint32_t constant = 0;
  for (const Word& term : terms) {
    if (term.is_constant()) constant += term.constant_value();
  }
  Word total(constant);
  for (const Word& term : terms) {
    if (!term.is_constant()) total = total + term;
  }
  return total;
}

ByteBits constant_byte(uint8_t value) {
  ByteBits out;
  for (size_t b = 0; b < 8; ++b) out[b] = Bit(((value >> b) & 1) != 0);
  return out;
}

Text constant_text(ByteView bytes) {
  Text out;
  append(out, bytes);
  return out;
}

void append(Text& out, const Text& more) { out.insert(out.end(), more.begin(), more.end()); }

void append(Text& out, ByteView more) {
  for (const uint8_t byte : more) out.push_back(constant_byte(byte));
}

Text text_of(const Bits& bits) {
  FLEXROOM_ASSERT(bits.size() % 8 == 0);
  Text out(bits.size() / 8);
  for (size_t i = 0; i < bits.size(); ++i) out[i / 8][i % 8] = bits[i];
  return out;
}

Bits bits_of(const Text& text) {
  Bits out;
  out.reserve(8 * text.size());
  for (const ByteBits& byte : text) out.insert(out.end(), byte.begin(), byte.end());
  return out;
}

std::vector<Word> words_of(const Text& text) {
  FLEXROOM_ASSERT(text.size() % 4 == 0);
  std::vector<Word> out(text.size() / 4);
  for (size_t k = 0; k < text.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) out[k / 4][24 - 8 * (k % 4) + b] = text[k][b];
  }
  return out;
}

Text text_of(std::span<const Word> words) {
  Text out(4 * words.size());
  for (size_t k = 0; k < out.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) out[k][b] = words[k / 4][24 - 8 * (k % 4) + b];
  }
  return out;
}

}  // namespace flexroom::circuits
