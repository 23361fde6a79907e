#pragma once

#include <string_view>

#include "circuits/word.h"

namespace flexroom::circuits {

/// A hash of the SHA-2 family as a circuit. Its chaining value is text: its words in order, each
/// big-endian.
struct HashCircuit {
  std::string_view name;
  size_t digest_bytes;  // the first of the last chaining value
  size_t block_bytes;
  size_t state_bytes;
  size_t length_bytes;     // of the padding (FIPS 180-4 §5.1)
  size_t round_word_bits;  // of a block that is known online only
  Text (*initial)();
  Text (*compress)(const Text& state, const Text& block);
  /// Of `pub` bits: word t first, least significant first.
  Text (*compress_pub)(const Text& state, const Bits& round_words);
};

/// 32 bytes of digest, blocks of 64; costs at sha256_compress().
const HashCircuit& sha256_hash();
/// 48 bytes of digest, blocks of 128; costs at sha512_compress().
const HashCircuit& sha384_hash();

/// Padding of a message of `message_bytes` bytes (FIPS 180-4 §5.1).
Bytes hash_padding(const HashCircuit& hash, uint64_t message_bytes);

/// The chaining value behind the rest of a message: `bytes_before` (a multiple of a block) went
/// into `state`, `tail` and the padding follow. Blocks that are constant under a constant state
/// cost nothing.
Text hash_finish(const HashCircuit& hash, const Text& state, uint64_t bytes_before,
                 const Text& tail);

/// The digest of a last chaining value.
Text digest_of(const HashCircuit& hash, Text state);

/// A chaining value that an earlier circuit kept, as `dyn` input.
Text add_state(mpc::Builder& builder, std::string_view name, const HashCircuit& hash);
/// The round words of a block that is public but known only online, as `pub` input.
Bits add_round_words(mpc::Builder& builder, std::string_view name, const HashCircuit& hash);

}  // namespace flexroom::circuits
