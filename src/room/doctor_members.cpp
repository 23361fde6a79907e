#include "room/doctor_members.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "agreement/time.h"
#include "base/display.h"
#include "flexroom/version.h"
#include "net/abort_reason.h"
#include "net/tcp_mesh.h"
#include "room/joined.h"
#include "session/room_terms.h"
#include "session/signing_keys.h"
#include "store/epoch_store.h"

namespace flexroom::room {
namespace {

using session::Term;
using session::TermDifference;
using State = Check::State;

constexpr std::string_view kEpoch = "epoch", kSecret = "secret ", kFlowValue = "value of a flow ",
                           kBurned = "burned", kLost = "single-use state",
                           kDirty = "unfinished batches", kLife = "LIFE", kStrikes = "strikes",
                           kClock = "clock";
constexpr std::string_view kYes = "yes", kNo = "no", kIsLost = "lost", kIsThere = "there";
constexpr int64_t kSkewWorthAWord = 30;
constexpr size_t kMaxTold = 32;  // differences of one member

/// What must be alike beside room.toml.
std::vector<Term> own_terms(session::MemberState& state) {
  const auto epoch = store::EpochStore(state.db()).load(state.rid_or_none());
  std::vector<Term> out = {{"version", kVersion},
                           {"protocol", std::to_string(session::protocol_of(state.room()))},
                           {std::string(kEpoch), epoch ? to_hex(epoch->epoch_id) : "none"}};
  for (const store::RecordMeta& meta : state.secrets().list()) {
    if (meta.kind == session::kSigningKeyKind) continue;  // made again where one is missing
    out.push_back({fmt::format("{}{} version {}", meta.is_of_flow() ? kFlowValue : kSecret,
                               meta.name, meta.version),
                   fmt::format("provenance {}", to_hex(meta.origin()))});
  }
  return out;
}

/// What each member says of itself.
std::vector<Term> own_state(session::MemberState& state) {
  const store::OnceDb::Counters counters = state.once().counters();
  return {{std::string(kBurned), std::string(counters.burned ? kYes : kNo)},
          {std::string(kLost), std::string(counters.needs_operator ? kIsLost : kIsThere)},
          {std::string(kDirty), std::to_string(counters.dirty)},
          {std::string(kLife), std::to_string(counters.life)},
          {std::string(kStrikes), std::to_string(counters.strikes)},
          {std::string(kClock), std::to_string(std::time(nullptr))}};
}

std::string remedy_of(std::string_view name) {
  if (name == "version" || name == "protocol") return "install the same version at every member";
  if (name == kEpoch) {
    return "a state.db there or here is not the newest: put the newest one back; only if it is "
           "gone for good, `flexroom init --state-lost` there. A member that never was in the room "
           "runs `flexroom init` with the others";
  }
  if (name.starts_with(kSecret)) {
    return "a state.db there or here is not the newest: put the newest one back, or `flexroom "
           "secret remove` it at all members and import it again";
  }
  if (name.starts_with(kFlowValue)) {
    return "start the same flow at all members: what was cut is settled when they meet, and a run "
           "that is open says what it needs. If it still differs then, `flexroom secret remove` it "
           "at all members and run the flow again";
  }
  return session::term_remedy(name);
}

Check check_of(const TermDifference& one, const std::string& member) {
  Check out;
  out.state = State::kProblem;
  out.member = member;
  out.field = display_short(one.name);
  out.here = display_short(one.here);
  out.there = display_short(one.there);
  out.name = fmt::format("{} of {}", out.field, member);
  out.detail = fmt::format("differs\n  here: {}\n  {}: {}", out.here, member, out.there);
  out.remedy = remedy_of(one.name);
  return out;
}

std::string value_of(const std::vector<Term>& terms, std::string_view name) {
  const auto found =
      std::find_if(terms.begin(), terms.end(), [&](const Term& term) { return term.name == name; });
  return found == terms.end() ? "?" : display_short(found->value, 40);
}

Check clock_of(const std::vector<Term>& said, const std::string& member, int64_t now) {
  Check out;
  out.member = member;
  out.field = kClock;
  out.name = fmt::format("clock of {}", member);
  const std::string text = value_of(said, kClock);
  int64_t theirs = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), theirs);
  // Bounded: the difference of any two numbers may overflow.
  const bool known = read.ec == std::errc() && theirs >= 0 && theirs < int64_t{1} << 40;
  const int64_t ahead = known ? theirs - now : 0;
  const int64_t away = ahead < 0 ? -ahead : ahead;
  out.here = std::to_string(now);
  out.there = text;
  out.detail = !known       ? "it names no time"
               : ahead == 0 ? "as ours"
                            : fmt::format("{} s {} ours", away, ahead > 0 ? "ahead of" : "behind");
  if (!known || away > kMaxSkewSeconds) {
    out.state = State::kProblem;
  } else if (away > kSkewWorthAWord) {
    out.state = State::kWarning;
  }
  if (out.state != State::kOk) {
    out.remedy = fmt::format("set both clocks (NTP): at most {} s are allowed", kMaxSkewSeconds);
  }
  return out;
}

Check state_of(const std::vector<Term>& said, const std::string& member,
               const store::OnceDb::Limits& limits) {
  Check out;
  out.member = member;
  out.field = "state";
  out.name = fmt::format("state of {}", member);
  const std::string burned = value_of(said, kBurned), lost = value_of(said, kLost);
  const std::string dirty = value_of(said, kDirty), life = value_of(said, kLife);
  out.detail = fmt::format(
      "burned: {}, single-use state: {}, unfinished batches: {} of {}, LIFE: "
      "{} of {}, strikes: {} of {}",
      burned, lost, dirty, limits.dirty_max, life, limits.life_max, value_of(said, kStrikes),
      store::OnceDb::kMaxStrikes);
  const auto at_least = [](const std::string& text, uint32_t limit) {
    uint64_t value = UINT64_MAX;  // no number is as bad as a full one
    (void)std::from_chars(text.data(), text.data() + text.size(), value);
    return value >= limit;
  };
  if (burned != kNo) {
    out.remedy =
        "the epoch is burned: `flexroom init --new-epoch` at all members; no secret is lost by it";
  } else if (lost != kIsThere || at_least(life, limits.life_max)) {
    out.remedy = fmt::format("find out why; then `flexroom peer accept` at {}", member);
  } else if (at_least(dirty, limits.dirty_max)) {
    out.remedy = "`flexroom secret refresh` at all members";
  }
  if (!out.remedy.empty()) out.state = State::kProblem;
  return out;
}

/// In step: what was said before has arrived everywhere when a clock is read.
std::vector<std::vector<Term>> exchange(net::Party& party, const std::vector<Term>& own,
                                        std::string_view label) {
  auto all = session::exchange_terms(party, own, label);
  party.echo(label, AbortCode::kDisagreement);
  return all;
}

}  // namespace

namespace {

void compare(net::Party& party, session::MemberState& state, const RoomConfig& room,
             std::vector<Check>& out) {
  const auto add = [&](const std::vector<std::vector<Term>>& all) {
    bool other_command = false;
    std::vector<size_t> told(all.size());
    for (const TermDifference& one : session::differences(all, party.id())) {
      other_command = other_command || one.name == "command";
      const std::string& member = room.members[one.member].name;
      if (told[one.member]++ < kMaxTold) out.push_back(check_of(one, member));
    }
    for (PartyId j = 0; j < all.size(); ++j) {
      if (told[j] <= kMaxTold) continue;
      Check more;
      more.state = Check::State::kProblem;
      more.member = room.members[j].name;
      more.name = fmt::format("more of {}", more.member);
      more.detail = fmt::format("{} more differences", told[j] - kMaxTold);
      more.remedy = "mend those above first";
      out.push_back(more);
    }
    return other_command;
  };
  const std::vector<Term> terms = session::meeting_terms("doctor --with-members", room);
  // Whoever runs another command has left by now.
  if (add(session::exchange_terms(party, terms))) {
    party.abort();
    return;
  }
  party.echo("session/terms", AbortCode::kDisagreement);
  (void)add(exchange(party, own_terms(state), "doctor/terms"));
  const auto states = exchange(party, own_state(state), "doctor/state");
  const int64_t now = std::time(nullptr);
  for (PartyId j = 0; j < states.size(); ++j) {
    const std::string& member = room.members[j].name;
    if (j != party.id()) out.push_back(clock_of(states[j], member, now));
    out.push_back(state_of(states[j], member, session::limits_of(room)));
  }
}

}  // namespace

void compare_with_members(const RoomConfig& room, const ExamineOptions& options,
                          std::vector<Check>& out) {
  const auto state = open_state(options.member_file, nullptr, store::SealedDb::Access::kLook);
  net::Party party(
      net::TcpMesh::join(session::mesh_of(room, state->member(), options.cancel, options.note),
                         state->identity()),
      Prg::from_system());
  try {
    compare(party, *state, room, out);
  } catch (const ProtocolAbort&) {
    party.abort();
    throw;
  } catch (...) {
    net::abort_saying(party, net::AbortReason::kOwn);
    throw;
  }
}

}  // namespace flexroom::room
