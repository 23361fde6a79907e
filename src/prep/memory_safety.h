#pragma once

#include <functional>
#include <mutex>

#include "base/error.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// Safety counters that live as long as the process: tests, benchmarks and the in-memory demo. A
/// member that keeps an epoch on disk uses the store's, which survive a crash (boolean-engine.md
/// §8.2). Thread-safe.
class MemorySafety : public Safety {
 public:
  explicit MemorySafety(unsigned dirty_max = 16, unsigned life_max = 64)
      : dirty_max_(dirty_max), life_max_(life_max) {}

  void require_preprocessing_allowed() override;
  void begin_batches(size_t count) override;
  void finish_batches(size_t count) override;

  /// A boolean cheat was seen: nothing goes on in this epoch. LIFE as prep/cheat_effect.h says; it
  /// is one number for all peers.
  void burn(AbortCode code);

  size_t dirty() const;
  size_t life() const;

 private:
  void require_room_for(size_t count) const;  // the lock is held

  mutable std::mutex mutex_;
  const size_t dirty_max_, life_max_;
  size_t dirty_ = 0, life_ = 0;
  bool burned_ = false;
};

}  // namespace flexroom::prep
