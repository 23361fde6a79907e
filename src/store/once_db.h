#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "prep/prep.h"
#include "store/pool.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// What must never be rolled back: flags and counters of the epoch, the pools with their cursors,
/// marks of used instances, tokens, requests and keystream (boolean-engine.md §8.2, §10.3).
///
/// Sealed under a key file of its own that is in no backup and never a passphrase. When the key or
/// the file is gone (a restored machine), pools and marks are void and the counters are full until
/// the operator confirms.
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
  /// `peers`: certificate fingerprints of the other members; LIFE counts for each of them, whoever
  /// else is in the room. `fault` as in Pool.
  OnceDb(const std::filesystem::path& file, const std::filesystem::path& key_file, bool expected,
         Limits limits, std::vector<Digest> peers = {},
         std::function<void(std::string_view)> fault = nullptr);

  Counters counters();
  void require_preprocessing_allowed() override;
  void begin_batches(size_t count) override;
  void finish_batches(size_t count) override;
  /// Durable before anything else is done about a boolean cheat; the pool is void. LIFE becomes
  /// life_max where the code says that no honest member can have failed (prep/cheat_effect.h):
  /// towards `peer` (an index into the `peers` of the constructor) if the check names one, else
  /// towards all; that also in an epoch that is burned already. Otherwise LIFE += 1, once an epoch.
  void burn(AbortCode code, std::optional<size_t> peer = std::nullopt);
  /// Throws kTooManyUnfinished when a burned epoch may not be followed by another one before the
  /// operator decides (boolean-engine.md §10.3): LIFE is full towards a present peer.
  void require_setup_allowed();
  /// Class B or F_p cheat; the 16th burns.
  void add_strike();
  /// A new epoch is about to take the place of the present one; the counters stay those of the
  /// present one until start_epoch(). Call it before the change is durable.
  void prepare_epoch(const Digest& epoch);
  /// `epoch` is the present one. If it is the prepared one, for the first time: dirty, strikes and
  /// burned start again, LIFE does not; pools are void. Otherwise nothing happens, so that a member
  /// killed in between can call it again, and one restored to an old epoch gets no new counters.
  void start_epoch(const Digest& epoch);
  /// The operator's decision (`peer accept`): LIFE of the present peers back to zero; after a loss
  /// of single-use state also the statement that the epoch was not burned. Never clears `burned`.
  void operator_accepts();

  /// True the first time for this (kind, id), durable on return; false if it was marked before.
  /// Throws kEpochBurned once the epoch is burned, by whatever session.
  bool mark(std::string_view kind, ByteView id);
  bool marked(std::string_view kind, ByteView id);

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

  /// Preprocessed material, in the directory pool/ beside once.db. Void in another epoch.
  Pool& pool() { return *pool_; }
  /// pool().connect().
  bool connect(net::Party& party) { return pool_->connect(party); }

 private:
  void save(const Counters& counters);
  void require_room_for(size_t count, const Counters& counters) const;
  uint32_t life_of(ByteView peer);
  void set_life(const std::function<uint32_t(uint32_t)>& change,
                std::optional<size_t> only = std::nullopt);
  void void_everything();

  Limits limits_;
  std::vector<Digest> peers_;
  std::unique_ptr<SealedDb> db_;
  std::unique_ptr<Pool> pool_;
};

}  // namespace flexroom::store
