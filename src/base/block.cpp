#include "base/block.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>
#include <new>

#include "base/secret.h"

namespace flexroom {

BlockVec::BlockVec(size_t n, Uninitialised) : size_(n) {
  if (n == 0) return;
  const size_t bytes = (n * sizeof(Block) + 63) / 64 * 64;
  data_ = static_cast<Block*>(std::aligned_alloc(64, bytes));
  if (data_ == nullptr) throw std::bad_alloc();
}

BlockVec::BlockVec(size_t n) : BlockVec(n, uninitialised) {
  if (n != 0) std::memset(static_cast<void*>(data_), 0, n * sizeof(Block));
}

BlockVec& BlockVec::operator=(BlockVec&& other) noexcept {
  if (this != &other) {
    release();
    data_ = other.data_;
    size_ = other.size_;
    other.data_ = nullptr;
    other.size_ = 0;
  }
  return *this;
}

BlockVec::~BlockVec() { release(); }

void BlockVec::release() {
  if (data_ == nullptr) return;
  wipe(data_, size_ * sizeof(Block));
  std::free(data_);
  data_ = nullptr;
  size_ = 0;
}

void BlockVec::discard() {
  if (data_ == nullptr) return;
  wipe(data_, size_ * sizeof(Block));
  // The whole pages among them; what lies beside belongs to others, the allocator included.
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(data_) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(data_ + size_) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  std::free(data_);
  data_ = nullptr;
  size_ = 0;
}

BlockVec BlockVec::clone() const { return slice(0, size_); }

BlockVec BlockVec::slice(size_t offset, size_t count) const {
  FLEXROOM_ASSERT(offset <= size_ && count <= size_ - offset);
  BlockVec out(count, uninitialised);
  if (count != 0) {
    std::memcpy(static_cast<void*>(out.data_), data_ + offset, count * sizeof(Block));
  }
  return out;
}

void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  ::mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace flexroom
