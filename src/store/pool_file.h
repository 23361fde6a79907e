#pragma once

#include <filesystem>
#include <functional>
#include <set>

#include "base/hash.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// The key of one item of a batch. The next item's key follows from it by a one-way function, so
/// that a member who keeps only the key of the item at the cursor cannot open what the cursor
/// passed, not even from an old copy of the pool file.
class ItemKey {
 public:
  ItemKey() : state_(SealKey::random()) {}
  explicit ItemKey(SecretBytes&& state) : state_(std::move(state)) {}
  ItemKey clone() const { return ItemKey(state_.clone()); }
  void skip(uint64_t items);
  SealKey key() const { return state_.derive("flexroom pool item/1"); }
  ByteView reveal() const { return state_.reveal(); }

 private:
  explicit ItemKey(SealKey&& state) : state_(std::move(state)) {}
  SealKey state_;
};

/// What is fixed for a batch; associated data of each of its items.
struct BatchShape {
  Bytes id;
  Digest epoch{};
  uint64_t count = 0, item_bytes = 0;
  uint16_t protocol = 0;  // that made it (prep/protocol.h)
};

/// One file per batch, DIR/<id in hex>.pool (0600): count items, each sealed under its own key.
/// Writes it whole and makes it durable. Throws InputError (disk full); then there is no file.
void write_pool_file(const std::filesystem::path& directory, const BatchShape& shape,
                     const ItemKey& first_key, ByteView items);

/// Opens items [first, first + count) one by one; `key` is that of item `first`. False when the
/// file is missing, short or altered; items before that were given to `sink`.
[[nodiscard]] bool read_pool_file(const std::filesystem::path& directory, const BatchShape& shape,
                                  ItemKey key, uint64_t first, uint64_t count,
                                  const std::function<void(ByteView item)>& sink);

void remove_pool_file(const std::filesystem::path& directory, ByteView batch_id);
/// Removes the files of all other batches: left by a crash, their keys are gone.
void keep_pool_files(const std::filesystem::path& directory, const std::set<Bytes>& batch_ids);

}  // namespace flexroom::store
