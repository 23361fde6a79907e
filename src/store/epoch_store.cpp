#include "store/epoch_store.h"

#include "store/row_reader.h"

namespace flexroom::store {

void EpochStore::save(const Digest& room, const Saved& epoch) {
  db_.put(kind_, room, Writer().raw(epoch.epoch_id).u64(epoch.made).bytes(), epoch.state.reveal());
}

std::optional<EpochStore::Saved> EpochStore::load(const Digest& room) {
  auto row = db_.get(kind_, room);
  if (!row) return std::nullopt;
  RowReader in(row->meta, "state.db, an epoch");
  Saved saved;
  saved.epoch_id = in.digest();
  if (in.remaining() > 0) saved.made = in.u64();  // rows of before had no time
  in.finish();
  saved.state = std::move(row->secret);
  return saved;
}

}  // namespace flexroom::store
