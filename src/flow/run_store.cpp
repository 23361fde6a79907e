#include "flow/run_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "flow/flow.h"
#include "flow/ledger.h"
#include "http/text.h"
#include "store/row_reader.h"

namespace flexroom::flow {
namespace {

constexpr size_t kMaxField = 1024;
// state.db
constexpr std::string_view kRun = "flow run", kStaged = "flow staged", kOks = "flow oks",
                           kValue = "flow value";
// once.db
constexpr std::string_view kArmed = "flow armed", kKnown = "flow run", kLedger = "flow ledger",
                           kFull = "flow ledger full", kLost = "flow lost";

Bytes pair_id(std::string_view first, std::string_view second) {
  return Writer().field(first).field(second).take();
}

/// u32 count, then names and values as fields; in one piece of memory that wipes itself.
SecretBytes encode_values(const ValueBytes& bytes) {
  size_t size = 4;
  for (const auto& [name, value] : bytes) size += 8 + name.size() + value.size();
  SecretBytes out(size);
  uint8_t* at = out.writable().data();
  const auto put = [&](ByteView piece) { at = std::copy(piece.begin(), piece.end(), at); };
  put(Writer().u32(static_cast<uint32_t>(bytes.size())).bytes());
  for (const auto& [name, value] : bytes) {
    put(Writer().field(name).u32(static_cast<uint32_t>(value.size())).bytes());
    put(value.reveal());
  }
  return out;
}

ValueBytes decode_values(const SecretBytes& bytes) {
  Reader in(bytes.reveal(), "flow/staged values");
  ValueBytes out;
  for (uint32_t k = in.u32(); k > 0; --k) {
    const std::string name = to_text(in.field(kMaxField));
    out[name] = SecretBytes::copy_of(in.field(size_t{1} << 20));
  }
  in.finish();
  return out;
}

Bytes encode(const Armed& armed) {
  return Writer()
      .u32(armed.attempt)
      .u64(static_cast<uint64_t>(armed.time))
      .field(armed.prefix)
      .field(armed.flow)
      .field(armed.leaves)
      .u64(static_cast<uint64_t>(armed.settle_seconds))
      .take();
}

Armed decode_armed(ByteView bytes) {
  Reader in(bytes, "flow/armed");
  Armed out;
  out.attempt = in.u32();
  out.time = static_cast<int64_t>(in.u64());
  out.prefix = to_text(in.field(kMaxField));
  out.flow = to_text(in.field(kMaxField));
  out.leaves = to_text(in.field(kMaxField));
  out.settle_seconds = static_cast<int64_t>(in.u64());
  in.finish();
  return out;
}

}  // namespace

/// Whose value it is: the room's, below a prefix, or a run's.
struct RunStore::Owner {
  static constexpr std::string_view kRoom = "room ", kRun = "run ";
  std::string key;    // in state.db
  std::string shown;  // before a name

  static Owner room(std::string_view prefix) {
    return {std::string(kRoom) + std::string(prefix), std::string(prefix)};
  }
  static Owner run(const RunId& run) { return {std::string(kRun) + run, "run/" + run}; }
  Bytes place(std::string_view name) const { return pair_id(key, name); }
  std::string name(std::string_view of) const { return fmt::format("{}:{}", shown, of); }
  /// The same for all versions of the name.
  store::RecordId record_id(std::string_view of) const {
    const Digest digest = RandomOracle("flow record", RoScope{}).field(key).field(of).digest();
    store::RecordId out{};
    std::copy_n(digest.begin(), out.size(), out.begin());
    return out;
  }
  store::RecordMeta record(std::string_view flow, const ValueMeta& meta, uint32_t length,
                           const store::RowSet& set) const;
};

store::RecordMeta RunStore::Owner::record(std::string_view flow, const ValueMeta& meta,
                                          uint32_t length, const store::RowSet& set) const {
  store::RecordMeta out;
  out.id = record_id(meta.name);
  out.version = meta.version;
  out.name = name(meta.name);
  out.kind = std::string(store::kFlowKind) + std::string(flow);
  out.value_class = http::to_string(meta.value_class == ValueClass::kShellUrl
                                        ? http::CharClass::kShellUrl
                                        : http::narrowest_class(set_of(meta.value_class)));
  out.bits = 8 * length;
  out.provenance = meta.tag;
  out.purposes = meta.purposes;
  out.entropy = meta.entropy;
  out.provider = meta.provider;
  out.set = set;
  out.descent = meta.born ? store::Descent::kBorn : store::Descent::kKept;
  return out;
}

namespace {

/// What secret_bytes() made.
struct StagedSecret {
  uint32_t length = 0;
  store::RowSet set{};
  ByteView row;
};
StagedSecret staged_secret(ByteView bytes) {
  Reader in(bytes, "flow/staged secret");
  StagedSecret out;
  out.length = in.u32();
  const ByteView set = in.raw(out.set.size());
  std::copy(set.begin(), set.end(), out.set.begin());
  out.row = in.raw(in.remaining());
  return out;
}

}  // namespace

SecretBytes secret_bytes(const NewSecret& secret) {
  const Bytes head = Writer().u32(secret.length).raw(secret.set).take();
  SecretBytes out(head.size() + secret.row.size());
  const auto behind = std::copy(head.begin(), head.end(), out.writable().begin());
  const ByteView row = secret.row.reveal();
  std::copy(row.begin(), row.end(), behind);
  return out;
}

Digest sharing_of(const StoredValue& value) {
  RandomOracle out("flow sharing", RoScope{});
  out.field(value.meta.tag).field(value.record ? value.record->set : store::RowSet{});
  return out.digest();
}

std::string name_in_room(std::string_view prefix, std::string_view name) {
  return fmt::format("{}:{}", prefix, name);
}

RunStore::RunStore(store::SealedDb& state, store::OnceDb& once, const store::RoomId& rid,
                   int64_t now, std::function<void(std::string_view)> fault)
    : state_(state), once_(once), rid_(rid), secrets_(state, rid), fault_(std::move(fault)) {
  enter_loss(now);
}

void RunStore::reached(std::string_view step) const {
  if (fault_) fault_(step);
}

/// Nobody knows how often, and how many bits, went out before the loss.
void RunStore::enter_loss(int64_t now) {
  store::SealedDb& rows = once_.rows();
  if (!once_.was_lost() || rows.get(kind(kFull), {})) return;
  rows.transaction([&] {
    for (const RunState& run : runs()) {
      if (run.done) continue;
      rows.put(kind(kKnown), as_bytes(run.id),
               Writer().field(run.head.prefix).field(run.head.flow).u8(0).bytes(), {});
      // When a step was armed nobody knows; not later than now.
      Writer lost;
      lost.u64(static_cast<uint64_t>(now)).field(run.head.prefix).field(run.head.flow);
      lost.u32(static_cast<uint32_t>(run.attempts.size()));
      for (const auto& [step, attempt] : run.attempts) lost.field(step).u32(attempt);
      rows.put(kind(kLost), as_bytes(run.id), lost.bytes(), {});
    }
    rows.put(kind(kFull), {}, {}, {});
  });
}

// ------------------------------------------------------------------ state.db

std::vector<RunState> RunStore::runs() {
  std::vector<RunState> out;
  for (const store::SealedDb::Label& label : state_.labels(kind(kRun))) {
    out.push_back(RunState::decode(label.meta));
  }
  return out;
}

std::optional<RunState> RunStore::run(const RunId& id) {
  const auto row = state_.get(kind(kRun), as_bytes(id));
  return row ? std::optional(RunState::decode(row->meta)) : std::nullopt;
}

std::optional<RunStore::Staged> RunStore::staged(const RunId& id) {
  const auto row = state_.get(kind(kStaged), as_bytes(id));
  if (!row) return std::nullopt;
  Staged out;
  out.change = Change::decode(row->meta);
  out.digest = out.change.digest();
  return out;
}

std::vector<RunId> RunStore::staged_runs() {
  std::vector<RunId> out;
  for (const Bytes& id : state_.ids(kind(kStaged))) out.push_back(to_text(id));
  return out;
}

void RunStore::stage(const Change& change, const ValueBytes& bytes) {
  state_.put(kind(kStaged), as_bytes(change.run), change.encode(), encode_values(bytes).reveal());
  reached("flow/staged");
}

void RunStore::drop_staged(const RunId& id) {
  state_.remove(kind(kStaged), as_bytes(id));
  reached("flow/void");
}

Change RunStore::commit(const RunId& id, const std::vector<net::Signature>& oks,
                        const Together& together) {
  const auto row = state_.get(kind(kStaged), as_bytes(id));
  FLEXROOM_ASSERT(row.has_value());
  const Change change = Change::decode(row->meta);
  const ValueBytes bytes = decode_values(row->secret);
  const auto write = [&] {
    state_.transaction([&] {
      apply(change, bytes, oks);
      state_.remove(kind(kStaged), as_bytes(id));
    });
  };
  if (together) {
    together(change, write);
  } else {
    write();
  }
  // What a run kept is gone from the file's log too.
  if (change.end || !change.voided.empty() || !change.voided_of_run.empty()) state_.scrub();
  reached("flow/committed");
  return change;
}

void RunStore::apply(const Change& change, const ValueBytes& bytes,
                     const std::vector<net::Signature>& signatures) {
  RunState run = this->run(change.run).value_or(RunState());
  run.id = change.run;
  if (change.head) run.head = *change.head;
  run.commits = change.number;
  run.last = change.digest();
  run.at = change.at;
  if (change.at.line == "main") run.main = change.at.index;
  run.attempts = change.attempts;
  run.refused = change.refused;
  run.done = change.end;
  const Owner room = Owner::room(run.head.prefix), own = Owner::run(run.id);
  for (const std::string& name : change.voided) remove_value(room, name);
  for (const std::string& name : change.voided_of_run) remove_value(own, name);
  for (const Change::NewValue& value : change.values) {
    const auto it = bytes.find(value.meta.name);
    FLEXROOM_ASSERT(it != bytes.end());
    put_value(value.to_room ? room : own, run.head.flow, value.meta, it->second.reveal());
  }
  if (!change.proves.empty()) {
    for (const ValueMeta& meta : values_of(own)) {
      if (meta.name.starts_with(change.proves + "/")) prove_value(own, room, run.head.flow, meta);
    }
  }
  if (change.end) {
    for (const ValueMeta& meta : rows_of(own)) remove_value(own, meta.name);
  }
  state_.put(kind(kRun), as_bytes(run.id), run.encode(), {});
  Writer all;
  all.u32(static_cast<uint32_t>(signatures.size()));
  for (const net::Signature& one : signatures) all.raw(one);
  state_.put(kind(kOks), as_bytes(run.id), all.bytes(), {});
}

std::vector<net::Signature> RunStore::oks(const RunId& id) {
  const auto row = state_.get(kind(kOks), as_bytes(id));
  std::vector<net::Signature> out;
  if (!row) return out;
  Reader in(row->meta, "flow/oks");
  out.resize(std::min<uint32_t>(in.u32(), kMostMembers));
  for (net::Signature& one : out) {
    const ByteView bytes = in.raw(one.size());
    std::copy(bytes.begin(), bytes.end(), one.begin());
  }
  return out;
}

namespace {

constexpr uint8_t kValueFormat = 2;

Bytes encode_value(const ValueMeta& meta) {
  Writer out;
  out.u8(kValueFormat);
  meta.put(out);
  return out.take();
}

ValueMeta decode_value(ByteView bytes) {
  try {
    Reader in(bytes, "flow/value");
    if (in.u8() != kValueFormat) {
      throw ProtocolAbort(AbortCode::kBadFrame, "flow/value", "another format");
    }
    ValueMeta out = ValueMeta::get(in);
    in.finish();
    return out;
  } catch (const ProtocolAbort&) {
    throw store::damaged_row("state.db, a value of a flow", "it is not as this program stores it");
  }
}

}  // namespace

void RunStore::put_value(const Owner& owner, std::string_view flow, const ValueMeta& meta,
                         ByteView bytes) {
  remove_value(owner, meta.name);  // with the record of the version before
  state_.put(kind(kValue), owner.place(meta.name), encode_value(meta),
             meta.is_public ? bytes : ByteView());
  if (meta.is_public) return;
  const StagedSecret secret = staged_secret(bytes);
  secrets_.put_committed(
      {owner.record(flow, meta, secret.length, secret.set), SecretBytes::copy_of(secret.row)});
}

/// From the run to the room, the rows as they are.
void RunStore::prove_value(const Owner& run, const Owner& room, std::string_view flow,
                           const ValueMeta& meta) {
  const auto value = get_value(run, meta.name);
  FLEXROOM_ASSERT(value.has_value());
  if (meta.is_public) {
    put_value(room, flow, meta, value->bytes.reveal());
  } else {
    auto record = secrets_.find(value->record->id, value->record->version);
    FLEXROOM_ASSERT(record.has_value());
    put_value(room, flow, meta,
              secret_bytes({meta.tag, value->length(), record->meta.set, std::move(record->bytes)})
                  .reveal());
  }
  remove_value(run, meta.name);
}

void RunStore::remove_value(const Owner& owner, std::string_view name) {
  state_.remove(kind(kValue), owner.place(name));
  secrets_.remove(owner.record_id(name));
}

std::optional<store::RecordMeta> RunStore::record_of(const Owner& owner, const ValueMeta& meta) {
  auto record = secrets_.find(owner.record_id(meta.name), meta.version);
  if (!record || record->meta.provenance != meta.tag) return std::nullopt;
  return std::move(record->meta);
}

std::optional<StoredValue> RunStore::get_value(const Owner& owner, std::string_view name) {
  auto row = state_.get(kind(kValue), owner.place(name));
  if (!row) return std::nullopt;
  StoredValue out{decode_value(row->meta), std::move(row->secret)};
  if (out.meta.is_public) return out;
  out.record = record_of(owner, out.meta);
  if (!out.record) return std::nullopt;
  return out;
}

/// Also of secrets that are not there any more.
std::vector<ValueMeta> RunStore::rows_of(const Owner& owner) {
  std::vector<ValueMeta> out;
  const Bytes first = Writer().field(owner.key).take();
  for (const store::SealedDb::Label& label : state_.labels(kind(kValue))) {
    if (label.id.size() < first.size() ||
        !std::equal(first.begin(), first.end(), label.id.begin())) {
      continue;
    }
    out.push_back(decode_value(label.meta));
  }
  return out;
}

std::vector<ValueMeta> RunStore::values_of(const Owner& owner) {
  std::vector<ValueMeta> out = rows_of(owner);
  std::erase_if(out, [&](const ValueMeta& meta) {
    return !meta.is_public && !record_of(owner, meta).has_value();
  });
  return out;
}

std::vector<RunStore::RoomValue> RunStore::all_room_values() {
  std::set<std::string> prefixes;
  for (const store::SealedDb::Label& label : state_.labels(kind(kValue))) {
    store::RowReader in(label.id, "state.db, a value of a flow");
    const std::string key = to_text(in.field(kMaxField));
    if (key.starts_with(Owner::kRoom)) prefixes.insert(key.substr(Owner::kRoom.size()));
  }
  std::vector<RoomValue> out;
  for (const std::string& prefix : prefixes) {
    for (ValueMeta& meta : room_values(prefix)) out.push_back({prefix, std::move(meta)});
  }
  return out;
}

std::optional<StoredValue> RunStore::value(const RunId& run, std::string_view prefix,
                                           std::string_view name) {
  if (auto own = run_value(run, name)) return own;
  return room_value(prefix, name);
}

std::optional<StoredValue> RunStore::room_value(std::string_view prefix, std::string_view name) {
  return get_value(Owner::room(prefix), name);
}

std::optional<StoredValue> RunStore::run_value(const RunId& run, std::string_view name) {
  return get_value(Owner::run(run), name);
}

std::vector<ValueMeta> RunStore::room_values(std::string_view prefix) {
  return values_of(Owner::room(prefix));
}

std::vector<ValueMeta> RunStore::run_values(const RunId& run) { return values_of(Owner::run(run)); }

void RunStore::erase_room_value(std::string_view prefix, std::string_view name) {
  remove_room_value(prefix, name);
  state_.scrub();
  reached("flow/erased");
}

void RunStore::remove_room_value(std::string_view prefix, std::string_view name) {
  state_.transaction([&] { remove_value(Owner::room(prefix), name); });
}

// ------------------------------------------------------------------ once.db

void RunStore::arm(const RunId& run, std::string_view step, const Armed& armed,
                   const std::map<std::string, unsigned>& bits) {
  store::SealedDb& rows = once_.rows();
  rows.transaction([&] {
    const auto before = this->armed(run, step);
    if (before && before->attempt >= armed.attempt) {
      throw ProtocolAbort(AbortCode::kReuse, "flow/arm",
                          fmt::format("attempt {} of {} was armed before", armed.attempt, step));
    }
    for (const auto& [account, count] : bits) {
      const unsigned now = booked(account) + count;
      if (now > kLifeBits) {
        throw InputError("the leak ledger", fmt::format("{} has no {} of its {} bits left", account,
                                                        count, kLifeBits));
      }
      rows.put(kind(kLedger), sha256(as_bytes(account)), Writer().u32(now).field(account).bytes(),
               {});
    }
    rows.put(kind(kArmed), pair_id(run, step), encode(armed), {});
    rows.put(kind(kKnown), as_bytes(run),
             Writer().field(armed.prefix).field(armed.flow).u8(0).bytes(), {});
  });
  reached("flow/armed");
}

std::optional<Armed> RunStore::armed(const RunId& run, std::string_view step) {
  const auto row = once_.rows().get(kind(kArmed), pair_id(run, step));
  if (row) return decode_armed(row->meta);
  return lost(run, step);
}

/// once.db was lost while the run was open: every step counts as armed once more than committed.
std::optional<Armed> RunStore::lost(const RunId& run, std::string_view step) {
  const auto row = once_.rows().get(kind(kLost), as_bytes(run));
  if (!row) return std::nullopt;
  Reader in(row->meta, "flow/lost");
  Armed out;
  out.of_loss = true;
  out.attempt = 1;
  out.time = static_cast<int64_t>(in.u64());
  out.prefix = to_text(in.field(kMaxField));
  out.flow = to_text(in.field(kMaxField));
  for (uint32_t k = in.u32(); k > 0; --k) {
    const std::string name = to_text(in.field(kMaxField));
    const uint32_t attempt = in.u32();
    if (name == step) out.attempt = attempt + 1;
  }
  in.finish();
  return out;
}

std::vector<Armed> RunStore::all_armed(const RunId& run) {
  std::vector<Armed> out;
  const Bytes first = Writer().field(run).take();
  for (const store::SealedDb::Label& label : once_.rows().labels(kind(kArmed))) {
    if (label.id.size() > first.size() &&
        std::equal(first.begin(), first.end(), label.id.begin())) {
      Reader id(label.id, "flow/armed");
      (void)id.field(kMaxField);
      out.push_back(decode_armed(label.meta));
      out.back().step = to_text(id.field(kMaxField));
    }
  }
  if (auto any = lost(run, "")) out.push_back(std::move(*any));
  return out;
}

unsigned RunStore::booked(std::string_view account) {
  if (ledger_is_lost()) return kLifeBits;
  const auto row = once_.rows().get(kind(kLedger), sha256(as_bytes(account)));
  if (!row) return 0;
  return Reader(row->meta, "flow/ledger").u32();
}

std::vector<KnownRun> RunStore::known_runs() {
  std::vector<KnownRun> out;
  for (const store::SealedDb::Label& label : once_.rows().labels(kind(kKnown))) {
    Reader in(label.meta, "flow/known run");
    KnownRun run;
    run.id = to_text(label.id);
    run.prefix = to_text(in.field(kMaxField));
    run.flow = to_text(in.field(kMaxField));
    run.closed = in.u8() != 0;
    out.push_back(std::move(run));
  }
  return out;
}

bool RunStore::ledger_is_lost() { return once_.rows().get(kind(kFull), {}).has_value(); }

std::map<std::string, unsigned> booked_accounts(store::OnceDb& once, const store::RoomId& rid) {
  const auto rows_of = [&](std::string_view name) { return store::rows_of_room(name, rid); };
  const bool is_lost = once.rows().get(rows_of(kFull), {}).has_value();
  std::map<std::string, unsigned> out;
  for (const store::SealedDb::Label& label : once.rows().labels(rows_of(kLedger))) {
    Reader in(label.meta, "flow/ledger");
    const unsigned bits = in.u32();
    out[to_text(in.field(kMaxField))] = is_lost ? kLifeBits : bits;
  }
  return out;
}

std::optional<std::pair<std::string, std::string>> RunStore::owner_of(const RunId& run) {
  if (const auto state = this->run(run)) return std::pair(state->head.prefix, state->head.flow);
  if (const auto one = staged(run); one && one->change.head) {
    return std::pair(one->change.head->prefix, one->change.head->flow);
  }
  const auto row = once_.rows().get(kind(kKnown), as_bytes(run));
  if (!row) return std::nullopt;
  Reader in(row->meta, "flow/known run");
  std::string prefix = to_text(in.field(kMaxField));
  return std::pair(std::move(prefix), to_text(in.field(kMaxField)));
}

void RunStore::close(const KnownRun& run) {
  const auto owner = owner_of(run.id);
  if (owner && *owner != std::pair(run.prefix, run.flow)) {
    throw ProtocolAbort(
        AbortCode::kReuse, "flow/close",
        fmt::format("run {} is one of {}, not of {}", run.id, owner->second, run.flow));
  }
  once_.rows().put(kind(kKnown), as_bytes(run.id),
                   Writer().field(run.prefix).field(run.flow).u8(1).bytes(), {});
  reached("flow/closed");
}

bool RunStore::is_closed(const RunId& run) {
  const auto row = once_.rows().get(kind(kKnown), as_bytes(run));
  if (!row) return false;
  Reader in(row->meta, "flow/known run");
  (void)in.field(kMaxField);
  (void)in.field(kMaxField);
  return in.u8() != 0;
}

void RunStore::erase_run(const RunId& run) {
  state_.transaction([&] {
    if (auto state = this->run(run)) {
      state->done = true;
      state_.put(kind(kRun), as_bytes(run), state->encode(), {});
    }
    for (const ValueMeta& meta : rows_of(Owner::run(run))) {
      remove_value(Owner::run(run), meta.name);
    }
    state_.remove(kind(kStaged), as_bytes(run));
  });
  state_.scrub();
  reached("flow/erased");
}

}  // namespace flexroom::flow
