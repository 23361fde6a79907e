#include "store/once_db.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "prep/cheat_effect.h"

namespace flexroom::store {
namespace {

namespace fs = std::filesystem;

uint32_t saturating_add(uint32_t a, size_t b) {
  return static_cast<uint32_t>(std::min<uint64_t>(UINT32_MAX, uint64_t{a} + b));
}

void remove_file(const fs::path& file) {
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(file.string() + suffix);
}

}  // namespace

OnceDb::OnceDb(const fs::path& file, const fs::path& key_file, bool expected, Limits limits,
               std::vector<Digest> peers, std::function<void(std::string_view)> fault)
    : limits_(limits), peers_(std::move(peers)) {
  const bool has_key = fs::exists(key_file), has_file = fs::exists(file);
  const auto open_with = [&](bool create) {
    db_ = std::make_unique<SealedDb>(file, [&](bool, Bytes&) {
      return create ? SealKey::create(key_file) : SealKey::load(key_file);
    });
  };
  if (has_key && has_file) {
    open_with(false);
    // A crash between making the file and its first counters: nothing was ever used.
    if (!db_->get("counters", {})) expected ? void_everything() : save({});
  } else {
    // Without its key (or without itself) the file says nothing: it is made anew. Only a member
    // without an epoch may begin at zero.
    remove_file(file);
    open_with(!has_key);
    expected || has_key || has_file ? void_everything() : save({});
  }
  // Members of a room of three may meet in a room of two: each is counted by itself.
  if (peers_.empty()) peers_.emplace_back();
  pool_ = std::make_unique<Pool>(*db_, file.parent_path() / "pool", std::move(fault));
}

void OnceDb::void_everything() {
  Counters full;
  full.needs_operator = true;
  full.dirty = limits_.dirty_max;
  db_->transaction([&] {
    save(full);
    // Of every peer: whom we had met is forgotten too.
    Writer out;
    out.u32(limits_.life_max);
    db_->put("life of strangers", {}, {}, out.bytes());
  });
}

void OnceDb::save(const Counters& c) {
  Writer out;
  out.u8(c.burned ? 1 : 0).u8(c.needs_operator ? 1 : 0).u32(c.dirty).u32(c.strikes);
  db_->put("counters", {}, {}, out.bytes());
}

uint32_t OnceDb::life_of(ByteView peer) {
  auto row = db_->get("life", peer);
  if (!row) row = db_->get("life of strangers", {});
  if (!row) return 0;
  Reader in(row->secret.reveal(), "once.db life");
  const uint32_t life = in.u32();
  in.finish();
  return life;
}

// Part of a transaction. `only`: an index into peers_; everybody without it.
void OnceDb::set_life(const std::function<uint32_t(uint32_t)>& change, std::optional<size_t> only) {
  for (size_t k = 0; k < peers_.size(); ++k) {
    if (only && k != *only) continue;
    Writer out;
    out.u32(change(life_of(peers_[k])));
    db_->put("life", peers_[k], {}, out.bytes());
  }
}

OnceDb::Counters OnceDb::counters() {
  const auto row = db_->get("counters", {});
  FLEXROOM_ASSERT(row.has_value());
  Reader in(row->secret.reveal(), "once.db counters");
  Counters c;
  c.burned = in.u8() != 0;
  c.needs_operator = in.u8() != 0;
  c.dirty = in.u32();
  c.strikes = in.u32();
  in.finish();
  for (const Digest& peer : peers_) c.life = std::max(c.life, life_of(peer));
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
           std::to_string(c.dirty) + " batches ended without a verdict; flexroom secret refresh");
  }
  if (uint64_t{c.life} + count > limits_.life_max) {
    refuse(
        AbortCode::kTooManyUnfinished,
        std::to_string(c.life) + " batches ended without a verdict so far; flexroom peer accept");
  }
}

void OnceDb::begin_batches(size_t count) {
  db_->transaction([&] {
    Counters c = counters();
    require_room_for(count, c);
    c.dirty = saturating_add(c.dirty, count);
    save(c);
    set_life([&](uint32_t life) { return saturating_add(life, count); });
  });
}

void OnceDb::finish_batches(size_t count) {
  db_->transaction([&] {
    Counters c = counters();
    FLEXROOM_ASSERT(c.dirty >= count);
    c.dirty -= static_cast<uint32_t>(count);
    save(c);
    // Another session burned the epoch meanwhile: what it did to LIFE stands.
    if (c.burned) return;
    // The operator may have set it to zero in between.
    set_life([&](uint32_t life) {
      return life - static_cast<uint32_t>(std::min<uint64_t>(life, count));
    });
  });
}

void OnceDb::burn(AbortCode code, std::optional<size_t> peer) {
  const prep::CheatEffect effect = prep::cheat_effect(code);
  if (effect == prep::CheatEffect::kFullTowardsAll || (peer && *peer >= peers_.size())) peer = {};
  db_->transaction([&] {
    Counters c = counters();
    // Also in an epoch that is burned already, and in a set-up that follows it: guesses of bits of
    // a global key must not be repeated over burned epochs.
    if (effect != prep::CheatEffect::kOneMore) {
      set_life([&](uint32_t life) { return std::max(life, limits_.life_max); }, peer);
    } else if (!c.burned) {
      set_life([](uint32_t life) { return saturating_add(life, 1); });
    }
    if (c.burned) return;
    c.burned = true;
    save(c);
    pool_->forget_all();
  });
}

void OnceDb::require_setup_allowed() {
  const Counters c = counters();
  if (!c.burned || c.life < limits_.life_max) return;
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

void OnceDb::prepare_epoch(const Digest& epoch) { db_->put("next epoch", {}, {}, epoch); }

void OnceDb::start_epoch(const Digest& epoch) {
  db_->transaction([&] {
    const auto prepared = db_->get("next epoch", {});
    if (!prepared || !std::equal(epoch.begin(), epoch.end(), prepared->secret.reveal().begin(),
                                 prepared->secret.reveal().end())) {
      return;
    }
    db_->remove("next epoch", {});
    pool_->forget_all();
    Counters c = counters();
    c.burned = false;
    c.dirty = c.strikes = 0;
    save(c);
  });
}

void OnceDb::operator_accepts() {
  db_->transaction([&] {
    Counters c = counters();
    c.needs_operator = false;
    save(c);
    set_life([](uint32_t) { return 0u; });
  });
}

bool OnceDb::mark(std::string_view kind, ByteView id) {
  bool first = false;
  db_->transaction([&] {
    // Decided here and not when the session began: another one may have burned the epoch since.
    if (counters().burned) {
      throw ProtocolAbort(AbortCode::kEpochBurned, kind, "another session saw a check fail");
    }
    first = !marked(kind, id);
    if (first) db_->put("mark/" + std::string(kind), id, {}, {});
  });
  return first;
}

namespace {

constexpr std::string_view kLogHead = "log head", kOpenRun = "open run";
constexpr size_t kMaxRunText = 256;

}  // namespace

std::optional<OnceDb::LogHead> OnceDb::log_head(const Digest& room) {
  const auto row = db_->get(kLogHead, room);
  if (!row) return std::nullopt;
  Reader in(row->meta, "once.db log head");
  LogHead head;
  head.incarnation = in.u32();
  head.number = in.u64();
  head.digest = in.digest();
  in.finish();
  return head;
}

void OnceDb::set_log_head(const Digest& room, const LogHead& head) {
  Writer out;
  out.u32(head.incarnation).u64(head.number).raw(head.digest);
  db_->put(kLogHead, room, out.bytes(), {});
}

void OnceDb::open_run(const OpenRun& run) {
  Writer out;
  out.raw(run.room)
      .raw(run.proposal)
      .u8(run.released ? 1 : 0)
      .field(run.what.substr(0, kMaxRunText));
  db_->put(kOpenRun, run.session, out.bytes(), {});
}

void OnceDb::run_released(const Digest& session) {
  db_->transaction([&] {
    const auto row = db_->get(kOpenRun, session);
    if (!row) return;
    Bytes meta = row->meta;
    meta[2 * sizeof(Digest)] = 1;
    db_->put(kOpenRun, session, meta, {});
  });
}

void OnceDb::close_run(const Digest& session) { db_->remove(kOpenRun, session); }

std::vector<OnceDb::OpenRun> OnceDb::open_runs(const Digest& room) {
  std::vector<OpenRun> out;
  for (const Bytes& id : db_->ids(kOpenRun)) {
    const auto row = db_->get(kOpenRun, id);
    Reader in(row->meta, "once.db open run");
    OpenRun run;
    FLEXROOM_ASSERT(id.size() == run.session.size());
    std::copy(id.begin(), id.end(), run.session.begin());
    run.room = in.digest();
    run.proposal = in.digest();
    run.released = in.u8() != 0;
    run.what = to_text(in.field(kMaxRunText));
    in.finish();
    if (run.room == room) out.push_back(std::move(run));
  }
  return out;
}

bool OnceDb::marked(std::string_view kind, ByteView id) {
  return db_->get("mark/" + std::string(kind), id).has_value();
}

}  // namespace flexroom::store
