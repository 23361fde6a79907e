#include "ot/leaf_expander.h"

#include <immintrin.h>

#include "base/error.h"
#include "base/secret.h"

namespace flexroom::ot {
namespace {

inline void store(Block* p, __m128i v) { _mm_store_si128(reinterpret_cast<__m128i*>(p), v); }
inline void store(Block* p, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
inline void load(const Block* p, __m128i& v) { v = p->m(); }
inline void load(const Block* p, __m256i& v) {
  v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline __m128i add(__m128i a, __m128i b) { return _mm_xor_si128(a, b); }
inline __m256i add(__m256i a, __m256i b) { return _mm256_xor_si256(a, b); }

// One position of all 2^K streams: a butterfly. In step b the odd entries of the current list are
// those with bit b set; their sum is row b, and neighbours are merged for the next step.
template <unsigned K, typename V>
inline void fold_at(const Block* streams, Block* rows, Block* sum, size_t count, size_t t) {
  V s[size_t{1} << K];
  for (size_t y = 0; y < (size_t{1} << K); ++y) load(streams + y * kChunkBlocks + t, s[y]);
  for (unsigned b = 0; b < K; ++b) {
    const size_t half = size_t{1} << (K - 1 - b);
    V row = s[1];
    s[0] = add(s[0], s[1]);
    for (size_t y = 1; y < half; ++y) {
      row = add(row, s[2 * y + 1]);
      s[y] = add(s[2 * y], s[2 * y + 1]);
    }
    store(rows + b * count + t, row);
  }
  store(sum + t, s[0]);
}

template <unsigned K>
void fold(const Block* streams, Block* rows, Block* sum, size_t count) {
  size_t t = 0;
  for (; t + 2 <= count; t += 2) fold_at<K, __m256i>(streams, rows, sum, count, t);
  for (; t < count; ++t) fold_at<K, __m128i>(streams, rows, sum, count, t);
}

}  // namespace

uint64_t first_of_run(uint64_t next, size_t blocks) {
  FLEXROOM_ASSERT(blocks > 0 && blocks <= kPieceBlocks);
  const uint64_t piece = next / kPieceBlocks;
  const bool fits = (next + blocks - 1) / kPieceBlocks == piece;
  return fits ? next : (piece + 1) * kPieceBlocks;
}

LeafExpander::LeafExpander(const PprfShape& shape, std::span<const Block> leaves, bool punctured,
                           const PairContext& session)
    : shape_(shape),
      leaves_(leaves),
      punctured_(punctured),
      session_(session),
      scratch_(shape.leaves_per_tree() * kChunkBlocks) {
  FLEXROOM_ASSERT(leaves.size() == shape.num_leaves());
  for (size_t v = 0; v < shape.num_trees(); ++v) {
    ivs_.push_back(
        RandomOracle("iv", session.scope, session.lane, session.cot_sender, session.cot_receiver)
            .field(session.batch_id)
            .field(uint64_t{v})
            .block());
  }
  enter_piece(0);
}

void LeafExpander::enter_piece(uint64_t piece) {
  piece_ = piece;
  streams_.clear();
  streams_.reserve(leaves_.size());
  for (const Block& leaf : leaves_) {
    Block key = RandomOracle("ses", session_.scope, session_.lane, session_.cot_sender,
                             session_.cot_receiver)
                    .field(leaf)
                    .field(session_.batch_id)
                    .field(piece)
                    .block();
    streams_.emplace_back(key);
    wipe(&key, sizeof key);
  }
}

void LeafExpander::expand(uint64_t first, size_t count, Block* rows, Block* sums) {
  FLEXROOM_ASSERT(count > 0 && count <= kChunkBlocks);
  FLEXROOM_ASSERT((first + count - 1) / kPieceBlocks == first / kPieceBlocks);
  if (first / kPieceBlocks != piece_) enter_piece(first / kPieceBlocks);
  const size_t leaves = shape_.leaves_per_tree();
  const size_t k = shape_.subfield_bits;
  for (size_t v = 0; v < shape_.num_trees(); ++v) {
    // If punctured, stream 0 of the scratch was zeroed on construction and is never written.
    for (size_t y = punctured_ ? 1 : 0; y < leaves; ++y) {
      streams_[v * leaves + y].ctr(ivs_[v], first, {scratch_.data() + y * kChunkBlocks, count});
    }
    Block* const row = rows + k * v * count;
    Block* const sum = sums + v * count;
    switch (k) {
      case 2:
        fold<2>(scratch_.data(), row, sum, count);
        break;
      case 4:
        fold<4>(scratch_.data(), row, sum, count);
        break;
      case 8:
        fold<8>(scratch_.data(), row, sum, count);
        break;
      default:
        FLEXROOM_ASSERT(false);
    }
  }
}

}  // namespace flexroom::ot
