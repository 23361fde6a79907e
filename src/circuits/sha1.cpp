#include "circuits/sha1.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

constexpr std::array<uint32_t, 4> kRound = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};

Word rotl(const Word& x, size_t n) { return rotr(x, 32 - n); }

/// FIPS 180-4 §4.1.1; one AND a bit for choose and majority, as in sha256.cpp.
Word mix(size_t t, const Word& x, const Word& y, const Word& z) {
  if (t < 20) return z ^ (x & (y ^ z));
  if (t >= 40 && t < 60) return z ^ ((x ^ z) & (y ^ z));
  return x ^ y ^ z;
}

/// FIPS 180-4 §6.1.2 steps 2 to 4; `with_words(t, sum of the rest)` adds W_t and K_t.
template <typename Add>
Sha1State rounds(const Sha1State& state, Add with_words) {
  auto [a, b, c, d, e] = state;
  for (size_t t = 0; t < 80; ++t) {
    const Word next = with_words(t, std::array{rotl(a, 5), mix(t, b, c, d), e});
    e = d, d = c, c = rotl(b, 30), b = a, a = next;
  }
  const Sha1State last = {a, b, c, d, e};
  Sha1State out;
  for (size_t i = 0; i < out.size(); ++i) out[i] = state[i] + last[i];
  return out;
}

}  // namespace

Sha1State sha1_compress(const Sha1State& state, const std::array<Word, 16>& block) {
  std::array<Word, 80> w;
  std::copy(block.begin(), block.end(), w.begin());
  for (size_t t = 16; t < w.size(); ++t) {
    w[t] = rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  }
  return rounds(state, [&](size_t t, const std::array<Word, 3>& rest) {
    return sum(std::array{rest[0], rest[1], rest[2], Word(kRound[t / 20]), w[t]});
  });
}

Sha1State sha1_compress_pub(const Sha1State& state, const Sha1Rounds& round_words) {
  return rounds(state, [&](size_t t, const std::array<Word, 3>& rest) {
    return sum(std::array{rest[0], rest[1], rest[2], round_words[t]});
  });
}

Sha1State sha1_initial() {
  return {Word(0x67452301), Word(0xefcdab89), Word(0x98badcfe), Word(0x10325476), Word(0xc3d2e1f0)};
}

std::array<uint32_t, 80> sha1_round_words(ByteView block) {
  FLEXROOM_ASSERT(block.size() == 64);
  std::array<uint32_t, 80> w{};
  for (size_t k = 0; k < block.size(); ++k) {
    w[k / 4] |= uint32_t{block[k]} << (24 - 8 * (k % 4));
  }
  for (size_t t = 16; t < w.size(); ++t) {
    w[t] = std::rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  }
  for (size_t t = 0; t < w.size(); ++t) w[t] += kRound[t / 20];
  return w;
}

Sha1Rounds sha1_rounds_of(const Bits& bits) {
  FLEXROOM_ASSERT(bits.size() == 32 * std::tuple_size_v<Sha1Rounds>);
  Sha1Rounds out;
  for (size_t i = 0; i < bits.size(); ++i) out[i / 32][i % 32] = bits[i];
  return out;
}

}  // namespace flexroom::circuits
