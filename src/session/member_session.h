#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/connection.h"
#include "net/tcp_mesh.h"
#include "prep/epoch.h"
#include "prep/session_prep.h"
#include "session/member_state.h"
#include "session/pool_source.h"
#include "store/epoch_change.h"
#include "store/open_mark.h"

namespace flexroom::session {

struct SessionEngines;

struct SessionOptions {
  std::string command;                           // what this member runs: the same at all of them
  std::function<void(const std::string&)> note;  // "waiting for hospital-b at ..."
  prep::Progress progress;
  const std::atomic<bool>* cancel = nullptr;
  net::IncomingConnections* incoming = nullptr;  // as MeshConfig::incoming
  std::function<void(std::string_view)> fault;   // durable steps of a change of epochs (tests)
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
  /// Further ones are reserved in this session (SessionPrep::expect_more()); before start() too.
  void expect_more_triples();
  /// How many of `count` are not in stock.
  size_t triples_to_make(size_t count);

  /// Loads stored secrets, all in one test (members.md §3.2): their rows, once all members
  /// describe them alike (kDisagreement naming the field otherwise). What is loaded stays for this
  /// session, unless it aborts. Equal calls at all members.
  void load(const std::vector<store::RecordMeta>& secrets);
  /// Authenticated bits of a stored secret, which is loaded now if it was not.
  prep::AuthBits shares(const store::RecordMeta& secret);
  /// Of one that load() loaded, for as long as this session.
  const prep::AuthBits& loaded(const store::RecordMeta& secret) const;
  /// Fresh rows of values, one set for all of them (members.md §3.3); nothing is on disk yet. Equal
  /// calls at all members, which then have the same but for the rows.
  struct NewRows {
    Digest digest{};      // of the set
    store::RowSet set{};  // its beginning
    std::vector<SecretBytes> rows;
  };
  NewRows make_rows(const std::vector<const prep::AuthBits*>& values);
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
  bool more_triples_ = false;
  std::unique_ptr<store::OpenMark> mark_;
  std::unique_ptr<net::Party> party_;
  std::unique_ptr<SessionEngines> engines_;
  std::map<Digest, prep::AuthBits> shares_;  // loaded, by digest of the metadata
  std::vector<store::RecordMeta> to_turn_;   // of before, and at all members
};

/// How this member joins the others of its room; `cancel` and `note` as in SessionOptions.
net::MeshConfig mesh_of(const RoomConfig& room, const MemberConfig& member,
                        const std::atomic<bool>* cancel,
                        const std::function<void(const std::string&)>& note);

/// What an abort means on disk at member `self`: a boolean cheat burns the epoch, an F_p cheat is a
/// strike.
void record_abort(store::OnceDb& once, const ProtocolAbort& abort, PartyId self);

}  // namespace flexroom::session
