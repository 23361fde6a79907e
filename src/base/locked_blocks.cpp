#include "base/locked_blocks.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <utility>

#include "base/secret.h"

namespace flexroom {
namespace {

std::atomic<bool> all_locked = true;

size_t page_bytes(size_t blocks) {
  static const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (blocks * sizeof(Block) + page - 1) / page * page;
}

}  // namespace

LockedBlocks::LockedBlocks(size_t n) {
  size_ = n;
  if (n == 0) return;
  const size_t bytes = page_bytes(n);
  void* const pages =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  madvise(pages, bytes, MADV_DONTDUMP);
  if (mlock(pages, bytes) != 0) all_locked = false;
  data_ = static_cast<Block*>(pages);
}

LockedBlocks::LockedBlocks(std::span<const Block> blocks) : LockedBlocks(blocks.size()) {
  if (!blocks.empty()) {
    std::memcpy(static_cast<void*>(data_), blocks.data(), blocks.size_bytes());
  }
}

LockedBlocks::LockedBlocks(LockedBlocks&& other) noexcept : BlockArray(std::move(other)) {}

LockedBlocks& LockedBlocks::operator=(LockedBlocks&& other) noexcept {
  if (this != &other) {
    release();
    BlockArray::operator=(std::move(other));
  }
  return *this;
}

void LockedBlocks::release() noexcept {
  if (data_ == nullptr) return;
  wipe(data_, size_ * sizeof(Block));
  munmap(data_, page_bytes(size_));  // the lock goes with the pages
  data_ = nullptr;
  size_ = 0;
}

bool keys_are_locked() { return all_locked; }

}  // namespace flexroom
