#include "room/suite_costs.h"

#include "prep/triple_parameters.h"

namespace flexroom::room {

double gate_bytes_to_each_peer(const RoomConfig& room, uint64_t ands) {
  return static_cast<double>(ands) *
         prep::and_bytes_to_each_peer(prep::triple_protocol(room.triples), room.link == "slow");
}

std::vector<SuiteCost> suite_costs(const RoomConfig& room, const OpenCall& call,
                                   const CallLayout& layout, const ConnectionShape& shape) {
  const auto peers = static_cast<double>(room.members.size() - 1);
  std::vector<SuiteCost> out;
  for (const CostUnderSuite& one : call_costs(call, layout, shape)) {
    const uint64_t ands = one.cost.total();
    out.push_back({std::string(one.suite->setting), ands,
                   peers * (gate_bytes_to_each_peer(room, ands) + one.tag_bytes)});
  }
  return out;
}

}  // namespace flexroom::room
