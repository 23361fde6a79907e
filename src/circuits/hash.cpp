#include "circuits/hash.h"

#include <algorithm>

#include "base/error.h"
#include "circuits/sha256.h"
#include "circuits/sha512.h"

namespace flexroom::circuits {
namespace {

template <typename Words, typename List>
Words array_of(const List& words) {
  Words out;
  FLEXROOM_ASSERT(words.size() == out.size());
  std::copy(words.begin(), words.end(), out.begin());
  return out;
}

Text text_of_words(const Sha512Words& words) { return text_of(std::span<const Word64>(words)); }
Sha512Words sha512_words(const Text& text) { return array_of<Sha512Words>(words64_of(text)); }

}  // namespace

const HashCircuit& sha256_hash() {
  static const HashCircuit kHash = {
      "SHA-256",
      32,
      64,
      32,
      8,
      size_t{32} * 64,
      [] { return text_of(sha256_initial()); },
      [](const Text& state, const Text& block) {
        return text_of(sha256_compress(state_of(state), array_of<BlockWords>(words_of(block))));
      },
      [](const Text& state, const Bits& round_words) {
        return text_of(sha256_compress_pub(state_of(state), round_words_of(round_words)));
      }};
  return kHash;
}

const HashCircuit& sha384_hash() {
  static const HashCircuit kHash = {
      "SHA-384",
      48,
      128,
      64,
      16,
      size_t{64} * 80,
      [] { return text_of_words(constant_state(kSha384Initial)); },
      [](const Text& state, const Text& block) {
        return text_of_words(
            sha512_compress(sha512_words(state), array_of<Sha512BlockWords>(words64_of(block))));
      },
      [](const Text& state, const Bits& round_words) {
        return text_of_words(
            sha512_compress_pub(sha512_words(state), sha512_round_words_of(round_words)));
      }};
  return kHash;
}

Bytes hash_padding(const HashCircuit& hash, uint64_t message_bytes) {
  Bytes out = {0x80};
  while ((message_bytes + out.size() + hash.length_bytes) % hash.block_bytes != 0) out.push_back(0);
  out.resize(out.size() + hash.length_bytes - 8);  // no message has 2^64 bits
  for (int shift = 56; shift >= 0; shift -= 8) {
    out.push_back(static_cast<uint8_t>((8 * message_bytes) >> shift));
  }
  return out;
}

Text hash_finish(const HashCircuit& hash, const Text& state, uint64_t bytes_before,
                 const Text& tail) {
  FLEXROOM_ASSERT(bytes_before % hash.block_bytes == 0);
  Text padded = tail;
  append(padded, hash_padding(hash, bytes_before + tail.size()));
  Text out = state;
  for (size_t offset = 0; offset < padded.size(); offset += hash.block_bytes) {
    const auto first = padded.begin() + static_cast<std::ptrdiff_t>(offset);
    out = hash.compress(out, Text(first, first + static_cast<std::ptrdiff_t>(hash.block_bytes)));
  }
  return out;
}

Text digest_of(const HashCircuit& hash, Text state) {
  FLEXROOM_ASSERT(state.size() == hash.state_bytes);
  state.resize(hash.digest_bytes);
  return state;
}

Text add_state(mpc::Builder& builder, std::string_view name, const HashCircuit& hash) {
  return text_of(
      builder.add_input(name, mpc::InputKind::kDyn, static_cast<uint32_t>(8 * hash.state_bytes)));
}

Bits add_round_words(mpc::Builder& builder, std::string_view name, const HashCircuit& hash) {
  return builder.add_input(name, mpc::InputKind::kPub, static_cast<uint32_t>(hash.round_word_bits));
}

}  // namespace flexroom::circuits
