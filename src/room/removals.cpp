#include "room/removals.h"

#include "session/secret_import.h"
#include "session/signing_keys.h"
#include "store/limits.h"
#include "store/row_reader.h"

namespace flexroom::room {
namespace {

constexpr std::string_view kKind = "removal", kPlace = "state.db, a removal";

Bytes encode(const Removal& removal) {
  return Writer()
      .u8(static_cast<uint8_t>(removal.phase))
      .field(removal.target.name)
      .field(removal.target.prefix)
      .field(removal.target.value)
      .take();
}

Removal decode(ByteView bytes) {
  constexpr uint8_t kLastPhase = 3;
  store::RowReader in(bytes, kPlace);
  Removal out;
  const uint8_t phase = in.u8();
  // A name may be one of a record from before there was a limit.
  for (std::string* const text : {&out.target.name, &out.target.prefix, &out.target.value}) {
    *text = to_text(in.field(store::kMaxMetaTextBytes));
  }
  in.finish();
  if (phase < 1 || phase > kLastPhase) throw store::damaged_row(kPlace, "it is in no phase");
  out.phase = static_cast<Removal::Phase>(phase);
  return out;
}

}  // namespace

Removals::Removals(session::MemberState& state)
    : state_(state), kind_(store::rows_of_room(kKind, state.rid())) {}

std::map<Bytes, Removal> Removals::all() {
  std::map<Bytes, Removal> out;
  for (const auto& label : state_.db().labels(kind_)) out.emplace(label.id, decode(label.meta));
  return out;
}

void Removals::put(const Bytes& id, const Removal& removal) {
  state_.db().put(kind_, id, encode(removal), {});
}

void Removals::drop(const Bytes& id) { state_.db().remove(kind_, id); }

bool Removals::is_staged(const Bytes& id) {
  const auto row = state_.db().get(kind_, id);
  return row && !decode(row->meta).is_erased();
}

void Removals::drop_staged(const Bytes& id) {
  state_.db().transaction([&] {
    if (is_staged(id)) drop(id);
  });
}

bool Removals::erase(const Bytes& id) {
  bool erased = false;
  state_.db().transaction([&] {
    if (!is_staged(id)) return;
    Removal removal = decode(state_.db().get(kind_, id)->meta);
    if (removal.target.is_of_flow()) {
      flow_store(state_).remove_room_value(removal.target.prefix, removal.target.value);
    } else {
      session::remove_secret(state_, removal.target.name);
    }
    removal.phase = Removal::Phase::kErased;
    put(id, removal);
    erased = true;
  });
  if (erased) clean();
  return erased;
}

void Removals::mark_logged(const Bytes& id) {
  state_.db().transaction([&] {
    const auto row = state_.db().get(kind_, id);
    if (row) put(id, {Removal::Phase::kLogged, decode(row->meta).target});
  });
}

void Removals::clean() {
  session::erase_orphaned_keys(state_);
  state_.db().scrub();
}

}  // namespace flexroom::room
