#include "store/epoch_store.h"

#include "base/codec.h"

namespace flexroom::store {

std::optional<EpochStore::Saved> EpochStore::load(const Digest& room) {
  auto row = db_.get("epoch", room);
  if (!row) return std::nullopt;
  Reader in(row->meta, "stored epoch");
  Saved saved{in.digest(), std::move(row->secret)};
  in.finish();
  return saved;
}

}  // namespace flexroom::store
