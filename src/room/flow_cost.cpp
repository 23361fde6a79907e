#include "room/flow_cost.h"

#include <algorithm>

#include "agent/circuit_counts.h"
#include "agent/decoded_values.h"
#include "call/provider_connection.h"
#include "call/recipe_call.h"
#include "flow/connections.h"
#include "room/flow_answer.h"
#include "room/suite_costs.h"

namespace flexroom::room {
namespace {

using flow::Flow;
using flow::SlotUse;
using flow::Step;

constexpr size_t kUnknownBytes = 64;  // bytes of a value of which the file tells nothing
constexpr uint32_t kTotpKey = 64;     // a block of SHA-1
constexpr uint32_t kInJwe = 128;

/// Bytes of what a jwe hides, at most; where only the room knows it, as the loader takes it.
uint32_t hidden_length(const Flow& flow, const std::string& name) {
  if (const flow::Keep* const keep = flow.kept(name)) return keep->stored_max();
  if (const auto it = flow.inputs.find(name); it != flow.inputs.end()) return it->second.length;
  if (const auto it = flow.born.find(name); it != flow.born.end()) return it->second.bytes();
  return kInJwe;
}

uint64_t jwe_ands(const Flow& flow, const Step& step, size_t num_members) {
  uint64_t out = 0;
  for (const SlotUse& use : step.slots) {
    if (!use.is_jwe()) continue;
    const uint32_t length = hidden_length(flow, use.name);
    out += kJweAnds + (length + 15) / 16 * kJweBlockAnds + (num_members - 2) * kJweMemberAnds;
  }
  return out;
}

/// What is computed of a value that only the room knows, too.
flow::Filling filling_of(const Flow& flow, const Step& step,
                         const std::map<std::string, std::string>& arguments,
                         const BootScript* script) {
  flow::Filling out = placeholders(flow, arguments, script);
  out.keeps_connection = !step.next_on_connection.empty();
  out.secret = [&flow, known = out.secret](const SlotUse& use) {
    auto secret = known(use);
    if (secret || use.function.empty() || !flow.is_used(use.name)) return secret;
    return std::optional(
        in_slot(use, {kTotpKey, http::CharClass::kUrlSafe}, flow::function_length(use, kInJwe)));
  };
  return out;
}

/// Some gates fold with the seals of a job's links, which are new in every run: rounded up, so that
/// the same job has the same plan.
uint64_t rounding_of_script(const OpenCall& call, const CallLayout& content) {
  constexpr uint64_t kStep = 25'000;
  if (call.base64.empty() || !content.slots) return 0;
  return kStep - content.slots->program->num_ands() % kStep;
}

/// Whoever is no member is refused by require_bound(); no gate depends on who it is.
PartyId id_of_member(const RoomConfig& room, const std::string& name) {
  const auto at = std::find_if(room.members.begin(), room.members.end(),
                               [&](const MemberEntry& member) { return member.name == name; });
  return at == room.members.end() ? 0 : static_cast<PartyId>(at - room.members.begin());
}

/// A step as it is counted, whatever the suite.
struct Counted {
  OpenCall call;
  CallLayout content;
  ConnectionShape shape;
  std::optional<agent::SealedPlan> answer;
  agent::RequestsToCome to_come;
  uint64_t other_ands = 0;  // what is computed beside request and answer
};

Counted lay_out_counted(const RoomConfig& room, const Flow& flow, const Step& step,
                        const std::map<std::string, std::string>& arguments,
                        const BootScript* script) {
  const size_t n = room.members.size();
  const std::vector<const Step*> next = flow::behind_on_connection(flow, step);
  const flow::Filling filling = filling_of(flow, step, arguments, script);
  Counted out;
  out.call = step_call(room, flow, step, filling);
  out.shape = connection_shape(room.provider(flow.provider), out.call.model.host, n);
  out.shape.sealed = step.sealed;
  out.shape.sequence = step.previous_on_connection.empty() ? 0 : 1;
  out.shape.goes_on = !next.empty();
  const auto id_of = [&room](const std::string& name) { return id_of_member(room, name); };
  out.content = lay_out_content(out.call, out.shape, id_of);
  out.content.plan.bytes += unknown_bytes(flow, step, filling, arguments, kUnknownBytes);
  out.other_ands = jwe_ands(flow, step, n) + decode_ands(step);
  out.other_ands += rounding_of_script(out.call, out.content);
  if (!step.sealed) return out;
  out.answer = sealed_plan(step, placeholder_terms(out.call, id_of));
  out.answer->keep_alive = !next.empty();
  out.answer->require_valid(n);
  out.to_come = answers_to(next);
  return out;
}

/// Under each suite, on a connection as the shape has it.
std::vector<flow::StepCost> count_under_each(const RoomConfig& room, const Counted& step,
                                             const ConnectionShape& shape) {
  std::vector<flow::StepCost> out;
  for (const CostUnderSuite& one : call_costs(step.call, step.content, shape)) {
    agent::CircuitCount answer;
    if (step.answer) {
      answer = agent::count_answer(*one.suite, *step.answer, shape.num_members, shape.sequence == 0,
                                   step.to_come);
    }
    flow::StepCost cost;
    cost.suite = one.suite->setting;
    if (shape.pad != tls::Padding::kNone) {
      ConnectionShape under = shape;
      under.suite = one.suite;
      cost.pad = std::string(tls::to_string(shape.pad));
      cost.padding = padding_plan(step.content.plan, under).more_ands;
    }
    cost.handshake = one.cost.handshake_ands;
    cost.client_flight = one.cost.client_flight_ands;
    cost.request = one.cost.total() - one.cost.handshake_ands + step.other_ands;
    cost.answer = answer.ands;
    cost.bytes = gate_bytes_to_each_peer(room, cost.total()) + one.tag_bytes + answer.tag_bytes;
    out.push_back(std::move(cost));
  }
  return out;
}

}  // namespace

std::vector<flow::StepCost> step_costs(const RoomConfig& room, const Flow& flow, const Step& step,
                                       const std::map<std::string, std::string>& arguments,
                                       const BootScript* script) {
  if (step.asks()) return {};
  std::optional<Counted> counted;
  try {
    counted = lay_out_counted(room, flow, step, arguments, script);
  } catch (const InputError&) {
    return {};
  }
  std::vector<flow::StepCost> out = count_under_each(room, *counted, counted->shape);
  if (counted->shape.sequence == 0) return out;
  ConnectionShape anew = counted->shape;
  anew.sequence = 0;
  const std::vector<flow::StepCost> alone = count_under_each(room, *counted, anew);
  for (size_t k = 0; k < out.size(); ++k) out[k].renewed = alone[k].total() - out[k].total();
  return out;
}

flow::CostsOf costs_of(const RoomConfig& room, const Flow& flow,
                       const std::map<std::string, std::string>& arguments,
                       const BootScript* script) {
  return [&room, &flow, &arguments, script](const Step& step) {
    return step_costs(room, flow, step, arguments, script);
  };
}

RoomConfig nobodys_room(const Flow& flow) {
  RoomConfig out;
  out.triples = "masked";  // what new rooms use
  out.members.resize(2);
  out.providers.emplace_back();
  out.providers.front().name = flow.provider;
  out.providers.front().hosts = {"*"};
  return out;
}

uint64_t decode_ands(const Step& step) {
  uint64_t out = 0;
  for (const flow::Keep& keep : step.keeps) {
    if (keep.decode) out += agent::decode_ands(*keep.decode, keep.max);
  }
  return out;
}

}  // namespace flexroom::room
