#include "ot/cot.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ct.h"
#include "base/error.h"
#include "base/secret.h"
#include "math/bit_matrix.h"
#include "math/gf128.h"

namespace flexroom::ot {
namespace {

constexpr size_t kRows = 128;
constexpr size_t kPieceChunks = 8;  // chunks a message: 127 KB at k = 4
constexpr std::string_view kCorrectionLabel = "cot/corrections";
constexpr std::string_view kSeedLabel = "cot/check seed";
constexpr std::string_view kAnswerLabel = "cot/check answer";

size_t blocks_for(size_t count) { return (count + 127) / 128; }

// Calls f(first block, number of blocks) for every chunk of `blocks` blocks.
template <typename Chunk>
void for_chunks(size_t blocks, Chunk f) {
  for (size_t first = 0; first < blocks; first += kChunkBlocks) {
    f(first, std::min(kChunkBlocks, blocks - first));
  }
}

// The columns of one message: blocks [first, first + length), and the sacrificed block if last.
// Both ends cut a batch the same way, so lengths follow from its size alone.
struct Piece {
  size_t first, length;
  bool last;
  size_t message_blocks(size_t rows) const { return rows * (length + (last ? 1 : 0)); }
};

Piece piece_at(size_t first, size_t blocks) {
  const size_t length = std::min(kPieceChunks * kChunkBlocks, blocks - first);
  return {first, length, first + length == blocks};
}

PairContext session_of(const net::Party& party, PartyId sender, PartyId receiver, uint16_t lane) {
  return {party.scope(), sender, receiver, lane, 0};
}

// h(row) += sum_q chi_q * row_q for the 128 rows of a chunk.
void combine_rows(const math::ChiStream& chi, size_t first, size_t count, const Block* rows,
                  std::vector<math::GfSum>& sums) {
  Block coefficients[kChunkBlocks];
  chi.fill(first, {coefficients, count});
  for (size_t r = 0; r < kRows; ++r) {
    math::gf_accumulate(sums[r], {coefficients, count}, {rows + r * count, count});
  }
}

// Rows of a chunk to columns, in place by way of `scratch`.
void transpose_chunk(Block* rows, size_t count, BlockVec& scratch) {
  std::memcpy(static_cast<void*>(scratch.data()), rows, kRows * count * sizeof(Block));
  math::transpose_128(scratch.data(), count, rows, count);
}

BlockVec truncated(BlockVec&& all, size_t count) {
  all.shrink(count);
  return std::move(all);
}

}  // namespace

CotReceiver::CotReceiver(net::Party& party, PartyId sender, const PairSeeds& seeds, uint16_t lane)
    : party_(party),
      sender_(sender),
      shape_{seeds.subfield_bits},
      leaves_(shape_, seeds.receiver_leaves.span(), false,
              session_of(party, sender, party.id(), lane)) {}

// Choice bits u: given ones first, fresh random ones in the padding and in the sacrificed columns.
void CotReceiver::fill_choices(std::optional<ByteView> choices, size_t count) {
  if (!choices) return;  // u := u_0, copied while rows are made
  FLEXROOM_ASSERT(choices->size() == (count + 7) / 8);
  Block& tail = choices_[blocks_ - 1];
  tail = party_.prg().next_block();
  const Block fresh = tail;
  std::memcpy(static_cast<void*>(choices_.data()), choices->data(), choices->size());
  for (size_t t = count; t < 128 * blocks_; ++t) {
    const auto place = static_cast<unsigned>(t % 128);
    tail.set_bit(place, fresh.bit(place));
  }
  last_choices_ = party_.prg().next_block();
}

void CotReceiver::send_corrections(size_t count, std::optional<ByteView> choices) {
  FLEXROOM_ASSERT(count > 0 && count_ == 0);
  count_ = count;
  blocks_ = blocks_for(count);
  const uint64_t base = first_of_run(next_block_, blocks_ + 1);
  next_block_ = base + blocks_ + 1;
  rows_ = BlockVec(kRows * blocks_, BlockVec::uninitialised);
  choices_ = BlockVec(blocks_);
  last_rows_ = BlockVec(kRows);
  fill_choices(choices, count);

  const size_t trees = shape_.num_trees();
  const size_t skipped = choices ? 0 : 1;  // random bits: tree 0 needs no correction
  BlockVec sums(trees * kChunkBlocks);
  BlockVec message;
  size_t filled = 0;
  const auto chunk = [&](size_t first, size_t length, Block* rows, Block* u) {
    leaves_.expand(base + first, length, rows, sums.data());
    if (!choices) std::memcpy(static_cast<void*>(u), sums.data(), length * sizeof(Block));
    for (size_t v = skipped; v < trees; ++v) {
      for (size_t t = 0; t < length; ++t) message[filled++] = sums[v * length + t] ^ u[t];
    }
  };
  for (size_t at = 0; at < blocks_;) {
    const Piece piece = piece_at(at, blocks_);
    message = BlockVec(piece.message_blocks(trees - skipped), BlockVec::uninitialised);
    filled = 0;
    for_chunks(piece.length, [&](size_t offset, size_t length) {
      const size_t first = piece.first + offset;
      chunk(first, length, rows_.data() + kRows * first, choices_.data() + first);
    });
    if (piece.last) chunk(blocks_, 1, last_rows_.data(), &last_choices_);
    net::send_blocks(party_, sender_, kCorrectionLabel, message.span());
    at += piece.length;
  }
}

BlockVec CotReceiver::answer() {
  FLEXROOM_ASSERT(count_ > 0);
  Block seed;
  net::receive_blocks(party_, sender_, kSeedLabel, {&seed, 1});
  const math::ChiStream chi(seed);
  std::vector<math::GfSum> sums(kRows);
  math::GfSum u_sum;
  chi.accumulate(u_sum, 0, choices_.span());
  u_sum.add(last_choices_);
  BlockVec scratch(kRows * kChunkBlocks);
  for_chunks(blocks_, [&](size_t first, size_t length) {
    Block* const rows = rows_.data() + kRows * first;
    combine_rows(chi, first, length, rows, sums);
    // Pin: row 0 becomes u, so that bit0(M) = u; row 1 too if the sender is P_1, else zero (§2.1).
    const size_t row = length * sizeof(Block);
    std::memcpy(static_cast<void*>(rows), choices_.data() + first, row);
    if (sender_ == 0) {
      std::memcpy(static_cast<void*>(rows + length), choices_.data() + first, row);
    } else {
      std::memset(static_cast<void*>(rows + length), 0, row);
    }
    transpose_chunk(rows, length, scratch);
  });
  BlockVec message(1 + kRows);
  message[0] = u_sum.value();
  for (size_t r = 0; r < kRows; ++r) {
    sums[r].add(last_rows_[r]);
    message[1 + r] = sums[r].value();
  }
  net::send_blocks(party_, sender_, kAnswerLabel, message.span());
  last_rows_ = BlockVec();
  choices_ = BlockVec();
  return truncated(std::move(rows_), std::exchange(count_, 0));
}

CotSender::CotSender(net::Party& party, PartyId receiver, const PairSeeds& seeds,
                     const Block& delta, uint16_t lane)
    : party_(party),
      receiver_(receiver),
      shape_{seeds.subfield_bits},
      delta_(delta),
      leaves_(shape_, seeds.sender_leaves.span(), true,
              session_of(party, party.id(), receiver, lane)) {}

void CotSender::receive_corrections(size_t count, bool chosen) {
  FLEXROOM_ASSERT(count > 0 && count_ == 0);
  count_ = count;
  blocks_ = blocks_for(count);
  const uint64_t base = first_of_run(next_block_, blocks_ + 1);
  next_block_ = base + blocks_ + 1;
  rows_ = BlockVec(kRows * blocks_, BlockVec::uninitialised);
  last_rows_ = BlockVec(kRows);

  const size_t trees = shape_.num_trees();
  const size_t k = shape_.subfield_bits;
  const size_t skipped = chosen ? 0 : 1;
  BlockVec sums(trees * kChunkBlocks);
  BlockVec message;
  size_t taken = 0;
  const auto chunk = [&](size_t first, size_t length, Block* rows) {
    leaves_.expand(base + first, length, rows, sums.data());
    for (size_t v = skipped; v < trees; ++v) {
      const Block* const c = message.data() + taken;
      taken += length;
      for (size_t b = 0; b < k; ++b) {
        const Block mask = mask_if(delta_.bit(static_cast<unsigned>(k * v + b)));
        Block* const row = rows + (k * v + b) * length;
        for (size_t t = 0; t < length; ++t) row[t] ^= c[t] & mask;
      }
    }
  };
  for (size_t at = 0; at < blocks_;) {
    const Piece piece = piece_at(at, blocks_);
    message = BlockVec(piece.message_blocks(trees - skipped), BlockVec::uninitialised);
    taken = 0;
    net::receive_blocks(party_, receiver_, kCorrectionLabel, message.span());
    for_chunks(piece.length, [&](size_t offset, size_t length) {
      const size_t first = piece.first + offset;
      chunk(first, length, rows_.data() + kRows * first);
    });
    if (piece.last) chunk(blocks_, 1, last_rows_.data());
    at += piece.length;
  }
  // Only now that every correction of the batch is fixed.
  seed_ = party_.prg().next_block();
  net::send_blocks(party_, receiver_, kSeedLabel, {&seed_, 1});
}

void CotSender::receive_answer() {
  FLEXROOM_ASSERT(count_ > 0 && !difference_);
  const math::ChiStream chi(seed_);
  std::vector<math::GfSum> sums(kRows);
  BlockVec scratch(kRows * kChunkBlocks);
  for_chunks(blocks_, [&](size_t first, size_t length) {
    Block* const rows = rows_.data() + kRows * first;
    combine_rows(chi, first, length, rows, sums);
    // Pin: bits 0 and 1 of K are 0. With those of M this enforces bits 0 and 1 of Delta, whatever
    // the sender used.
    std::memset(static_cast<void*>(rows), 0, 2 * length * sizeof(Block));
    transpose_chunk(rows, length, scratch);
  });
  BlockVec message(1 + kRows);
  net::receive_blocks(party_, receiver_, kAnswerLabel, message.span());
  Block difference;
  for (size_t r = 0; r < kRows; ++r) {
    sums[r].add(last_rows_[r]);
    const Block diff =
        sums[r].value() ^ message[1 + r] ^ select(delta_.bit(static_cast<unsigned>(r)), message[0]);
    difference = _mm_or_si128(difference.m(), diff.m());
  }
  difference_ = difference;
}

BlockVec CotSender::finish() {
  FLEXROOM_ASSERT(difference_.has_value());
  last_rows_ = BlockVec();
  const size_t count = std::exchange(count_, 0);
  const Block difference = *std::exchange(difference_, std::nullopt);
  if (!ct_equal(difference, Block())) {
    rows_ = BlockVec();
    throw ProtocolAbort(AbortCode::kRowCheck, "cot/row check",
                        "the corrections are not those of one bit vector", receiver_);
  }
  return truncated(std::move(rows_), count);
}

}  // namespace flexroom::ot
