#pragma once

#include "base/block.h"

namespace flexroom {

/// Blocks that are as secret as a private key and live as long as an epoch is in use: global keys,
/// leaves, base-OT choices (boolean-engine.md §10.3). In pages of their own, which are kept out of
/// swap and core dumps where the system allows it, and wiped before they are given back. Move-only;
/// data() stays the same when the object moves.
class LockedBlocks : public BlockArray {
 public:
  LockedBlocks() = default;
  explicit LockedBlocks(size_t n);  // zeros
  explicit LockedBlocks(std::span<const Block> blocks);
  LockedBlocks(LockedBlocks&& other) noexcept;
  LockedBlocks& operator=(LockedBlocks&& other) noexcept;
  LockedBlocks(const LockedBlocks&) = delete;
  LockedBlocks& operator=(const LockedBlocks&) = delete;
  ~LockedBlocks() { release(); }

  LockedBlocks clone() const { return LockedBlocks(span()); }

 private:
  void release() noexcept;
};

/// One of them. Reads as a Block; a reference to it stays good while the object lives, also when it
/// moves, so that what works with the key needs no copy of its own.
class LockedBlock {
 public:
  LockedBlock() : block_(1) {}
  explicit LockedBlock(const Block& value) : block_({&value, 1}) {}
  LockedBlock& operator=(const Block& value) {
    writable() = value;
    return *this;
  }

  // NOLINTNEXTLINE(google-explicit-constructor): it is a block, kept better
  operator const Block&() const { return block_[0]; }
  Block& writable() {
    if (block_.empty()) block_ = LockedBlocks(1);
    return block_[0];
  }
  bool bit(unsigned t) const { return block_[0].bit(t); }
  bool lsb() const { return block_[0].lsb(); }
  void set_bit(unsigned t, bool value) { writable().set_bit(t, value); }

 private:
  LockedBlocks block_;
};

/// False once the system refused to lock some of these pages (RLIMIT_MEMLOCK): they are wiped all
/// the same, but may have been written to swap.
bool keys_are_locked();

}  // namespace flexroom
