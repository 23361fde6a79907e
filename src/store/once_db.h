#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "prep/prep.h"
#include "store/open_mark.h"
#include "store/pool.h"
#include "store/room_store.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// What must never be rolled back: flags and counters of the epoch, the pools with their cursors,
/// marks of used instances, tokens, requests and keystream (boolean-engine.md §8.2, §10.3).
///
/// Sealed under a key file of its own that is in no backup and never a passphrase. When the key or
/// the file is gone (a restored machine), pools and marks are void and the counters are full until
/// the operator confirms.
/// Epochs     burned, dirty and strikes belong to an epoch id: no other room of the same folder
///            clears them, and no other name of this one. LIFE belongs to a member id, in all rooms
/// Not given  a copy of once.db put back beside the same key is not noticed: keep both out of
///            backups and snapshots.
class OnceDb : public prep::Safety {
 public:
  static constexpr uint32_t kMaxStrikes = 16;
  struct Limits {
    uint32_t dirty_max = 0;
    uint32_t life_max = 0;
  };
  struct Counters {
    bool burned = false;
    bool needs_operator = false;  // single-use state was lost
    uint32_t dirty = 0, strikes = 0;
    uint32_t life = 0;  // the largest of the present peers'
  };

  /// `expected`: state.db holds an epoch, so this file and its key must exist already.
  /// `peers`: ids of the other members; LIFE counts for each of them, whoever else is in the room.
  /// `fault` as in Pool. With kLook nothing on disk is touched: what is lost shows as lost.
  OnceDb(const std::filesystem::path& file, const std::filesystem::path& key_file, bool expected,
         Limits limits, std::vector<MemberId> peers = {},
         std::function<void(std::string_view)> fault = nullptr,
         SealedDb::Access access = SealedDb::Access::kUse);

  /// Of which room and epoch everything below is from now on. `name` is the room's, `rid` its id if
  /// it has one, `epoch` what state.db says. An epoch that was never heard of here (a once.db put
  /// back, or of another state) counts as lost single-use state. Returns what once.db knows of
  /// state.db:
  enum class StateDb : uint8_t {
    kPresent,
    kOlder,    // of before the present epoch, or the room
    kMissing,  // it does not know the room
  };
  StateDb enter(std::string_view name, const std::optional<RoomId>& rid,
                const std::optional<Digest>& epoch);
  /// The certificate of a peer that was counted by it before members had ids.
  void rename_life(const Digest& certificate, const MemberId& id);
  /// What lies on disk of the pools of a room's epoch, whichever is entered. Of a database that
  /// only looks.
  std::vector<Pool::Stock> stock_of_room(std::string_view name);
  /// The operator's word that the state.db with this room is gone for good.
  void forget_room(std::string_view name);

  Counters counters();
  void require_preprocessing_allowed() override;
  void begin_batches(size_t count) override;
  void finish_batches(size_t count) override;
  /// Durable before anything else is done about a boolean cheat; the pool is void. LIFE becomes
  /// life_max where the code says that no honest member can have failed (prep/cheat_effect.h):
  /// towards `peer` (an index into the `peers` of the constructor) if the check names one, else
  /// towards all; that also in an epoch that is burned already. Otherwise LIFE += 1, once an epoch.
  void burn(AbortCode code, std::optional<size_t> peer = std::nullopt);
  /// LIFE alone, towards these members: of an epoch that is not the room's (store/passing_epoch.h).
  /// The counters of the present epoch and the pools stay as they are. As require_.., begin_..,
  /// finish_batches() and burn() otherwise; `again`: a check of that epoch failed before. Members
  /// that were never met here count as any stranger.
  void require_room_in_life(std::span<const MemberId> members, size_t count);
  void begin_in_life(std::span<const MemberId> members, size_t count);
  void finish_in_life(std::span<const MemberId> members, size_t count);
  void fail_in_life(std::span<const MemberId> members, AbortCode code, std::optional<size_t> peer,
                    bool again);
  const Limits& limits() const { return limits_; }
  /// Throws kTooManyUnfinished when a burned epoch may not be followed by another one, or a room
  /// may not get its first, before the operator decides (boolean-engine.md §10.3): LIFE is full
  /// towards a present peer.
  void require_setup_allowed();
  /// Class B or F_p cheat; the 16th burns.
  void add_strike();
  /// Armed around verdicts while a session runs; nullptr: none does.
  void set_mark(OpenMark* mark) { mark_ = mark; }
  void before_verdict() override {
    if (mark_ != nullptr) mark_->arm();
  }
  void after_verdict() override {
    if (mark_ != nullptr) mark_->disarm();
  }
  /// What a session left that ended without a word: a check that failed there counts as the worst
  /// one; a killed session as one batch without a verdict, and for LIFE as the worst if it awaited
  /// a verdict. `present`: it was of the present epoch.
  void enter_open_mark(OpenMark::State state, bool present);
  /// A new epoch is about to take the place of the present one; the counters stay those of the
  /// present one until start_epoch(). Call it before the change is durable.
  void prepare_epoch(const Digest& epoch);
  /// The prepared `epoch` takes the place of the room's present one, whose pools and counters go:
  /// dirty, strikes and burned are its own, LIFE is not. For another epoch nothing happens, so that
  /// a member killed in between can call it again.
  void start_epoch(const Digest& epoch);
  /// The room was made by the first start_epoch(): it has its id now.
  void set_room(std::string_view name, const RoomId& rid);
  /// The operator's decision (`peer accept`): LIFE of the present peers back to zero; after a loss
  /// of single-use state also the statement that the epoch was not burned. Never clears `burned`.
  void operator_accepts();

  /// True the first time for this (kind, id), durable on return; false if it was marked before.
  /// Throws kEpochBurned once the epoch is burned, by whatever session.
  bool mark(std::string_view kind, ByteView id);
  /// The same of several in one durable step; false, with none marked, if any was before.
  bool mark_all(std::string_view kind, std::span<const Digest> ids);
  /// Throws kEpochBurned naming `what` once the epoch is burned, by whatever session.
  void require_not_burned(std::string_view what);
  bool marked(std::string_view kind, ByteView id);
  /// Marks from now on are of this session: their ids follow from its sid, in which this member has
  /// a fresh nonce, so that none of them can come again once it is over.
  void begin_session(const Digest& sid);
  /// Forgets the marks of that session. Those of one that was killed go with its epoch.
  void end_session(const Digest& sid);
  /// The first value bound to (kind, id), durable on return: `value` the first time.
  Bytes bind(std::string_view kind, ByteView id, ByteView value);

  /// The end of this member's log of a room, so that a state.db of an earlier time is noticed and
  /// no entry's number is signed twice.
  struct LogHead {
    uint32_t incarnation = 0;
    uint64_t number = 0;
    Digest digest{};
    bool operator==(const LogHead&) const = default;
  };
  std::optional<LogHead> log_head(const Digest& room);
  void set_log_head(const Digest& room, const LogHead& head);

  /// A run that all members approved and whose outcome is not in the log yet, by its session.
  struct OpenRun {
    Digest session{};
    Digest room{}, proposal{};
    bool released = false;  // a request may have left
    std::string what;
  };
  void open_run(const OpenRun& run);
  /// Durable before a request of that session is released; nothing if no such run is open.
  void run_released(const Digest& session);
  void close_run(const Digest& session);
  std::vector<OpenRun> open_runs(const Digest& room);

  /// Rows of other folders that nothing may roll back, each of a kind of its own (docs/formats.md).
  SealedDb& rows() { return *db_; }
  /// This file or its key was lost at some time: what it held before is not known.
  bool was_lost();

  /// Preprocessed material, in the directory pool/ beside once.db. Void in another epoch.
  Pool& pool() { return *pool_; }
  /// pool().connect().
  bool connect(net::Party& party) { return pool_->connect(party); }

 private:
  enum class Epoch : uint8_t { kUnknown, kPrepared, kPresent, kOver };
  Epoch state_of(const Digest& epoch);
  void set_state(const Digest& epoch, Epoch state);
  struct Room {
    std::string name;
    RoomId rid{};
    Digest epoch{};
  };
  std::vector<Room> rooms();
  void save_room();
  ByteView epoch_id() const { return epoch_ ? ByteView(*epoch_) : ByteView(); }
  bool put_marks(std::string_view kind, std::span<const ByteView> ids);
  void forget_marks(const std::function<bool(ByteView epoch, ByteView sid)>& which);
  static Bytes encode(const Counters& counters);
  static Counters decode(ByteView bytes);
  void save(const Counters& counters);
  void take_over_old_counters();
  void require_room_for(size_t count, const Counters& counters) const;
  void require_room_in(uint32_t life, size_t count) const;
  uint32_t life_of(ByteView peer);
  void set_life(std::span<const MemberId> members, const std::function<uint32_t(uint32_t)>& change,
                std::optional<size_t> only = std::nullopt);
  void void_everything();

  Limits limits_;
  std::vector<MemberId> peers_;
  std::string room_name_;
  RoomId rid_{};
  std::optional<Digest> epoch_;
  std::optional<Digest> session_;
  OpenMark* mark_ = nullptr;
  std::unique_ptr<SealedDb> db_;
  std::unique_ptr<Pool> pool_;
};

}  // namespace flexroom::store
