#include "circuits/sha512.h"

#include "base/error.h"
#include "circuits/sha2.h"

namespace flexroom::circuits {
namespace {

/// FIPS 180-4 §4.1.3, §4.2.3.
struct Sha512Rounds {
  using Word = circuits::Word64;
  static constexpr size_t kRounds = 80;
  static constexpr const std::array<uint64_t, kRounds>& kConstants = kSha512RoundConstants;
  static constexpr std::array<size_t, 3> kBigSigma0 = {28, 34, 39}, kBigSigma1 = {14, 18, 41};
  static constexpr std::array<size_t, 3> kSmallSigma0 = {1, 8, 7}, kSmallSigma1 = {19, 61, 6};
};

}  // namespace

Sha512Words sha512_compress(const Sha512Words& state, const Sha512BlockWords& block) {
  return Sha2<Sha512Rounds>::compress(state, block);
}

Sha512Words sha512_compress_pub(const Sha512Words& state, const Sha512PubWords& round_words) {
  return Sha2<Sha512Rounds>::compress_pub(state, round_words);
}

Sha512Words constant_state(const Sha512State& state) {
  Sha512Words out;
  for (size_t i = 0; i < 8; ++i) out[i] = Word64(state[i]);
  return out;
}

Sha512PubWords sha512_round_words_of(const Bits& bits) {
  FLEXROOM_ASSERT(bits.size() == size_t{64} * 80);
  Sha512PubWords out;
  for (size_t i = 0; i < bits.size(); ++i) out[i / 64][i % 64] = bits[i];
  return out;
}

}  // namespace flexroom::circuits
