#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <functional>

namespace flexroom::support {

/// One clock of all members, some seconds later at each look: nobody waits ten minutes in a test.
class SharedClock {
 public:
  SharedClock()
      : ahead_(new (mmap(nullptr, sizeof(std::atomic<int64_t>), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<int64_t>(0)) {}
  ~SharedClock() { munmap(ahead_, sizeof *ahead_); }
  SharedClock(const SharedClock&) = delete;
  SharedClock& operator=(const SharedClock&) = delete;
  std::function<int64_t()> looks() const {
    return [ahead = ahead_] { return std::time(nullptr) + ahead->fetch_add(kPerLook); };
  }

 private:
  static constexpr int64_t kPerLook = 15;
  std::atomic<int64_t>* const ahead_;
};

}  // namespace flexroom::support
