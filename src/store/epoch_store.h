#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// The sealed state of the epoch shared with one set of members (global key, base OT leaves), as
/// opaque bytes; `room` is its id. Newest only: the keys of
/// one that is burned or over are overwritten.
class EpochStore {
 public:
  static constexpr std::string_view kKind = "epoch";

  /// Another `kind` keeps epochs beside the current ones.
  explicit EpochStore(SealedDb& db, std::string_view kind = kKind) : db_(db), kind_(kind) {}
  struct Saved {
    Digest epoch_id{};
    SecretBytes state;
    uint64_t made = 0;  // Unix seconds by this member's clock; 0: not known
  };
  void save(const Digest& room, const Saved& epoch);
  std::optional<Saved> load(const Digest& room);
  void erase(const Digest& room) { db_.remove(kind_, room); }

 private:
  SealedDb& db_;
  std::string kind_;
};

/// A staged one (epoch_change.h).
inline constexpr std::string_view kNextEpoch = "epoch/next";

}  // namespace flexroom::store
