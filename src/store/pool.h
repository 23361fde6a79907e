#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/fd.h"
#include "net/party.h"
#include "prep/protocol.h"
#include "store/pool_file.h"

namespace flexroom::store {

/// Preprocessed material on disk, for single use (boolean-engine.md §8.2): cursors and keys in
/// once.db, sealed items in the directory pool/.
///
/// Addresses  (batch id, index); never a file offset
/// Burn       the cursor is on disk beyond a range before any item of it is opened, and with it
///            goes the key of every item it passed
/// Alike      usable are batches that all members have, from the largest of their cursors on: after
///            connect() stock() is equal at all, and stays so while all take and add the same. One
///            session at a time has the pool (a lock on pool/lock)
/// Epoch      a batch belongs to one epoch. Those of other epochs (other rooms of the folder) stay
///            untouched and unseen
/// Protocol   and names the protocol number that made it (boolean-engine.md §8.2, engine-v2.md
///            §2.9): those of a number that is not used any more are void, and erased when the pool
///            is opened
/// Errors     InputError (disk full, altered file)
class Pool {
 public:
  /// `fault` is called with the name of each step that just became durable (tests).
  Pool(SealedDb& db, std::filesystem::path directory,
       std::function<void(std::string_view)> fault = nullptr);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// After session_hello (the epoch is the scope's): keeps the batches that all members have with
  /// equal shape, moves every cursor to the maximum of all members, erases the rest. False when
  /// another session has the pool of some member: nothing is usable then, and nothing was erased.
  bool connect(net::Party& party);
  bool connected() const { return lock_.valid(); }

  /// Writes a batch, durably. Usable here after confirm(), which the caller does when all members
  /// said durable(batch id); without it the next connect() decides.
  void add(ByteView batch_id, const Digest& epoch, size_t item_bytes, ByteView items,
           uint16_t protocol = prep::kProtocol);
  void confirm(ByteView batch_id);

  struct Stock {
    Bytes batch_id;
    uint64_t item_bytes = 0, count = 0, cursor = 0;
    uint64_t left() const { return count - cursor; }
  };
  /// Usable batches, ascending by id.
  std::vector<Stock> stock() { return describe(usable_); }
  /// What lies on this member's disk, also without any contact.
  std::vector<Stock> on_disk();

  struct Range {
    Bytes batch_id;
    uint64_t count = 0;  // items, from the batch's cursor on
  };
  /// Burns all ranges in one transaction, then gives their items to `sink` in order. When an item
  /// cannot be opened its batch is erased and InputError thrown; the ranges stay burned.
  void take(std::span<const Range> ranges, const std::function<void(ByteView item)>& sink);

  /// Of which epoch everything here is, from now on.
  void use_epoch(const Digest& epoch);
  /// Part of a transaction of the caller: forgets every key of that epoch. The files go at the next
  /// start.
  void forget_all();

 private:
  struct Batch {
    BatchShape shape;
    uint64_t cursor = 0;
    ItemKey key;  // of the item at the cursor
  };
  Batch load(ByteView id);
  void save(const Batch& batch);
  void advance(Batch& batch, uint64_t cursor);
  void erase(const std::vector<Bytes>& ids);
  std::vector<Bytes> of_epoch();
  std::vector<Stock> describe(const std::set<Bytes>& ids);
  bool lock();
  void unlock();

  SealedDb& db_;
  std::filesystem::path directory_;
  std::function<void(std::string_view)> fault_;
  Fd lock_;
  std::optional<Digest> epoch_;  // none: of all
  std::set<Bytes> usable_;
};

}  // namespace flexroom::store
