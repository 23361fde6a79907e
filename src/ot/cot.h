#pragma once

#include <optional>
#include <span>

#include "net/party.h"
#include "ot/batch_key.h"
#include "ot/leaf_expander.h"
#include "ot/pair_setup.h"

namespace flexroom::ot {

/// What both ends of a batch hold in the same shape, and where it stands in their streams.
struct CotBatch {
  uint64_t next_block = 0;  // of all streams
  size_t count = 0;         // of the batch under way, 0 if none
  size_t blocks = 0;        // 128-column chunks used, without the sacrificed one
  BlockVec rows;            // by chunks of kChunkBlocks: [chunk][row][block]
  BlockVec last_rows;       // sacrificed columns [128]
  BlockVec key_rows, last_key_rows;

  /// Slabs for so many COTs and rows of a masking key. Returns where its streams begin; they move
  /// on before anything is sent.
  uint64_t begin(size_t cots, size_t key_bits);
};

/// Correlated OT of one direction of one pair in one session: K at the sender, M and choice bits u
/// at the receiver with M = K + u * Delta; bits 0 and 1 of both are pinned (§2.1).
///
/// Protocol   boolean-engine.md §4.2: SoftSpoken subspace VOLE of [Roy22] (ePrint 2022/192) with
///            the row-wise check; 128 columns of each batch are sacrificed. With the trees of a
///            masking key (engine-v2.md §2.3) the same u also makes K rows N = L + u * Gamma: one
///            vector of corrections a tree, one check over all 128 + K rows
/// Guarantee  after finish(), M and K are a COT of some bit vector u under the sender's Delta with
///            its pinned bits, whatever the sender used there; a cheating receiver passes with
///            2^-128 or by guessing bits of Delta or Gamma
/// Cost       k = 4: 3.9 bytes a COT (4.0 with chosen bits), 3 flows a batch
/// Aborts     kRowCheck at the sender; the batch is then erased and the session dead. Stream
///            counters move on before anything is sent, so that none is used twice
///
/// Flow of a batch: receiver send_corrections; sender receive_corrections (sends the check seed);
/// receiver answer; sender finish. The seeds and Delta must outlive both ends.
class CotReceiver {
 public:
  CotReceiver(net::Party& party, PartyId sender, const PairSeeds& seeds, uint16_t lane);

  /// `count` COTs with random choice bits, or with `choices` (packed, LSB first). The sacrificed
  /// columns are random and fresh in either case. `key`: its trees make rows in this batch and in
  /// no other; their message left before.
  void send_corrections(size_t count, std::optional<ByteView> choices = std::nullopt,
                        std::optional<KeyTreesOwner> key = std::nullopt);
  /// Answers the row check. Returns M [count]. They may be used for anything that is checked
  /// against K; the sender has verified them when its finish() returns.
  BlockVec answer();
  /// The key rows N of the batch that was answered last: by chunks of kChunkBlocks,
  /// [chunk][row][block], columns beyond `count` random. Neither transposed nor pinned.
  BlockVec take_key_rows() { return std::move(batch_.key_rows); }

 private:
  size_t key_bits() const { return key_ ? key_->shape().key_bits : 0; }
  size_t key_trees() const { return key_ ? key_->shape().num_trees() : 0; }
  void fill_choices(std::optional<ByteView> choices, size_t count);

  net::Party& party_;
  PartyId sender_;
  PprfShape shape_;
  LeafExpander leaves_;
  CotBatch batch_;
  BlockVec choices_;  // u [blocks of the batch]
  Block last_choices_;
  std::optional<KeyTreesOwner> key_;  // of the batch under way
};

class CotSender {
 public:
  CotSender(net::Party& party, PartyId receiver, const PairSeeds& seeds, const Block& delta,
            uint16_t lane);

  /// `key`: trees whose check passed. The seed of the row check leaves at the end.
  void receive_corrections(size_t count, bool chosen = false,
                           std::optional<KeyTreesHolder> key = std::nullopt);
  /// Waits for the answer; compares nothing yet.
  void receive_answer();
  /// Verifies the answer (class A: the caller notes it, verdict.h). Returns K [count].
  BlockVec finish();
  /// The key rows L of the batch that was finished last, as CotReceiver::take_key_rows().
  BlockVec take_key_rows() { return std::move(batch_.key_rows); }

 private:
  size_t key_bits() const { return key_ ? key_->shape().key_bits : 0; }
  size_t key_trees() const { return key_ ? key_->shape().num_trees() : 0; }
  bool key_bit_of_row(size_t row) const;

  net::Party& party_;
  PartyId receiver_;
  PprfShape shape_;
  const Block& delta_;
  LeafExpander leaves_;
  CotBatch batch_;
  Block seed_;
  std::optional<KeyTreesHolder> key_;  // of the batch under way
  std::optional<Block> difference_;    // zero if the answer is right
};

}  // namespace flexroom::ot
