#include "room/flow_values.h"

#include <algorithm>

#include "base/codec.h"
#include "prep/rows.h"
#include "store/limits.h"

namespace flexroom::room {
namespace {

constexpr size_t kLengthBytes = 4;

ByteView row_of(const flow::StoredValue& value) {
  return value.bytes.reveal().subspan(kLengthBytes);
}

}  // namespace

uint32_t FlowValues::length_of(const flow::StoredValue& value) {
  const ByteView bytes = value.bytes.reveal();
  const auto fail = [&]() -> uint32_t {
    throw InputError("flow value " + value.meta.name, "is not as this program stores it",
                     "restore this member's state.db, then --continue");
  };
  if (value.meta.is_public || bytes.size() < kLengthBytes) return fail();
  Reader in(bytes.first(kLengthBytes), "flow/value");
  const uint32_t length = in.u32();
  const bool fits = length >= 1 && length <= store::kMaxSecretBytes &&
                    bytes.size() - kLengthBytes == prep::row_bytes(size_t{8} * length);
  return fits ? length : fail();
}

void FlowValues::load(const std::vector<const flow::StoredValue*>& values) {
  std::vector<const flow::StoredValue*> missing;
  for (const flow::StoredValue* const value : values) {
    const bool again = std::any_of(missing.begin(), missing.end(), [&](const auto* other) {
      return other->meta.tag == value->meta.tag;
    });
    if (!again && !loaded_.contains(value->meta.tag)) missing.push_back(value);
  }
  if (missing.empty()) return;
  net::Party& party = session_.party();
  Writer described;
  std::vector<prep::HeldRow> held;
  for (const flow::StoredValue* const value : missing) {
    const uint32_t length = length_of(*value);
    value->meta.put(described);
    described.u32(length);
    held.push_back({size_t{8} * length, row_of(*value)});
  }
  const Digest mine = RandomOracle("flow load", party.scope(), party.next_counter("flow/load"))
                          .field(described.bytes())
                          .digest();
  const std::vector<Bytes> all = party.exchange("flow/load", mine);
  for (const PartyId j : party.peers()) {
    if (std::equal(all[j].begin(), all[j].end(), mine.begin(), mine.end())) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, "flow/load",
                        "holds another value, or describes it otherwise", j);
  }
  std::vector<prep::AuthBits> loaded =
      prep::load_rows(party, session_.source(), session_.state().once(), held);
  for (size_t k = 0; k < missing.size(); ++k) {
    loaded_.insert_or_assign(missing[k]->meta.tag, std::move(loaded[k]));
  }
}

const prep::AuthBits& FlowValues::bits(const flow::StoredValue& value) const {
  const auto it = loaded_.find(value.meta.tag);
  FLEXROOM_ASSERT(it != loaded_.end());
  return it->second;
}

std::map<std::string, flow::NewSecret> FlowValues::store(
    std::map<std::string, prep::AuthBits> values) {
  std::map<std::string, flow::NewSecret> out;
  if (values.empty()) return out;
  net::Party& party = session_.party();
  const Digest set = RandomOracle("set", party.scope(), party.next_counter("rows/set")).digest();
  std::vector<const prep::AuthBits*> bits;
  for (const auto& [name, value] : values) {
    FLEXROOM_ASSERT(value.size() % 8 == 0 && value.size() / 8 <= store::kMaxSecretBytes);
    bits.push_back(&value);
  }
  const std::vector<SecretBytes> rows = prep::store_rows(party, session_.source(), bits);
  size_t k = 0;
  for (auto& [name, value] : values) {
    const auto length = static_cast<uint32_t>(value.size() / 8);
    flow::NewSecret& made = out[name];
    made.tag = RandomOracle("flow value", RoScope{})
                   .field(set)
                   .field(name)
                   .field(uint64_t{length})
                   .digest();
    const ByteView row = rows[k++].reveal();
    made.row = SecretBytes(kLengthBytes + row.size());
    const std::span<uint8_t> at = made.row.writable();
    const Bytes head = Writer().u32(length).take();
    std::copy(head.begin(), head.end(), at.begin());
    std::copy(row.begin(), row.end(), at.begin() + kLengthBytes);
    loaded_.insert_or_assign(made.tag, std::move(value));
  }
  return out;
}

}  // namespace flexroom::room
