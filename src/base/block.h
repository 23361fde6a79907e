#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

namespace flexroom {

/// 128 bits. Bit t is bit (t mod 8) of byte t/8 (boolean-engine.md §2.1). XOR is addition in
/// GF(2^128) and of labels; everything else is in math/gf128.h.
struct alignas(16) Block {
  uint64_t lo = 0;
  uint64_t hi = 0;

  constexpr Block() = default;
  constexpr Block(uint64_t high, uint64_t low) : lo(low), hi(high) {}
  // NOLINTNEXTLINE(google-explicit-constructor): the intrinsic type is the same thing
  Block(__m128i v) { _mm_store_si128(reinterpret_cast<__m128i*>(this), v); }
  __m128i m() const { return _mm_load_si128(reinterpret_cast<const __m128i*>(this)); }

  bool bit(unsigned t) const { return ((t < 64 ? lo >> t : hi >> (t - 64)) & 1) != 0; }
  bool lsb() const { return (lo & 1) != 0; }
  void set_bit(unsigned t, bool value) {
    uint64_t& word = t < 64 ? lo : hi;
    const unsigned s = t & 63;
    word = (word & ~(uint64_t{1} << s)) | (static_cast<uint64_t>(value) << s);
  }

  friend Block operator^(const Block& a, const Block& b) { return _mm_xor_si128(a.m(), b.m()); }
  friend Block operator&(const Block& a, const Block& b) { return _mm_and_si128(a.m(), b.m()); }
  Block& operator^=(const Block& b) { return *this = *this ^ b; }

  /// Variable time is fine for public values only; secrets use ct_equal (base/ct.h).
  friend bool operator==(const Block& a, const Block& b) { return a.lo == b.lo && a.hi == b.hi; }
  friend bool operator!=(const Block& a, const Block& b) { return !(a == b); }
};
static_assert(sizeof(Block) == 16 && std::is_trivially_copyable_v<Block>);

/// All ones if `bit`, else zero; no branch.
inline Block mask_if(bool bit) {
  const uint64_t m = 0 - static_cast<uint64_t>(bit);
  return {m, m};
}
/// `value` if `bit`, else zero; no branch.
inline Block select(bool bit, const Block& value) { return value & mask_if(bit); }

inline Block load_block(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline void store_block(uint8_t* p, const Block& b) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), b.m());
}
inline ByteView block_bytes(const Block& b) {
  return {reinterpret_cast<const uint8_t*>(&b), sizeof(Block)};
}

/// How an array of blocks is seen; who owns the memory is what derives from it.
class BlockArray {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Block* data() { return data_; }
  const Block* data() const { return data_; }
  Block& operator[](size_t i) { return data_[i]; }
  const Block& operator[](size_t i) const { return data_[i]; }
  Block* begin() { return data_; }
  Block* end() { return data_ + size_; }
  const Block* begin() const { return data_; }
  const Block* end() const { return data_ + size_; }
  std::span<Block> span() { return {data_, size_}; }
  std::span<const Block> span() const { return {data_, size_}; }
  ByteView bytes() const {
    return {reinterpret_cast<const uint8_t*>(data_), size_ * sizeof(Block)};
  }
  std::span<uint8_t> mutable_bytes() {
    return {reinterpret_cast<uint8_t*>(data_), size_ * sizeof(Block)};
  }

 protected:
  BlockArray() = default;
  ~BlockArray() = default;
  /// The other one is left empty.
  BlockArray(BlockArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  BlockArray& operator=(BlockArray&& other) noexcept {
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  Block* data_ = nullptr;
  size_t size_ = 0;
};

/// A move-only array of blocks that is wiped when it is destroyed or shrunk, 64-byte aligned unless
/// it is a part of another. Contents are uninitialised after BlockVec(n, uninitialised) and zero
/// after BlockVec(n).
///
/// Large arrays can be handed over in parts without a copy: the parts share one allocation, which
/// is freed with the last of them; each part wipes its own blocks.
class BlockVec : public BlockArray {
 public:
  struct Uninitialised {};
  static constexpr Uninitialised uninitialised{};

  BlockVec() = default;
  explicit BlockVec(size_t n);
  BlockVec(size_t n, Uninitialised);
  BlockVec(BlockVec&& other) noexcept
      : BlockArray(std::move(other)), slab_(std::exchange(other.slab_, nullptr)) {}
  BlockVec& operator=(BlockVec&& other) noexcept;
  BlockVec(const BlockVec&) = delete;
  BlockVec& operator=(const BlockVec&) = delete;
  ~BlockVec();

  /// The first `count` blocks leave this array, which keeps the rest. Nothing is copied unless the
  /// part is too small to hold a large allocation alive.
  BlockVec take_front(size_t count);
  /// Wipes what lies behind the first `count` blocks.
  void shrink(size_t count);

  /// A deliberate copy of secret material (a slice that stays authenticated under the same keys).
  BlockVec clone() const;
  BlockVec slice(size_t offset, size_t count) const;

 private:
  struct Slab;
  void release();
  void leave_slab();
  Slab* slab_ = nullptr;
};

/// Makes the allocator keep what is freed: preprocessing frees and takes the same megabytes for
/// every batch, and fetching fresh pages for them took a tenth of its time. From then on the heap
/// also asks for huge pages, where the system allows them. Call it once, first.
void keep_freed_memory();

}  // namespace flexroom
