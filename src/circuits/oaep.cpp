#include "circuits/oaep.h"

#include <algorithm>

#include "base/error.h"
#include "circuits/sha1.h"
#include "circuits/sha256.h"

namespace flexroom::circuits {
namespace {

/// SHA-1 of a text; its padding is that of SHA-256 (FIPS 180-4 §5.1.1).
Text sha1_text(const Text& text) {
  Text padded = text;
  append(padded, sha256_padding(text.size()));
  const std::vector<Word> words = words_of(padded);
  Sha1State state = sha1_initial();
  for (size_t at = 0; at < words.size(); at += 16) {
    std::array<Word, 16> block;
    std::copy_n(words.begin() + static_cast<std::ptrdiff_t>(at), 16, block.begin());
    state = sha1_compress(state, block);
  }
  return text_of(std::span<const Word>(state));
}

Text hash_text(OaepHash hash, const Text& text) {
  if (hash == OaepHash::kSha1) return sha1_text(text);
  return text_of(sha256_finish(sha256_initial(), 0, text));
}

/// MGF1, RFC 8017 Appendix B.2.1.
Text mask_of(OaepHash hash, const Text& seed, size_t bytes) {
  Text out;
  for (uint32_t counter = 0; out.size() < bytes; ++counter) {
    Text block = seed;
    for (int shift = 24; shift >= 0; shift -= 8) {
      block.push_back(constant_byte(static_cast<uint8_t>(counter >> shift)));
    }
    append(out, hash_text(hash, block));
  }
  out.resize(bytes);
  return out;
}

void xor_into(Text& a, const Text& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t t = 0; t < 8; ++t) a[i][t] ^= b[i][t];
  }
}

}  // namespace

size_t oaep_hash_bytes(OaepHash hash) { return hash == OaepHash::kSha1 ? 20 : 32; }

Text oaep_encode(OaepHash hash, size_t block_bytes, const Text& seed, const Text& message) {
  const size_t hash_bytes = oaep_hash_bytes(hash);
  FLEXROOM_ASSERT(seed.size() == hash_bytes && message.size() + 2 * hash_bytes + 2 <= block_bytes);
  Text data = hash_text(hash, Text());  // of the empty label: constants fold
  while (data.size() + message.size() + 1 < block_bytes - hash_bytes - 1) {
    data.push_back(constant_byte(0));
  }
  data.push_back(constant_byte(1));
  append(data, message);
  xor_into(data, mask_of(hash, seed, data.size()));
  Text masked_seed = seed;
  xor_into(masked_seed, mask_of(hash, data, hash_bytes));
  Text out = {constant_byte(0)};
  append(out, masked_seed);
  append(out, data);
  FLEXROOM_ASSERT(out.size() == block_bytes);
  return out;
}

}  // namespace flexroom::circuits
