#include "base/block.h"

#include <cstdlib>
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

BlockVec BlockVec::clone() const { return slice(0, size_); }

BlockVec BlockVec::slice(size_t offset, size_t count) const {
  FLEXROOM_ASSERT(offset <= size_ && count <= size_ - offset);
  BlockVec out(count, uninitialised);
  if (count != 0) {
    std::memcpy(static_cast<void*>(out.data_), data_ + offset, count * sizeof(Block));
  }
  return out;
}

}  // namespace flexroom
