#pragma once

#include <memory>
#include <vector>

#include "base/secret.h"

namespace flexroom::math {

/// Allocator that wipes memory before it goes back, so that a vector of secrets leaves nothing
/// behind when it grows or dies.
template <typename T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <typename U>
  explicit WipingAllocator(const WipingAllocator<U>& /*other*/) {}
  T* allocate(size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* p, size_t n) {
    wipe(p, n * sizeof(T));
    std::allocator<T>().deallocate(p, n);
  }
  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
};

template <typename T>
using SecretVector = std::vector<T, WipingAllocator<T>>;

/// One secret value, wiped when it goes out of scope.
template <typename T>
class Wiped {
 public:
  Wiped() = default;
  explicit Wiped(const T& v) : value(v) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { wipe(&value, sizeof(T)); }
  T value{};
};

}  // namespace flexroom::math
