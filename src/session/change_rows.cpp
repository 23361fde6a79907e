#include <algorithm>
#include <ctime>

#include "session/change_meeting.h"
#include "session/stored_hand_over.h"
#include "store/epoch_change.h"
#include "store/open_mark.h"

// The rows of a change (members.md 3.5): handed over before READY, beside those that are in use.

namespace flexroom::session {

using agreement::ChangeStart;
using agreement::Configuration;
using agreement::Move;

// What is half done in the room is finished first: rows go as they are.
void RoomChange::require_rows_can_go(bool joins) {
  const auto refuse = [&](const std::string& problem, std::string_view remedy) {
    throw InputError("room " + now_.name, problem, remedy);
  };
  if (!state_.has_epoch()) refuse("is not set up", "run `flexroom init` with all members first");
  if (!state_.secrets_of_before().empty()) {
    refuse("holds secrets in the form of an earlier version",
           "run `flexroom init` at all members first, which turns them into rows");
  }
  if (state_.secrets().num_staged() > 0 || store::EpochChange(state_.db(), state_.rid()).staged()) {
    refuse("has a change of its secrets that was interrupted",
           "run `flexroom init` at all members first, which finishes it or drops it");
  }
  const std::string hindrance = options_.hinders_rows ? options_.hinders_rows(joins) : "";
  if (!hindrance.empty()) refuse(hindrance, "docs/status.md says what is not built");
}

// False: this member leaves, and needs nothing there.
bool RoomChange::hand_over_rows() {
  const ChangeStart& start = attempt_->start;
  RoomConfig all = wish_->next;
  all.members = meeting_room().members;
  HandOverTerms terms;
  terms.attempt = id_;
  for (PartyId i = 0; i < start.before.members.size(); ++i) terms.from.push_back(i);
  for (const Configuration::Member& m : start.next.members) {
    terms.to.push_back(static_cast<PartyId>(*sets_.index_of(m.id)));
  }
  terms.of_union = epoch_parameters_of(all);
  terms.of_next = epoch_parameters_of(wish_->next);
  terms.triples = triple_parameters_of(wish_->next);
  std::vector<store::MemberId> ids;
  for (const Configuration::Member& m : sets_.all) ids.push_back(m.id);
  Carried carried;
  if (!sets_.joins(self_)) {
    carried.metas = state_.secrets().list();
    std::sort(carried.metas.begin(), carried.metas.end(), [](const auto& a, const auto& b) {
      return std::pair(a.id, a.version) < std::pair(b.id, b.version);
    });
  }
  store::OpenMark mark(state_.member().state_dir, rid(), id_, store::marked_members(ids));
  StoredHandOver state(
      {state_.db(), state_.once(), rid(), &mark}, terms, party_->id(), ids,
      [this] { move(Move::kFreeze); }, options_.fault);
  party_->set_scope(RoScope{});
  const HandedOver out = hand_over(*party_, terms, carried, state);
  if (!out.next) return false;
  state_.stage_epoch_for_change(
      rid(), {out.next->eid, out.next->serialise(), static_cast<uint64_t>(std::time(nullptr))});
  reached("epoch staged");
  ready_ = agreement::ReadyBody{id_, out.metas, out.next->eid};
  return true;
}

}  // namespace flexroom::session
