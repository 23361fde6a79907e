#include "circuits/totp.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

constexpr size_t kBlockBytes = 64, kHashBytes = 20;
constexpr uint32_t kModulus = 1'000'000;

/// The last block of a message behind one block of pad (FIPS 180-4 §5.1.1).
Text last_block(Text tail) {
  const uint64_t bits = 8 * (kBlockBytes + tail.size());
  FLEXROOM_ASSERT(tail.size() <= kBlockBytes - 9);
  tail.push_back(constant_byte(0x80));
  tail.resize(kBlockBytes - 8);
  for (int shift = 56; shift >= 0; shift -= 8) {
    tail.push_back(constant_byte(static_cast<uint8_t>(bits >> shift)));
  }
  return tail;
}

std::array<Word, 16> block_of(const Text& text) {
  const std::vector<Word> words = words_of(text);
  std::array<Word, 16> out;
  std::copy(words.begin(), words.end(), out.begin());
  return out;
}

Sha1State pad_state(const Text& key, uint8_t pad) {
  Text block = key;
  block.resize(kBlockBytes);
  const ByteBits mask = constant_byte(pad);
  for (ByteBits& byte : block) {
    for (size_t b = 0; b < 8; ++b) byte[b] ^= mask[b];
  }
  return sha1_compress(sha1_initial(), block_of(block));
}

Bit mux(Bit choice, Bit yes, Bit no) { return no ^ (choice & (yes ^ no)); }

/// RFC 4226 §5.3: the 31 low bits of the four bytes at the offset that the hash itself says, bit 0
/// least significant. Selection by the offset's bits, most significant first: what cannot be
/// reached any more is not moved.
Bits truncated(const Text& hash) {
  const ByteBits& offset = hash[kHashBytes - 1];
  Text window = hash;
  for (size_t b = 4; b-- > 0;) {
    const size_t step = size_t{1} << b;
    const size_t reach = 4 + step - 1;  // bytes that the rest of the offset can still select
    Text next(std::min(window.size(), reach));
    for (size_t k = 0; k < next.size(); ++k) {
      for (size_t bit = 0; bit < 8; ++bit) {
        const Bit far = k + step < window.size() ? window[k + step][bit] : Bit();
        next[k][bit] = mux(offset[b], far, window[k][bit]);
      }
    }
    window = std::move(next);
  }
  Bits out;
  for (const size_t k : {3, 2, 1, 0}) out.insert(out.end(), window[k].begin(), window[k].end());
  out.pop_back();  // the sign
  return out;
}

/// value mod 10^6, by subtracting 10^6 * 2^s from the top where that does not go below zero: 20
/// bits. After the step of s what is left is below 10^6 * 2^s.
Bits mod_million(Bits value) {
  constexpr size_t kModulusBits = 20;
  for (size_t s = 12; s-- > 0;) {
    const uint64_t divisor = uint64_t{kModulus} << s;
    if (divisor >= uint64_t{1} << value.size()) continue;
    const size_t width = value.size();
    const uint64_t complement = (uint64_t{1} << width) - divisor;
    Bits difference(width);
    Bit carry;
    for (size_t i = 0; i < width; ++i) {
      const Bit add(((complement >> i) & 1) != 0);
      difference[i] = value[i] ^ add ^ carry;
      carry ^= (value[i] ^ carry) & (add ^ carry);
    }
    for (size_t i = 0; i < width; ++i) value[i] = mux(carry, difference[i], value[i]);
    value.resize(std::min(width, kModulusBits + s));
  }
  return value;
}

/// Decimal digits of a number below 10^6, by shifting it in from the top bit and adding 3 to every
/// digit from 5 on before it is doubled.
Text decimal(const Bits& value) {
  std::array<std::array<Bit, 4>, kTotpDigits> digits;
  for (size_t i = value.size(); i-- > 0;) {
    Bit carry = value[i];
    for (auto& d : digits) {
      // 0 .. 9, never both of the upper bits. From 5 on d + 3 is 8 .. 12.
      const Bit middle = d[2] & (d[1] | d[0]), five = d[3] ^ middle;
      const Bit one = d[0] ^ five, two = d[1] ^ (five & ~d[0]);
      const Bit four = d[2] ^ middle ^ (d[3] & d[0]);
      d = {carry, one, two, four};
      carry = five;
    }
  }
  Text out;
  for (size_t k = kTotpDigits; k-- > 0;) {
    ByteBits byte = constant_byte('0');
    std::copy(digits[k].begin(), digits[k].end(), byte.begin());
    out.push_back(byte);
  }
  return out;
}

}  // namespace

Text totp(const Text& key, const Sha1Rounds& round_words) {
  FLEXROOM_ASSERT(!key.empty() && key.size() <= kMaxTotpKeyBytes);
  const Sha1State inner = sha1_compress_pub(pad_state(key, 0x36), round_words);
  const Sha1State outer = sha1_compress(
      pad_state(key, 0x5c), block_of(last_block(text_of(std::span<const Word>(inner)))));
  return decimal(mod_million(truncated(text_of(std::span<const Word>(outer)))));
}

std::vector<uint8_t> totp_round_bits(uint64_t step) {
  Bytes block;
  for (int shift = 56; shift >= 0; shift -= 8) block.push_back(static_cast<uint8_t>(step >> shift));
  block.push_back(0x80);
  block.resize(kBlockBytes);
  constexpr size_t kMessageBits = 8 * (kBlockBytes + 8);
  block[kBlockBytes - 2] = static_cast<uint8_t>(kMessageBits >> 8);
  block[kBlockBytes - 1] = static_cast<uint8_t>(kMessageBits & 0xff);
  std::vector<uint8_t> out;
  out.reserve(kTotpRoundBits);
  for (const uint32_t word : sha1_round_words(block)) {
    for (size_t i = 0; i < 32; ++i) out.push_back(static_cast<uint8_t>(word >> i & 1));
  }
  return out;
}

}  // namespace flexroom::circuits
