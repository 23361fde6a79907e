#include "circuits/sha256.h"

#include <algorithm>

#include "base/error.h"
#include "base/sha256_block.h"

namespace flexroom::circuits {
namespace {

// FIPS 180-4 §4.1.2. XOR and rotation are free; choose and majority cost 32 ANDs each, so they are
// written with one & instead of the standard's two and three.
Word choose(const Word& x, const Word& y, const Word& z) { return z ^ (x & (y ^ z)); }
Word majority(const Word& x, const Word& y, const Word& z) { return z ^ ((x ^ z) & (y ^ z)); }
Word big_sigma0(const Word& x) { return rotr(x, 2) ^ rotr(x, 13) ^ rotr(x, 22); }
Word big_sigma1(const Word& x) { return rotr(x, 6) ^ rotr(x, 11) ^ rotr(x, 25); }
Word small_sigma0(const Word& x) { return rotr(x, 7) ^ rotr(x, 18) ^ shr(x, 3); }
Word small_sigma1(const Word& x) { return rotr(x, 17) ^ rotr(x, 19) ^ shr(x, 10); }

/// W_t, FIPS 180-4 §6.2.2 step 1, kept as a ring of the last 16 words: written just in time, the
/// schedule stays beside the round that uses it in the program too.
class MessageSchedule {
 public:
  explicit MessageSchedule(const BlockWords& block) : ring_(block) {}

  const Word& at(size_t t) {
    Word& w = ring_[t % 16];
    if (t >= 16) {
      w = sum(std::array{w, small_sigma0(ring_[(t - 15) % 16]), ring_[(t - 7) % 16],
                         small_sigma1(ring_[(t - 2) % 16])});
    }
    return w;
  }

 private:
  BlockWords ring_;
};

/// FIPS 180-4 §6.2.2 steps 2 to 4; `t1_of(t, h, sigma, ch)` adds up T1 with the words of round t.
template <typename T1>
StateWords rounds(const StateWords& state, T1 t1_of) {
  auto [a, b, c, d, e, f, g, h] = state;
  for (size_t t = 0; t < 64; ++t) {
    const Word t1 = t1_of(t, h, big_sigma1(e), choose(e, f, g));
    const Word next_a = sum(std::array{t1, big_sigma0(a), majority(a, b, c)});
    h = g, g = f, f = e, e = sum(std::array{d, t1});
    d = c, c = b, b = a, a = next_a;
  }
  const StateWords last = {a, b, c, d, e, f, g, h};
  StateWords out;
  for (size_t i = 0; i < 8; ++i) out[i] = sum(std::array{state[i], last[i]});
  return out;
}

}  // namespace

StateWords sha256_compress(const StateWords& state, const BlockWords& block) {
  MessageSchedule schedule(block);
  return rounds(state, [&](size_t t, const Word& h, const Word& sigma, const Word& ch) {
    return sum(std::array{h, sigma, ch, Word(kSha256RoundConstants[t]), schedule.at(t)});
  });
}

StateWords sha256_compress_pub(const StateWords& state, const RoundWords& round_words) {
  return rounds(state, [&](size_t t, const Word& h, const Word& sigma, const Word& ch) {
    return sum(std::array{h, sigma, ch, round_words[t]});
  });
}

StateWords constant_state(const Sha256State& state) {
  StateWords out;
  for (size_t i = 0; i < 8; ++i) out[i] = Word(state[i]);
  return out;
}

StateWords sha256_initial() { return constant_state(kSha256Initial); }

Bytes sha256_padding(uint64_t message_bytes) {
  Bytes out = {0x80};
  while ((message_bytes + out.size()) % 64 != 56) out.push_back(0);
  for (int shift = 56; shift >= 0; shift -= 8) {
    out.push_back(static_cast<uint8_t>((8 * message_bytes) >> shift));
  }
  return out;
}

StateWords sha256_finish(const StateWords& state, uint64_t bytes_before, const Text& tail) {
  FLEXROOM_ASSERT(bytes_before % 64 == 0);
  Text padded = tail;
  append(padded, sha256_padding(bytes_before + tail.size()));
  StateWords out = state;
  for (size_t offset = 0; offset < padded.size(); offset += 64) {
    const auto first = padded.begin() + static_cast<std::ptrdiff_t>(offset);
    const std::vector<Word> words = words_of(Text(first, first + 64));
    BlockWords block;
    std::copy(words.begin(), words.end(), block.begin());
    out = sha256_compress(out, block);
  }
  return out;
}

Text text_of(const StateWords& state) { return text_of(std::span<const Word>(state)); }

StateWords state_of(const Text& text) {
  FLEXROOM_ASSERT(text.size() == 32);
  const std::vector<Word> words = words_of(text);
  StateWords out;
  std::copy(words.begin(), words.end(), out.begin());
  return out;
}

StateWords state_of(const Bits& bits) { return state_of(text_of(bits)); }
Bits bits_of(const StateWords& state) { return bits_of(text_of(state)); }

RoundWords round_words_of(const Bits& bits) {
  FLEXROOM_ASSERT(bits.size() == 2048);
  RoundWords out;
  for (size_t i = 0; i < bits.size(); ++i) out[i / 32][i % 32] = bits[i];
  return out;
}

}  // namespace flexroom::circuits
