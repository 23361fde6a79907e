#pragma once

#include <string>
#include <string_view>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::store {

/// What lies on this member's own disk cannot be what it wrote there: damage, never a fault of the
/// network or a peer, and not a file that a person wrote.
class DamagedState : public InputError {
 public:
  using InputError::InputError;
};

/// `place` begins with the file: "state.db, a room".
inline DamagedState damaged_row(std::string_view place, std::string_view problem) {
  return {place, "is damaged: " + std::string(problem),
          place.starts_with("once.db")
              ? "remove once.db, not its key: it is made anew, then `flexroom peer accept`"
              : "put the newest backup of state.db back"};
}

/// Reads what this member itself wrote, as Reader does: what does not fit is damaged_row().
class RowReader {
 private:
  template <typename Read>
  auto own(Read read) const {
    try {
      return read();
    } catch (const ProtocolAbort& abort) {
      throw damaged_row(place_, abort.detail());
    }
  }

 public:
  /// `place` as in damaged_row().
  RowReader(ByteView in, std::string_view place) : in_(in, place), place_(place) {}
  uint8_t u8() {
    return own([&] { return in_.u8(); });
  }
  uint16_t u16() {
    return own([&] { return in_.u16(); });
  }
  uint32_t u32() {
    return own([&] { return in_.u32(); });
  }
  uint64_t u64() {
    return own([&] { return in_.u64(); });
  }
  ByteView raw(size_t n) {
    return own([&] { return in_.raw(n); });
  }
  Digest digest() {
    return own([&] { return in_.digest(); });
  }
  ByteView field(size_t max) {
    return own([&] { return in_.field(max); });
  }
  size_t remaining() const { return in_.remaining(); }
  void finish() const {
    own([&] {
      in_.finish();
      return 0;
    });
  }

 private:
  Reader in_;
  std::string place_;
};

}  // namespace flexroom::store
