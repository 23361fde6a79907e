#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/record_meta.h"
#include "store/room_store.h"
#include "store/sealed_db.h"
#include "store/secret_store.h"

namespace flexroom::store {

/// New rows of a room's secrets, of an attempt to change its members, in state.db beside those that
/// are in use (members.md 3.4, 4.4). Nothing uses them but a trial load; what becomes of them says
/// the register of the room (members.md 4.2). Sealed as rows are.
class HandedRows {
 public:
  /// `fault` is called with the name of each step that just became durable (tests).
  HandedRows(SealedDb& db, const RoomId& rid,
             std::function<void(std::string_view)> fault = nullptr);

  /// All of them and `carried` (what all may know and goes along; not empty) or nothing, durable on
  /// return. In the place of whatever was staged for that attempt before. Throws InputError (disk
  /// full ..) with nothing changed.
  void stage(const Digest& attempt, std::span<const Record> rows, ByteView carried);
  /// Of which attempts something is staged.
  std::vector<Digest> attempts();
  /// What went along with them. Nothing: none is staged of that attempt.
  std::optional<Bytes> carried(const Digest& attempt);
  std::vector<RecordMeta> list(const Digest& attempt);
  /// As it lies there. Throws InputError where there is none with these metadata, or its size is
  /// not theirs.
  SecretBytes row(const Digest& attempt, const RecordMeta& meta);
  /// Erases what is staged of it.
  void drop(const Digest& attempt);
  /// These are the room's rows now, and the only ones: all others, of other attempts and unsettled
  /// ones too, are erased. One transaction, part of the caller's if there is one. Throws InputError
  /// with nothing changed where nothing is staged of that attempt.
  void move_in(const Digest& attempt);

 private:
  Bytes key(const Digest& attempt, const RecordId& id, uint32_t version) const;
  void erase(const Digest& attempt);
  void reached(std::string_view step) const;

  SealedDb& db_;
  const RoomId rid_;
  const std::string rows_, heads_;  // kinds
  const std::function<void(std::string_view)> fault_;
};

}  // namespace flexroom::store
