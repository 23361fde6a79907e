#include "agreement/switch.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::agreement {
namespace {

using Kind = StatementKind;

std::vector<MemberId> next_members(const ChangeSets& sets) {
  std::vector<MemberId> out = sets.stay;
  out.insert(out.end(), sets.join.begin(), sets.join.end());
  return out;
}

std::vector<MemberId> old_members(const ChangeSets& sets) {
  std::vector<MemberId> out = sets.stay;
  out.insert(out.end(), sets.leave.begin(), sets.leave.end());
  return out;
}

bool other_voids(const ChangeSets& sets, const MemberId& self, const Heard& heard) {
  return std::any_of(sets.stay.begin(), sets.stay.end(),
                     [&](const MemberId& k) { return k != self && heard.has(k, Kind::kVoid); });
}

void stayers_moves(const ChangeSets& sets, const MemberId& self, const Standing& s,
                   const Heard& heard, bool in_session, std::vector<Move>& out) {
  const bool certificate = is_certificate(sets, heard);
  if (in_session && s.place == Place::kIdle) out.push_back(Move::kBecomeReady);
  if (s.place == Place::kReady) {
    if (heard.all(next_members(sets), Kind::kReady)) out.push_back(Move::kBind);
  }
  if (s.place == Place::kBound) {
    if (certificate) out.push_back(Move::kBecomeNew);
    if (other_voids(sets, self, heard)) out.push_back(Move::kGoBack);
  }
  if (s.place == Place::kIdle || s.place == Place::kReady) out.push_back(Move::kGoBack);
  if (s.place == Place::kOld && s.staged) {
    const bool no_certificate_can_be = !s.said_bind;
    if (no_certificate_can_be || heard.all(old_members(sets), Kind::kOld)) {
      out.push_back(Move::kDropStaged);
    }
  }
}

}  // namespace

std::string_view to_string(Place place) {
  static constexpr std::string_view kNames[] = {"idle", "ready",  "bound", "old",
                                                "new",  "frozen", "left"};
  const auto index = static_cast<size_t>(place);
  return index < std::size(kNames) ? kNames[index] : "?";
}

Part part_of(const ChangeSets& sets, const MemberId& id) {
  if (sets.joins(id)) return Part::kJoins;
  return sets.leaves(id) ? Part::kLeaves : Part::kStays;
}

bool Heard::has(const MemberId& author, StatementKind kind) const {
  const auto at = by_author_.find(author);
  return at != by_author_.end() && at->second.contains(kind);
}

bool Heard::all(const std::vector<MemberId>& who, StatementKind kind) const {
  return std::all_of(who.begin(), who.end(), [&](const MemberId& id) { return has(id, kind); });
}

std::vector<MemberId> Heard::two_tongued() const {
  std::vector<MemberId> out;
  for (const auto& [author, kinds] : by_author_) {
    if (kinds.contains(Kind::kBind) && kinds.contains(Kind::kVoid)) out.push_back(author);
  }
  return out;
}

bool is_certificate(const ChangeSets& sets, const Heard& heard) {
  return heard.all(next_members(sets), Kind::kReady) && heard.all(sets.stay, Kind::kBind);
}

std::vector<Move> moves(const ChangeSets& sets, const MemberId& self, const Standing& s,
                        const Heard& heard, bool in_session, bool waived) {
  std::vector<Move> out;
  const bool certificate = is_certificate(sets, heard);
  switch (s.part) {
    case Part::kStays:
      stayers_moves(sets, self, s, heard, in_session, out);
      break;
    case Part::kJoins:
      if (in_session && s.place == Place::kIdle) out.push_back(Move::kBecomeReady);
      if (s.place == Place::kReady) {
        const bool left = waived || heard.all(sets.leave, Kind::kLeft);
        if (certificate && left) out.push_back(Move::kBecomeNew);
        if (heard.all(old_members(sets), Kind::kOld)) out.push_back(Move::kGoBack);
      }
      if (s.place == Place::kOld && s.staged) out.push_back(Move::kDropStaged);
      break;
    case Part::kLeaves:
      if (in_session && s.place == Place::kIdle) out.push_back(Move::kFreeze);
      if (s.place == Place::kFrozen && certificate) out.push_back(Move::kLeave);
      if (s.place == Place::kIdle || s.place == Place::kFrozen) {
        if (other_voids(sets, self, heard)) out.push_back(Move::kGoBack);
      }
      break;
  }
  return out;
}

Standing after(Standing s, Move move) {
  switch (move) {
    case Move::kBecomeReady:
      s.place = Place::kReady;
      s.said_ready = s.staged = true;
      break;
    case Move::kFreeze:
      s.place = Place::kFrozen;
      break;
    case Move::kBind:
      s.place = Place::kBound;
      s.said_bind = true;
      break;
    case Move::kBecomeNew:
      s.place = Place::kNew;
      break;
    case Move::kLeave:
      s.place = Place::kLeft;
      break;
    case Move::kGoBack:
      s.place = Place::kOld;
      break;
    case Move::kDropStaged:
      s.staged = false;
      break;
  }
  return s;
}

std::vector<StatementKind> says(const Standing& s) {
  std::vector<StatementKind> out;
  if (s.said_ready) out.push_back(Kind::kReady);
  if (s.said_bind) out.push_back(Kind::kBind);
  if (s.place == Place::kOld && s.part != Part::kJoins) {
    if (s.part == Part::kStays && !s.said_bind) out.push_back(Kind::kVoid);
    out.push_back(Kind::kOld);
  }
  if (s.place == Place::kLeft) out.push_back(Kind::kLeft);
  return out;
}

bool runs_old(const Standing& s) {
  return s.part != Part::kJoins && (s.place == Place::kIdle || s.place == Place::kOld);
}
bool runs_new(const Standing& s) { return s.place == Place::kNew; }
bool is_free(const Standing& s) { return s.place == Place::kIdle || s.place == Place::kOld; }

}  // namespace flexroom::agreement
