#pragma once

#include <optional>

#include "base/hash.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// The sealed state of the epoch shared with one set of members (global key, base OT leaves), as
/// opaque bytes; `room` is the digest of the members' fingerprints. Newest only: a burned or
/// refreshed epoch's keys are overwritten.
class EpochStore {
 public:
  explicit EpochStore(SealedDb& db) : db_(db) {}
  void save(const Digest& room, const Digest& epoch_id, const SecretBytes& state) {
    db_.put("epoch", room, epoch_id, state.reveal());
  }
  struct Saved {
    Digest epoch_id{};
    SecretBytes state;
  };
  std::optional<Saved> load(const Digest& room);
  void erase(const Digest& room) { db_.remove("epoch", room); }

 private:
  SealedDb& db_;
};

}  // namespace flexroom::store
