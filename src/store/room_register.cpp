#include "store/room_register.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "base/codec.h"
#include "base/error.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

using agreement::ChangeBody;
using agreement::ChangeStart;
using agreement::Part;
using agreement::Place;
using agreement::Statement;

constexpr std::string_view kRegister = "register";              // once.db, id: rid
constexpr std::string_view kBound = "bound of a change";        // once.db, id: attempt
constexpr std::string_view kAttempt = "change";                 // state.db, id: name of the room
constexpr std::string_view kConfiguration = "configuration";    // state.db, id: name of the room
constexpr std::string_view kShown = "configurations shown";     // state.db, id: name of the room
constexpr std::string_view kStatement = "statement of change";  // state.db, id: attempt, mid, kind
constexpr uint8_t kFormat = 1;
constexpr size_t kMaxRoomText = 1 << 20;

std::string date(uint64_t seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

void expect_format(RowReader& in, std::string_view what) {
  if (in.u8() == kFormat) return;
  throw InputError(what, "is in a form this program does not know",
                   "use the version of flexroom that wrote it, or a newer one");
}

}  // namespace

std::optional<RegisterRow> RoomRegister::get() {
  const auto row = db_.get(kRegister, rid_);
  if (!row) return std::nullopt;
  RowReader in(row->meta, "once.db, the register of a room");
  expect_format(in, "once.db, the register of a room");
  RegisterRow out;
  out.number = in.u32();
  out.configuration = in.digest();
  out.attempt = in.digest();
  const uint8_t part = in.u8(), place = in.u8(), said = in.u8();
  out.since = in.u64();
  in.finish();
  if (part > static_cast<uint8_t>(Part::kLeaves) || place > static_cast<uint8_t>(Place::kLeft)) {
    throw damaged_row("once.db, the register of a room", "holds a place that does not exist");
  }
  out.standing.part = static_cast<Part>(part);
  out.standing.place = static_cast<Place>(place);
  out.standing.said_ready = (said & 1) != 0;
  out.standing.said_bind = (said & 2) != 0;
  out.standing.staged = (said & 4) != 0;
  return out;
}

void RoomRegister::set(const RegisterRow& row) {
  Writer out;
  const agreement::Standing& s = row.standing;
  out.u8(kFormat).u32(row.number).raw(row.configuration).raw(row.attempt);
  out.u8(static_cast<uint8_t>(s.part)).u8(static_cast<uint8_t>(s.place));
  out.u8(static_cast<uint8_t>((s.said_ready ? 1 : 0) | (s.said_bind ? 2 : 0) | (s.staged ? 4 : 0)));
  out.u64(row.since);
  db_.transaction([&] {
    db_.put(kRegister, rid_, out.bytes(), {});
    if (s.said_bind) db_.put(kBound, row.attempt, {}, {});
  });
}

bool RoomRegister::was_bound(const Digest& attempt) { return db_.get(kBound, attempt).has_value(); }

std::optional<ChangeStore::Attempt> ChangeStore::attempt() {
  const auto row = db_.get(kAttempt, as_bytes(name_));
  if (!row) return std::nullopt;
  RowReader in(row->meta, "state.db, a change");
  expect_format(in, "state.db, a change");
  Attempt out;
  const uint8_t flags = in.u8();
  out.moved = (flags & 1) != 0;
  out.written = (flags & 2) != 0;
  out.complete = (flags & 4) != 0;
  out.start = ChangeStart::decode(in.field(agreement::kMaxStatementBytes), "state.db, a change");
  out.room_text = to_text(in.field(kMaxRoomText));
  const uint32_t count = in.u32();
  for (uint32_t k = 0; k < std::min<uint32_t>(count, 2 * agreement::Configuration::kMaxMembers);
       ++k) {
    out.addresses.push_back(to_text(in.field(agreement::Configuration::kMaxText)));
  }
  const ByteView ready = in.field(128);
  if (!ready.empty()) out.ready = agreement::ReadyBody::decode(ready, "state.db, a change");
  in.finish();
  return out;
}

void ChangeStore::put(const Attempt& attempt) {
  if (attempt.room_text.size() > kMaxRoomText) {
    throw InputError("room.toml", "is longer than 1 MiB", "shorten it");
  }
  Writer out;
  out.u8(kFormat).u8(static_cast<uint8_t>((attempt.moved ? 1 : 0) | (attempt.written ? 2 : 0) |
                                          (attempt.complete ? 4 : 0)));
  out.field(attempt.start.encode()).field(attempt.room_text);
  out.u32(static_cast<uint32_t>(attempt.addresses.size()));
  for (const std::string& address : attempt.addresses) out.field(address);
  out.field(attempt.ready ? attempt.ready->encode() : Bytes());
  db_.put(kAttempt, as_bytes(name_), out.bytes(), {});
}

void ChangeStore::forget() { db_.remove(kAttempt, as_bytes(name_)); }

std::vector<Statement> ChangeStore::statements(const Digest& attempt) {
  std::vector<Statement> out;
  for (const auto& label : db_.labels(kStatement)) {
    if (label.id.size() < attempt.size() ||
        !std::equal(attempt.begin(), attempt.end(), label.id.begin())) {
      continue;
    }
    out.push_back(Statement::decode(label.meta, "state.db, a statement about a change"));
  }
  std::sort(out.begin(), out.end(), [](const Statement& a, const Statement& b) {
    return std::pair(a.author, a.kind) < std::pair(b.author, b.kind);
  });
  return out;
}

void ChangeStore::put(const Digest& attempt, const Statement& s) {
  const Bytes id = Writer().raw(attempt).raw(s.author).u8(static_cast<uint8_t>(s.kind)).take();
  db_.transaction([&] {
    if (!db_.get(kStatement, id)) db_.put(kStatement, id, s.encode(), {});
  });
}

std::optional<ChangeBody> ChangeStore::configuration() {
  const auto row = db_.get(kConfiguration, as_bytes(name_));
  if (!row) return std::nullopt;
  return ChangeBody::decode(row->meta, "state.db, the configuration of a room");
}

void ChangeStore::put(const ChangeBody& body) {
  db_.put(kConfiguration, as_bytes(name_), body.encode(), {});
}

std::vector<ChangeBody> ChangeStore::shown() {
  std::vector<ChangeBody> out;
  const auto row = db_.get(kShown, as_bytes(name_));
  if (!row) return out;
  RowReader in(row->meta, "state.db, the configurations of a room");
  while (in.remaining() > 0) {
    out.push_back(ChangeBody::decode(in.field(agreement::kMaxStatementBytes),
                                     "state.db, the configurations of a room"));
  }
  return out;
}

void ChangeStore::put_shown(const std::vector<ChangeBody>& chain) {
  Writer out;
  for (const ChangeBody& body : chain) out.field(body.encode());
  db_.put(kShown, as_bytes(name_), out.bytes(), {});
}

void require_place_to_run(const std::optional<RegisterRow>& row, uint32_t there,
                          std::string_view room, const std::string& state_file) {
  if (!row) return;
  const auto fail = [&](const std::string& problem, std::string_view remedy) {
    throw InputError(fmt::format("room {}", room), problem, remedy);
  };
  const std::string when = date(row->since);
  switch (row->standing.place) {
    case Place::kReady:
      return fail(
          fmt::format("is in the middle of a change that began {}: nothing else runs", when),
          "run `flexroom room change` again at all members, which finishes it; or with "
          "--back at all members of before, which takes it back");
    case Place::kBound:
      return fail(
          fmt::format("is in the middle of a change that began {}: nothing else runs", when),
          "run `flexroom room change` again at all members, which finishes it");
    case Place::kFrozen:
      return fail(fmt::format("is in the middle of a change that began {}, by which this member "
                              "leaves: nothing else runs",
                              when),
                  "run `flexroom room change` again at all members, which finishes it; or with "
                  "--back at all members of before, which takes it back");
    case Place::kLeft:
      return fail(fmt::format("was left by this member ({})", when),
                  "nothing is to be done; a member that comes back joins as a new one, with "
                  "another identity");
    case Place::kIdle:
    case Place::kOld:
    case Place::kNew:
      break;
  }
  if (there >= row->number) return;
  throw InputError(
      state_file, fmt::format("is older than the change of {}", when),
      "restore the newest state.db. If `flexroom room change` was stopped in its last step, run "
      "it again");
}

}  // namespace flexroom::store
