#include "flow/run_state.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::flow {
namespace {

constexpr size_t kMaxText = 1024, kMaxList = 1024;
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz234567";

std::string text(Reader& in) { return to_text(in.field(kMaxText)); }

uint32_t count(Reader& in) {
  const uint32_t out = in.u32();
  if (out > kMaxList) {
    throw ProtocolAbort(AbortCode::kBadFrame, "flow/state", "a list of more than 1,024");
  }
  return out;
}

void put_map(Writer& out, const std::map<std::string, uint32_t>& map) {
  out.u32(static_cast<uint32_t>(map.size()));
  for (const auto& [name, value] : map) out.field(name).u32(value);
}

std::map<std::string, uint32_t> get_map(Reader& in) {
  std::map<std::string, uint32_t> out;
  for (uint32_t k = count(in); k > 0; --k) {
    const std::string name = text(in);
    out[name] = in.u32();
  }
  return out;
}

void put_position(Writer& out, const Position& at) { out.field(at.line).u32(at.index); }

Position get_position(Reader& in) {
  Position out;
  out.line = text(in);
  out.index = in.u32();
  return out;
}

RunId get_run(Reader& in, std::optional<PartyId> peer = std::nullopt) {
  const RunId out = text(in);
  if (!is_run_id(out)) {
    throw ProtocolAbort(AbortCode::kBadFrame, "flow/state", "what is no id of a run", peer);
  }
  return out;
}

/// Of this member's own disk.
template <typename Read>
auto of_disk(Read read) {
  try {
    return read();
  } catch (const ProtocolAbort&) {
    throw InputError("state.db, a flow", "is damaged", "restore it from a backup of this member");
  }
}

/// Of a peer's message: whatever is wrong with it is named after it.
template <typename Read>
auto of_peer(PartyId peer, Read read) {
  try {
    return read();
  } catch (const ProtocolAbort& abort) {
    if (abort.peer() == peer) throw;
    throw ProtocolAbort(abort.code(), abort.operation(), abort.detail(), peer);
  }
}

}  // namespace

bool is_run_id(std::string_view text) {
  return text.size() == kRunIdChars && text.find_first_not_of(kLetters) == std::string_view::npos;
}

RunId read_run_id(Reader& in, std::string_view what, PartyId peer) {
  RunId out = to_text(in.field(kRunIdChars));
  if (!is_run_id(out)) {
    throw ProtocolAbort(AbortCode::kBadFrame, what, "what is no id of a run", peer);
  }
  return out;
}

std::string base32_name(ByteView bytes) {
  FLEXROOM_ASSERT(bytes.size() >= 17);
  std::string out;
  for (size_t k = 0; k < kRunIdChars; ++k) {
    unsigned value = 0;
    for (size_t bit = 5 * k; bit < 5 * k + 5; ++bit) {
      value = value << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1u);
    }
    out.push_back(kLetters[value]);
  }
  return out;
}

void ValueMeta::put(Writer& out) const {
  out.field(name).u8(is_public ? 1 : 0).u32(version).raw(tag);
  out.field(to_string(value_class)).u32(entropy).u32(static_cast<uint32_t>(purposes.size()));
  for (const std::string& purpose : purposes) out.field(purpose);
  out.u32(min).u32(max).u8(born ? 1 : 0).field(provider).field(account);
}

ValueMeta ValueMeta::get(Reader& in) {
  ValueMeta out;
  out.name = text(in);
  out.is_public = in.u8() != 0;
  out.version = in.u32();
  out.tag = in.digest();
  const auto value_class = value_class_of(text(in), true);
  if (!value_class || !is_value_name(out.name)) {
    throw ProtocolAbort(AbortCode::kBadFrame, "flow/value", "an unknown class or name");
  }
  out.value_class = *value_class;
  out.entropy = in.u32();
  for (uint32_t k = count(in); k > 0; --k) out.purposes.push_back(text(in));
  out.min = in.u32();
  out.max = in.u32();
  out.born = in.u8() != 0;
  out.provider = text(in);
  out.account = to_text(in.field(2 * kMaxText));
  return out;
}

void RunHead::put(Writer& out) const {
  out.field(prefix).field(flow).raw(file).raw(births).u32(static_cast<uint32_t>(steps.size()));
  for (const Digest& step : steps) out.raw(step);
}

RunHead RunHead::get(Reader& in) {
  RunHead out;
  out.prefix = text(in);
  out.flow = text(in);
  out.file = in.digest();
  out.births = in.digest();
  for (uint32_t k = count(in); k > 0; --k) out.steps.push_back(in.digest());
  return out;
}

RunHead head_of(const Flow& flow) {
  return {flow.prefix, flow.name, flow.digest, flow.births_digest, flow.step_digests};
}

Bytes RunState::encode() const {
  Writer out;
  out.u8(1).field(id);
  head.put(out);
  out.u64(commits).raw(last);
  put_position(out, at);
  out.u32(main);
  put_map(out, attempts);
  put_map(out, refused);
  out.u8(done ? 1 : 0);
  return out.take();
}

RunState RunState::decode(ByteView bytes, std::optional<PartyId> peer) {
  const auto read = [&] {
    Reader in(bytes, "flow/run", peer.value_or(kNoParty));
    RunState out;
    if (in.u8() != 1) throw ProtocolAbort(AbortCode::kBadFrame, "flow/run", "another format", peer);
    out.id = get_run(in, peer);
    out.head = RunHead::get(in);
    out.commits = in.u64();
    out.last = in.digest();
    out.at = get_position(in);
    out.main = in.u32();
    out.attempts = get_map(in);
    out.refused = get_map(in);
    out.done = in.u8() != 0;
    in.finish();
    return out;
  };
  return peer ? of_peer(*peer, read) : of_disk(read);
}

Bytes Change::encode() const {
  Writer out;
  out.u8(1).field(run).u64(number).raw(previous).u8(head ? 1 : 0);
  if (head) head->put(out);
  put_position(out, at);
  put_map(out, attempts);
  put_map(out, refused);
  out.field(step).field(event).u64(time).u32(static_cast<uint32_t>(values.size()));
  for (const NewValue& value : values) {
    value.meta.put(out);
    out.u8(value.to_room ? 1 : 0);
  }
  for (const auto* const list : {&voided, &voided_of_run}) {
    out.u32(static_cast<uint32_t>(list->size()));
    for (const std::string& name : *list) out.field(name);
  }
  out.field(proves).u8(end ? 1 : 0);
  return out.take();
}

Change Change::decode(ByteView bytes) {
  return of_disk([&] {
    Reader in(bytes, "flow/change");
    Change out;
    if (in.u8() != 1) throw ProtocolAbort(AbortCode::kBadFrame, "flow/change", "another format");
    out.run = get_run(in);
    out.number = in.u64();
    out.previous = in.digest();
    if (in.u8() != 0) out.head = RunHead::get(in);
    out.at = get_position(in);
    out.attempts = get_map(in);
    out.refused = get_map(in);
    out.step = text(in);
    out.event = text(in);
    out.time = in.u64();
    for (uint32_t k = count(in); k > 0; --k) {
      NewValue value;
      value.meta = ValueMeta::get(in);
      value.to_room = in.u8() != 0;
      out.values.push_back(std::move(value));
    }
    for (auto* const list : {&out.voided, &out.voided_of_run}) {
      for (uint32_t k = count(in); k > 0; --k) list->push_back(text(in));
    }
    out.proves = text(in);
    out.end = in.u8() != 0;
    in.finish();
    return out;
  });
}

Digest Change::digest() const {
  return RandomOracle("flow change", RoScope{}).field(encode()).digest();
}

std::string idempotency_id(const RunId& run, std::string_view step, uint64_t refused) {
  const Digest digest =
      RandomOracle("idempotency", RoScope{}).field(run).field(step).field(refused).digest();
  return to_hex(digest).substr(0, 32);
}

}  // namespace flexroom::flow
