#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "store/once_db.h"
#include "store/row_reader.h"

// The part of once.db that is of single runs: marks, the log's end, runs without an outcome.

namespace flexroom::store {
namespace {

constexpr std::string_view kMarkKinds = "mark kinds";  // id: those whose marks can end

}  // namespace

void OnceDb::require_not_burned(std::string_view what) {
  if (!counters().burned) return;
  throw ProtocolAbort(AbortCode::kEpochBurned, what, "another session saw a check fail");
}

bool OnceDb::mark(std::string_view kind, ByteView id) {
  const ByteView ids[] = {id};
  return put_marks(kind, ids);
}

bool OnceDb::mark_all(std::string_view kind, std::span<const Digest> ids) {
  const std::vector<ByteView> views(ids.begin(), ids.end());
  return put_marks(kind, views);
}

bool OnceDb::put_marks(std::string_view kind, std::span<const ByteView> ids) {
  bool first = false;
  db_->transaction([&] {
    // Decided here and not when the session began: another one may have burned the epoch since.
    require_not_burned(kind);
    first = std::none_of(ids.begin(), ids.end(), [&](ByteView id) { return marked(kind, id); });
    if (!first) return;
    Bytes of;  // epoch and session
    if (epoch_ && session_) of = Writer().raw(*epoch_).raw(*session_).take();
    for (const ByteView id : ids) db_->put("mark/" + std::string(kind), id, of, {});
    if (!of.empty()) db_->put(kMarkKinds, as_bytes(kind), {}, {});
  });
  return first;
}

namespace {

constexpr std::string_view kLogHead = "log head", kOpenRun = "open run";
constexpr size_t kMaxRunText = 256;

OnceDb::OpenRun decode_run(ByteView id, ByteView meta) {
  constexpr std::string_view kRunPlace = "once.db, an open run";
  OnceDb::OpenRun run;
  RowReader name(id, kRunPlace);
  run.session = name.digest();
  name.finish();
  RowReader in(meta, kRunPlace);
  run.room = in.digest();
  run.proposal = in.digest();
  run.released = in.u8() != 0;
  run.what = to_text(in.field(kMaxRunText));
  in.finish();
  return run;
}

}  // namespace

std::optional<OnceDb::LogHead> OnceDb::log_head(const Digest& room) {
  const auto row = db_->get(kLogHead, room);
  if (!row) return std::nullopt;
  RowReader in(row->meta, "once.db, where the log ends");
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
  if (before_release_) before_release_();
  db_->transaction([&] {
    const auto row = db_->get(kOpenRun, session);
    if (!row) return;
    OpenRun run = decode_run(session, row->meta);
    run.released = true;
    open_run(run);
  });
}

void OnceDb::close_run(const Digest& session) { db_->remove(kOpenRun, session); }

std::vector<OnceDb::OpenRun> OnceDb::open_runs(const Digest& room) {
  std::vector<OpenRun> out;
  for (const Bytes& id : db_->ids(kOpenRun)) {
    const auto row = db_->get(kOpenRun, id);
    OpenRun run = decode_run(id, row->meta);
    if (run.room == room) out.push_back(std::move(run));
  }
  return out;
}

bool OnceDb::marked(std::string_view kind, ByteView id) {
  return db_->get("mark/" + std::string(kind), id).has_value();
}

void OnceDb::begin_session(const Digest& sid) { session_ = sid; }

void OnceDb::end_session(const Digest& sid) {
  db_->transaction([&] {
    forget_marks([&](ByteView, ByteView of) {
      return std::equal(sid.begin(), sid.end(), of.begin(), of.end());
    });
  });
  if (session_ == sid) session_.reset();
}

void OnceDb::forget_marks(const std::function<bool(ByteView, ByteView)>& which) {
  for (const Bytes& kind : db_->ids(kMarkKinds)) {
    const std::string row_kind = "mark/" + to_text(kind);
    for (const auto& label : db_->labels(row_kind)) {
      if (label.meta.size() != 2 * sizeof(Digest)) continue;
      const ByteView meta(label.meta);
      if (which(meta.first(sizeof(Digest)), meta.subspan(sizeof(Digest)))) {
        db_->remove(row_kind, label.id);
      }
    }
  }
}

Bytes OnceDb::bind(std::string_view kind, ByteView id, ByteView value) {
  Bytes bound(value.begin(), value.end());
  db_->transaction([&] {
    const std::string row_kind = "bound/" + std::string(kind);
    if (const auto row = db_->get(row_kind, id)) {
      bound = row->meta;
    } else {
      db_->put(row_kind, id, value, {});
    }
  });
  return bound;
}

}  // namespace flexroom::store
