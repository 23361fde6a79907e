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

struct Labels {
  std::string_view corrections, seed, answer;
};
constexpr Labels kPlain{"cot/corrections", "cot/check seed", "cot/check answer"};
constexpr Labels kKeyed{"key cot/corrections", "key cot/check seed", "key cot/check answer"};
const Labels& labels(bool keyed) { return keyed ? kKeyed : kPlain; }

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

// h(row) += sum_q chi_q * row_q for the rows of a chunk.
void combine_rows(const math::ChiStream& chi, size_t first, size_t count, const Block* rows,
                  std::span<math::GfSum> sums) {
  Block coefficients[kChunkBlocks];
  chi.fill(first, {coefficients, count});
  for (size_t r = 0; r < sums.size(); ++r) {
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

uint64_t CotBatch::begin(size_t cots, size_t key_bits) {
  FLEXROOM_ASSERT(cots > 0 && count == 0);
  count = cots;
  blocks = blocks_for(cots);
  const uint64_t base = first_of_run(next_block, blocks + 1);
  next_block = base + blocks + 1;
  rows = BlockVec(kRows * blocks, BlockVec::uninitialised);
  last_rows = BlockVec(kRows);
  key_rows = BlockVec(key_bits * blocks);
  last_key_rows = BlockVec(key_bits);
  return base;
}

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
  Block& tail = choices_[batch_.blocks - 1];
  tail = party_.prg().next_block();
  const Block fresh = tail;
  std::memcpy(static_cast<void*>(choices_.data()), choices->data(), choices->size());
  for (size_t t = count; t < 128 * batch_.blocks; ++t) {
    const auto place = static_cast<unsigned>(t % 128);
    tail.set_bit(place, fresh.bit(place));
  }
  last_choices_ = party_.prg().next_block();
}

void CotReceiver::send_corrections(size_t count, std::optional<ByteView> choices,
                                   std::optional<KeyTreesOwner> key) {
  key_ = std::move(key);
  const uint64_t base = batch_.begin(count, key_bits());
  choices_ = BlockVec(batch_.blocks);
  fill_choices(choices, count);

  const size_t trees = shape_.num_trees();
  const size_t skipped = choices ? 0 : 1;  // random bits: tree 0 needs no correction
  BlockVec sums(std::max(trees, key_trees()) * kChunkBlocks);
  BlockVec message;
  size_t filled = 0;
  const auto correct = [&](size_t from, size_t to, size_t length, const Block* u) {
    for (size_t v = from; v < to; ++v) {
      for (size_t t = 0; t < length; ++t) message[filled++] = sums[v * length + t] ^ u[t];
    }
  };
  const auto chunk = [&](size_t first, size_t length, Block* rows, Block* key_rows, Block* u) {
    leaves_.expand(base + first, length, rows, sums.data());
    if (!choices) std::memcpy(static_cast<void*>(u), sums.data(), length * sizeof(Block));
    correct(skipped, trees, length, u);
    if (!key_) return;
    key_->streams_.expand(first, length, key_rows, sums.data());  // of this batch alone: from 0
    correct(0, key_trees(), length, u);
  };
  for (size_t at = 0; at < batch_.blocks;) {
    const Piece piece = piece_at(at, batch_.blocks);
    message =
        BlockVec(piece.message_blocks(trees - skipped + key_trees()), BlockVec::uninitialised);
    filled = 0;
    for_chunks(piece.length, [&](size_t offset, size_t length) {
      const size_t first = piece.first + offset;
      chunk(first, length, batch_.rows.data() + kRows * first,
            batch_.key_rows.data() + key_bits() * first, choices_.data() + first);
    });
    if (piece.last) {
      chunk(batch_.blocks, 1, batch_.last_rows.data(), batch_.last_key_rows.data(), &last_choices_);
    }
    net::send_blocks(party_, sender_, labels(key_.has_value()).corrections, message.span());
    at += piece.length;
  }
}

BlockVec CotReceiver::answer() {
  FLEXROOM_ASSERT(batch_.count > 0);
  Block seed;
  net::receive_blocks(party_, sender_, labels(key_.has_value()).seed, {&seed, 1});
  const math::ChiStream chi(seed);
  std::vector<math::GfSum> sums(kRows + key_bits());
  const std::span<math::GfSum> row_sums(sums.data(), kRows),
      key_sums(sums.data() + kRows, key_bits());
  math::GfSum u_sum;
  chi.accumulate(u_sum, 0, choices_.span());
  u_sum.add(last_choices_);
  BlockVec scratch(kRows * kChunkBlocks);
  for_chunks(batch_.blocks, [&](size_t first, size_t length) {
    Block* const rows = batch_.rows.data() + kRows * first;
    combine_rows(chi, first, length, rows, row_sums);
    combine_rows(chi, first, length, batch_.key_rows.data() + key_bits() * first, key_sums);
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
  BlockVec message(1 + sums.size());
  message[0] = u_sum.value();
  for (size_t r = 0; r < sums.size(); ++r) {
    sums[r].add(r < kRows ? batch_.last_rows[r] : batch_.last_key_rows[r - kRows]);
    message[1 + r] = sums[r].value();
  }
  net::send_blocks(party_, sender_, labels(key_.has_value()).answer, message.span());
  batch_.last_rows = BlockVec();
  batch_.last_key_rows = BlockVec();
  key_.reset();
  choices_ = BlockVec();
  return truncated(std::move(batch_.rows), std::exchange(batch_.count, 0));
}

CotSender::CotSender(net::Party& party, PartyId receiver, const PairSeeds& seeds,
                     const Block& delta, uint16_t lane)
    : party_(party),
      receiver_(receiver),
      shape_{seeds.subfield_bits},
      delta_(delta),
      leaves_(shape_, seeds.sender_leaves.span(), true,
              session_of(party, party.id(), receiver, lane)) {}

void CotSender::receive_corrections(size_t count, bool chosen, std::optional<KeyTreesHolder> key) {
  key_ = std::move(key);
  const uint64_t base = batch_.begin(count, key_bits());

  const size_t trees = shape_.num_trees();
  const size_t skipped = chosen ? 0 : 1;
  BlockVec sums(std::max(trees, key_trees()) * kChunkBlocks);
  BlockVec message;
  size_t taken = 0;
  // W += a_v * c_v for the trees from `from` on, whose bits are those of `key`.
  const auto correct = [&](const PprfShape& shape, const Block& bits, size_t from, size_t length,
                           Block* rows) {
    const size_t k = shape.subfield_bits;
    for (size_t v = from; v < shape.num_trees(); ++v) {
      const Block* const c = message.data() + taken;
      taken += length;
      for (size_t b = 0; b < k; ++b) {
        const Block mask = mask_if(bits.bit(static_cast<unsigned>(k * v + b)));
        Block* const row = rows + (k * v + b) * length;
        for (size_t t = 0; t < length; ++t) row[t] ^= c[t] & mask;
      }
    }
  };
  const auto chunk = [&](size_t first, size_t length, Block* rows, Block* key_rows) {
    leaves_.expand(base + first, length, rows, sums.data());
    correct(shape_, delta_, skipped, length, rows);
    if (!key_) return;
    key_->streams_.expand(first, length, key_rows, sums.data());
    correct(key_->shape(), key_->key_[0], 0, length, key_rows);
  };
  for (size_t at = 0; at < batch_.blocks;) {
    const Piece piece = piece_at(at, batch_.blocks);
    message =
        BlockVec(piece.message_blocks(trees - skipped + key_trees()), BlockVec::uninitialised);
    taken = 0;
    net::receive_blocks(party_, receiver_, labels(key_.has_value()).corrections, message.span());
    for_chunks(piece.length, [&](size_t offset, size_t length) {
      const size_t first = piece.first + offset;
      chunk(first, length, batch_.rows.data() + kRows * first,
            batch_.key_rows.data() + key_bits() * first);
    });
    if (piece.last) chunk(batch_.blocks, 1, batch_.last_rows.data(), batch_.last_key_rows.data());
    at += piece.length;
  }
  // Only now that every correction of the batch is fixed.
  seed_ = party_.prg().next_block();
  net::send_blocks(party_, receiver_, labels(key_.has_value()).seed, {&seed_, 1});
}

// Row r of Delta || Gamma.
bool CotSender::key_bit_of_row(size_t row) const {
  const Block& key = row < kRows ? delta_ : key_->key_[0];
  return key.bit(static_cast<unsigned>(row % kRows));
}

void CotSender::receive_answer() {
  FLEXROOM_ASSERT(batch_.count > 0 && !difference_);
  const math::ChiStream chi(seed_);
  std::vector<math::GfSum> sums(kRows + key_bits());
  const std::span<math::GfSum> row_sums(sums.data(), kRows),
      key_sums(sums.data() + kRows, key_bits());
  BlockVec scratch(kRows * kChunkBlocks);
  for_chunks(batch_.blocks, [&](size_t first, size_t length) {
    Block* const rows = batch_.rows.data() + kRows * first;
    combine_rows(chi, first, length, rows, row_sums);
    combine_rows(chi, first, length, batch_.key_rows.data() + key_bits() * first, key_sums);
    // Pin: bits 0 and 1 of K are 0. With those of M this enforces bits 0 and 1 of Delta, whatever
    // the sender used.
    std::memset(static_cast<void*>(rows), 0, 2 * length * sizeof(Block));
    transpose_chunk(rows, length, scratch);
  });
  BlockVec message(1 + sums.size());
  net::receive_blocks(party_, receiver_, labels(key_.has_value()).answer, message.span());
  Block difference;
  for (size_t r = 0; r < sums.size(); ++r) {
    sums[r].add(r < kRows ? batch_.last_rows[r] : batch_.last_key_rows[r - kRows]);
    const Block diff = sums[r].value() ^ message[1 + r] ^ select(key_bit_of_row(r), message[0]);
    difference = _mm_or_si128(difference.m(), diff.m());
  }
  difference_ = difference;
}

BlockVec CotSender::finish() {
  FLEXROOM_ASSERT(difference_.has_value());
  batch_.last_rows = BlockVec();
  batch_.last_key_rows = BlockVec();
  key_.reset();  // its trees serve no other batch
  const size_t count = std::exchange(batch_.count, 0);
  const Block difference = *std::exchange(difference_, std::nullopt);
  if (!ct_equal(difference, Block())) {
    batch_.rows = BlockVec();
    batch_.key_rows = BlockVec();
    throw ProtocolAbort(AbortCode::kRowCheck, "cot/row check",
                        "the corrections are not those of one bit vector", receiver_);
  }
  return truncated(std::move(batch_.rows), count);
}

}  // namespace flexroom::ot
