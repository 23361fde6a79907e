#include "session/member_state.h"

#include <fmt/core.h>

#include <algorithm>

#include "config/passphrase.h"
#include "session/pool_source.h"
#include "session/room_change.h"
#include "session/room_terms.h"
#include "session/signing_keys.h"
#include "store/epoch_store.h"
#include "store/handed_rows.h"
#include "store/open_mark.h"
#include "store/passphrase.h"

namespace flexroom::session {
namespace {

/// LIFE is counted for every peer apart.
std::vector<store::MemberId> peers_of(const std::vector<store::MemberId>& mids, PartyId self) {
  std::vector<store::MemberId> peers = mids;
  peers.erase(peers.begin() + self);
  return peers;
}
constexpr std::string_view kOldKeysKind = "member keys";  // of rooms without an id
constexpr std::string_view kStagedEpoch = "epoch of change";

std::string names_of(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

store::OnceDb::Limits limits_of(const RoomConfig& room) {
  const prep::Profile profile = prep::profile(room.profile);
  return {profile.dirty_max, profile.life_max};
}

prep::TripleParameters triple_parameters_of(const RoomConfig& room) {
  return prep::profile(room.profile, prep::triple_protocol(room.triples)).triples;
}

prep::EpochParameters epoch_parameters_of(const RoomConfig& room) {
  prep::EpochParameters out;
  for (const MemberEntry& member : room.members) {
    out.identities.push_back(from_hex(member.certificate_sha256));
  }
  if (room.link == "slow") out.subfield_bits = prep::kSlowLinkSubfieldBits;
  out.protocol = protocol_of(room);
  return out;
}

uint16_t protocol_of(const RoomConfig& room) {
  return prep::protocol_number(prep::triple_protocol(room.triples));
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

namespace {

bool is_signing_key(const store::RecordMeta& meta) { return meta.kind == kSigningKeyKind; }

}  // namespace

GivenUp look_at_given_up(const RoomConfig& room, const MemberConfig& member) {
  using store::SealedDb;
  GivenUp out;
  out.there = std::filesystem::exists(member.state_dir / "state.db");
  if (out.there) {
    const auto db = open_state_db(member, true, SealedDb::Access::kLook);
    if (const auto record = store::RoomStore(*db).find(room.name)) {
      const auto names = [](const std::vector<store::RecordMeta>& list) {
        std::vector<std::string> all;
        for (const store::RecordMeta& meta : list) {
          all.push_back(fmt::format("{} v{}", meta.name, meta.version));
        }
        return all;
      };
      out.rows = names(store::SecretStore(*db, record->rid).list());
      std::vector<store::RecordMeta> before = store::LoadedStore(*db, record->rid).list();
      std::erase_if(before, &is_signing_key);
      out.erased = names(before);
      const auto epoch = store::EpochStore(*db).load(record->rid);
      if (epoch) out.made = epoch->made;
    }
  }
  store::OnceDb once(member.state_dir / "once.db", member.once_key_file, true, limits_of(room), {},
                     nullptr, SealedDb::Access::kLook);
  const auto stock = once.stock_of_room(room.name);
  out.triples = summarise(stock, room.members.size()).triples;
  return out;
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
                         store::SealedDb::Access access, OpenedFor purpose,
                         std::unique_ptr<store::SealedDb> db)
    : room_(std::move(room)),
      member_(std::move(member)),
      self_(room_.member_id(member_.name)),
      identity_(net::Identity::load(member_.identity_dir)),
      fault_(std::move(fault)),
      db_(std::move(db)) {
  const std::string& expected = room_.members[self_].certificate_sha256;
  if (to_hex(identity_.fingerprint()) != expected) {
    throw InputError(room_.file.string(),
                     fmt::format("lists another certificate for {} than {} holds", member_.name,
                                 member_.identity_dir.string()),
                     fmt::format("put certificate = \"{}\" into room.toml at every member",
                                 to_hex(identity_.fingerprint())));
  }
  if (!db_) db_ = open_state_db(member_, false, access);
  enter_room();
  const auto epoch = store::EpochStore(*db_).load(rid_or_none());
  once_ = std::make_unique<store::OnceDb>(member_.state_dir / "once.db", member_.once_key_file,
                                          epoch.has_value(), limits_of(room_),
                                          peers_of(mids_, self_), fault_, access);
  if (purpose == OpenedFor::kRun) {
    if (record_) {
      const auto last = log().configuration();
      store::require_place_to_run(store::RoomRegister(*once_, record_->rid).get(),
                                  last ? last->number : 0, room_.name,
                                  (member_.state_dir / "state.db").string());
    }
    require_agreed_members();
  }
  for (PartyId i = 0; i < room_.members.size(); ++i) {
    once_->rename_life(room_.members[i].certificate(), mids_[i]);
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

// By its name: which room of this state room.toml speaks of.
void MemberState::enter_room() {
  store::RoomStore rooms(*db_);
  record_ = rooms.find(room_.name);
  if (!record_ && take_over_old_room()) record_ = rooms.find(room_.name);
  if (const auto change = store::ChangeStore(*db_, room_.name).configuration()) {
    changed_ = change->configuration;
  }
  mids_.clear();
  const bool fits = record_ && record_->members.size() == room_.members.size();
  for (size_t i = 0; i < room_.members.size(); ++i) {
    mids_.push_back(fits ? record_->members[i].id : rooms.id_of(room_.members[i].certificate()));
  }
}

// Whether room.toml can be of the room that this state is in.
void MemberState::require_agreed_members() const {
  if (!record_) return;
  constexpr std::string_view kRemedy =
      "`flexroom room change` changes it, at all members; or write it as it was (a room of other "
      "members needs another name; nothing of this one is lost by that)";
  std::vector<std::string> theirs, ours;
  for (const MemberEntry& member : room_.members) theirs.push_back(member.name);
  for (const auto& member : record_->members) ours.push_back(member.name);
  if (theirs != ours) {
    throw InputError(
        room_.file.string(),
        fmt::format("lists the members {}, but room '{}' of {} is that of {}", names_of(theirs),
                    room_.name, member_.state_dir.string(), names_of(ours)),
        kRemedy);
  }
  if (record_->profile != room_.profile) {
    throw InputError(room_.file.string(),
                     fmt::format("has profile \"{}\", but room '{}' was made with \"{}\"",
                                 room_.profile, room_.name, record_->profile),
                     "write the profile it was made with; another one needs a room of another "
                     "name (nothing of this one is lost by that)");
  }
  if (!changed_) return;
  const std::string difference = difference_to(room_, *changed_);
  if (difference.empty()) return;
  throw InputError(room_.file.string(),
                   fmt::format("is not as the members changed the room (configuration {}): {}",
                               changed_->number, difference),
                   kRemedy);
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
    member.certificate = room_.members[i].certificate();
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
    room.members.push_back({mids[i], room_.members[i].name, room_.members[i].certificate(),
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
  return store::RoomStore(*db_).fits(room_.members[i].certificate(), id);
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
    const Digest certificate = room_.members[i].certificate();
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

people::RuleStore MemberState::people() { return {*db_, *once_, rid(), mids_[self_]}; }

agreement::Configuration configuration_of(const RoomConfig& room, const store::RoomId& rid,
                                          const std::vector<store::MemberId>& mids,
                                          const std::vector<net::SigningKey>& keys,
                                          bool addresses) {
  FLEXROOM_ASSERT(mids.size() == room.members.size() && keys.size() == mids.size());
  agreement::Configuration out;
  out.room = rid;
  out.name = room.name;
  out.profile = room.profile;
  for (size_t i = 0; i < room.members.size(); ++i) {
    const MemberEntry& member = room.members[i];
    out.members.push_back(
        {mids[i], member.name, keys[i], member.certificate(),
         addresses ? fmt::format("{}:{}", member.address.host, member.address.port) : ""});
  }
  out.couriers.push_back(mids[room.courier_id()]);
  // What concerns services, and so what members agree under: all that is compared of it. Roots are
  // each one's own, and how triples are made says nothing of what is approved.
  for (const Provider& provider : room.providers) {
    std::vector<std::string> settings;
    for (const Term& term : provider_terms(provider)) {
      settings.push_back(term.name + "=" + term.value);
    }
    std::sort(settings.begin(), settings.end());
    out.providers.push_back(
        {provider.name, provider.hosts, std::move(settings), provider.open_calls});
  }
  std::sort(out.providers.begin(), out.providers.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

agreement::Configuration MemberState::configuration() {
  return configuration_of(room_, rid(), mids(), signing_keys(), changed_.has_value());
}

void MemberState::move_to(const agreement::ChangeBody& change, const Digest& attempt,
                          const std::function<void()>& also) {
  const agreement::Configuration& next = change.configuration;
  const store::RoomId rid = next.room;
  store::RoomRecord record;
  record.rid = rid;
  record.name = next.name;
  record.profile = next.profile;
  for (const auto& m : next.members) {
    record.members.push_back({m.id, m.name, m.certificate, m.key});
  }
  const bool rows = agreement::needs_rows(change.start->before, next);
  const auto epoch = store::EpochStore(*db_, kStagedEpoch).load(rid);
  if (rows && !epoch) {
    throw InputError((member_.state_dir / "state.db").string(),
                     "does not hold what was staged for the change: it is older than the change",
                     "restore the newest state.db");
  }
  if (rows) once_->prepare_epoch(epoch->epoch_id);
  store::AuditLog log(*db_, *once_, identity_, rid, mids_[self_]);
  (void)log.append_of_change(agreement::StatementKind::kChange, change.encode(),
                             [&](const agreement::Statement&) {
                               store::RoomStore(*db_).save(record);
                               if (rows) {
                                 store::HandedRows(*db_, rid, fault_).move_in(attempt);
                                 store::EpochStore(*db_).save(rid, *epoch);
                                 store::LoadedStore(*db_, rid).keep_only(epoch->epoch_id);
                                 store::EpochStore(*db_, kStagedEpoch).erase(rid);
                               }
                               also();
                             });
  if (rows) {
    once_->set_room(next.name, rid);
    once_->start_epoch(epoch->epoch_id);
    db_->scrub();
  }
  record_ = std::move(record);
  changed_ = next;
}

void MemberState::stage_epoch_for_change(const store::RoomId& rid,
                                         const store::EpochStore::Saved& epoch) {
  store::EpochStore(*db_, kStagedEpoch).save(rid, epoch);
}

void MemberState::drop_staged_of_change(const store::RoomId& rid, const Digest& attempt) {
  db_->transaction([&] {
    store::HandedRows(*db_, rid).drop(attempt);
    store::EpochStore(*db_, kStagedEpoch).erase(rid);
  });
}

void MemberState::leave(const std::function<void()>& also) {
  const store::RoomId rid = this->rid();
  db_->transaction([&] {
    for (const store::RecordMeta& old : secrets_->list()) secrets_->remove(old.id, old.version);
    loaded_->keep_only({});
    store::EpochStore(*db_).erase(rid);
    also();
  });
  once_->forget_room(room_.name);
  db_->scrub();
}

std::vector<store::RecordMeta> MemberState::secrets_of_before() {
  std::vector<store::RecordMeta> out = loaded_->list();
  std::erase_if(out, &is_signing_key);
  return out;
}

store::RecordMeta MemberState::secret(const std::string& name) {
  if (name.starts_with("run/")) {
    throw InputError(fmt::format("secret '{}'", name),
                     "is a value of an open run, which only that run uses",
                     "what a flow leaves in the room is called PREFIX:NAME; `flexroom secret list` "
                     "shows it");
  }
  std::optional<store::RecordMeta> found;
  for (const store::RecordMeta& meta : secrets_->list()) {
    if (meta.name != name) continue;
    if (found && found->id != meta.id) {
      throw InputError(fmt::format("secret '{}'", name),
                       "is two: a flow made one, and one was imported or drawn under that name "
                       "before such names belonged to flows",
                       "`flexroom secret remove` at all members takes away the one that is not of "
                       "the flow; import it again under another name");
    }
    if (!found || meta.version > found->version) found = meta;
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

}  // namespace flexroom::session
