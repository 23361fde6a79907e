#include "prep/memory_safety.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "prep/cheat_effect.h"

namespace flexroom::prep {

void MemorySafety::require_preprocessing_allowed() {
  const std::lock_guard lock(mutex_);
  require_room_for(1);
}

void MemorySafety::require_room_for(size_t count) const {
  if (burned_) {
    throw ProtocolAbort(AbortCode::kEpochBurned, "preprocessing", "the epoch is burned");
  }
  if (dirty_ + count > dirty_max_ || life_ + count > life_max_) {
    throw ProtocolAbort(AbortCode::kTooManyUnfinished, "preprocessing",
                        std::to_string(dirty_) + " unfinished batches in this epoch (limit " +
                            std::to_string(dirty_max_) + "), " + std::to_string(life_) +
                            " with these members (limit " + std::to_string(life_max_) + ")");
  }
}

void MemorySafety::begin_batches(size_t count) {
  const std::lock_guard lock(mutex_);
  require_room_for(count);
  dirty_ += count;
  life_ += count;
}

void MemorySafety::finish_batches(size_t count) {
  const std::lock_guard lock(mutex_);
  FLEXROOM_ASSERT(dirty_ >= count);
  dirty_ -= count;
  if (!burned_) life_ -= std::min(life_, count);
}

void MemorySafety::burn(AbortCode code) {
  const std::lock_guard lock(mutex_);
  if (cheat_effect(code) != CheatEffect::kOneMore) {
    life_ = std::max(life_, life_max_);
  } else if (!burned_) {
    ++life_;
  }
  burned_ = true;
}

size_t MemorySafety::dirty() const {
  const std::lock_guard lock(mutex_);
  return dirty_;
}

size_t MemorySafety::life() const {
  const std::lock_guard lock(mutex_);
  return life_;
}

}  // namespace flexroom::prep
