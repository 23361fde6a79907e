#include "store/passing_epoch.h"

#include <utility>

namespace flexroom::store {

PassingEpoch::PassingEpoch(OnceDb& once, std::vector<MemberId> peers, OpenMark* mark)
    : once_(once), peers_(std::move(peers)), mark_(mark) {}

void PassingEpoch::require_preprocessing_allowed() {
  if (burned_) {
    throw ProtocolAbort(AbortCode::kEpochBurned, "hand-over", "a check failed in its epoch");
  }
  once_.require_room_in_life(peers_, 1);
}

void PassingEpoch::begin_batches(size_t count) {
  require_preprocessing_allowed();
  if (dirty_ + count > once_.limits().dirty_max) {
    throw ProtocolAbort(AbortCode::kTooManyUnfinished, "hand-over",
                        "too many batches ended without a verdict in its epoch");
  }
  once_.begin_in_life(peers_, count);
  dirty_ += count;
}

void PassingEpoch::finish_batches(size_t count) {
  FLEXROOM_ASSERT(dirty_ >= count);
  dirty_ -= count;
  once_.finish_in_life(peers_, count);
}

void PassingEpoch::before_verdict() {
  if (mark_ != nullptr) mark_->arm();
}
void PassingEpoch::after_verdict() {
  if (mark_ != nullptr) mark_->disarm();
}

void PassingEpoch::failed(const ProtocolAbort& abort, std::optional<size_t> peer) {
  if (abort.abort_class() != AbortClass::kBooleanCheat) return;
  const bool again = std::exchange(burned_, true);
  once_.fail_in_life(peers_, abort.code(), peer, again);
}

}  // namespace flexroom::store
