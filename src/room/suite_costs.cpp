#include "room/suite_costs.h"

#include "agent/circuit_counts.h"
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

PaddingPlan padding_plan(const agent::RequestPlan& request, const ConnectionShape& shape) {
  PaddingPlan out;
  out.pad = std::string(tls::to_string(request.pad));
  if (request.pad == tls::Padding::kNone) return out;
  for (size_t k = 0; k < request.records(); ++k) out.sent_bytes += request.inner_bytes(k);
  agent::RequestPlan bare = request;
  bare.pad = tls::Padding::kNone;
  const auto ands = [&](const agent::RequestPlan& plan) {
    return agent::count_request(*shape.suite, plan, shape.num_members, shape.sequence == 0).ands;
  };
  out.more_ands = ands(request) - ands(bare);
  // The classes of tls-complete.md §8.2.
  constexpr std::pair<size_t, size_t> kRanges[] = {{200, 1024}, {1024, 4096}, {4096, 16384}};
  for (const auto& [from, to] : kRanges) {
    const agent::PaddingCost cost = agent::padding_cost(*shape.suite, request.pad, from, to);
    out.ranges.push_back({from, to, cost.mean, cost.largest});
  }
  return out;
}

}  // namespace flexroom::room
