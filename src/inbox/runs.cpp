#include <fmt/core.h>

#include <algorithm>

#include "agreement/time.h"
#include "base/display.h"
#include "base/error.h"
#include "inbox/impl.h"
#include "store/row_reader.h"

// Time, and runs at most once (members.md §6.4, §8.1, §8.3).

namespace flexroom::inbox {

using agreement::Outcome;
using agreement::StatementKind;
using RunStatus = Ledger::RunStatus;

namespace {

constexpr size_t kIndicesAhead = 4;  // members' marks may differ by those of a crash

[[noreturn]] void refuse(std::string_view problem, std::string_view remedy = "") {
  throw InputError("run", problem, remedy);
}

}  // namespace

uint64_t Inbox::floor() { return impl_->ledger_.floor(); }

void Inbox::check_time(uint64_t agreed, uint64_t clock) {
  const uint64_t apart = std::max(agreed, clock) - std::min(agreed, clock);
  if (apart > static_cast<uint64_t>(kMaxSkewSeconds)) {
    refuse(fmt::format("the agreed time is {} s from this member's clock; at most {} are allowed",
                       apart, kMaxSkewSeconds),
           "set the clocks (ntp)");
  }
  if (agreed < floor()) {
    refuse(fmt::format("the agreed time {} is before {}, in which this member took part",
                       utc_text(agreed), utc_text(floor())),
           "set the clock; if that one was wrong, people with `administer` may lower the floor");
  }
}

void Inbox::raise_floor(uint64_t agreed) {
  Impl& in = *impl_;
  in.ledger_.close(in.expired_by(agreed));
  if (agreed > floor()) in.ledger_.set_floor(agreed);
}

void Inbox::lower_floor(uint64_t to, const Digest& evidence, uint64_t now) {
  Impl& in = *impl_;
  if (to >= floor()) refuse("the floor is not above that time");
  agreement::NoteBody body;
  body.text = fmt::format("its people lowered the floor of time from {} to {}; evidence {}",
                          utc_text(floor()), utc_text(to), to_hex(evidence));
  (void)in.sign(StatementKind::kNote, body.encode(), now);
  in.ledger_.set_floor(to);
}

// A run that was armed and may be armed again: it waits for a person, or its step may be done again
// under its idempotency token.
bool Inbox::Impl::can_go_on(const Entry& entry, const Ledger::Run& run) const {
  return run.status == RunStatus::kSuspended ||
         (run.status == RunStatus::kEnded && entry.terms.again &&
          run.outcome == Outcome::kEffectMayHaveHappened);
}

std::vector<uint32_t> Inbox::Impl::free_indices(const Entry& entry, uint64_t now) const {
  std::vector<uint32_t> out;
  if (!entry.complete) return out;
  const std::set<uint32_t> used = ledger_.used(*entry.complete);
  for (const uint32_t index : used) {
    const auto* run = ledger_.run(agreement::run_id(settings_.room, *entry.complete, index));
    if (run != nullptr && can_go_on(entry, *run)) out.push_back(index);
  }
  const Repetition& r = entry.terms.repetition;
  if (used.size() >= r.times) return out;
  if (r.every) {
    const auto slot = r.slot_at(now, entry.terms.window.first);
    if (slot && !used.contains(*slot)) out.push_back(*slot);
    return out;
  }
  size_t ahead = 0;
  for (uint32_t index = 0; index < r.times && ahead < kIndicesAhead; ++index) {
    if (used.contains(index)) continue;
    out.push_back(index);
    ++ahead;
  }
  return out;
}

bool Inbox::Impl::consents(const Entry& entry) {
  const Said said = board_.said(entry, self());
  if (!said.approval || !entry.complete) return false;
  const auto marked = ledger_.consent(*entry.complete);
  return marked && marked->number != 0 &&
         *marked == Ledger::Consent{said.approval->incarnation, said.approval->number};
}

OwnMarks Inbox::Impl::own_marks(const Entry& entry, uint32_t index, uint64_t now) {
  OwnMarks out;
  out.closed = closed(entry).has_value();
  out.consent = consents(entry) && log_.is_whole();
  const std::vector<uint32_t> free = free_indices(entry, now);
  out.allowed = std::find(free.begin(), free.end(), index) != free.end();
  const std::set<uint32_t> used = ledger_.used(*entry.complete);
  const bool goes_on = used.contains(index) && out.allowed;
  out.armed = used.contains(index) && !goes_on;
  out.used = static_cast<uint32_t>(used.size()) - (goes_on ? 1 : 0);
  out.times = entry.terms.repetition.times;
  out.now = now;
  out.floor = ledger_.floor();
  out.late = now > entry.terms.window.last || now < entry.terms.window.first;
  return out;
}

std::vector<ReadyRun> Inbox::ready(uint64_t now) {
  Impl& in = *impl_;
  in.catch_up();
  std::vector<ReadyRun> out;
  for (const auto& [id, entry] : in.board_.entries()) {
    if (!entry.complete || entry.room_terms != in.conf().terms()) continue;
    if (in.closed(entry) || in.is_late(entry, now) || now < entry.terms.window.first) continue;
    const bool versions = in.versions_hold(entry);
    const bool all =
        std::all_of(in.conf().members.begin(), in.conf().members.end(),
                    [&](const auto& m) { return in.failures(entry, m.id, versions, now).none(); });
    if (!all) continue;
    const std::vector<uint32_t> free = in.free_indices(entry, now);
    if (free.empty()) continue;
    try {
      in.refill(entry);  // one that this member would refuse keeps no other waiting
    } catch (const store::DamagedState&) {
      throw;
    } catch (const InputError&) {
      continue;
    }
    for (const uint32_t index : free) {
      if (stops(in.own_marks(entry, index, now)).any()) continue;
      const Digest run = agreement::run_id(in.settings_.room, *entry.complete, index);
      const auto* tried = in.ledger_.run(run);
      out.push_back({run, *entry.complete, index, tried == nullptr ? 0 : tried->tries});
    }
  }
  std::sort(out.begin(), out.end(), [](const ReadyRun& a, const ReadyRun& b) {
    return std::tie(a.tries, a.id) < std::tie(b.tries, b.id);
  });
  if (out.size() > StartSaying::kMaxReady) out.resize(StartSaying::kMaxReady);
  return out;
}

std::vector<Digest> Inbox::unresolved() {
  std::vector<Digest> out;
  for (const auto& [id, run] : impl_->ledger_.runs()) {
    if (run.status == RunStatus::kArmed) out.push_back(id);
  }
  if (out.size() > StartSaying::kMaxUnresolved) out.resize(StartSaying::kMaxUnresolved);
  return out;
}

Digest Inbox::statements_about(const Digest& complete) {
  Impl& in = *impl_;
  const Entry& entry = in.known(complete);
  RandomOracle ro("statements", RoScope{});
  ro.field(entry.proposal).field(entry.complete.value_or(Digest{}));
  for (const auto& member : in.conf().members) {
    const Said said = in.board_.said(entry, member.id);
    ro.field(member.id).field(uint64_t{said.newest.incarnation}).field(said.newest.number);
    ro.field(said.statement).field(uint64_t{in.board_.rule(member.id).version});
  }
  return ro.digest();
}

const Entry* Inbox::Impl::entry_of_run(const Digest& run) {
  if (const auto* known = ledger_.run(run)) return board_.find(known->complete);
  constexpr uint32_t kWeeks = 54;  // no window is longer
  for (const auto& [id, entry] : board_.entries()) {
    if (!entry.complete || !indexed_.insert(*entry.complete).second) continue;
    const Repetition& r = entry.terms.repetition;
    const uint32_t indices = r.every ? kWeeks : r.times;
    for (uint32_t i = 0; i < indices; ++i) {
      run_ids_[agreement::run_id(settings_.room, *entry.complete, i)] = *entry.complete;
    }
  }
  const auto found = run_ids_.find(run);
  return found == run_ids_.end() ? nullptr : board_.find(found->second);
}

bool Inbox::Impl::conflict(const Entry& a, const Entry& b) const {
  for (const NamedSecret& x : a.terms.secrets) {
    for (const NamedSecret& y : b.terms.secrets) {
      if (x.record == y.record && (x.replaces || y.replaces)) return true;
    }
  }
  return false;
}

bool Inbox::conflict(const Digest& run, const Digest& other) {
  if (run == other) return true;
  const Entry* a = impl_->entry_of_run(run);
  const Entry* b = impl_->entry_of_run(other);
  return a == nullptr || b == nullptr || impl_->conflict(*a, *b);
}

// Two runs may have been begun before either was armed (M34).
bool Inbox::Impl::conflicts_with_armed(const Entry& entry, const Digest& run) {
  const auto& all = ledger_.runs();
  return std::any_of(all.begin(), all.end(), [&](const auto& other) {
    if (other.second.status != RunStatus::kArmed || other.first == run) return false;
    const Entry* armed = board_.find(other.second.complete);
    return armed == nullptr || conflict(entry, *armed);
  });
}

uint32_t Inbox::Impl::attempt(const Entry& entry, const Ledger::Run& run) const {
  const bool anew = run.status == RunStatus::kEnded && can_go_on(entry, run);
  return run.attempt == 0 || anew ? run.attempt + 1 : run.attempt;
}

void Inbox::require_startable(const ReadyRun& run, uint64_t now) {
  Impl& in = *impl_;
  in.catch_up();
  const Entry& entry = in.complete(run.complete);
  if (run.id != agreement::run_id(in.settings_.room, run.complete, run.index)) {
    refuse("is named by another id than its own");
  }
  if (entry.room_terms != in.conf().terms()) refuse("is of other terms of the room");
  const bool versions = in.versions_hold(entry);
  for (const auto& member : in.conf().members) {
    const Counts why = first_of(in.failures(entry, member.id, versions, now));
    if (why != Counts::kYes) refuse(member.name + " " + std::string(to_string(why)));
  }
  const Stops own = stops(in.own_marks(entry, run.index, now));
  for (size_t i = 0; i < own.size(); ++i) {
    if (own[i]) refuse(to_string(static_cast<Stop>(i)));
  }
  in.refill(entry);
}

void Inbox::begin(const Started& started) {
  Impl& in = *impl_;
  Ledger::Run run;
  if (const auto* known = in.ledger_.run(started.run.id)) run = *known;
  run.complete = started.run.complete;
  run.index = started.run.index;
  run.tries = std::max(run.tries, started.try_number);
  in.fault("try");
  in.ledger_.begin(started.run.id, run, std::max(started.now, floor()), in.expired_by(started.now));
  in.fault("try is counted");
  (void)in.sign(StatementKind::kStart, started.record.encode(), started.now);
}

uint32_t Inbox::attempt(const ReadyRun& run) const {
  const auto* known = impl_->ledger_.run(run.id);
  const Entry* entry = impl_->board_.find(run.complete);
  return known == nullptr || entry == nullptr ? 1 : impl_->attempt(*entry, *known);
}

bool Inbox::arm(const ReadyRun& run, std::string_view step, uint32_t attempt) {
  Impl& in = *impl_;
  const auto* known = in.ledger_.run(run.id);
  const Entry* entry = in.board_.find(run.complete);
  if (known == nullptr || entry == nullptr || known->complete != run.complete) return false;
  if (attempt != in.attempt(*entry, *known)) return false;
  const Digest mark = Ledger::armed_id(run.id, step, attempt);
  const std::set<uint32_t> used = in.ledger_.used(run.complete);
  const bool mine = used.contains(run.index);
  if (!mine && !in.versions_hold(*entry)) return false;
  if (in.conflicts_with_armed(*entry, run.id)) return false;
  OwnMarks marks;
  // The window is of when a run begins: one that is under way ends as it was approved.
  const bool only_expired = in.closed(*entry) == Closed::kExpired && !in.refused(*entry);
  marks.closed = in.closed(*entry).has_value() && !(mine && only_expired);
  marks.consent = in.consents(*entry) && in.log_.is_whole();
  const bool over = mine && known->status == RunStatus::kEnded && !in.can_go_on(*entry, *known);
  marks.armed = in.ledger_.armed(mark) || over;
  marks.used = static_cast<uint32_t>(used.size()) - (mine ? 1 : 0);
  marks.times = entry->terms.repetition.times;
  marks.allowed = true;  // START said so; `known` is there by it
  if (stops(marks).any()) return false;
  Ledger::Run next = *known;
  next.status = RunStatus::kArmed;
  next.attempt = attempt;
  in.fault("armed");
  in.ledger_.arm(mark, run.id, next);
  in.fault("armed is marked");
  return true;
}

void Inbox::suspend(const ReadyRun& run) {
  const auto* known = impl_->ledger_.run(run.id);
  if (known == nullptr || known->status != RunStatus::kArmed) return;
  Ledger::Run next = *known;
  next.status = RunStatus::kSuspended;
  impl_->ledger_.save_run(run.id, next);
}

void Inbox::finish(const Digest& run, Outcome outcome) {
  const auto* known = impl_->ledger_.run(run);
  if (known == nullptr) refuse("is not known here");
  if (known->status == RunStatus::kTried) return;  // nothing was armed: the try is void
  Ledger::Run next = *known;
  next.status = RunStatus::kEnded;
  next.outcome = outcome;
  impl_->ledger_.save_run(run, next);
}

void Inbox::note_failed_start(const MemberId& peer, uint64_t now) {
  constexpr uint64_t kTenMinutes = 600, kFirst = 30;
  constexpr size_t kMost = 10;
  Impl::Failed& failed = impl_->failed_[peer];
  std::erase_if(failed.times, [&](uint64_t at) { return at + kTenMinutes <= now || at > now; });
  if (failed.times.empty()) failed.pause = 0;
  failed.times.push_back(now);
  if (failed.times.size() < kMost) return;
  failed.times.erase(failed.times.begin());
  failed.pause = failed.pause == 0 ? kFirst : std::min(2 * failed.pause, kTenMinutes);
  failed.until = now + failed.pause;
}

uint64_t Inbox::pause_until(const MemberId& peer, uint64_t now) const {
  const auto found = impl_->failed_.find(peer);
  return found == impl_->failed_.end() || found->second.until <= now ? 0 : found->second.until;
}

}  // namespace flexroom::inbox
