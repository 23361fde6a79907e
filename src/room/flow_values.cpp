#include "room/flow_values.h"

#include "store/limits.h"

namespace flexroom::room {

uint32_t length_of(const flow::StoredValue& value) {
  if (value.record && value.length() > 0) return value.length();
  throw InputError("flow value " + value.meta.name, "is no secret here",
                   "restore this member's state.db, then --continue");
}

void FlowValues::load(const std::vector<const flow::StoredValue*>& values) {
  std::vector<store::RecordMeta> wanted;
  for (const flow::StoredValue* const value : values) {
    (void)length_of(*value);
    if (!made_.contains(value->meta.tag)) wanted.push_back(*value->record);
  }
  session_.load(wanted);
}

const prep::AuthBits& FlowValues::bits(const flow::StoredValue& value) const {
  const auto made = made_.find(value.meta.tag);
  return made != made_.end() ? made->second : session_.loaded(*value.record);
}

std::map<std::string, flow::NewSecret> FlowValues::store(
    std::map<std::string, prep::AuthBits> values) {
  std::map<std::string, flow::NewSecret> out;
  if (values.empty()) return out;
  std::vector<const prep::AuthBits*> bits;
  for (const auto& [name, value] : values) {
    FLEXROOM_ASSERT(value.size() % 8 == 0 && value.size() / 8 <= store::kMaxSecretBytes);
    bits.push_back(&value);
  }
  session::MemberSession::NewRows rows = session_.make_rows(bits);
  size_t k = 0;
  for (auto& [name, value] : values) {
    flow::NewSecret& made = out[name];
    made.length = static_cast<uint32_t>(value.size() / 8);
    made.set = rows.set;
    made.row = std::move(rows.rows[k++]);
    made.tag = RandomOracle("flow value", RoScope{})
                   .field(rows.digest)
                   .field(name)
                   .field(uint64_t{made.length})
                   .digest();
    made_.insert_or_assign(made.tag, std::move(value));
  }
  return out;
}

}  // namespace flexroom::room
