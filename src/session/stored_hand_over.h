#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "session/hand_over.h"
#include "store/handed_rows.h"
#include "store/once_db.h"
#include "store/passing_epoch.h"
#include "store/secret_store.h"

namespace flexroom::session {

/// A member's own state as a hand-over uses it: rows in state.db, LIFE in once.db.
class StoredHandOver : public HandOverState {
 public:
  struct Where {
    store::SealedDb& state;
    store::OnceDb& once;
    store::RoomId rid{};
    /// Of this session, with the room's id, the attempt in the place of an epoch, and all of U as
    /// its members: what it leaves behind is of no epoch of the room (store/passing_epoch.h).
    store::OpenMark* mark = nullptr;
  };
  /// `ids`: of U, by party. `freeze`: HandOverState::freeze(); called at members of S - T alone.
  StoredHandOver(const Where& where, const HandOverTerms& terms, PartyId self,
                 const std::vector<store::MemberId>& ids, std::function<void()> freeze,
                 std::function<void(std::string_view)> fault = nullptr);

  SecretBytes row(const store::RecordMeta& meta) override;
  void freeze() override;
  /// Into store::HandedRows, under the attempt of the terms.
  void stage(std::span<const store::Record> rows, const Carried& carried) override;
  SecretBytes staged_row(const store::RecordMeta& meta) override;
  prep::Safety& safety(HandOverEpoch epoch) override;
  void failed(HandOverEpoch epoch, const ProtocolAbort& abort) override;

 private:
  store::SecretStore secrets_;
  store::HandedRows handed_;
  const Digest attempt_;
  const PartyId self_;
  const std::vector<PartyId> to_;
  const size_t num_parties_;  // of U
  store::OpenMark* const mark_;
  store::PassingEpoch union_;
  std::optional<store::PassingEpoch> next_;  // at members of T
  const std::function<void()> freeze_;
};

}  // namespace flexroom::session
