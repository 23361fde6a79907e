#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "net/party.h"
#include "prep/prep.h"
#include "store/epoch_store.h"
#include "store/secret_store.h"

namespace flexroom::store {

/// Moves all loaded forms of a room from its epoch to a new one (boolean-engine.md §8.4) in
/// state.db, in two phases over the members. For secrets of before there were rows, where their own
/// epoch makes no rows of them any more; rows belong to no epoch and stay where they are.
///
/// Staged     the new epoch and all records under it lie beside the old ones; nothing uses them
/// Committed  the new ones took the place of the old ones, whose shares and keys are erased; one
///            transaction
/// Guarantee  a member commits only when every member said, echoed, that it has staged the same.
///            Killed anywhere, the next settle() commits at all members or erases what was staged
///            at all of them. No answer of a peer makes a member give up the only copy of a secret:
///            it erases staged records only while nobody claims to have committed
/// Alone      one session of a member at a time may stage, commit or settle (SessionLock): with
///            two, one could erase what the other is about to commit
class EpochChange {
 public:
  /// `room` as in EpochStore. `fault` is called with the name of each step that just became durable
  /// or visible (tests).
  EpochChange(SealedDb& db, const Digest& room,
              std::function<void(std::string_view)> fault = nullptr);

  struct Record {
    RecordMeta meta;  // its epoch is the new one; id and version are those of the old record
    SecretBytes shares;
  };
  /// Durable on return. `records` must be all committed records of the epoch that is left.
  void stage(const EpochStore::Saved& epoch, const std::vector<Record>& records);
  /// All members staged the same, or kDisagreement and nothing of it stays; then commits. Whatever
  /// else it throws leaves the decision to settle().
  void commit_with(net::Party& party);
  /// Before anything else on a new connection. True if a staged change was committed now. Throws
  /// kDisagreement when a member lost what another has committed (a restored backup).
  bool settle(net::Party& party);

  bool staged();

 private:
  struct Next {
    Digest epoch{};
    Digest digest{};  // of everything public about it
  };
  std::optional<Next> next();
  std::vector<Bytes> staged_ids();
  void commit();
  void discard();
  void reached(std::string_view step) const;

  SealedDb& db_;
  const Digest room_;
  const std::string records_;  // kind of the room's committed records
  const std::function<void(std::string_view)> fault_;
};

/// One per state directory: sessions hold it shared, who changes the epoch holds it alone.
class SessionLock {
 public:
  /// Shared. Throws InputError while somebody holds it alone.
  explicit SessionLock(const std::filesystem::path& directory);
  /// Throws InputError while another session of this member runs or waits for the others.
  void require_alone();

 private:
  void take(int mode, std::string_view problem);
  std::filesystem::path file_;
  Fd fd_;
};

/// Part of a transaction: the epoch, and what is staged for the next one, move from a room's key of
/// before there were ids to its id.
void take_over_epochs(SealedDb& db, const Digest& old, const Digest& rid);

}  // namespace flexroom::store
