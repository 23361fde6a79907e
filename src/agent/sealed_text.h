#pragma once

#include <map>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "http/outline.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// A byte of the plaintext of a record.
struct RecordByte {
  uint32_t record = 0, at = 0;
};

/// The plaintext of verified records as authenticated bits: keystream that was computed inside,
/// plus the public ciphertext (tls-in-mpc.md §4.5). Local; nothing is opened here.
class SealedText {
 public:
  /// Keystream comes in blocks of `block_bytes`.
  SealedText(const Block& delta, PartyId self, size_t num_parties, size_t block_bytes)
      : delta_(delta), self_(self), num_parties_(num_parties), block_bytes_(block_bytes) {}

  /// Record `record`, whose tag verified (Theorem 4: only such may be asked about); records in
  /// order.
  void add_verified(ByteView ciphertext);
  size_t verified() const { return ciphertexts_.size(); }
  /// The block (record, block) that a byte stands in.
  std::pair<uint32_t, uint32_t> block_of(const RecordByte& byte) const {
    return {byte.record, static_cast<uint32_t>(byte.at / block_bytes_)};
  }
  /// Keystream of these blocks.
  void add_keystream(std::span<const std::pair<uint32_t, uint32_t>> places,
                     const prep::AuthBits& keystream);
  bool has_block(const std::pair<uint32_t, uint32_t>& place) const {
    return blocks_.contains(place);
  }
  /// 8 bits a byte. The blocks are there and the records verified (asserted).
  prep::AuthBits bits(std::span<const RecordByte> bytes) const;
  void erase() { blocks_.clear(); }

 private:
  const Block delta_;
  const PartyId self_;
  const size_t num_parties_, block_bytes_;
  std::vector<ByteView> ciphertexts_;
  std::map<std::pair<uint32_t, uint32_t>, prep::AuthBits> blocks_;
};

/// Appends bytes that everybody knows, as authenticated bits.
void append_public(prep::AuthBits& bits, ByteView bytes, const Block& delta);
/// Those at these indices.
prep::AuthBits gather(const prep::AuthBits& bits, std::span<const size_t> indices);

}  // namespace flexroom::agent
