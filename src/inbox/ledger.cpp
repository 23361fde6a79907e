#include "inbox/ledger.h"

#include <algorithm>

#include "base/codec.h"
#include "base/read_array.h"
#include "store/row_reader.h"

namespace flexroom::inbox {
namespace {

using agreement::Outcome;
using store::RowReader;

constexpr std::string_view kFloor = "floor";
constexpr std::string_view kClosed = "closed";
constexpr std::string_view kConsent = "consent";
constexpr std::string_view kIntent = "intent";
constexpr std::string_view kRun = "run";
constexpr std::string_view kArmed = "armed";
constexpr std::string_view kCount = "rule count";
constexpr std::string_view kSession = "session counter";

Digest as_digest(ByteView id, std::string_view place) {
  RowReader in(id, place);
  const Digest out = in.digest();
  in.finish();
  return out;
}

template <typename E>
E checked(uint8_t value, E last, std::string_view place) {
  if (value > static_cast<uint8_t>(last)) throw store::damaged_row(place, "unknown value");
  return static_cast<E>(value);
}

Bytes encode_run(const Ledger::Run& run) {
  Writer out;
  out.raw(run.complete).u32(run.index).u32(run.tries);
  out.u8(static_cast<uint8_t>(run.status)).u8(static_cast<uint8_t>(run.outcome));
  return out.u32(run.attempt).take();
}

Ledger::Run decode_run(ByteView bytes) {
  constexpr std::string_view kPlace = "once.db, a run";
  RowReader in(bytes, kPlace);
  Ledger::Run run;
  run.complete = in.digest();
  run.index = in.u32();
  run.tries = in.u32();
  run.status = checked(in.u8(), Ledger::RunStatus::kEnded, kPlace);
  run.outcome = checked(in.u8(), Outcome::kFailed, kPlace);
  run.attempt = in.u32();
  in.finish();
  return run;
}

Bytes count_id(const std::string& rule, int64_t day) {
  return Writer().field(rule).u64(static_cast<uint64_t>(day)).take();
}

}  // namespace

Ledger::Ledger(store::OnceDb& once, const Digest& room) : db_(once.rows()), room_(room) {
  if (const auto row = db_.get(kind(kFloor), {})) {
    RowReader in(row->meta, "once.db, the floor");
    floor_ = in.u64();
    in.finish();
  }
  for (const auto& label : db_.labels(kind(kClosed))) {
    constexpr std::string_view kPlace = "once.db, a closed proposal";
    RowReader in(label.meta, kPlace);
    closed_[as_digest(label.id, kPlace)] = checked(in.u8(), Closed::kExpired, kPlace);
    in.finish();
  }
  for (const auto& label : db_.labels(kind(kRun))) {
    const Digest id = as_digest(label.id, "once.db, a run");
    const Run run = decode_run(label.meta);
    runs_[id] = run;
    if (run.status != RunStatus::kTried) used_[run.complete].insert(run.index);
  }
}

void Ledger::put_floor(uint64_t floor) {
  db_.put(kind(kFloor), {}, Writer().u64(floor).bytes(), {});
}

void Ledger::set_floor(uint64_t floor) {
  put_floor(floor);
  floor_ = floor;
}

std::optional<Closed> Ledger::closed(const Digest& id) const {
  const auto found = closed_.find(id);
  if (found == closed_.end()) return std::nullopt;
  return found->second;
}

void Ledger::put_closed(const std::vector<std::pair<Digest, Closed>>& ids) {
  for (const auto& [id, why] : ids) {
    if (!closed_.contains(id)) db_.put(kind(kClosed), id, Bytes{static_cast<uint8_t>(why)}, {});
  }
}

void Ledger::close(const std::vector<std::pair<Digest, Closed>>& ids) {
  const bool all = std::all_of(ids.begin(), ids.end(),
                               [&](const auto& id) { return closed_.contains(id.first); });
  if (all) return;
  db_.transaction([&] { put_closed(ids); });
  closed_.insert(ids.begin(), ids.end());
}

std::optional<Ledger::Consent> Ledger::consent(const Digest& complete) {
  const auto row = db_.get(kind(kConsent), complete);
  if (!row) return std::nullopt;
  RowReader in(row->meta, "once.db, an approval");
  Consent out;
  out.incarnation = in.u32();
  out.number = in.u64();
  in.finish();
  return out;
}

void Ledger::set_consent(const Digest& complete, const Consent& consent) {
  db_.put(kind(kConsent), complete, Writer().u32(consent.incarnation).u64(consent.number).bytes(),
          {});
}

std::optional<Ledger::Intent> Ledger::intent() {
  const auto row = db_.get(kIntent, room_);
  if (!row) return std::nullopt;
  constexpr std::string_view kPlace = "once.db, a refusal";
  RowReader in(row->meta, kPlace);
  Intent out;
  out.kind = checked(in.u8(), agreement::StatementKind::kChange, kPlace);
  out.time = in.u64();
  out.about = in.digest();
  const ByteView body = in.field(agreement::kMaxReasonBytes + 256);
  out.body.assign(body.begin(), body.end());
  in.finish();
  return out;
}

void Ledger::intend(const Intent& intent, const std::vector<std::pair<Digest, Closed>>& ids,
                    const std::optional<Digest>& consent_of) {
  db_.transaction([&] {
    Writer out;
    out.u8(static_cast<uint8_t>(intent.kind)).u64(intent.time).raw(intent.about);
    db_.put(kIntent, room_, out.field(intent.body).bytes(), {});
    put_closed(ids);
    if (consent_of) set_consent(*consent_of, {});
  });
  closed_.insert(ids.begin(), ids.end());
}

void Ledger::forget_intent() { db_.remove(kIntent, room_); }

const Ledger::Run* Ledger::run(const Digest& id) const {
  const auto found = runs_.find(id);
  return found == runs_.end() ? nullptr : &found->second;
}

void Ledger::put_run(const Digest& id, const Run& run) {
  db_.put(kind(kRun), id, encode_run(run), {});
}

void Ledger::save_run(const Digest& id, const Run& run) {
  put_run(id, run);
  runs_[id] = run;
  if (run.status != RunStatus::kTried) used_[run.complete].insert(run.index);
}

std::set<uint32_t> Ledger::used(const Digest& complete) const {
  const auto found = used_.find(complete);
  return found == used_.end() ? std::set<uint32_t>() : found->second;
}

Digest Ledger::armed_id(const Digest& run, std::string_view step, uint32_t attempt) {
  return RandomOracle("armed", RoScope{}).field(run).field(step).field(uint64_t{attempt}).digest();
}

bool Ledger::armed(const Digest& id) { return db_.get(kind(kArmed), id).has_value(); }

void Ledger::arm(const Digest& armed_id, const Digest& run_id, const Run& run) {
  db_.transaction([&] {
    db_.put(kind(kArmed), armed_id, {}, {});
    put_run(run_id, run);
  });
  runs_[run_id] = run;
  used_[run.complete].insert(run.index);
}

void Ledger::begin(const Digest& run_id, const Run& run, uint64_t floor,
                   const std::vector<std::pair<Digest, Closed>>& expired) {
  db_.transaction([&] {
    put_run(run_id, run);
    put_floor(floor);
    put_closed(expired);
  });
  runs_[run_id] = run;
  floor_ = floor;
  closed_.insert(expired.begin(), expired.end());
}

uint32_t Ledger::given(const std::string& rule, int64_t day) {
  const auto row = db_.get(kind(kCount), count_id(rule, day));
  if (!row) return 0;
  RowReader in(row->meta, "once.db, the count of a rule");
  const uint32_t out = in.u32();
  in.finish();
  return out;
}

void Ledger::count(const std::string& rule, int64_t day) {
  const uint32_t next = given(rule, day) + 1;
  db_.put(kind(kCount), count_id(rule, day), Writer().u32(next).bytes(), {});
}

uint64_t Ledger::next_session() {
  uint64_t next = 1;
  db_.transaction([&] {
    if (const auto row = db_.get(kSession, room_)) {
      RowReader in(row->meta, "once.db, the counter of sessions");
      next = in.u64() + 1;
      in.finish();
    }
    db_.put(kSession, room_, Writer().u64(next).bytes(), {});
  });
  return next;
}

}  // namespace flexroom::inbox
