#include "circuits/aes256.h"

#include "base/error.h"

namespace flexroom::circuits {
namespace {

using KeyWord = std::array<ByteBits, 4>;

KeyWord sub_word(const KeyWord& in) {
  KeyWord out;
  for (size_t i = 0; i < 4; ++i) out[i] = aes_sbox(in[i]);
  return out;
}

}  // namespace

AesRoundKeys aes256_expand_key(const Text& key) {
  constexpr size_t kKeyWords = 8, kWords = 60;
  FLEXROOM_ASSERT(key.size() == 4 * kKeyWords);
  std::array<KeyWord, kWords> w;
  uint8_t rcon = 1;
  for (size_t i = 0; i < kWords; ++i) {
    if (i < kKeyWords) {
      for (size_t b = 0; b < 4; ++b) w[i][b] = key[4 * i + b];
      continue;
    }
    KeyWord step = w[i - 1];
    if (i % kKeyWords == 0) {
      step = sub_word({step[1], step[2], step[3], step[0]});
      const ByteBits constant = constant_byte(rcon);
      for (size_t t = 0; t < 8; ++t) step[0][t] ^= constant[t];
      rcon = static_cast<uint8_t>(rcon << 1);  // at most 0x40 is used
    } else if (i % kKeyWords == 4) {
      step = sub_word(step);
    }
    for (size_t b = 0; b < 4; ++b) {
      for (size_t t = 0; t < 8; ++t) w[i][b][t] = w[i - kKeyWords][b][t] ^ step[b][t];
    }
  }
  AesRoundKeys keys(kWords / 4);
  for (size_t i = 0; i < 4 * kWords; ++i) keys[i / 16][i % 16] = w[i / 4][i % 4];
  return keys;
}

AesRoundKeys aes_expand_key(const Text& key) {
  return key.size() == 16 ? aes128_expand_key(block_of(key)) : aes256_expand_key(key);
}

}  // namespace flexroom::circuits
