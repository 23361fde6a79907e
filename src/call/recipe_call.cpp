#include "call/recipe_call.h"

#include "agent/signing_key.h"

namespace flexroom {

std::shared_ptr<const RecipeLayout> lay_out_recipe(
    const OpenCall& call, const std::function<PartyId(const std::string&)>& member_id) {
  const auto out = std::make_shared<RecipeLayout>();
  out->plan.bytes = call.bytes;
  out->plan.signature_offset = call.signature_offset;
  std::vector<agent::PlacedSlot> slots;
  for (const CallSlot& slot : call.slots) {
    agent::PlacedSlot placed{slot.slot, slot.offset, 0};
    if (slot.slot.source == http::SlotSource::kMember) placed.member = member_id(slot.slot.from);
    slots.push_back(std::move(placed));
  }
  if (!slots.empty()) {
    out->slots = agent::build_slot_circuit(call.text(), std::move(slots), call.hidden_body_at);
    out->plan.secret_bits = out->slots->secret_bits;
  }
  out->request = agent::request_program(out->plan);
  return out;
}

RecipeCost recipe_cost(const OpenCall& call, const RecipeLayout& layout, arith::Group group,
                       size_t num_members) {
  RecipeCost out;
  if (layout.slots) out.slot_ands = layout.slots->program->num_ands();
  out.handshake_ands = agent::handshake_program(group, num_members)->num_ands();
  out.request_ands = layout.request->num_ands();
  if (call.signing) {
    out.signing_key_ands = agent::signing_key_programs().num_ands();
  }
  return out;
}

struct RecipeCall::State {
  agent::Context context;
  const OpenCall& call;
  std::shared_ptr<const RecipeLayout> layout;
  Digest proposal;
  agent::Connection connection;
  agent::FilledSlots filled;
  std::optional<agent::SigningKey> key;
};

RecipeCall::RecipeCall(agent::Context context, const OpenCall& call,
                       agent::ConnectionConfig connection,
                       std::shared_ptr<const RecipeLayout> layout, const Digest& proposal)
    : state_(new State{context,
                       call,
                       layout,
                       proposal,
                       {context, std::move(connection), layout->plan, layout->request},
                       {},
                       {}}) {}
RecipeCall::~RecipeCall() = default;
bool RecipeCall::released() const { return state_->connection.released(); }

void RecipeCall::prepare(const agent::SlotValues& values, std::optional<agent::SigningKey> key,
                         agent::Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(key.has_value() == s.call.signing.has_value());
  s.key = std::move(key);
  if (s.layout->slots) {
    const agent::SlotCircuit& circuit = *s.layout->slots;
    timeline.begin("slots", circuit.program->num_ands());
    const auto instance = agent::prepare_slots(s.context.engine, s.context.source, circuit);
    s.filled = agent::run_slots(s.context.party, s.context.engine, *instance, circuit, values);
    s.context.engine.confirm(*instance);
  }
  s.connection.prepare(timeline);
}

agent::Reply RecipeCall::call(const agent::ServerBytes::Connect& connect,
                              agent::Timeline& timeline) {
  State& s = *state_;
  agent::Request request;
  request.text = s.layout->slots ? s.layout->slots->public_text : s.call.text();
  if (s.layout->slots) request.secret = &s.filled.bits;
  request.method = s.call.method;
  RandomOracle id("request", s.context.party.scope());
  id.field(s.proposal).field(s.call.request.digest()).field(request.text);
  if (s.key) {
    const Digest hash = s.filled.body_hash.value_or(s.call.signing->body.digest);
    request.kout_signing = &s.key->kout;
    request.signature_inner_digest =
        agent::signature_inner_digest(*s.key, s.call.signing->string_to_sign(hash));
    id.field(hash);
  }
  request.id = id.digest();
  return s.connection.call(request, connect, timeline);
}

}  // namespace flexroom
