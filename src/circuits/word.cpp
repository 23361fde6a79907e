#include "circuits/word.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::circuits {

namespace {

template <size_t kBits>
BasicWord<kBits> add_up(std::span<const BasicWord<kBits>> terms) {
  typename BasicWord<kBits>::Value constant = 0;
  for (const BasicWord<kBits>& term : terms) {
    if (term.is_constant()) constant += term.constant_value();
  }
  BasicWord<kBits> total(constant);
  for (const BasicWord<kBits>& term : terms) {
    if (!term.is_constant()) total = total + term;
  }
  return total;
}

template <size_t kBits>
std::vector<BasicWord<kBits>> read_words(const Text& text) {
  constexpr size_t kBytes = kBits / 8;
  FLEXROOM_ASSERT(text.size() % kBytes == 0);
  std::vector<BasicWord<kBits>> out(text.size() / kBytes);
  for (size_t k = 0; k < text.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) {
      out[k / kBytes][kBits - 8 - 8 * (k % kBytes) + b] = text[k][b];
    }
  }
  return out;
}

template <size_t kBits>
Text write_words(std::span<const BasicWord<kBits>> words) {
  constexpr size_t kBytes = kBits / 8;
  Text out(kBytes * words.size());
  for (size_t k = 0; k < out.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) {
      out[k][b] = words[k / kBytes][kBits - 8 - 8 * (k % kBytes) + b];
    }
  }
  return out;
}

}  // namespace

template <size_t kBits>
BasicWord<kBits>::BasicWord(Value constant) {
  for (size_t i = 0; i < kBits; ++i) bits_[i] = Bit(((constant >> i) & 1) != 0);
}

template <size_t kBits>
bool BasicWord<kBits>::is_constant() const {
  return std::all_of(bits_.begin(), bits_.end(), [](Bit b) { return b.is_constant(); });
}

template <size_t kBits>
typename BasicWord<kBits>::Value BasicWord<kBits>::constant_value() const {
  Value value = 0;
  for (size_t i = 0; i < kBits; ++i) value |= static_cast<Value>(bits_[i].constant_value()) << i;
  return value;
}

template <size_t kBits>
BasicWord<kBits> operator^(const BasicWord<kBits>& a, const BasicWord<kBits>& b) {
  BasicWord<kBits> out;
  for (size_t i = 0; i < kBits; ++i) out[i] = a[i] ^ b[i];
  return out;
}

template <size_t kBits>
BasicWord<kBits> operator&(const BasicWord<kBits>& a, const BasicWord<kBits>& b) {
  BasicWord<kBits> out;
  for (size_t i = 0; i < kBits; ++i) out[i] = a[i] & b[i];
  return out;
}

template <size_t kBits>
BasicWord<kBits> operator+(const BasicWord<kBits>& a, const BasicWord<kBits>& b) {
  BasicWord<kBits> out;
  Bit carry;
  for (size_t i = 0; i < kBits; ++i) {
    const Bit with_carry = a[i] ^ carry;
    out[i] = with_carry ^ b[i];
    if (i + 1 < kBits) carry ^= with_carry & (b[i] ^ carry);
  }
  return out;
}

template <size_t kBits>
BasicWord<kBits> rotr(const BasicWord<kBits>& x, size_t n) {
  BasicWord<kBits> out;
  for (size_t i = 0; i < kBits; ++i) out[i] = x[(i + n) % kBits];
  return out;
}

template <size_t kBits>
BasicWord<kBits> shr(const BasicWord<kBits>& x, size_t n) {
  BasicWord<kBits> out;
  for (size_t i = 0; i + n < kBits; ++i) out[i] = x[i + n];
  return out;
}

#define FLEXROOM_WORD(kBits)                                                             \
  template class BasicWord<kBits>;                                                       \
  template BasicWord<kBits> operator^(const BasicWord<kBits>&, const BasicWord<kBits>&); \
  template BasicWord<kBits> operator&(const BasicWord<kBits>&, const BasicWord<kBits>&); \
  template BasicWord<kBits> operator+(const BasicWord<kBits>&, const BasicWord<kBits>&); \
  template BasicWord<kBits> rotr(const BasicWord<kBits>&, size_t);                       \
  template BasicWord<kBits> shr(const BasicWord<kBits>&, size_t);
FLEXROOM_WORD(32)
FLEXROOM_WORD(64)
#undef FLEXROOM_WORD

Word sum(std::span<const Word> terms) { return add_up<32>(terms); }
Word64 sum(std::span<const Word64> terms) { return add_up<64>(terms); }

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

std::vector<Word> words_of(const Text& text) { return read_words<32>(text); }
std::vector<Word64> words64_of(const Text& text) { return read_words<64>(text); }
Text text_of(std::span<const Word> words) { return write_words<32>(words); }
Text text_of(std::span<const Word64> words) { return write_words<64>(words); }

}  // namespace flexroom::circuits
