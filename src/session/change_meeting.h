#pragma once

#include <string_view>
#include <vector>

#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"
#include "session/room_change.h"

// Of room_change.cpp and its parts alone.

namespace flexroom::session {

inline constexpr std::string_view kRoomChange = "room change";
inline constexpr std::string_view kChangeHello = "change/hello";

/// Which member of before an entry of the room of then is: its certificate's, else its name's,
/// which has a new key and certificate then; nobody's: one that joins.
std::optional<size_t> member_of_before(const RoomConfig& now, const RoomConfig& next,
                                       const MemberEntry& entry);

// What members told each other when they met.
struct RoomChange::Meeting {
  struct Said {
    store::RoomId rid{};
    uint32_t number = 0;
    Digest configuration{}, nonce{};
    agreement::MemberId mid{};
    ChangeMode mode = ChangeMode::kAll;
    bool has_attempt = false;
    Digest attempt{};
    agreement::Place place = agreement::Place::kIdle;
    bool complete = false;

    Bytes encode() const {
      Writer out;
      out.raw(rid).u32(number).raw(configuration).raw(nonce).raw(mid);
      out.u8(static_cast<uint8_t>(mode)).u8(has_attempt ? 1 : 0).raw(attempt);
      out.u8(static_cast<uint8_t>(place)).u8(complete ? 1 : 0);
      return out.take();
    }
    static Said decode(ByteView bytes, PartyId from) {
      Reader in(bytes, kChangeHello, from);
      Said out;
      out.rid = in.digest();
      out.number = in.u32();
      out.configuration = in.digest();
      out.nonce = in.digest();
      out.mid = read_array<16>(in);
      const uint8_t mode = in.u8();
      out.has_attempt = in.u8() != 0;
      out.attempt = in.digest();
      const uint8_t place = in.u8();
      out.complete = in.u8() != 0;
      in.finish();
      if (mode > static_cast<uint8_t>(ChangeMode::kBack) ||
          place > static_cast<uint8_t>(agreement::Place::kLeft)) {
        throw ProtocolAbort(AbortCode::kUnexpectedMessage, kChangeHello,
                            "says a mode or place that does not exist", from);
      }
      out.mode = static_cast<ChangeMode>(mode);
      out.place = static_cast<agreement::Place>(place);
      return out;
    }
    /// Of an attempt that stands in the way of others until it is decided at all members.
    bool is_under_way() const {
      return has_attempt && !complete && place != agreement::Place::kIdle &&
             place != agreement::Place::kOld;
    }
  };
  std::vector<Said> said;  // by party
  std::optional<Digest> under_way;
};

}  // namespace flexroom::session
