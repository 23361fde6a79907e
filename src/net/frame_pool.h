#pragma once

#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace flexroom::net {

/// Buffers of frames that were sent or read, for the next ones: a batch sends and receives the same
/// sizes again and again, and fresh pages cost more than the copy into them. Any thread.
class FramePool {
 public:
  /// A buffer of `size` bytes whose content is undefined.
  Bytes take(size_t size) {
    if (size < kWorthKeeping) return Bytes(size);
    {
      const std::lock_guard lock(mutex_);
      for (auto it = buffers_.rbegin(); it != buffers_.rend(); ++it) {
        if (it->capacity() < size) continue;
        Bytes out = std::move(*it);
        buffers_.erase(std::next(it).base());
        held_ -= out.capacity();
        out.resize(size);
        return out;
      }
    }
    return Bytes(size);
  }

  void give(Bytes buffer) {
    if (buffer.capacity() < kWorthKeeping || buffer.capacity() > kMaxHeld) return;
    const std::lock_guard lock(mutex_);
    if (held_ + buffer.capacity() > kMaxHeld) return;
    held_ += buffer.capacity();
    buffers_.push_back(std::move(buffer));
  }

 private:
  static constexpr size_t kWorthKeeping = size_t{4} << 10;
  static constexpr size_t kMaxHeld = size_t{6} << 20;  // for all links of a mesh

  std::mutex mutex_;
  std::vector<Bytes> buffers_;
  size_t held_ = 0;
};

}  // namespace flexroom::net
