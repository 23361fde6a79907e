#include "call/recipe_call.h"

#include "agent/phases.h"
#include "agent/signing_key.h"
#include "agent/suite.h"
#include "agreement/time.h"

namespace flexroom {

std::shared_ptr<const CallLayout> lay_out_call(
    const OpenCall& call, const ConnectionShape& shape,
    const std::function<PartyId(const std::string&)>& member_id) {
  const auto out = std::make_shared<CallLayout>();
  out->plan.bytes = call.bytes;
  out->plan.signature_offset = call.signature_offset;
  out->plan.sealed_answer = shape.sealed;
  std::vector<agent::PlacedSlot> slots;
  for (const CallSlot& slot : call.slots) {
    agent::PlacedSlot placed{slot.slot, slot.offset, 0, slot.in_base64};
    if (slot.slot.source == http::SlotSource::kMember) placed.member = member_id(slot.slot.from);
    slots.push_back(std::move(placed));
  }
  std::vector<agent::PlacedBase64> base64;
  for (const CallBase64& placed : call.base64) base64.push_back({placed.text, placed.offset});
  if (!slots.empty()) {
    out->slots =
        agent::build_slot_circuit(call.text(), std::move(slots), call.hidden_body_at, base64);
    out->plan.secret_bits = out->slots->secret_bits;
  }
  out->request = agent::suite_of(*shape.suite).request_program(out->plan, shape.num_members);
  return out;
}

CallCost call_cost(const OpenCall& call, const CallLayout& layout, const ConnectionShape& shape) {
  const agent::Suite& suite = agent::suite_of(*shape.suite);
  CallCost out;
  if (layout.slots) out.slot_ands = layout.slots->program->num_ands();
  out.handshake_ands = suite.handshake_program(shape.group, shape.num_members)->num_ands();
  out.request_ands = layout.request->num_ands() + suite.tag_ands(shape.num_members);
  if (call.signing) {
    out.signing_key_ands = agent::signing_key_programs().num_ands();
  }
  return out;
}

struct AgreedRequest::State {
  agent::Context context;
  OpenCall call;
  Dated dated;
  std::shared_ptr<const CallLayout> layout;
  Digest proposal;
  agent::ConnectionConfig config;
  std::unique_ptr<agent::Connection> connection;
  agent::FilledSlots filled;
  std::optional<DatedKey> key;
  unsigned attempt = 0;
  bool called = false;  // in this attempt

  void connect() {
    connection =
        std::make_unique<agent::Connection>(context, config, layout->plan, layout->request);
    called = false;
  }

  bool is_day_of_key(const std::string& date_time) const {
    return !key || date_time.substr(0, 8) == key->date;
  }

  /// The call for the time that it is now, if it carries one.
  void set_date() {
    if (!call.signing) return;
    const std::string now = amz_date(agree_on_time(context.party));
    if (!is_day_of_key(now)) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "signing key",
                          "the day changed since the signing key was derived; run again");
    }
    OpenCall again = dated(now);
    FLEXROOM_ASSERT(again.bytes == call.bytes && again.body_start == call.body_start &&
                    again.signature_offset == call.signature_offset);
    call = std::move(again);
    http::check_scope(*call.signing, call.sign->region, call.sign->service,
                      std::chrono::system_clock::now());
  }

  /// Secret bits are 0. What changes with the date stands in the head, where a signed request has
  /// no slot.
  Bytes request_text() const {
    Bytes out = call.text();
    if (!layout->slots) return out;
    const Bytes& filled_text = layout->slots->public_text;
    const size_t from = call.signing ? call.body_start : 0;
    std::copy(filled_text.begin() + static_cast<std::ptrdiff_t>(from), filled_text.end(),
              out.begin() + static_cast<std::ptrdiff_t>(from));
    return out;
  }
};

AgreedRequest::AgreedRequest(agent::Context context, OpenCall call, Dated dated,
                             agent::ConnectionConfig connection,
                             std::shared_ptr<const CallLayout> layout, const Digest& proposal)
    : state_(new State{context,
                       std::move(call),
                       std::move(dated),
                       std::move(layout),
                       proposal,
                       std::move(connection),
                       nullptr,
                       {},
                       {}}) {
  state_->connect();
}
AgreedRequest::~AgreedRequest() = default;
bool AgreedRequest::released() const { return state_->connection->released(); }
unsigned AgreedRequest::attempt() const { return state_->attempt; }
bool AgreedRequest::is_day_of_key(int64_t unix_seconds) const {
  return state_->is_day_of_key(amz_date(unix_seconds));
}
uint64_t AgreedRequest::num_ands() const {
  return state_->connection->num_ands() +
         (state_->layout->slots ? state_->layout->slots->program->num_ands() : 0);
}
const std::string& AgreedRequest::date_time() const {
  FLEXROOM_ASSERT(state_->call.signing.has_value());
  return state_->call.signing->scope.date_time;
}

void AgreedRequest::prepare(const agent::SlotValues& values, std::optional<DatedKey> key,
                            agent::Timeline& timeline, const std::function<uint64_t()>& totp_step) {
  State& s = *state_;
  FLEXROOM_ASSERT(key.has_value() == s.call.signing.has_value());
  s.key = std::move(key);
  if (!s.layout->slots) return s.connection->prepare(timeline);
  const agent::SlotCircuit& circuit = *s.layout->slots;
  timeline.begin(agent::phase::kSlots, circuit.program->num_ands());
  const auto instance = agent::prepare_slots(s.context.engine, s.context.source, circuit);
  uint64_t step = 0;
  if (circuit.has_totp) {
    s.connection->prepare(timeline);
    timeline.begin("one-time code");
    step = totp_step();
  }
  s.filled = agent::run_slots(s.context.party, s.context.engine, *instance, circuit, values, step);
  s.context.engine.confirm(*instance);
  if (!circuit.has_totp) s.connection->prepare(timeline);
}

void AgreedRequest::prepare_again(agent::Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(s.called && !(s.layout->slots && s.layout->slots->has_totp));
  ++s.attempt;
  s.connect();
  s.connection->prepare(timeline);
}

agent::Reply AgreedRequest::call(const agent::ServerBytes::Connect& connect,
                                 agent::Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(!s.called);
  s.set_date();
  agent::Request request;
  request.text = s.request_text();
  if (s.layout->slots) request.secret = &s.filled.bits;
  request.method = s.call.method;
  RandomOracle id("request", s.context.party.scope());
  id.field(s.proposal).field(s.call.request.digest()).field(request.text);
  id.field(uint64_t{s.attempt});
  if (s.key) {
    const Digest hash = s.filled.body_hash.value_or(s.call.signing->body.digest);
    request.kout_signing = &s.key->key.kout;
    request.signature_inner_digest =
        agent::signature_inner_digest(s.key->key, s.call.signing->string_to_sign(hash));
    id.field(hash);
  }
  request.id = id.digest();
  agent::Reply reply = s.connection->call(request, connect, timeline);
  s.called = true;
  return reply;
}

}  // namespace flexroom
