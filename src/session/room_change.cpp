#include "session/room_change.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "base/codec.h"
#include "net/abort_reason.h"
#include "session/change_meeting.h"

namespace flexroom::session {

using agreement::ChangeBody;
using agreement::Configuration;
using agreement::MemberId;
using agreement::Move;
using agreement::Part;
using agreement::Place;
using agreement::Standing;

namespace {

constexpr std::string_view kRound = "change/round";
/// READY is heard, then BIND, then LEFT; then all see where all are.
constexpr int kRounds = 4;

uint64_t now_seconds() { return static_cast<uint64_t>(std::time(nullptr)); }

}  // namespace

RoomChange::RoomChange(MemberState& state, RoomConfig now, std::optional<ChangeWish> wish,
                       ChangeOptions options)
    : state_(state),
      now_(std::move(now)),
      wish_(std::move(wish)),
      options_(std::move(options)),
      store_(state.db(), state.room().name),
      self_(state.mids()[state.self()]) {
  if (auto attempt = store_.attempt()) enter_attempt(*attempt);
}

RoomChange::~RoomChange() = default;

void RoomChange::reached(std::string_view step) const {
  if (options_.fault) options_.fault(step);
}
void RoomChange::note(const std::string& text) const {
  if (options_.note) options_.note(text);
}

store::RoomId RoomChange::rid() const {
  if (state_.founded()) return state_.rid();
  FLEXROOM_ASSERT(attempt_.has_value());
  return attempt_->start.before.room;
}

store::AuditLog RoomChange::log() {
  return {state_.db(), state_.once(), state_.identity(), rid(), self_};
}

void RoomChange::enter_attempt(const store::ChangeStore::Attempt& attempt) {
  attempt_ = attempt;
  id_ = attempt.start.attempt();
  sets_ = agreement::change_sets(attempt.start.before, attempt.start.next);
  ready_ = attempt.ready;
  ready_differs_ = false;
  statements_.clear();
  for (const Statement& s : store_.statements(id_)) (void)take(s);
}

bool RoomChange::is_of_attempt() const {
  const auto row = once_register().get();
  return row && row->attempt == id_;
}

Standing RoomChange::standing() const {
  const auto row = once_register().get();
  if (row && row->attempt == id_) return row->standing;
  Standing out{agreement::part_of(sets_, self_)};
  // A key that bound must not seem to have signed both (members.md §4.2).
  out.said_bind = once_register().was_bound(id_);
  return out;
}

agreement::Heard RoomChange::heard() const {
  agreement::Heard out;
  for (const Statement& s : statements_) out.add(s.author, s.kind);
  return out;
}

// A statement of anybody's about a; one that proves nothing is not kept.
bool RoomChange::take(const Statement& s) {
  const auto who = sets_.index_of(s.author);
  if (!who || s.room != rid() || !s.verify(sets_.all[*who].key)) return false;
  switch (s.kind) {
    case Kind::kReady: {
      const auto body = agreement::ReadyBody::decode(s.body, "READY");
      if (body.attempt != id_) return false;
      if (ready_ && *ready_ != body) {
        ready_differs_ = true;
        return false;
      }
      ready_ = body;
      break;
    }
    case Kind::kBind:
    case Kind::kLeft:
    case Kind::kVoid:
    case Kind::kOld:
      if (agreement::AttemptBody::decode(s.body, "statement").attempt != id_) return false;
      break;
    default:
      return false;
  }
  const bool known = std::any_of(statements_.begin(), statements_.end(), [&](const Statement& k) {
    return k.author == s.author && k.kind == s.kind;
  });
  if (!known) statements_.push_back(s);
  return true;
}

void RoomChange::sign(Kind kind) {
  FLEXROOM_ASSERT(kind != Kind::kReady || ready_.has_value());
  const Bytes body = kind == Kind::kReady ? ready_->encode() : agreement::AttemptBody{id_}.encode();
  const Statement signed_one = log().append_of_change(
      kind, body, [&](const Statement& written) { store_.put(id_, written); });
  FLEXROOM_ASSERT(take(signed_one));
  reached(fmt::format("signed {}", agreement::to_string(kind)));
}

// A place is durable before what it says is signed; after a crash in between it is signed now.
void RoomChange::say_what_is_due() {
  const agreement::Heard known = heard();
  Standing s = standing();
  if (!is_of_attempt() && s.said_bind) s.said_ready = false;  // both lie in the log already
  for (const Kind kind : agreement::says(s)) {
    if (!known.has(self_, kind)) sign(kind);
  }
}

void RoomChange::move(Move next) {
  store::RoomRegister registers = once_register();
  store::RegisterRow row = registers.get().value_or(store::RegisterRow{});
  FLEXROOM_ASSERT(row.attempt == id_);
  row.standing = agreement::after(row.standing, next);
  if (next == Move::kDropStaged) state_.drop_staged_of_change(rid(), id_);
  if (row.standing.place == Place::kNew) {
    row.number = attempt_->start.next.number;
    row.configuration = attempt_->start.next.digest();
  }
  row.since = now_seconds();
  registers.set(row);
  reached(fmt::format("register {}", agreement::to_string(row.standing.place)));
}

// All moves that are due. `someone_is_out`: a member of U is here and not in this attempt.
void RoomChange::settle(bool someone_is_out, bool back) {
  const bool waived = options_.mode == ChangeMode::kGoOn;
  if (!is_of_attempt()) {
    const Standing s = standing();
    const agreement::Heard known = heard();
    const bool voided = std::any_of(sets_.stay.begin(), sets_.stay.end(), [&](const MemberId& k) {
      return k != self_ && known.has(k, Kind::kVoid);
    });
    // Not in it, and never to be: no rows of it are durable here (members.md §4.2).
    if (s.part == Part::kStays) {
      if (!s.said_bind && !known.has(self_, Kind::kVoid)) sign(Kind::kVoid);
      if (!known.has(self_, Kind::kOld)) sign(Kind::kOld);
    } else if (s.part == Part::kLeaves && voided && !known.has(self_, Kind::kOld)) {
      sign(Kind::kOld);
    }
    return;
  }
  say_what_is_due();
  while (true) {
    const agreement::Heard known = heard();
    const Standing s = standing();
    const bool voided = std::any_of(sets_.stay.begin(), sets_.stay.end(), [&](const MemberId& k) {
      return k != self_ && known.has(k, Kind::kVoid);
    });
    const bool goes_back = back || someone_is_out || voided || ready_differs_;
    std::optional<Move> next;
    for (const Move one : agreement::moves(sets_, self_, s, known, false, waived)) {
      // Who may still choose goes back only where the attempt cannot come to its end.
      if (one == Move::kGoBack && s.part == Part::kStays && s.place != Place::kBound &&
          !goes_back) {
        continue;
      }
      if (one == Move::kBind && goes_back) continue;
      next = one;
      break;
    }
    if (!next) return;
    move(*next);
    say_what_is_due();
  }
}

// What the register has decided and the files do not say yet (members.md §4.4).
void RoomChange::finish_here() {
  if (!attempt_ || !is_of_attempt()) return;
  const Standing s = standing();
  if (s.place == Place::kNew && !attempt_->moved) move_in();
  if (s.place == Place::kLeft && !attempt_->moved) move_out();
}

void RoomChange::move_in() {
  ChangeBody body;
  body.start = attempt_->start;
  body.configuration = attempt_->start.next;
  for (const Statement& s : statements_) {
    if (s.kind == Kind::kReady || s.kind == Kind::kBind || s.kind == Kind::kLeft) {
      body.statements.push_back(s);
    }
  }
  std::sort(body.statements.begin(), body.statements.end(), [](const auto& a, const auto& b) {
    return std::pair(a.author, a.kind) < std::pair(b.author, b.kind);
  });
  body.require_valid("the change");
  state_.move_to(body, id_, [&] {
    store_.put(body);
    attempt_->moved = true;
    attempt_->complete = complete_;
    store_.put(*attempt_);
  });
  reached("moved");
}

void RoomChange::move_out() {
  state_.leave([&] {
    attempt_->moved = true;
    attempt_->complete = complete_;
    store_.put(*attempt_);
  });
  reached("left");
}

void RoomChange::rounds() {
  const auto out = [&] {
    for (const Meeting::Said& said : meeting_->said) {
      const bool in_it = said.has_attempt && said.attempt == id_ && said.place != Place::kIdle;
      if (!in_it) return true;
    }
    return false;
  };
  const bool someone_is_out = out();
  for (int round = 0; round < kRounds; ++round) {
    settle(someone_is_out, options_.mode == ChangeMode::kBack);
    const Standing s = standing();
    const bool is_in = is_of_attempt();
    Writer message;
    message.u8(static_cast<uint8_t>(is_in ? s.place : Place::kIdle));
    message.u32(static_cast<uint32_t>(statements_.size()));
    for (const Statement& one : statements_) message.field(one.encode());
    for (const PartyId j : party_->peers()) party_->send(j, kRound, message.bytes());
    bool all_at_end = is_in && (s.place == Place::kNew || s.place == Place::kLeft);
    for (const PartyId j : party_->peers()) {
      const Bytes theirs = party_->receive_up_to(j, kRound, agreement::kMaxStatementBytes);
      Reader in(theirs, kRound, j);
      const auto place = static_cast<Place>(in.u8());
      all_at_end = all_at_end && (place == Place::kNew || place == Place::kLeft);
      const uint32_t count = in.u32();
      if (count > 5 * sets_.all.size()) {
        throw ProtocolAbort(AbortCode::kUnexpectedMessage, kRound, "shows too many statements", j);
      }
      for (uint32_t k = 0; k < count; ++k) {
        const ByteView bytes = in.field(agreement::kMaxStatementBytes);
        try {
          const Statement one = Statement::decode(bytes, "statement");
          if (take(one)) store_.put(id_, one);
        } catch (const InputError& error) {
          throw ProtocolAbort(AbortCode::kRefusedByRule, kRound, error.problem(), j);
        }
      }
      in.finish();
    }
    complete_ = all_at_end && options_.mode == ChangeMode::kAll;
  }
  settle(someone_is_out, options_.mode == ChangeMode::kBack);
  for (const MemberId& id : heard().two_tongued()) {
    const std::string& name = sets_.all[*sets_.index_of(id)].name;
    throw ProtocolAbort(
        AbortCode::kRefusedByRule, kRoomChange,
        fmt::format("{} signed BIND and VOID about one change, which stops the room "
                    "of before and the one of then for good. Both statements are "
                    "kept and prove it; no row is lost. Make a new room without "
                    "that member",
                    name));
  }
}

ChangeEnd RoomChange::end() const {
  ChangeEnd out;
  out.complete = complete_;
  if (!attempt_) return out;
  out.handed_over = agreement::needs_rows(attempt_->start.before, attempt_->start.next);
  out.place = is_of_attempt() ? standing().place : Place::kIdle;
  const Configuration& in =
      out.place == Place::kNew ? attempt_->start.next : attempt_->start.before;
  out.number = in.number;
  for (const auto& m : in.members) out.names.push_back(m.name);
  return out;
}

// Whether this is what the member wishes, providers and all.
bool RoomChange::is_wished(const Configuration& c) const {
  if (!wish_) return true;
  if (!difference_to(wish_->next, c).empty()) return false;
  std::vector<MemberId> mids;
  for (const auto& m : c.members) mids.push_back(m.id);
  return configuration_of(wish_->next, c.room, mids, c.keys(), true).same_content(c);
}

// What this member can do alone. True: nothing is left to do with the others.
bool RoomChange::over_here() {
  if (attempt_ && is_of_attempt()) say_what_is_due();
  finish_here();
  if (attempt_ && options_.mode == ChangeMode::kBack && is_of_attempt()) {
    settle(false, true);
    if (sets_.leave.empty() && standing().place == Place::kOld) return true;
  }
  if (attempt_ && !attempt_->moved && (!is_of_attempt() || standing().place == Place::kIdle)) {
    // Approved here, and this process ended before it was ready: it never is for this one
    // (members.md §4.2, §4.4).
    state_.drop_staged_of_change(rid(), id_);
    store_.forget();
    attempt_.reset();
  }
  if (!attempt_) return false;
  const bool left = standing().place == Place::kLeft;
  if (attempt_->complete && attempt_->moved && (left || is_wished(attempt_->start.next))) {
    complete_ = true;
    return true;
  }
  const bool other_wish = attempt_->moved && !is_wished(attempt_->start.next);
  if (attempt_->complete || other_wish || (standing().place == Place::kOld && wish_)) {
    attempt_.reset();
  }
  return false;
}

void RoomChange::with_the_others() {
  hello();
  if (meeting_->under_way) {
    take_over_attempt();
  } else {
    attempt_.reset();
    require_wish();
    begin();
  }
  rounds();
  finish_here();
  if (complete_ && !attempt_->complete && is_of_attempt()) {
    attempt_->complete = true;
    store_.put(*attempt_);
  }
}

void RoomChange::require_wish() const {
  if (wish_) return;
  throw InputError("room change", "no change is under way",
                   "say what is to change: a file in the form of room.toml, or flags");
}

ChangeEnd RoomChange::run() {
  if (over_here()) return end();
  if (!attempt_) require_wish();
  meet();
  try {
    with_the_others();
  } catch (const ProtocolAbort& abort) {
    const auto said = net::said_why(*party_, abort);
    net::abort_saying(*party_, abort.code() == AbortCode::kRefusedByRule && !abort.peer()
                                   ? net::AbortReason::kSaidNo
                                   : net::AbortReason::kNothing);
    if (said) throw ProtocolAbort(*said);
    throw;
  } catch (...) {
    net::abort_saying(*party_, net::AbortReason::kOwn);
    throw;
  }
  return end();
}

}  // namespace flexroom::session
