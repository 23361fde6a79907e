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
  SealedText(const Block& delta, PartyId self, size_t num_parties)
      : delta_(delta), self_(self), num_parties_(num_parties) {}

  /// Record `record`, whose tag verified (Theorem 4: only such may be asked about); records in
  /// order.
  void add_verified(ByteView ciphertext);
  size_t verified() const { return ciphertexts_.size(); }
  /// Keystream of these blocks (record, block), 128 bits each.
  void add_keystream(std::span<const std::pair<uint32_t, uint32_t>> places,
                     const prep::AuthBits& keystream);
  bool has_block(uint32_t record, uint32_t block) const {
    return blocks_.contains({record, block});
  }
  /// 8 bits a byte. The blocks are there and the records verified (asserted).
  prep::AuthBits bits(std::span<const RecordByte> bytes) const;
  void erase() { blocks_.clear(); }

 private:
  const Block delta_;
  const PartyId self_;
  const size_t num_parties_;
  std::vector<ByteView> ciphertexts_;
  std::map<std::pair<uint32_t, uint32_t>, prep::AuthBits> blocks_;
};

/// Appends bytes that everybody knows, as authenticated bits.
void append_public(prep::AuthBits& bits, ByteView bytes, const Block& delta);
/// Those at these indices.
prep::AuthBits gather(const prep::AuthBits& bits, std::span<const size_t> indices);

}  // namespace flexroom::agent
