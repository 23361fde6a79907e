#include "circuits/chacha20.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

template <size_t N>
std::array<Word, N> little_endian(const Text& text) {
  FLEXROOM_ASSERT(text.size() == 4 * N);
  std::array<Word, N> out;
  for (size_t k = 0; k < text.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) out[k / 4][8 * (k % 4) + b] = text[k][b];
  }
  return out;
}

Word rotl(const Word& x, size_t n) { return rotr(x, 32 - n); }

/// RFC 8439 §2.1, on four words of the state.
void quarter_round(ChaChaBlock& x, size_t a, size_t b, size_t c, size_t d) {
  const auto step = [&x](size_t to, size_t from, size_t turned, size_t by) {
    x[to] = x[to] + x[from];
    x[turned] = rotl(x[turned] ^ x[to], by);
  };
  step(a, b, d, 16);
  step(c, d, b, 12);
  step(a, b, d, 8);
  step(c, d, b, 7);
}

}  // namespace

ChaChaKey chacha20_key(const Text& key) { return little_endian<8>(key); }
ChaChaNonce chacha20_nonce(const Text& nonce) { return little_endian<3>(nonce); }

Text text_of(const ChaChaBlock& block) {
  Text out(4 * block.size());
  for (size_t k = 0; k < out.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) out[k][b] = block[k / 4][8 * (k % 4) + b];
  }
  return out;
}

ChaChaBlock chacha20_block(const ChaChaKey& key, const Word& counter, const ChaChaNonce& nonce) {
  ChaChaBlock start = {Word(0x61707865), Word(0x3320646e), Word(0x79622d32), Word(0x6b206574)};
  std::copy(key.begin(), key.end(), start.begin() + 4);
  start[12] = counter;
  std::copy(nonce.begin(), nonce.end(), start.begin() + 13);

  ChaChaBlock x = start;
  for (unsigned double_round = 0; double_round < 10; ++double_round) {
    for (size_t column = 0; column < 4; ++column) {
      quarter_round(x, column, 4 + column, 8 + column, 12 + column);
    }
    for (size_t diagonal = 0; diagonal < 4; ++diagonal) {
      quarter_round(x, diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4,
                    12 + (diagonal + 3) % 4);
    }
  }
  for (size_t i = 0; i < x.size(); ++i) x[i] = x[i] + start[i];
  return x;
}

}  // namespace flexroom::circuits
