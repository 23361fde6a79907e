#pragma once

#include <filesystem>
#include <memory>

#include "net/party.h"
#include "prep/prep.h"
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
    uint32_t dirty = 0, life = 0, strikes = 0;
  };

  /// `expected`: state.db holds an epoch, so this file and its key must exist already.
  OnceDb(const std::filesystem::path& file, const std::filesystem::path& key_file, bool expected,
         Limits limits);

  Counters counters();
  void require_preprocessing_allowed() override;
  void begin_batches(size_t count) override;
  void finish_batches(size_t count) override;
  /// Durable before anything else is done about a boolean cheat. Also LIFE += 1.
  void burn();
  /// Class B or F_p cheat; the 16th burns.
  void add_strike();
  /// A new epoch was set up: dirty, strikes and burned start again, LIFE does not; pools are void.
  void start_epoch();
  /// The operator's decision (`peer accept`): LIFE back to zero; after a loss of single-use state
  /// also the statement that the epoch was not burned. Never clears `burned`.
  void operator_accepts();

  /// True the first time for this (kind, id), durable on return; false if it was marked before.
  bool mark(std::string_view kind, ByteView id);
  bool marked(std::string_view kind, ByteView id);

  /// A batch of `count` items of `item_bytes` each. Usable after connect() saw it at all members.
  void add_batch(ByteView batch_id, size_t item_bytes, const SecretBytes& items);
  struct Stock {
    Bytes batch_id;
    uint64_t count = 0, cursor = 0;
  };
  std::vector<Stock> stock();
  /// Burns items [cursor, cursor + count) of the batch, durably, and only then returns them.
  /// Throws InputError when fewer are left.
  struct Taken {
    uint64_t first = 0;
    SecretBytes items;
  };
  Taken take(ByteView batch_id, uint64_t count);
  /// On connect: keeps the batches that all members have with equal shape, moves every cursor to
  /// the maximum of all members, erases the rest.
  void connect(net::Party& party);

 private:
  struct Batch {
    uint64_t count = 0, item_bytes = 0, cursor = 0;
    bool durable_at_all = false;
  };
  void save(const Counters& counters);
  Batch load_batch(ByteView id);
  void save_batch(ByteView id, const Batch& batch);
  void erase_batch(ByteView id);
  void advance(ByteView id, Batch batch, uint64_t cursor);
  void void_everything();

  Limits limits_;
  std::unique_ptr<SealedDb> db_;
};

}  // namespace flexroom::store
