#include "session/member_session.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <typeinfo>

#include "base/codec.h"
#include "base/locked_blocks.h"
#include "net/abort_reason.h"
#include "prep/rows.h"
#include "prep/session_hello.h"
#include "session/epoch_agreement.h"
#include "session/room_terms.h"
#include "session/row_set.h"
#include "session/session_engines.h"
#include "session/signing_keys.h"
#include "store/epoch_store.h"

namespace flexroom::session {

namespace {
constexpr std::chrono::milliseconds kNodesMeetWithin{20000};
}  // namespace

void record_abort(store::OnceDb& once, const ProtocolAbort& abort, PartyId self) {
  switch (abort.abort_class()) {
    case AbortClass::kBooleanCheat: {
      // The peers are counted in the order of the room, without this member.
      std::optional<size_t> peer;
      if (abort.peer() && *abort.peer() != self) {
        peer = *abort.peer() < self ? *abort.peer() : *abort.peer() - 1;
      }
      once.burn(abort.code(), peer);
      break;
    }
    case AbortClass::kFpCheat:
      once.add_strike();
      break;
    case AbortClass::kRefuse:
    case AbortClass::kNetwork:
      break;
  }
}

MemberSession::MemberSession(MemberState& state, const SessionOptions& options)
    : state_(state), options_(options) {
  state_.settle_runs();
  lock_.emplace(state.member().state_dir);
  const RoomConfig& room = state.room();
  state.settle_open_marks();
  net::MeshConfig config = mesh_of(room, state.member(), options.cancel, options.note);
  config.pair_keys = &state.pair_keys();
  config.incoming = options.incoming;
  // Nodes ask each other to come: who is not there by then cannot.
  if (options.incoming != nullptr) {
    config.connect_timeout = std::min(config.connect_timeout, kNodesMeetWithin);
  }
  std::unique_ptr<net::TcpMesh> mesh = net::TcpMesh::join(config, state.identity());
  std::vector<net::SigningKey> keys;
  for (PartyId i = 0; i < room.members.size(); ++i) keys.push_back(mesh->signing_key(i));
  party_ = std::make_unique<net::Party>(std::move(mesh), Prg::from_system());
  telling_the_others([&] { meet(keys); });
}

// All are connected: whatever is wrong from here on is told to them.
void MemberSession::meet(const std::vector<net::SigningKey>& keys) {
  MemberState& state = state_;
  const RoomConfig& room = state.room();
  const auto epoch = store::EpochStore(state.db()).load(state.rid_or_none());
  mark_ = std::make_unique<store::OpenMark>(state.member().state_dir, state.rid_or_none(),
                                            epoch ? epoch->epoch_id : Digest{},
                                            store::marked_members(state.mids()));
  std::vector<Term> terms = meeting_terms(options_.command, room);
  // Of a room that changed, which programs of before do not know: right behind the command, so that
  // a member in another configuration is told so before anything else (members.md §4.2).
  if (state.changed()) {
    terms.insert(terms.begin() + 1, {std::string(kConfigurationTerm),
                                     fmt::format("{} ({})", state.changed()->number,
                                                 to_hex(state.changed()->digest()).substr(0, 16))});
  }
  agree_on_terms(*party_, room, terms);
  state.save_signing_keys(keys);
  state.once().set_mark(mark_.get());
}

MemberSession::~MemberSession() {
  state_.once().set_mark(nullptr);
  const bool started = engines_ != nullptr;
  engines_.reset();
  if (!started) return;
  try {
    state_.once().end_session(party_->scope().sid);
  } catch (const std::exception&) {  // they go with the epoch
  }
}

// Before anything else of a contact: a change of epochs that was interrupted is finished or
// dropped.
void MemberSession::settle() {
  if (settled_) return;
  settled_ = true;
  store::EpochChange change(state_.db(), state_.rid_or_none(), options_.fault);
  if (!change.settle(*party_)) return;
  const auto epoch = store::EpochStore(state_.db()).load(state_.rid());
  FLEXROOM_ASSERT(epoch.has_value());
  state_.once().start_epoch(epoch->epoch_id);
  mark_->move_to(state_.rid(), epoch->epoch_id);
  to_note_ = "secret refresh, interrupted before: now in epoch " + to_hex(epoch->epoch_id);
}

// The log first: nobody signs in a room whose members' logs went back in time. Then what earlier
// contacts left open is finished, and entered.
void MemberSession::settle_log() {
  state_.log().exchange_heads(*party_, state_.configuration());
  const auto note = [&](const std::string& text, const Digest& proposal) {
    store::LogEntry entry;
    entry.unix_seconds = static_cast<uint64_t>(std::time(nullptr));
    entry.outcome = store::LogOutcome::kNote;
    entry.proposal = proposal;
    entry.text = text;
    state_.log().append_alone(entry);
  };
  if (!to_note_.empty()) note(to_note_, {});
  to_note_.clear();
  store::SecretStore& secrets = state_.secrets();
  std::map<Digest, store::RowSet> before;  // by what a refresh does not change
  const bool staged = secrets.num_staged() > 0;
  if (staged) {
    for (const store::RecordMeta& meta : secrets.list()) before[meta.origin()] = meta.set;
  }
  secrets.reconcile(*party_);
  if (staged) {
    for (const store::RecordMeta& meta : secrets.list()) {
      const auto had = before.find(meta.origin());
      if (had != before.end() && had->second == meta.set) continue;
      note(fmt::format("secret {} version {}: the {} that was interrupted before is complete at "
                       "all members",
                       meta.name, meta.version, had == before.end() ? "import" : "refresh"),
           meta.provenance);
    }
  }
  // A flow's commit may have ended with its process before they were erased.
  erase_orphaned_keys(state_);
  // Rows of it were committed, and what they were made of was not erased yet.
  for (const store::RecordMeta& meta : state_.secrets_of_before()) {
    if (secrets.has(meta.id, meta.version)) state_.loaded().remove(meta.id, meta.version);
  }
  to_turn_ = state_.loaded().reconcile(*party_);
  std::erase_if(to_turn_, [&](const store::RecordMeta& meta) {
    return meta.kind == kSigningKeyKind || meta.epoch != party_->scope().eid;
  });
}

prep::EpochState MemberSession::make_epoch() {
  state_.once().require_setup_allowed();
  return prep::setup_epoch(*party_, epoch_parameters_of(state_.room()), &state_.once());
}

bool MemberSession::ensure_epoch(bool new_epoch) {
  settle();
  const Founding room = agree_on_room(*party_, state_);
  store::EpochStore epochs(state_.db());
  const auto saved = epochs.load(state_.rid_or_none());
  agree_on_epoch(*party_, state_, saved ? std::optional(saved->epoch_id) : std::nullopt, new_epoch);
  if (saved && !new_epoch) return false;
  if (saved && state_.once().counters().needs_operator) {
    state_.once().require_preprocessing_allowed();
  }
  require_alone();
  const prep::EpochState epoch = make_epoch();
  // All have it before anybody keeps it: a member that stops here leaves the others without, and
  // the next init starts afresh.
  (void)party_->exchange("session/epoch made", epoch.eid);
  party_->echo("session/epoch made");
  // Loaded forms go with the old epoch, whose global keys their MACs belong to. Rows stay.
  state_.once().prepare_epoch(epoch.eid);
  const bool has_lost_state = !saved;
  state_.db().transaction([&] {
    state_.found(room.rid, room.mids);
    epochs.save(state_.rid(),
                {epoch.eid, epoch.serialise(), static_cast<uint64_t>(std::time(nullptr))});
    state_.loaded().keep_only(epoch.eid);
  });
  // Without an epoch before, but with a log of the room: its state.db was given up by the operator.
  if (has_lost_state && state_.once().log_head(state_.rid())) state_.log().accept_loss();
  state_.once().set_room(state_.room().name, state_.rid());
  state_.once().start_epoch(epoch.eid);
  mark_->move_to(state_.rid(), epoch.eid);
  return true;
}

void MemberSession::change_epoch(const prep::EpochState& epoch,
                                 const std::vector<store::EpochChange::Record>& records) {
  store::EpochChange change(state_.db(), state_.rid(), options_.fault);
  state_.once().prepare_epoch(epoch.eid);
  change.stage({epoch.eid, epoch.serialise(), static_cast<uint64_t>(std::time(nullptr))}, records);
  change.commit_with(*party_);
  engines_.reset();
  state_.once().start_epoch(epoch.eid);
  mark_->move_to(state_.rid(), epoch.eid);
}

namespace {

std::string what_a_burned_epoch_takes(MemberState& state) {
  const std::vector<store::RecordMeta> lost = state.secrets_of_before();
  if (lost.empty()) return ": no secret is lost by it";
  std::string names;
  for (const store::RecordMeta& meta : lost) names += (names.empty() ? "" : ", ") + meta.name;
  return ". Lost with it, because an earlier version stored them bound to that epoch: " + names +
         "; import these again from their source";
}

}  // namespace

void MemberSession::start() {
  const auto load = [&] {
    auto saved = store::EpochStore(state_.db()).load(state_.rid());
    if (saved) return std::move(*saved);
    throw InputError("room " + state_.room().name, "is not set up",
                     "run `flexroom init` with all members");
  };
  (void)load();
  settle();
  const store::EpochStore::Saved saved = load();
  if (state_.once().counters().burned) {
    throw ProtocolAbort(AbortCode::kEpochBurned, "epoch",
                        "a member cheated or a check failed earlier. Run `flexroom init "
                        "--new-epoch` at all members" +
                            what_a_burned_epoch_takes(state_));
  }
  if (state_.once().counters().needs_operator) {
    // Whether the epoch was burned is not known any more.
    throw ProtocolAbort(AbortCode::kTooManyUnfinished, "epoch",
                        "single-use state was lost (a restored machine?). If you know that the "
                        "epoch was not burned, run `flexroom peer accept`");
  }
  prep::EpochState epoch = prep::EpochState::deserialise(saved.state.reveal());
  if (!keys_are_locked() && options_.note) {
    options_.note(
        "the system refuses to lock memory (ulimit -l): the keys of this room may be written to "
        "swap");
  }
  prep::session_hello(*party_, epoch, protocol_of(state_.room()));
  state_.once().begin_session(party_->scope().sid);
  settle_log();
  state_.once().connect(*party_);
  engines_ =
      std::make_unique<SessionEngines>(*party_, std::move(epoch), state_.once(),
                                       triple_parameters_of(state_.room()), options_.progress);
  if (more_triples_) engines_->live.expect_more();
  turn_into_rows(std::exchange(to_turn_, {}));
}

// Whether every member may make products; the others' counters are their own.
bool MemberSession::may_preprocess() {
  bool here = true;
  try {
    state_.once().require_preprocessing_allowed();
  } catch (const ProtocolAbort&) {
    here = false;
  }
  const std::vector<Bytes> all = party_->exchange("rows/may", Writer().u8(here ? 1 : 0).bytes());
  party_->echo("rows/may", AbortCode::kDisagreement);
  return std::all_of(all.begin(), all.end(), [](const Bytes& bytes) { return bytes[0] != 0; });
}

// Once, in the epoch of the records; where too many batches hang in it, `secret refresh` moves them
// to another one first (boolean-engine.md §8.4).
void MemberSession::turn_into_rows(std::vector<store::RecordMeta> records) {
  if (records.empty()) return;
  require_alone();
  if (!may_preprocess()) {
    if (options_.note) {
      options_.note(
          "secrets in the form of an earlier version stay so: too many batches ended "
          "without a verdict. `flexroom secret refresh` at all members, then any command");
    }
    return;
  }
  std::vector<prep::AuthBits> bits;
  std::vector<Kept> values;
  bits.reserve(records.size());
  for (store::RecordMeta& meta : records) {
    bits.push_back(state_.loaded().get(meta.id, meta.version));
    meta.epoch = {};
    values.push_back({meta, &bits.back()});
  }
  (void)keep(values);
  for (const store::RecordMeta& meta : records) state_.loaded().remove(meta.id, meta.version);
}

const prep::EpochState& MemberSession::epoch() const {
  FLEXROOM_ASSERT(engines_ != nullptr);
  return engines_->epoch;
}

agent::Context MemberSession::context() {
  FLEXROOM_ASSERT(engines_ != nullptr);
  return engines_->context();
}
prep::Source& MemberSession::source() { return engines_->source; }
PooledSource& MemberSession::pool() { return engines_->source; }
void MemberSession::fill_pool(size_t count) {
  engines_->filling = true;
  engines_->source.fill(count, 0, options_.progress);
  engines_->filling = false;
}
size_t MemberSession::triples_to_make(size_t count) { return engines_->triples_to_make(count); }
void MemberSession::reserve_triples(size_t count) { engines_->reserve_triples(count); }
void MemberSession::expect_more_triples() {
  more_triples_ = true;
  if (engines_ != nullptr) engines_->live.expect_more();
}
boolean::Engine& MemberSession::engine() { return engines_->engine; }

void MemberSession::load(const std::vector<store::RecordMeta>& secrets) {
  std::vector<store::RecordMeta> missing;
  for (const store::RecordMeta& meta : secrets) {
    const bool again = std::any_of(missing.begin(), missing.end(), [&](const auto& other) {
      return other.digest() == meta.digest();
    });
    if (!again && !shares_.contains(meta.digest())) missing.push_back(meta);
  }
  if (missing.empty()) return;
  state_.secrets().agree(*party_, missing);
  std::vector<SecretBytes> rows;
  std::vector<prep::HeldRow> held;
  for (const store::RecordMeta& meta : missing) {
    rows.push_back(state_.secrets().row(meta.id, meta.version));
    held.push_back({meta.bits, rows.back().reveal()});
  }
  std::vector<prep::AuthBits> loaded =
      prep::load_rows(*party_, engines_->source, state_.once(), held);
  for (size_t s = 0; s < missing.size(); ++s) {
    shares_.insert_or_assign(missing[s].digest(), std::move(loaded[s]));
  }
}

prep::AuthBits MemberSession::shares(const store::RecordMeta& secret) {
  load({secret});
  return shares_.at(secret.digest()).clone();
}

const prep::AuthBits& MemberSession::loaded(const store::RecordMeta& secret) const {
  const auto it = shares_.find(secret.digest());
  FLEXROOM_ASSERT(it != shares_.end());
  return it->second;
}

MemberSession::NewRows MemberSession::make_rows(const std::vector<const prep::AuthBits*>& values) {
  NewRows out;
  out.digest = next_set(*party_);
  out.set = row_set(out.digest);
  out.rows = prep::store_rows(*party_, engines_->source, values);
  return out;
}

std::vector<store::RecordMeta> MemberSession::keep(const std::vector<Kept>& values) {
  std::vector<const prep::AuthBits*> bits;
  for (const Kept& kept : values) bits.push_back(kept.value);
  NewRows made = make_rows(bits);
  std::vector<store::Record> records;
  std::vector<store::RecordMeta> out;
  for (size_t s = 0; s < values.size(); ++s) {
    store::RecordMeta meta = values[s].meta;
    meta.set = made.set;
    out.push_back(meta);
    records.push_back({std::move(meta), std::move(made.rows[s])});
  }
  state_.secrets().put(*party_, records);
  return out;
}

// Durable when it returns: in once.db, or where that cannot be written now, in the session's mark.
void MemberSession::record(const ProtocolAbort& abort) {
  constexpr int kTries = 5;  // of the time that a database waits for its lock
  for (int k = 0; k < kTries; ++k) {
    std::string problem;
    try {
      record_abort(state_.once(), abort, state_.self());
      mark_->settle_verdict();
      return;
    } catch (const InputError& error) {
      problem = error.what();
    }
    const bool boolean = abort.abort_class() == AbortClass::kBooleanCheat;
    const bool kept =
        mark_->put(boolean ? store::OpenMark::State::kBurn : store::OpenMark::State::kStrike);
    if (!kept && k + 1 < kTries) continue;
    if (!kept) mark_->leave();
    if (!options_.note) return;
    options_.note(fmt::format("the failed check could not be entered into once.db: {}{}", problem,
                              kept ? "; it is kept beside it and counts from the next command on"
                                   : "; nor could it be kept beside it: the next command counts "
                                     "this session as one that ended without a word. Do not run "
                                     "anything before you know why"));
    return;
  }
}

void MemberSession::telling_the_others(const std::function<void()>& body) {
  try {
    body();
  } catch (const ProtocolAbort& abort) {
    const auto said = net::said_why(*party_, abort);
    net::abort_saying(*party_, net::reason_of(abort));
    if (said) throw ProtocolAbort(*said);
    throw;
  } catch (...) {
    net::abort_saying(*party_, net::AbortReason::kOwn);
    throw;
  }
}

void MemberSession::guard(const std::function<void()>& body) {
  try {
    body();
  } catch (const ProtocolAbort& abort) {
    record(abort);  // before anything else (boolean-engine.md §10.2)
    // One that carries more than an abort does is not replaced.
    const bool plain = typeid(abort) == typeid(ProtocolAbort);
    const auto said = plain ? net::said_why(*party_, abort) : std::nullopt;
    net::abort_saying(*party_, net::reason_of(abort));
    shares_.clear();
    try {
      state_.erase_burned_epoch();
    } catch (const InputError&) {  // done at the next start
    }
    if (said) throw ProtocolAbort(*said);
    throw;
  } catch (...) {
    net::abort_saying(*party_, net::AbortReason::kOwn);
    shares_.clear();
    throw;
  }
}

}  // namespace flexroom::session
