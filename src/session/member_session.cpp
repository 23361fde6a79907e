#include "session/member_session.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <typeinfo>

#include "base/codec.h"
#include "base/locked_blocks.h"
#include "config/passphrase.h"
#include "net/abort_reason.h"
#include "net/tcp_mesh.h"
#include "prep/epoch.h"
#include "prep/forward_source.h"
#include "prep/rows.h"
#include "prep/session_hello.h"
#include "session/room_terms.h"
#include "session/signing_keys.h"
#include "store/epoch_store.h"
#include "store/passphrase.h"
#include "store/sealed_db.h"

namespace flexroom::session {
namespace {

Digest digest_of_hex(const std::string& hex) {
  const Bytes bytes = from_hex(hex);
  Digest out{};
  FLEXROOM_ASSERT(bytes.size() == out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

class OnceJournal final : public agent::Journal {
 public:
  OnceJournal(store::OnceDb& once, const Digest& session) : once_(once), session_(session) {}
  void mark(std::string_view kind, ByteView id) override {
    // Whatever becomes of this process: from here on the request may have left.
    if (kind == "release") once_.run_released(session_);
    if (once_.mark(kind, id)) return;
    throw ProtocolAbort(AbortCode::kReuse, kind, "this single-use item was used before");
  }

 private:
  store::OnceDb& once_;
  const Digest session_;
};

/// LIFE is counted for every peer apart.
std::vector<store::MemberId> peers_of(const std::vector<store::MemberId>& mids, PartyId self) {
  std::vector<store::MemberId> peers = mids;
  peers.erase(peers.begin() + self);
  return peers;
}

constexpr std::string_view kOldKeysKind = "member keys";  // of rooms without an id

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

std::unique_ptr<store::SealedDb> open_state_db(const MemberConfig& member, bool lost,
                                               store::SealedDb::Access access) {
  const std::filesystem::path file = member.state_dir / "state.db";
  const auto there = [](const std::filesystem::path& path) {
    return std::filesystem::exists(path);
  };
  if (!lost && !there(file) &&
      (there(member.state_dir / "once.db") || there(member.once_key_file))) {
    throw InputError(file.string(), "is missing, although this member was in a room",
                     "put it back, or the newest backup of it. Only if there is none any more: the "
                     "room's secrets are lost for all members; `flexroom init --state-lost`");
  }
  const auto find_key = [&](bool is_new, Bytes& record) {
    if (is_new && access == store::SealedDb::Access::kLook) return store::SealKey::random();
    if (!member.state_passphrase) return store::SealKey::load(member.state_key_file);
    if (!is_new && record.empty()) {
      throw InputError(file.string(), "is sealed under a key file, not a passphrase",
                       "name state_key_file in member.toml; `flexroom passphrase` sets one");
    }
    const SecretBytes passphrase = read_passphrase(
        *member.state_passphrase,
        fmt::format("{}assphrase for {}", is_new ? "New p" : "P", file.string()), is_new);
    if (!is_new) return store::open_key_record(record, passphrase);
    store::SealKey key = store::SealKey::random();
    record = store::make_key_record(key, passphrase);
    return key;
  };
  return std::make_unique<store::SealedDb>(file, find_key, access);
}

void give_up_state(const RoomConfig& room, const MemberConfig& member) {
  const auto db = open_state_db(member, true);
  store::OnceDb once(member.state_dir / "once.db", member.once_key_file, true, limits_of(room));
  if (const auto record = store::RoomStore(*db).find(room.name)) {
    store::EpochStore(*db).erase(record->rid);
  }
  once.forget_room(room.name);
}

MemberState::MemberState(RoomConfig room, MemberConfig member,
                         std::function<void(std::string_view)> fault,
                         store::SealedDb::Access access)
    : room_(std::move(room)),
      member_(std::move(member)),
      self_(room_.member_id(member_.name)),
      identity_(net::Identity::load(member_.identity_dir)),
      fault_(std::move(fault)) {
  const std::string& expected = room_.members[self_].certificate_sha256;
  if (to_hex(identity_.fingerprint()) != expected) {
    throw InputError(room_.file.string(),
                     fmt::format("lists another certificate for {} than {} holds", member_.name,
                                 member_.identity_dir.string()),
                     fmt::format("put certificate = \"{}\" into room.toml at every member",
                                 to_hex(identity_.fingerprint())));
  }
  db_ = open_state_db(member_, false, access);
  enter_room();
  const auto epoch = store::EpochStore(*db_).load(rid_or_none());
  once_ = std::make_unique<store::OnceDb>(member_.state_dir / "once.db", member_.once_key_file,
                                          epoch.has_value(), limits_of(room_),
                                          peers_of(mids_, self_), fault_, access);
  for (PartyId i = 0; i < room_.members.size(); ++i) {
    once_->rename_life(digest_of_hex(room_.members[i].certificate_sha256), mids_[i]);
  }
  secrets_ = std::make_unique<store::SecretStore>(*db_, rid_or_none(), fault_);
  loaded_ = std::make_unique<store::LoadedStore>(*db_, rid_or_none(), fault_);
  meet_once_db(epoch ? std::optional<Digest>(epoch->epoch_id) : std::nullopt);
}

// once.db is in no backup, so it knows when state.db is.
void MemberState::meet_once_db(const std::optional<Digest>& epoch) {
  using Seen = store::OnceDb::StateDb;
  const Seen seen = once_->enter(
      room_.name, record_ ? std::optional<store::RoomId>(record_->rid) : std::nullopt, epoch);
  const std::string file = (member_.state_dir / "state.db").string();
  if (seen == Seen::kOlder) {
    throw InputError(file,
                     fmt::format("is older than the present epoch of room '{}' (a backup was put "
                                 "back, or the newest file is elsewhere)",
                                 room_.name),
                     "put the newest state.db back. Only if there is none any more: `flexroom init "
                     "--state-lost`; secrets stored or refreshed since are lost for all members");
  }
  if (seen == Seen::kMissing) {
    throw InputError(file,
                     fmt::format("does not know room '{}', which this member was in: it is "
                                 "another file, or one of before",
                                 room_.name),
                     "put the newest state.db back. Only if there is none any more: the room's "
                     "secrets are lost for all members; `flexroom init --state-lost`");
  }
  // Killed between the change of state.db and that of the counters.
  if (epoch) once_->start_epoch(*epoch);
  erase_burned_epoch();  // killed between burning and erasing
}

MemberState::~MemberState() = default;

namespace {

std::string names_of(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

// By its name: which room of this state room.toml speaks of, and whether it can be that one.
void MemberState::enter_room() {
  store::RoomStore rooms(*db_);
  record_ = rooms.find(room_.name);
  if (!record_ && take_over_old_room()) record_ = rooms.find(room_.name);
  mids_.clear();
  if (!record_) {
    for (const MemberEntry& member : room_.members) {
      mids_.push_back(rooms.id_of(digest_of_hex(member.certificate_sha256)));
    }
    return;
  }
  std::vector<std::string> theirs, ours;
  for (const MemberEntry& member : room_.members) theirs.push_back(member.name);
  for (const auto& member : record_->members) {
    ours.push_back(member.name);
    mids_.push_back(member.id);
  }
  if (theirs != ours) {
    throw InputError(
        room_.file.string(),
        fmt::format("lists the members {}, but room '{}' of {} is that of {}", names_of(theirs),
                    room_.name, member_.state_dir.string(), names_of(ours)),
        "write them as they were, in that order; a room of other members needs "
        "another name (nothing of this one is lost by that)");
  }
  if (record_->profile != room_.profile) {
    throw InputError(room_.file.string(),
                     fmt::format("has profile \"{}\", but room '{}' was made with \"{}\"",
                                 room_.profile, room_.name, record_->profile),
                     "write the profile it was made with; another one needs a room of another "
                     "name (nothing of this one is lost by that)");
  }
}

// A room made before there were ids: its rows lie under a digest of room.toml, or under none.
bool MemberState::take_over_old_room() {
  const Digest old = old_room_digest();
  const auto saved = store::EpochStore(*db_).load(old);
  if (!saved) return false;
  const auto next = store::EpochStore(*db_, store::kNextEpoch).load(old);
  // Members in the middle of a refresh, of which one has committed, derive the same.
  const Digest& epoch = next ? next->epoch_id : saved->epoch_id;
  store::RoomRecord room;
  room.rid = store::old_room_id(old, epoch);
  room.name = room_.name;
  room.profile = room_.profile;
  store::RoomStore rooms(*db_);
  const auto keys = db_->get(kOldKeysKind, old);
  for (size_t i = 0; i < room_.members.size(); ++i) {
    store::RoomRecord::Member member;
    member.name = room_.members[i].name;
    member.certificate = digest_of_hex(room_.members[i].certificate_sha256);
    member.id = rooms.id_of(member.certificate);
    if (keys && keys->meta.size() == 32 * room_.members.size()) {
      std::copy_n(keys->meta.begin() + static_cast<ptrdiff_t>(32 * i), 32, member.key.begin());
    }
    room.members.push_back(std::move(member));
  }
  db_->transaction([&] {
    rooms.save(room);
    db_->remove(kOldKeysKind, old);
    store::take_over_epochs(*db_, old, room.rid);
    store::take_over_secrets(*db_, room.rid);
  });
  return true;
}

const store::RoomId& MemberState::rid() const {
  if (record_) return record_->rid;
  throw InputError("room " + room_.name, "is not set up", "run `flexroom init` with all members");
}

store::RoomId MemberState::rid_or_none() const { return record_ ? record_->rid : store::RoomId{}; }

void MemberState::found(const store::RoomId& rid, const std::vector<store::MemberId>& mids) {
  FLEXROOM_ASSERT(mids.size() == room_.members.size() && (!record_ || record_->rid == rid));
  store::RoomRecord room;
  room.rid = rid;
  room.name = room_.name;
  room.profile = room_.profile;
  for (size_t i = 0; i < mids.size(); ++i) {
    room.members.push_back({mids[i], room_.members[i].name,
                            digest_of_hex(room_.members[i].certificate_sha256),
                            keys_.empty() ? net::SigningKey{} : keys_[i]});
  }
  store::RoomStore(*db_).save(room);
  record_ = std::move(room);
  mids_ = mids;
  secrets_ = std::make_unique<store::SecretStore>(*db_, record_->rid, fault_);
  loaded_ = std::make_unique<store::LoadedStore>(*db_, record_->rid, fault_);
}

void MemberState::settle_open_marks() {
  const auto saved = store::EpochStore(*db_).load(rid_or_none());
  const Digest epoch = saved ? saved->epoch_id : Digest{};
  store::OpenMark::settle(member_.state_dir, [&](const store::OpenMark::Left& left) {
    if (!left.is_of(rid_or_none(), store::marked_members(mids_))) return false;
    // Of an epoch that is over, what it did to LIFE remains.
    once_->enter_open_mark(left.state, left.epoch == epoch);
    return true;
  });
  erase_burned_epoch();
}

std::vector<std::string> MemberState::open_marks() {
  store::RoomStore rooms(*db_);
  std::vector<std::string> out;
  for (const store::OpenMark::Left& left : store::OpenMark::left(member_.state_dir)) {
    std::string whose = "this room: its next command counts it";
    if (!left.is_of(rid_or_none(), store::marked_members(mids_))) {
      whose = left.room == store::RoomId{}
                  ? "a room with other members, which was never set up"
                  : "room " + to_hex(left.room).substr(0, 16) + ", which this state does not know";
      for (const std::string& name : rooms.names()) {
        const auto other = rooms.find(name);
        if (other && other->rid == left.room) whose = "room " + name;
      }
      whose +=
          ": the next command of that room counts it. If that room is given up for good, the "
          "file can be removed";
    }
    out.push_back(fmt::format("{} is not counted yet ({}), of {}", store::to_string(left.state),
                              left.file.string(), whose));
  }
  return out;
}

void MemberState::erase_burned_epoch() {
  if (!record_ || !once_->counters().burned) return;
  store::EpochStore epochs(*db_);
  const auto saved = epochs.load(record_->rid);
  if (!saved || saved->state.size() == 0) return;
  epochs.save(record_->rid, {saved->epoch_id, SecretBytes(), saved->made});
  db_->scrub();
}

std::vector<std::string> MemberState::other_rooms() {
  std::vector<std::string> names = store::RoomStore(*db_).names();
  std::erase(names, room_.name);
  return names;
}

bool MemberState::member_fits(PartyId i, const store::MemberId& id) {
  return store::RoomStore(*db_).fits(digest_of_hex(room_.members[i].certificate_sha256), id);
}

Digest MemberState::old_room_digest() const {
  RandomOracle hash("room", {});
  hash.field(room_.name).field(room_.profile).field(room_.courier);
  for (const MemberEntry& member : room_.members) {
    hash.field(member.name).field(member.certificate_sha256);
  }
  return hash.digest();
}

bool MemberState::has_epoch() {
  return record_ && store::EpochStore(*db_).load(record_->rid).has_value();
}

uint64_t MemberState::epoch_made() {
  if (!record_) return 0;
  const auto saved = store::EpochStore(*db_).load(record_->rid);
  return saved ? saved->made : 0;
}

void MemberState::save_signing_keys(const std::vector<net::SigningKey>& keys) {
  keys_ = keys;
  if (!record_) return;
  store::RoomRecord now = *record_;
  bool changed = false;
  for (size_t i = 0; i < keys.size(); ++i) {
    const Digest certificate = digest_of_hex(room_.members[i].certificate_sha256);
    changed = changed || now.members[i].certificate != certificate || now.members[i].key != keys[i];
    now.members[i].certificate = certificate;
    now.members[i].key = keys[i];
  }
  if (!changed) return;
  store::RoomStore(*db_).save(now);
  record_ = std::move(now);
}

std::vector<net::SigningKey> MemberState::signing_keys() {
  std::vector<net::SigningKey> keys = keys_;
  if (record_ && keys.empty()) {
    for (const auto& member : record_->members) {
      if (member.key != net::SigningKey{}) keys.push_back(member.key);
    }
  }
  if (keys.size() != room_.members.size()) {
    throw InputError(member_.state_dir.string(), "the members' keys are not known yet",
                     "run `flexroom init` with all members first");
  }
  return keys;
}

store::AuditLog MemberState::log() { return {*db_, *once_, identity_, rid(), mids()[self_]}; }

void MemberState::settle_runs() {
  if (!founded()) return;
  std::optional<store::SessionLock> alone;
  try {
    alone.emplace(member_.state_dir);
    alone->require_alone();
  } catch (const InputError&) {
    return;  // what is open may be the run of another process
  }
  try {
    log().settle_open_runs();
  } catch (const InputError&) {
    // A log that cannot be written, or goes back in time: whoever needs it says so.
  }
}

agreement::Configuration MemberState::configuration() {
  agreement::Configuration out;
  out.room = rid();
  out.name = room_.name;
  out.profile = room_.profile;
  const std::vector<net::SigningKey> keys = signing_keys();
  for (size_t i = 0; i < room_.members.size(); ++i) {
    const MemberEntry& member = room_.members[i];
    // Where a member is reached is each one's own affair, as long as no change carries it.
    out.members.push_back(
        {mids()[i], member.name, keys[i], digest_of_hex(member.certificate_sha256), ""});
  }
  out.couriers.push_back(mids()[room_.courier_id()]);
  // What room_terms.h compares, and so what members agree under; roots are each one's own.
  for (const Provider& provider : room_.providers) {
    out.providers.push_back(
        {provider.name,
         provider.hosts,
         {fmt::format("await_close={}", provider.tls.await_close), "group=" + provider.group,
          fmt::format("max_answer={}", provider.tls.max_answer),
          fmt::format("suite={}", provider.tls.suite->setting)},
         provider.open_calls});
  }
  std::sort(out.providers.begin(), out.providers.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

std::vector<store::RecordMeta> MemberState::secrets_of_before() {
  std::vector<store::RecordMeta> out = loaded_->list();
  std::erase_if(out, [](const store::RecordMeta& meta) { return meta.kind == kSigningKeyKind; });
  return out;
}

store::RecordMeta MemberState::secret(const std::string& name) {
  std::optional<store::RecordMeta> found;
  for (const store::RecordMeta& meta : secrets_->list()) {
    if (meta.name == name && (!found || meta.version > found->version)) found = meta;
  }
  if (!found) {
    for (const store::RecordMeta& meta : secrets_of_before()) {
      if (meta.name != name) continue;
      throw InputError(fmt::format("secret '{}'", name),
                       "is stored in the form of an earlier version, bound to its epoch",
                       "run `flexroom init` at all members, which turns it into rows. If the epoch "
                       "is burned it is lost: import it again");
    }
    throw InputError(fmt::format("secret '{}'", name), "is not in the store",
                     "`flexroom secret list` shows what is there; `flexroom secret import` brings "
                     "a new one");
  }
  return *found;
}

struct MemberSession::Engines {
  Engines(net::Party& party, prep::EpochState e, store::OnceDb& once,
          const prep::TripleParameters& parameters, const prep::Progress& progress)
      : epoch(std::move(e)),
        live(party, epoch, once, parameters,
             [this, progress](std::string_view phase, uint64_t done, uint64_t total) {
               if (progress && !filling) progress(phase, done, total);
             }),
        source(party, once, epoch.delta, parameters.batch,
               [this] { return std::make_unique<prep::ForwardSource>(live); }),
        arith(party, source),
        engine(party, source),
        journal(once, party.scope().sid) {
    engine.set_start_hook([this](const Digest& id) { journal.mark("instance", id); });
    if (progress) {
      engine.set_progress(
          [progress](uint64_t done, uint64_t total) { progress("garbling", done, total); });
    }
  }
  prep::EpochState epoch;
  bool filling = false;  // the pool tells how far that is
  prep::SessionPrep live;
  PooledSource source;
  arith::ArithEngine arith;
  boolean::Engine engine;
  OnceJournal journal;
};

store::OnceDb::Limits limits_of(const RoomConfig& room) {
  const prep::Profile profile = prep::profile(room.profile);
  return {profile.dirty_max, profile.life_max};
}

net::MeshConfig mesh_of(const RoomConfig& room, const MemberConfig& member,
                        const std::atomic<bool>* cancel,
                        const std::function<void(const std::string&)>& note) {
  net::MeshConfig config;
  for (const MemberEntry& one : room.members) {
    config.members.push_back(
        {one.name, one.address.host, one.address.port, digest_of_hex(one.certificate_sha256)});
  }
  config.self = room.member_id(member.name);
  const Endpoint listen = member.listen.value_or(room.members[config.self].address);
  config.listen_host = listen.host;
  config.listen_port = listen.port;
  // What room.toml says is compared in words (room_terms.h), once the members have met.
  config.room_digest = RandomOracle("flexroom room session/1", {}).digest();
  config.connect_timeout = room.timeout;
  config.receive_timeout = std::max<std::chrono::seconds>(room.timeout, std::chrono::seconds(120));
  config.cancel = cancel;
  config.on_waiting = [note](const std::vector<net::MissingMember>& missing) {
    if (!note) return;
    for (const net::MissingMember& one : missing) {
      note(fmt::format("waiting for {} ({}){}{}", one.name, one.address,
                       one.problem.empty() ? "" : ": ", one.problem));
    }
  };
  return config;
}

MemberSession::MemberSession(MemberState& state, const SessionOptions& options)
    : state_(state), options_(options) {
  state_.settle_runs();
  lock_.emplace(state.member().state_dir);
  const RoomConfig& room = state.room();
  state.settle_open_marks();
  std::unique_ptr<net::TcpMesh> mesh = net::TcpMesh::join(
      mesh_of(room, state.member(), options.cancel, options.note), state.identity());
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
  std::vector<Term> terms = {{"command", options_.command}};
  for (Term& term : room_terms(room)) terms.push_back(std::move(term));
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
  prep::EpochParameters parameters;
  for (const MemberEntry& member : state_.room().members) {
    parameters.identities.push_back(from_hex(member.certificate_sha256));
  }
  return prep::setup_epoch(*party_, parameters, &state_.once());
}

namespace {

struct Founding {
  store::RoomId rid{};
  std::vector<store::MemberId> mids;
};

// Which room this is, and who is in it: what all have, or a new room's ids. A member that has lost
// its state takes the room's over; nothing is stored before there is an epoch.
Founding agree_on_room(net::Party& party, MemberState& state) {
  constexpr std::string_view kLabel = "session/room";
  Digest nonce{};
  Prg::from_system().fill(nonce);
  const store::MemberId& own = state.mids()[party.id()];
  const std::vector<Bytes> all =
      party.exchange(kLabel, Writer().raw(state.rid_or_none()).raw(nonce).raw(own).bytes());
  party.echo(kLabel, AbortCode::kDisagreement);
  Founding out;
  std::vector<Digest> nonces;
  for (PartyId j = 0; j < all.size(); ++j) {
    Reader in(all[j], kLabel, j);
    const Digest rid = in.digest();
    nonces.push_back(in.digest());
    const ByteView raw = in.raw(sizeof(store::MemberId));
    in.finish();
    store::MemberId& mid = out.mids.emplace_back();
    std::copy(raw.begin(), raw.end(), mid.begin());
    if (rid != store::RoomId{}) {
      if (out.rid == store::RoomId{}) out.rid = rid;
      if (rid != out.rid) {
        throw ProtocolAbort(AbortCode::kDisagreement, kLabel,
                            "knows another room of this name (a state.db of another time?); bring "
                            "back the newest state.db there, or here, or give this room another "
                            "name in room.toml at all members",
                            j);
      }
    }
    const bool again = std::count(out.mids.begin(), out.mids.end(), mid) > 1;
    // What it did in other rooms, or under another certificate, is counted with its id.
    if (again || (state.founded() ? mid != state.mids()[j] : !state.member_fits(j, mid))) {
      throw ProtocolAbort(AbortCode::kDisagreement, kLabel,
                          "claims another member id than it has here; bring back its newest "
                          "state.db, or let it make a new identity",
                          j);
    }
  }
  if (out.rid == store::RoomId{}) out.rid = store::new_room_id(nonces);
  return out;
}

}  // namespace

namespace {

// They go with the epoch that they are bound to: while it is whole, they are turned into rows.
void require_no_secrets_of_before(MemberState& state) {
  const std::vector<store::RecordMeta> left = state.secrets_of_before();
  if (left.empty()) return;
  throw ProtocolAbort(
      AbortCode::kRefusedByRule, "epoch",
      fmt::format("'{}' is stored in the form of an earlier version and would be lost with this "
                  "epoch, which is not burned: run `flexroom init` at all members first, which "
                  "turns it into rows (`flexroom secret refresh` where too many batches ended "
                  "without a verdict)",
                  left.front().name));
}

}  // namespace

bool MemberSession::ensure_epoch(bool new_epoch) {
  settle();
  const Founding room = agree_on_room(*party_, state_);
  store::EpochStore epochs(state_.db());
  const auto saved = epochs.load(state_.rid_or_none());
  const bool burned = saved && state_.once().counters().burned;
  const auto said = [&](bool is_burned) {
    return Writer()
        .u8(new_epoch ? 1 : 0)
        .raw(saved ? ByteView(saved->epoch_id) : ByteView(Digest{}))
        .u8(is_burned ? 1 : 0)
        .take();
  };
  std::vector<Bytes> all = party_->exchange("session/epoch", said(burned));
  party_->echo("session/epoch", AbortCode::kDisagreement);
  if (saved && new_epoch &&
      std::all_of(all.begin(), all.end(), [&](const Bytes& b) { return b == said(false); })) {
    require_no_secrets_of_before(state_);
  }
  for (Bytes& bytes : all) bytes.back() = 0;  // one burned epoch is burned for all
  const Bytes own = said(false);
  for (const PartyId j : party_->peers()) {
    const bool asks = all[j][0] != 0;
    // Which epoch was theirs does not matter to members that all want a new one.
    if (all[j] == own || (asks && new_epoch)) continue;
    if (asks != new_epoch) {
      throw ProtocolAbort(AbortCode::kDisagreement, "epoch",
                          "not all members ask for a new epoch: run `flexroom init` with "
                          "--new-epoch at all of them, or at none",
                          j);
    }
    const bool has_one =
        !std::all_of(all[j].begin() + 1, all[j].end(), [](uint8_t b) { return b == 0; });
    // Which of the two is older this member cannot know; once.db of the other may.
    throw ProtocolAbort(
        AbortCode::kDisagreement, "epoch",
        fmt::format("{} the epoch that {}: `init --new-epoch` was cut (run it again at all "
                    "members: no secret is lost), or a state.db there or here is not the newest. "
                    "Put the newest one back; only if it is gone for good, run `flexroom init "
                    "--state-lost` there",
                    has_one ? "is in another epoch than" : "does not have",
                    has_one ? "we are in" : "we have"),
        j);
  }
  if (saved && !new_epoch) return false;
  if (saved && state_.once().counters().needs_operator)
    state_.once().require_preprocessing_allowed();
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
  prep::session_hello(*party_, epoch);
  state_.once().begin_session(party_->scope().sid);
  settle_log();
  state_.once().connect(*party_);
  engines_ =
      std::make_unique<Engines>(*party_, std::move(epoch), state_.once(),
                                prep::profile(state_.room().profile).triples, options_.progress);
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
  return {*party_, engines_->source, engines_->arith, engines_->engine, engines_->journal};
}
prep::Source& MemberSession::source() { return engines_->source; }
PooledSource& MemberSession::pool() { return engines_->source; }
void MemberSession::fill_pool(size_t count) {
  engines_->filling = true;
  engines_->source.fill(count, 0, options_.progress);
  engines_->filling = false;
}
size_t MemberSession::triples_to_make(size_t count) {
  return count - std::min<size_t>(count, engines_->source.stock().triples);
}
void MemberSession::reserve_triples(size_t count) {
  const size_t missing = triples_to_make(count);
  if (missing > 0) engines_->live.stock_triples(missing);
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

std::vector<store::RecordMeta> MemberSession::keep(const std::vector<Kept>& values) {
  const Digest digest =
      RandomOracle("set", party_->scope(), party_->next_counter("rows/set")).digest();
  std::vector<const prep::AuthBits*> bits;
  for (const Kept& kept : values) bits.push_back(kept.value);
  std::vector<SecretBytes> rows = prep::store_rows(*party_, engines_->source, bits);
  std::vector<store::Record> records;
  std::vector<store::RecordMeta> out;
  for (size_t s = 0; s < values.size(); ++s) {
    store::RecordMeta meta = values[s].meta;
    std::copy_n(digest.begin(), meta.set.size(), meta.set.begin());
    out.push_back(meta);
    records.push_back({std::move(meta), std::move(rows[s])});
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

namespace {

/// Only what no check of a protocol decided has a word (boolean-engine.md §10.2).
net::AbortReason reason_of(const ProtocolAbort& abort) {
  if (abort.peer()) return net::AbortReason::kNothing;
  if (abort.code() == AbortCode::kRefusedByRule) return net::AbortReason::kSaidNo;
  if (abort.code() == AbortCode::kCancelled) return net::AbortReason::kStopped;
  // Of its own state, which says so before anything is begun.
  const bool own = abort.code() == AbortCode::kTooManyUnfinished;
  return own ? net::AbortReason::kOwn : net::AbortReason::kNothing;
}

}  // namespace

void MemberSession::telling_the_others(const std::function<void()>& body) {
  try {
    body();
  } catch (const ProtocolAbort& abort) {
    const auto said = net::said_why(*party_, abort);
    net::abort_saying(*party_, reason_of(abort));
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
    net::abort_saying(*party_, reason_of(abort));
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
