#include "prep/key_kernels.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "math/bit_matrix.h"
#include "ot/leaf_expander.h"

namespace flexroom::prep {
namespace {

constexpr size_t kByteValues = 256;
constexpr size_t kWordBits = 64;
constexpr size_t kColumns = 128;  // of a block

uint64_t word_of(ByteView h, size_t index) {
  uint64_t word;
  std::memcpy(&word, h.data() + index * sizeof word, sizeof word);
  return word;
}

// One chunk of 64 rows: its second half is put below the first, so that the columns of the
// transpose hold two strings each.
void transpose_64(const Block* rows, size_t length, size_t first, std::span<uint64_t> out,
                  BlockVec& scratch, BlockVec& columns) {
  const size_t tiles = (length + 1) / 2;
  for (size_t q = 0; q < kWordBits; ++q) {
    for (size_t p = 0; p < tiles; ++p) {
      scratch[q * tiles + p] = rows[q * length + p];
      scratch[(kWordBits + q) * tiles + p] =
          tiles + p < length ? rows[q * length + tiles + p] : Block();
    }
  }
  math::transpose_128(scratch.data(), tiles, columns.data(), tiles);
  for (size_t c = 0; c < kColumns * tiles; ++c) {
    const size_t low = first + c, high = low + kColumns * tiles;
    if (low < out.size()) out[low] = columns[c].lo;
    if (high < out.size()) out[high] = columns[c].hi;
  }
}

void transpose_128(const Block* rows, size_t length, size_t first, std::span<uint64_t> out,
                   BlockVec& columns) {
  math::transpose_128(rows, length, columns.data(), length);
  for (size_t c = 0; c < kColumns * length && 2 * (first + c) < out.size(); ++c) {
    out[2 * (first + c)] = columns[c].lo;
    out[2 * (first + c) + 1] = columns[c].hi;
  }
}

}  // namespace

math::SecretVector<uint64_t> strings_of_key_rows(const BlockVec& rows, size_t key_bits,
                                                 size_t items) {
  FLEXROOM_ASSERT(key_bits == kWordBits || key_bits == 2 * kWordBits);
  const size_t blocks = rows.size() / key_bits;
  FLEXROOM_ASSERT(kColumns * blocks >= items && rows.size() == blocks * key_bits);
  math::SecretVector<uint64_t> out(items * (key_bits / kWordBits));
  BlockVec scratch(kColumns * ot::kChunkBlocks), columns(kColumns * ot::kChunkBlocks);
  for (size_t at = 0; at < blocks; at += ot::kChunkBlocks) {
    const size_t length = std::min(ot::kChunkBlocks, blocks - at);
    const Block* const chunk = rows.data() + key_bits * at;
    if (key_bits == kWordBits) {
      transpose_64(chunk, length, kColumns * at, out, scratch, columns);
    } else {
      transpose_128(chunk, length, kColumns * at, out, columns);
    }
  }
  return out;
}

void add_parities(std::span<const uint64_t> psi, ByteView h, size_t items, Bytes& out) {
  FLEXROOM_ASSERT(out.size() == (items + 7) / 8 && h.size() == psi.size() * sizeof(uint64_t));
  const size_t words = psi.size() / items;
  for (size_t t = 0; t < items; ++t) {
    uint64_t both = 0;
    for (size_t k = 0; k < words; ++k) both ^= psi[t * words + k] & word_of(h, t * words + k);
    const auto parity = static_cast<unsigned>(std::popcount(both) & 1);
    out[t / 8] = static_cast<uint8_t>(out[t / 8] ^ (parity << (t % 8)));
  }
}

void add_masks(BlockVec& blocks, std::span<const Block> key, ByteView h) {
  const size_t bytes = key.size() / 8;
  FLEXROOM_ASSERT(key.size() % 8 == 0 && h.size() == blocks.size() * bytes);
  BlockVec table(bytes * kByteValues);
  for (size_t b = 0; b < bytes; ++b) {
    Block* const entries = table.data() + b * kByteValues;
    for (size_t bit = 0; bit < 8; ++bit) {
      for (size_t value = 0; value < (size_t{1} << bit); ++value) {
        entries[value | size_t{1} << bit] = entries[value] ^ key[8 * b + bit];
      }
    }
  }
  const uint8_t* index = h.data();
  for (Block& block : blocks) {
    __m128i sum = block.m();
    for (size_t b = 0; b < bytes; ++b) {
      sum = _mm_xor_si128(sum, table[b * kByteValues + *index++].m());
    }
    block = sum;
  }
}

MaskedSums::MaskedSums(size_t key_bits)
    : key_bytes_(key_bits / 8), table_(key_bytes_ * kByteValues) {}

void MaskedSums::add(size_t first, std::span<const Block> weights, ByteView h) {
  FLEXROOM_ASSERT((first + weights.size()) * key_bytes_ <= h.size());
  const uint8_t* index = h.data() + first * key_bytes_;
  for (const Block& weight : weights) {
    for (size_t b = 0; b < key_bytes_; ++b) table_[b * kByteValues + *index++] ^= weight;
  }
}

BlockVec MaskedSums::values() const {
  BlockVec out(8 * key_bytes_);
  for (size_t b = 0; b < key_bytes_; ++b) {
    for (size_t value = 0; value < kByteValues; ++value) {
      for (size_t bit = 0; bit < 8; ++bit) {
        if ((value >> bit & 1) != 0) out[8 * b + bit] ^= table_[b * kByteValues + value];
      }
    }
  }
  return out;
}

}  // namespace flexroom::prep
