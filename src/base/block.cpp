#include "base/block.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

#include "base/secret.h"

namespace flexroom {

namespace {

// A smaller part is copied: it may live long and would hold a batch's memory.
constexpr size_t kSharedPart = size_t{1} << 12;
constexpr size_t kLargeBytes = size_t{128} << 10;

/// Where the part of the heap begins that has not asked for huge pages yet; 0: it never does.
std::atomic<uintptr_t> heap_without_advice{0};

// The heap grows by a whole top pad at once: what is new of it is advised before it is touched.
void advise_heap() {
  uintptr_t begin = heap_without_advice.load(std::memory_order_relaxed);
  if (begin == 0) return;
  const auto end = reinterpret_cast<uintptr_t>(::sbrk(0));
  if (end <= begin || !heap_without_advice.compare_exchange_strong(begin, end)) return;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace

/// Before the blocks of an allocation.
struct alignas(64) BlockVec::Slab {
  std::atomic<uint32_t> owners{1};
};

BlockVec::BlockVec(size_t n, Uninitialised) {
  size_ = n;
  if (n == 0) return;
  if (n > (SIZE_MAX - 2 * sizeof(Slab)) / sizeof(Block)) throw std::bad_alloc();
  const size_t bytes = sizeof(Slab) + (n * sizeof(Block) + 63) / 64 * 64;
  void* const memory = std::aligned_alloc(alignof(Slab), bytes);
  if (memory == nullptr) throw std::bad_alloc();
  slab_ = new (memory) Slab;
  data_ = reinterpret_cast<Block*>(static_cast<uint8_t*>(memory) + sizeof(Slab));
  if (bytes >= kLargeBytes) advise_heap();
}

BlockVec::BlockVec(size_t n) : BlockVec(n, uninitialised) {
  if (n != 0) std::memset(static_cast<void*>(data_), 0, n * sizeof(Block));
}

BlockVec& BlockVec::operator=(BlockVec&& other) noexcept {
  if (this != &other) {
    release();
    BlockArray::operator=(std::move(other));
    slab_ = std::exchange(other.slab_, nullptr);
  }
  return *this;
}

BlockVec::~BlockVec() { release(); }

void BlockVec::release() {
  if (data_ == nullptr) return;
  wipe(data_, size_ * sizeof(Block));
  leave_slab();
}

void BlockVec::leave_slab() {
  if (slab_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    slab_->~Slab();
    std::free(slab_);
  }
  data_ = nullptr;
  size_ = 0;
  slab_ = nullptr;
}

BlockVec BlockVec::take_front(size_t count) {
  FLEXROOM_ASSERT(count <= size_);
  if (count == size_) return std::move(*this);
  BlockVec out;
  if (count == 0) return out;
  if (count < kSharedPart) {
    out = slice(0, count);
    wipe(data_, count * sizeof(Block));
  } else {
    slab_->owners.fetch_add(1, std::memory_order_relaxed);
    out.data_ = data_;
    out.size_ = count;
    out.slab_ = slab_;
  }
  data_ += count;
  size_ -= count;
  return out;
}

void BlockVec::shrink(size_t count) {
  FLEXROOM_ASSERT(count <= size_);
  if (count == 0) return release();
  wipe(data_ + count, (size_ - count) * sizeof(Block));
  size_ = count;
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
  ::mallopt(M_TOP_PAD, 256 << 20);
  ::mallopt(M_ARENA_MAX, 1);  // what the threads of the links keep serves the others too
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  heap_without_advice = reinterpret_cast<uintptr_t>(::sbrk(0)) / page * page;
  // The heap takes its first step here, so that circuits too lie in advised memory.
  void* volatile step = std::malloc(size_t{1} << 20);
  std::free(step);
  advise_heap();
}

}  // namespace flexroom
