#include "store/once_db.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "prep/cheat_effect.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

namespace fs = std::filesystem;

uint32_t saturating_add(uint32_t a, size_t b) {
  return static_cast<uint32_t>(std::min<uint64_t>(UINT32_MAX, uint64_t{a} + b));
}

// Rows. Counters of no epoch at all (a set-up that fails) have no id.
constexpr std::string_view kCounters = "counters";  // id: epoch
constexpr std::string_view kOldCounters = "counters of before";
constexpr std::string_view kStrangeCounters = "counters of strangers";
constexpr std::string_view kEpoch = "epoch";  // id: epoch
constexpr std::string_view kRoom = "room";    // id: its name
constexpr std::string_view kFormat = "format";
constexpr uint8_t kFormatNumber = 2;  // 1 had one epoch and no format row

void remove_file(const fs::path& file) {
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(file.string() + suffix);
}

}  // namespace

OnceDb::OnceDb(const fs::path& file, const fs::path& key_file, bool expected, Limits limits,
               std::vector<MemberId> peers, std::function<void(std::string_view)> fault,
               SealedDb::Access access)
    : limits_(limits), peers_(std::move(peers)) {
  const bool look = access == SealedDb::Access::kLook;
  const bool has_key = fs::exists(key_file), has_file = fs::exists(file);
  const auto open_with = [&](bool create) {
    const fs::path from = look && create ? fs::path("/nonexistent/once.db") : file;
    db_ = std::make_unique<SealedDb>(
        from,
        [&](bool, Bytes&) {
          if (!create) return SealKey::load(key_file);
          return look ? SealKey::random() : SealKey::create(key_file);
        },
        access);
  };
  if (has_key && has_file) {
    open_with(false);
  } else {
    // Without its key (or without itself) the file says nothing: it is made anew.
    if (!look) remove_file(file);
    open_with(look || !has_key);
  }
  // Also after a crash between making the file and its first counters: nothing was ever used. Only
  // a member without an epoch may begin at zero.
  if (!db_->get(kCounters, {})) {
    db_->put(kFormat, {}, Bytes{kFormatNumber}, {});
    const bool lost = expected || (has_key != has_file);
    lost ? void_everything() : save({});
  }
  take_over_old_counters();
  // Members of a room of three may meet in a room of two: each is counted by itself.
  if (peers_.empty()) peers_.emplace_back();
  pool_ = std::make_unique<Pool>(*db_, file.parent_path() / "pool", std::move(fault));
  // Of the room without a name, until enter().
  for (const Room& room : rooms()) {
    if (!room.name.empty()) continue;
    epoch_ = room.epoch;
    pool_->use_epoch(room.epoch);
  }
}

void OnceDb::void_everything() {
  Counters full;
  full.needs_operator = true;
  full.dirty = limits_.dirty_max;
  db_->transaction([&] {
    save(full);
    // Of every epoch that is not new, and of every peer: whom we had met is forgotten too.
    db_->put(kStrangeCounters, {}, {}, encode(full));
    Writer out;
    out.u32(limits_.life_max);
    db_->put("life of strangers", {}, {}, out.bytes());
  });
}

bool OnceDb::was_lost() { return db_->get(kStrangeCounters, {}).has_value(); }

// A file of before epochs were told apart: its counters are those of the first epoch that is asked
// for.
void OnceDb::take_over_old_counters() {
  if (const auto row = db_->get(kFormat, {})) {
    if (row->meta == Bytes{kFormatNumber}) return;
    throw InputError("once.db", "has a form that this program does not know",
                     "use the version of flexroom that wrote it, or a newer one");
  }
  db_->transaction([&] {
    if (!db_->get(kStrangeCounters, {})) {
      db_->put(kOldCounters, {}, {}, encode(counters()));
      save({});
    }
    db_->remove("next epoch", {});
    db_->put(kFormat, {}, Bytes{kFormatNumber}, {});
  });
}

OnceDb::Epoch OnceDb::state_of(const Digest& epoch) {
  const auto row = db_->get(kEpoch, epoch);
  return row && row->meta.size() == 1 ? static_cast<Epoch>(row->meta[0]) : Epoch::kUnknown;
}

void OnceDb::set_state(const Digest& epoch, Epoch state) {
  db_->put(kEpoch, epoch, Bytes{static_cast<uint8_t>(state)}, {});
}

std::vector<OnceDb::Room> OnceDb::rooms() {
  std::vector<Room> out;
  for (const Bytes& name : db_->ids(kRoom)) {
    const auto row = db_->get(kRoom, name);
    RowReader in(row->meta, "once.db, a room");
    Room room;
    room.name = to_text(name);
    room.rid = in.digest();
    room.epoch = in.digest();
    in.finish();
    out.push_back(std::move(room));
  }
  return out;
}

void OnceDb::save_room() {
  if (!epoch_) return;
  db_->put(kRoom, as_bytes(room_name_), Writer().raw(rid_).raw(*epoch_).bytes(), {});
}

void OnceDb::set_room(std::string_view name, const RoomId& rid) {
  room_name_ = std::string(name);
  rid_ = rid;
  save_room();
}

OnceDb::StateDb OnceDb::enter(std::string_view name, const std::optional<RoomId>& rid,
                              const std::optional<Digest>& epoch) {
  StateDb seen = StateDb::kPresent;
  db_->transaction([&] {
    std::optional<Room> known;
    for (Room& room : rooms()) {
      if (room.name == name) known = std::move(room);
    }
    room_name_ = std::string(name);
    rid_ = rid.value_or(RoomId{});
    epoch_.reset();
    if (!epoch) {
      if (known) seen = rid ? StateDb::kOlder : StateDb::kMissing;
      if (known) epoch_ = known->epoch;
    } else if (const Epoch state = state_of(*epoch); state == Epoch::kOver) {
      seen = StateDb::kOlder;
      if (known) epoch_ = known->epoch;
    } else {
      epoch_ = *epoch;
      if (state == Epoch::kUnknown) {
        const auto before = db_->get(kOldCounters, {});
        const auto strange = db_->get(kStrangeCounters, {});
        Counters full;
        full.needs_operator = true;
        full.dirty = limits_.dirty_max;
        save(before    ? decode(before->secret.reveal())
             : strange ? decode(strange->secret.reveal())
                       : full);
        db_->remove(kOldCounters, {});
        set_state(*epoch, Epoch::kPresent);
      }
      // Prepared: killed between the change of state.db and start_epoch(), which follows.
      if (state != Epoch::kPrepared) save_room();
    }
    pool_->use_epoch(epoch_.value_or(Digest{}));
  });
  return seen;
}

std::vector<Pool::Stock> OnceDb::stock_of_room(std::string_view name) {
  FLEXROOM_ASSERT(db_->only_looks());
  for (const Room& room : rooms()) {
    if (room.name != name) continue;
    pool_->use_epoch(room.epoch);
    return pool_->on_disk();
  }
  return {};
}

void OnceDb::forget_room(std::string_view name) {
  db_->transaction([&] {
    for (const Room& room : rooms()) {
      if (room.name != name) continue;
      pool_->use_epoch(room.epoch);
      pool_->forget_all();
      set_state(room.epoch, Epoch::kOver);
      db_->remove(kCounters, room.epoch);
      db_->remove(kRoom, as_bytes(name));
    }
    epoch_.reset();
    pool_->use_epoch({});
  });
}

void OnceDb::rename_life(const Digest& certificate, const MemberId& id) {
  const auto row = db_->get("life", certificate);
  if (!row) return;
  db_->transaction([&] {
    RowReader in(row->secret.reveal(), "once.db, LIFE");
    const uint32_t old = in.u32();
    Writer out;
    out.u32(std::max(old, db_->get("life", id) ? life_of(id) : 0));
    db_->put("life", id, {}, out.bytes());
    db_->remove("life", certificate);
  });
}

Bytes OnceDb::encode(const Counters& c) {
  Writer out;
  out.u8(c.burned ? 1 : 0).u8(c.needs_operator ? 1 : 0).u32(c.dirty).u32(c.strikes);
  return out.take();
}

OnceDb::Counters OnceDb::decode(ByteView bytes) {
  RowReader in(bytes, "once.db, counters");
  Counters c;
  c.burned = in.u8() != 0;
  c.needs_operator = in.u8() != 0;
  c.dirty = in.u32();
  c.strikes = in.u32();
  in.finish();
  return c;
}

void OnceDb::save(const Counters& c) { db_->put(kCounters, epoch_id(), {}, encode(c)); }

uint32_t OnceDb::life_of(ByteView peer) {
  auto row = db_->get("life", peer);
  if (!row) row = db_->get("life of strangers", {});
  if (!row) return 0;
  RowReader in(row->secret.reveal(), "once.db, LIFE");
  const uint32_t life = in.u32();
  in.finish();
  return life;
}

// Part of a transaction. `only`: an index into `members`; everybody without it.
void OnceDb::set_life(std::span<const MemberId> members,
                      const std::function<uint32_t(uint32_t)>& change, std::optional<size_t> only) {
  for (size_t k = 0; k < members.size(); ++k) {
    if (only && k != *only) continue;
    Writer out;
    out.u32(change(life_of(members[k])));
    db_->put("life", members[k], {}, out.bytes());
  }
}

OnceDb::Counters OnceDb::counters() {
  const auto row = db_->get(kCounters, epoch_id());
  if (!row) {
    throw damaged_row("once.db", "the counters of this epoch are missing");
  }
  Counters c = decode(row->secret.reveal());
  for (const MemberId& peer : peers_) c.life = std::max(c.life, life_of(peer));
  return c;
}

void OnceDb::require_preprocessing_allowed() { require_room_for(1, counters()); }

void OnceDb::require_room_for(size_t count, const Counters& c) const {
  const auto refuse = [](AbortCode code, const std::string& text) {
    throw ProtocolAbort(code, "preprocessing", text);
  };
  if (c.burned) {
    refuse(AbortCode::kEpochBurned, "a check failed; set up a new one: flexroom init --new-epoch");
  }
  if (c.needs_operator) {
    refuse(AbortCode::kTooManyUnfinished,
           "single-use state was lost (restored machine?); flexroom peer accept");
  }
  if (uint64_t{c.dirty} + count > limits_.dirty_max) {
    refuse(AbortCode::kTooManyUnfinished,
           std::to_string(c.dirty) + " batches ended without a verdict; flexroom init --new-epoch");
  }
  require_room_in(c.life, count);
}

void OnceDb::require_room_in(uint32_t life, size_t count) const {
  if (uint64_t{life} + count <= limits_.life_max) return;
  throw ProtocolAbort(AbortCode::kTooManyUnfinished, "preprocessing",
                      std::to_string(life) +
                          " batches ended without a verdict so far, or a check that only a "
                          "cheating member fails may have failed (a session that was killed in the "
                          "middle of one counts so); find out why, then: flexroom peer accept");
}

void OnceDb::require_room_in_life(std::span<const MemberId> members, size_t count) {
  for (const MemberId& member : members) require_room_in(life_of(member), count);
}

void OnceDb::begin_in_life(std::span<const MemberId> members, size_t count) {
  db_->transaction([&] {
    require_room_in_life(members, count);
    set_life(members, [&](uint32_t life) { return saturating_add(life, count); });
  });
}

void OnceDb::finish_in_life(std::span<const MemberId> members, size_t count) {
  db_->transaction([&] {
    // The operator may have set it to zero in between.
    set_life(members, [&](uint32_t life) {
      return life - static_cast<uint32_t>(std::min<uint64_t>(life, count));
    });
  });
}

void OnceDb::fail_in_life(std::span<const MemberId> members, AbortCode code,
                          std::optional<size_t> peer, bool again) {
  const prep::CheatEffect effect = prep::cheat_effect(code);
  if (effect == prep::CheatEffect::kFullTowardsAll || (peer && *peer >= members.size())) peer = {};
  db_->transaction([&] {
    // Also in an epoch that is burned already, and in a set-up that follows it: guesses of bits of
    // a global key must not be repeated over burned epochs.
    if (effect != prep::CheatEffect::kOneMore) {
      set_life(
          members, [&](uint32_t life) { return std::max(life, limits_.life_max); }, peer);
    } else if (!again) {
      set_life(members, [](uint32_t life) { return saturating_add(life, 1); });
    }
  });
}

void OnceDb::begin_batches(size_t count) {
  db_->transaction([&] {
    Counters c = counters();
    require_room_for(count, c);
    c.dirty = saturating_add(c.dirty, count);
    save(c);
    set_life(peers_, [&](uint32_t life) { return saturating_add(life, count); });
  });
}

void OnceDb::finish_batches(size_t count) {
  db_->transaction([&] {
    Counters c = counters();
    if (c.dirty < count) {
      throw damaged_row("once.db", "fewer batches are open there than end here");
    }
    c.dirty -= static_cast<uint32_t>(count);
    save(c);
    // Another session burned the epoch meanwhile: what it did to LIFE stands.
    if (c.burned) return;
    // The operator may have set it to zero in between.
    set_life(peers_, [&](uint32_t life) {
      return life - static_cast<uint32_t>(std::min<uint64_t>(life, count));
    });
  });
}

void OnceDb::burn(AbortCode code, std::optional<size_t> peer) {
  db_->transaction([&] {
    Counters c = counters();
    fail_in_life(peers_, code, peer, c.burned);
    if (c.burned) return;
    c.burned = true;
    save(c);
    pool_->forget_all();
  });
}

void OnceDb::require_setup_allowed() {
  const Counters c = counters();
  // Also for a first epoch: a room of another name is no way around it.
  if ((epoch_ && !c.burned) || c.life < limits_.life_max) return;
  throw ProtocolAbort(AbortCode::kTooManyUnfinished, "set-up",
                      "a check failed that only a cheating member fails, or too many batches ended "
                      "without a verdict; find out why, then: flexroom peer accept");
}

void OnceDb::add_strike() {
  db_->transaction([&] {
    Counters c = counters();
    c.strikes = saturating_add(c.strikes, 1);
    save(c);
    if (c.strikes >= kMaxStrikes) burn(AbortCode::kFpMac);
  });
}

void OnceDb::enter_open_mark(OpenMark::State state, bool present) {
  db_->transaction([&] {
    if (state == OpenMark::State::kBurn) {
      // Which check it was is not known any more: as if only a cheating member could have failed
      // it.
      set_life(peers_, [&](uint32_t life) { return std::max(life, limits_.life_max); });
      if (present) burn(AbortCode::kSacrifice);
    } else if (state == OpenMark::State::kStrike) {
      if (present) add_strike();
    } else if (state == OpenMark::State::kOpen || state == OpenMark::State::kArmed) {
      const bool worst = state == OpenMark::State::kArmed;
      set_life(peers_, [&](uint32_t life) {
        return worst ? std::max(life, limits_.life_max) : saturating_add(life, 1);
      });
      if (!present) return;
      Counters c = counters();
      c.dirty = saturating_add(c.dirty, 1);
      save(c);
    }
  });
}

void OnceDb::prepare_epoch(const Digest& epoch) {
  db_->transaction([&] {
    if (state_of(epoch) == Epoch::kUnknown) set_state(epoch, Epoch::kPrepared);
  });
}

void OnceDb::start_epoch(const Digest& epoch) {
  db_->transaction([&] {
    if (state_of(epoch) != Epoch::kPrepared) return;
    pool_->forget_all();
    for (const Room& room : rooms()) {
      if (room.name != room_name_) continue;
      set_state(room.epoch, Epoch::kOver);
      db_->remove(kCounters, room.epoch);
      forget_marks([&](ByteView of, ByteView) {
        return std::equal(room.epoch.begin(), room.epoch.end(), of.begin(), of.end());
      });
    }
    epoch_.reset();
    save({});  // what set-ups before it left behind
    epoch_ = epoch;
    save({});
    set_state(epoch, Epoch::kPresent);
    save_room();
    pool_->use_epoch(epoch);
  });
}

void OnceDb::operator_accepts() {
  db_->transaction([&] {
    Counters c = counters();
    c.needs_operator = false;
    save(c);
    set_life(peers_, [](uint32_t) { return 0u; });
  });
}

}  // namespace flexroom::store
