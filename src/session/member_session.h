#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/connection.h"
#include "agreement/approval.h"
#include "config/config.h"
#include "net/identity.h"
#include "net/tcp_mesh.h"
#include "prep/epoch.h"
#include "prep/session_prep.h"
#include "session/pool_source.h"
#include "store/audit_log.h"
#include "store/epoch_change.h"
#include "store/once_db.h"
#include "store/open_mark.h"
#include "store/room_store.h"
#include "store/secret_store.h"

namespace flexroom::session {

struct SessionOptions {
  std::string command;                           // what this member runs: the same at all of them
  std::function<void(const std::string&)> note;  // "waiting for hospital-b at ..."
  prep::Progress progress;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(std::string_view)> fault;  // durable steps of a change of epochs (tests)
};

/// state.db, opened with the key file or passphrase that member.toml names. Made only for a member
/// that has nothing yet, or one that `lost` it: where a once.db or its key lies, it is missing.
std::unique_ptr<store::SealedDb> open_state_db(
    const MemberConfig& member, bool lost = false,
    store::SealedDb::Access access = store::SealedDb::Access::kUse);

/// The operator's word that the newest state.db of this member is gone for good: its epoch with
/// this room is given up, and the next new epoch can be made. Rows that an older state.db holds
/// stay: they are of use if no refresh came since. Other rooms of the folder stay.
void give_up_state(const RoomConfig& room, const MemberConfig& member);

/// This member's own state, opened without any peer: identity, databases, log.
class MemberState {
 public:
  /// Asks for the passphrase if member.toml says so. `fault` as in SecretStore and Pool. Throws
  /// InputError (missing identity, wrong key file or passphrase, locked database ...).
  /// With kLook nothing on disk is changed, and nothing that is changed here stays: for commands
  /// that only show something.
  MemberState(RoomConfig room, MemberConfig member,
              std::function<void(std::string_view)> fault = nullptr,
              store::SealedDb::Access access = store::SealedDb::Access::kUse);
  ~MemberState();
  MemberState(const MemberState&) = delete;
  MemberState& operator=(const MemberState&) = delete;

  const RoomConfig& room() const { return room_; }
  const MemberConfig& member() const { return member_; }
  PartyId self() const { return self_; }
  const net::Identity& identity() const { return identity_; }
  /// The room's id for life (members.md 1.1): what belongs to the room on disk is found by it. It
  /// has none before its first epoch; throws InputError then.
  const store::RoomId& rid() const;
  /// Zeros before.
  store::RoomId rid_or_none() const;
  bool founded() const { return record_.has_value(); }
  /// The members' ids for life, by party; also before the room has its own.
  const std::vector<store::MemberId>& mids() const { return mids_; }
  /// Gives the room its id, and the members theirs, on disk. Part of a transaction on db().
  void found(const store::RoomId& rid, const std::vector<store::MemberId>& mids);
  /// Enters into once.db what sessions that ended without a word left behind (store/open_mark.h).
  void settle_open_marks();
  /// What of these is not entered yet, of this room and of others, one sentence each. Changes
  /// nothing.
  std::vector<std::string> open_marks();
  /// Erases what a burned epoch has left in state.db: its global key and base seeds. Nothing while
  /// it is not burned.
  void erase_burned_epoch();
  /// Names of the other rooms of this state folder.
  std::vector<std::string> other_rooms();
  /// No certificate, and no id, was ever seen with another one here.
  bool member_fits(PartyId i, const store::MemberId& id);
  store::SealedDb& db() { return *db_; }
  store::OnceDb& once() { return *once_; }
  store::SecretStore& secrets() { return *secrets_; }
  /// What is under the keys of the present epoch: the day's signing keys.
  store::LoadedStore& loaded() { return *loaded_; }
  /// Secrets of the room that still lie as they did before there were rows.
  std::vector<store::RecordMeta> secrets_of_before();
  /// Identity keys of all members, known after the first join. Throws InputError before.
  std::vector<net::SigningKey> signing_keys();
  /// After a join, which proved them: also the members' certificates are from now on those of
  /// room.toml, each with the id of its member's name.
  void save_signing_keys(const std::vector<net::SigningKey>& keys);
  bool has_epoch();
  /// When the epoch was made, Unix seconds by this member's clock; 0: no epoch, or not known.
  uint64_t epoch_made();
  store::AuditLog log();
  /// What room.toml and the members' keys make of the room now; known after the first join.
  agreement::Configuration configuration();
  /// Runs that ended with their process get their entry, unless another process of this member
  /// may still be at it.
  void settle_runs();
  /// The newest committed secret of that name. Throws InputError naming the remedy.
  store::RecordMeta secret(const std::string& name);

 private:
  void enter_room();
  void meet_once_db(const std::optional<Digest>& epoch);
  bool take_over_old_room();
  /// Under which rooms lie that were made before there were ids.
  Digest old_room_digest() const;

  RoomConfig room_;
  MemberConfig member_;
  PartyId self_;
  net::Identity identity_;
  std::function<void(std::string_view)> fault_;
  std::unique_ptr<store::SealedDb> db_;
  std::optional<store::RoomRecord> record_;
  std::vector<store::MemberId> mids_;
  std::vector<net::SigningKey> keys_;  // of a join before the room has its id
  std::unique_ptr<store::OnceDb> once_;
  std::unique_ptr<store::SecretStore> secrets_;
  std::unique_ptr<store::LoadedStore> loaded_;
};

/// A running session of a room: the one place that joins mesh, stores and engines.
class MemberSession {
 public:
  /// Connects to all members. Throws what TcpMesh::join throws.
  MemberSession(MemberState& state, const SessionOptions& options);
  ~MemberSession();
  MemberSession(const MemberSession&) = delete;
  MemberSession& operator=(const MemberSession&) = delete;

  MemberState& state() { return state_; }
  net::Party& party() { return *party_; }

  /// Members agree on their epoch; makes one if none has any, or if `new_epoch` at all of them.
  /// Returns true if a new one was made.
  bool ensure_epoch(bool new_epoch);
  /// session_hello, reconcile, engines; needs an epoch.
  void start();
  /// After start(): all members hold the same secrets, in every field. Throws kDisagreement naming
  /// the first that differs. Signing keys are not compared: they are made again where one is
  /// missing.
  void compare_secrets() { state_.secrets().compare(*party_); }
  /// Of the running session.
  const prep::EpochState& epoch() const;
  /// No other session of this member runs until this one ends: throws InputError if one does.
  void require_alone() { lock_->require_alone(); }
  /// Sets an epoch up with all members; nothing is stored.
  prep::EpochState make_epoch();
  /// Puts `epoch` and `records` (all of the present epoch, under the new keys) in the place of the
  /// present ones, at all members or none (store/epoch_change.h). Engines and shares of this
  /// session are void afterwards; the next session is in the new epoch. Only after require_alone().
  void change_epoch(const prep::EpochState& epoch,
                    const std::vector<store::EpochChange::Record>& records);
  agent::Context context();
  prep::Source& source();
  boolean::Engine& engine();
  /// The members' pool, and live preprocessing where it does not reach.
  PooledSource& pool();
  /// Adds `count` triples, in whole batches, to the pool, with progress.
  void fill_pool(size_t count);
  /// Makes triples now, with progress, so that `count` more are at hand (stock counts).
  void reserve_triples(size_t count);
  /// How many of `count` are not in stock.
  size_t triples_to_make(size_t count);

  /// Loads stored secrets, all in one test (members.md §3.2): their rows, once all members
  /// describe them alike (kDisagreement naming the field otherwise). What is loaded stays for this
  /// session, unless it aborts. Equal calls at all members.
  void load(const std::vector<store::RecordMeta>& secrets);
  /// Authenticated bits of a stored secret, which is loaded now if it was not.
  prep::AuthBits shares(const store::RecordMeta& secret);
  /// Stores values as new rows of one fresh set (members.md §3.3), staged by all = committed. Ids
  /// and versions are the caller's; a record that is there gets new rows. Returns what is stored.
  struct Kept {
    store::RecordMeta meta;
    const prep::AuthBits* value;
  };
  std::vector<store::RecordMeta> keep(const std::vector<Kept>& values);

  void report(std::string_view phase, uint64_t done, uint64_t total) const {
    if (options_.progress) options_.progress(phase, done, total);
  }

  /// Runs `body`; on a ProtocolAbort records what it means for the epoch (burn, strike), tells the
  /// peers, and throws it on.
  void guard(const std::function<void()>& body);

 private:
  struct Engines;
  void meet(const std::vector<net::SigningKey>& keys);
  /// Whatever is thrown, the others hear that this member ended, and by a fixed word why.
  void telling_the_others(const std::function<void()>& body);
  void settle();
  void settle_log();
  void turn_into_rows(std::vector<store::RecordMeta> records);
  bool may_preprocess();
  void record(const ProtocolAbort& abort);

  MemberState& state_;
  SessionOptions options_;
  std::optional<store::SessionLock> lock_;
  std::string to_note_;  // in the log, once it is settled
  bool settled_ = false;
  std::unique_ptr<store::OpenMark> mark_;
  std::unique_ptr<net::Party> party_;
  std::unique_ptr<Engines> engines_;
  std::map<Digest, prep::AuthBits> shares_;  // loaded, by digest of the metadata
  std::vector<store::RecordMeta> to_turn_;   // of before, and at all members
};

/// Of the room's profile: how many batches may end without a verdict.
store::OnceDb::Limits limits_of(const RoomConfig& room);

/// How this member joins the others of its room; `cancel` and `note` as in SessionOptions.
net::MeshConfig mesh_of(const RoomConfig& room, const MemberConfig& member,
                        const std::atomic<bool>* cancel,
                        const std::function<void(const std::string&)>& note);

/// What an abort means on disk at member `self`: a boolean cheat burns the epoch, an F_p cheat is a
/// strike.
void record_abort(store::OnceDb& once, const ProtocolAbort& abort, PartyId self);

}  // namespace flexroom::session
