#include "circuits/sha256.h"

#include <algorithm>

#include "base/error.h"
#include "base/sha256_block.h"
#include "circuits/hash.h"
#include "circuits/sha2.h"

namespace flexroom::circuits {
namespace {

/// FIPS 180-4 §4.1.2, §4.2.2.
struct Sha256Rounds {
  using Word = circuits::Word;
  static constexpr size_t kRounds = 64;
  static constexpr const std::array<uint32_t, kRounds>& kConstants = kSha256RoundConstants;
  static constexpr std::array<size_t, 3> kBigSigma0 = {2, 13, 22}, kBigSigma1 = {6, 11, 25};
  static constexpr std::array<size_t, 3> kSmallSigma0 = {7, 18, 3}, kSmallSigma1 = {17, 19, 10};
};

}  // namespace

StateWords sha256_compress(const StateWords& state, const BlockWords& block) {
  return Sha2<Sha256Rounds>::compress(state, block);
}

StateWords sha256_compress_pub(const StateWords& state, const RoundWords& round_words) {
  return Sha2<Sha256Rounds>::compress_pub(state, round_words);
}

StateWords constant_state(const Sha256State& state) {
  StateWords out;
  for (size_t i = 0; i < 8; ++i) out[i] = Word(state[i]);
  return out;
}

StateWords sha256_initial() { return constant_state(kSha256Initial); }

Bytes sha256_padding(uint64_t message_bytes) { return hash_padding(sha256_hash(), message_bytes); }

StateWords sha256_finish(const StateWords& state, uint64_t bytes_before, const Text& tail) {
  return state_of(hash_finish(sha256_hash(), text_of(state), bytes_before, tail));
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
