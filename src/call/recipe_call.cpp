#include "call/recipe_call.h"

#include <algorithm>

#include "agent/circuit_counts.h"
#include "agent/jwe_attempt.h"
#include "agent/phases.h"
#include "agent/secret_signature.h"
#include "agent/signing_key.h"
#include "agent/suite.h"
#include "agreement/time.h"
#include "call/bits_at.h"

namespace flexroom {
namespace {

/// The body of a request with its secret bits, as a signature inside hashes it.
agent::SecretBody body_of(ByteView text, size_t body_start, std::span<const uint32_t> secret_bits) {
  agent::SecretBody out;
  const ByteView body = text.subspan(body_start);
  out.public_text.assign(body.begin(), body.end());
  for (const uint32_t at : secret_bits) {
    if (at >= 8 * body_start) out.secret_bits.push_back(at - static_cast<uint32_t>(8 * body_start));
  }
  return out;
}

bool signs_body(const http::SigV4Plan& plan) {
  return !plan.body.is_public && !plan.unsigned_payload;
}

/// All secret bits but those of the signature.
std::vector<uint32_t> content_bits(const CallLayout& layout) {
  std::vector<std::vector<uint32_t>> sources;
  if (layout.slots) sources.push_back(layout.slots->secret_bits);
  for (const auto& [slot, places] : layout.jwe_bits) sources.push_back(places);
  return merged_places(sources);
}

/// Of the signature that is made before the connection; it does not depend on the key.
uint64_t signature_ands(const OpenCall& call, const CallLayout& layout) {
  std::optional<agent::SecretBody> body;
  if (signs_body(*call.signing)) {
    body = body_of(call.text(), call.body_start, content_bits(layout));
  }
  return agent::build_secret_signature(*call.signing, Sha256State{1}, {}, body ? &*body : nullptr)
      .program->num_ands();
}

}  // namespace

CallLayout lay_out_content(const OpenCall& call, const ConnectionShape& shape,
                           const std::function<PartyId(const std::string&)>& member_id,
                           const ReadyJwes& jwes) {
  CallLayout out;
  out.plan.bytes = call.bytes;
  out.plan.pad = shape.pad;
  out.plan.signature_offset = call.signature_offset;
  out.plan.sealed_answer = shape.sealed;
  out.plan.keep_write_keys = shape.goes_on;
  std::vector<agent::PlacedSlot> slots;
  for (const CallSlot& slot : call.slots) {
    if (const auto jwe = jwes.find(slot.slot.name); jwe != jwes.end()) {
      FLEXROOM_ASSERT(jwe->second->public_text.size() == slot.end - slot.offset);
      out.jwe_bits[slot.slot.name] = moved(jwe->second->secret_bits, slot.offset);
      continue;
    }
    agent::PlacedSlot placed{slot.slot, slot.offset, 0, slot.in_base64, slot.next_code};
    if (slot.slot.source == http::SlotSource::kMember) placed.member = member_id(slot.slot.from);
    slots.push_back(std::move(placed));
  }
  std::vector<agent::PlacedBase64> base64;
  for (const CallBase64& placed : call.base64) base64.push_back({placed.text, placed.offset});
  if (!slots.empty()) {
    out.slots =
        agent::build_slot_circuit(call.text(), std::move(slots), call.hidden_body_at, base64);
  }
  out.plan.secret_bits = content_bits(out);
  FLEXROOM_ASSERT(!call.hidden_body_at || out.jwe_bits.empty());
  if (call.signs_secrets) {
    out.plan.signature_offset.reset();
    out.signature_bits = moved(agent::secret_bits_of_signature(), *call.signature_offset);
    out.plan.secret_bits = merged_places({out.plan.secret_bits, out.signature_bits});
  }
  return out;
}

std::shared_ptr<const CallLayout> lay_out_call(
    const OpenCall& call, const ConnectionShape& shape,
    const std::function<PartyId(const std::string&)>& member_id, const ReadyJwes& jwes) {
  const auto out = std::make_shared<CallLayout>(lay_out_content(call, shape, member_id, jwes));
  const agent::Suite& suite = agent::suite_of(*shape.suite);
  out->request = shape.sequence == 0
                     ? suite.request_program(out->plan, shape.num_members)
                     : suite.later_request_program(out->plan, shape.sequence, shape.num_members);
  return out;
}

namespace {

/// All but the request, which no suite changes.
CallCost content_cost(const OpenCall& call, const CallLayout& layout) {
  CallCost out;
  if (layout.slots) out.slot_ands = layout.slots->program->num_ands();
  if (call.signs_secrets) out.slot_ands += signature_ands(call, layout);
  if (call.signing) {
    out.signing_key_ands = agent::signing_key_programs().num_ands();
  }
  return out;
}

uint64_t client_flight_ands(const ConnectionShape& shape) {
  if (shape.sequence != 0 || shape.client_auth == tls::ClientAuth::kRefuse) return 0;
  return agent::suite_of(*shape.suite).client_flight_ands(shape.num_members);
}

uint64_t handshake_ands(const ConnectionShape& shape) {
  if (shape.sequence != 0) return 0;
  return agent::count_handshake(*shape.suite, shape.groups, shape.num_members) +
         client_flight_ands(shape);
}

}  // namespace

CallCost call_cost(const OpenCall& call, const CallLayout& layout, const ConnectionShape& shape) {
  CallCost out = content_cost(call, layout);
  out.handshake_ands = handshake_ands(shape);
  out.client_flight_ands = client_flight_ands(shape);
  out.request_ands =
      layout.request->num_ands() +
      layout.plan.records() * agent::suite_of(*shape.suite).tag_ands(shape.num_members);
  return out;
}

std::vector<CostUnderSuite> call_costs(const OpenCall& call, const CallLayout& layout,
                                       const ConnectionShape& shape) {
  const CallCost content = content_cost(call, layout);
  std::vector<CostUnderSuite> out;
  for (const tls::CipherSuite& suite : tls::cipher_suites()) {
    ConnectionShape under = shape;
    under.suite = &suite;
    const agent::CircuitCount count =
        agent::count_request(suite, layout.plan, shape.num_members, shape.sequence == 0);
    CostUnderSuite one{&suite, content, count.tag_bytes};
    one.cost.handshake_ands = handshake_ands(under);
    one.cost.client_flight_ands = client_flight_ands(under);
    if (one.cost.client_flight_ands != 0) {
      one.tag_bytes += agent::suite_of(suite).client_flight_tag_bytes();
    }
    one.cost.request_ands = count.ands;
    const bool offered = suite.code == shape.suite->code;
    if (offered && layout.request != nullptr) one.cost = call_cost(call, layout, shape);
    out.insert(offered ? out.begin() : out.end(), one);
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
  std::optional<Digest> body_hash;        // opened behind a nonce
  prep::AuthBits secret;                  // one a secret bit of the plan
  std::map<std::string, Bytes> jwe_text;  // by slot: what is constant of it
  Bytes signature_text;  // of one that is made before the connection: what is constant of it
  std::optional<DatedKey> key;
  unsigned attempt = 0;
  bool called = false;                         // in this attempt
  bool follows = false;                        // on a connection that was there
  std::function<void()> before_new = nullptr;  // in its place
  size_t index = 0;                            // of the request, on its connection

  void connect(std::shared_ptr<const mpc::Program> program) {
    connection =
        std::make_unique<agent::Connection>(context, config, layout->plan, std::move(program));
    called = follows = false;
    index = 0;
  }
  void prepare_connection(agent::Timeline& timeline) {
    if (!follows) return connection->prepare(timeline);
    connection->prepare_next(layout->plan, config.sealed, proposal, timeline, layout->request);
  }
  void look_again(agent::Timeline& timeline);

  bool is_day_of_key(const std::string& date_time) const {
    return !key || date_time.substr(0, 8) == key->date;
  }

  /// The call for the time that it is now, if it carries one.
  void set_date() {
    const std::string now = amz_date(agree_on_time(context.party));
    if (!is_day_of_key(now)) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "signing key",
                          "the day changed since the signing key was derived; run again");
    }
    OpenCall again = dated(now);
    FLEXROOM_ASSERT(again.bytes == call.bytes && again.body_start == call.body_start &&
                    again.signature_offset == call.signature_offset);
    call = std::move(again);
    check_date();
  }
  /// By this member's own clock.
  void check_date() const {
    http::check_scope(*call.signing, call.sign->region, call.sign->service,
                      std::chrono::system_clock::now());
  }

  /// Secret bits are 0. What changes with the date stands in the head of a signed request, beside
  /// its slots.
  Bytes request_text() const {
    Bytes out = call.text();
    const auto copy = [&out](const Bytes& from, size_t first, size_t begin, size_t end) {
      std::copy(from.begin() + static_cast<std::ptrdiff_t>(first),
                from.begin() + static_cast<std::ptrdiff_t>(first + end - begin),
                out.begin() + static_cast<std::ptrdiff_t>(begin));
    };
    if (layout->slots) {
      const Bytes& filled_text = layout->slots->public_text;
      const size_t from = call.signing ? call.body_start : 0;
      copy(filled_text, from, from, out.size());
      for (const CallSlot& slot : call.slots) {
        if (slot.offset < from) copy(filled_text, slot.offset, slot.offset, slot.end);
      }
    }
    for (const CallSlot& slot : call.slots) {
      const auto jwe = jwe_text.find(slot.slot.name);
      if (jwe != jwe_text.end()) copy(jwe->second, 0, slot.offset, slot.end);
    }
    if (call.signature_offset && !signature_text.empty()) {
      copy(signature_text, 0, *call.signature_offset,
           *call.signature_offset + signature_text.size());
    }
    return out;
  }

  void fill(const agent::SlotValues& values, agent::Timeline& timeline,
            const std::function<uint64_t()>& totp_step);
  void sign_inside(const agent::SlotValues& values, agent::Timeline& timeline);
};

/// Everything secret in the request but its signature, in the order of its places.
void AgreedRequest::State::fill(const agent::SlotValues& values, agent::Timeline& timeline,
                                const std::function<uint64_t()>& totp_step) {
  agent::FilledSlots filled;
  std::vector<BitsAt> sources;
  if (layout->slots) {
    const agent::SlotCircuit& circuit = *layout->slots;
    timeline.begin(agent::phase::kSlots, circuit.program->num_ands());
    const auto instance = agent::prepare_slots(context.engine, context.source, circuit);
    uint64_t step = 0;
    if (circuit.has_totp) {
      prepare_connection(timeline);
      timeline.begin("one-time code");
      step = totp_step();
    }
    filled = agent::run_slots(context.party, context.engine, *instance, circuit, values, step);
    context.engine.confirm(*instance);
    sources.emplace_back(circuit.secret_bits, &filled.bits);
  }
  body_hash = filled.body_hash;
  for (const auto& [slot, places] : layout->jwe_bits) {
    const agent::JweText& jwe = *values.jwes.at(slot);
    sources.emplace_back(places, &jwe.bits);
    jwe_text[slot] = jwe.public_text;
  }
  secret = merged_bits(sources);
}

/// The last look at a connection that was there: what the service ended is not told from an answer
/// that is lost once the request is released (§4.9). Nothing that is soon over is made before it.
void AgreedRequest::State::look_again(agent::Timeline& timeline) {
  if (!follows || connection->stands(timeline)) return;
  connect(nullptr);
  before_new();
  connection->prepare(timeline);
}

/// §6.2: the hash of what is signed stays inside. Of the time that all agree on now.
void AgreedRequest::State::sign_inside(const agent::SlotValues& values, agent::Timeline& timeline) {
  timeline.begin("sign");
  set_date();
  const std::vector<uint32_t> at = content_bits(*layout);
  std::optional<agent::SecretBody> body;
  prep::AuthBits body_bits;
  if (signs_body(*call.signing)) {
    body = body_of(request_text(), call.body_start, at);
    const size_t count = body->secret_bits.size();
    body_bits = secret.slice(secret.size() - count, count);
  }
  const agent::SecretSignatureCircuit circuit =
      agent::build_secret_signature(*call.signing, key->key.kin, {}, body ? &*body : nullptr);
  FLEXROOM_ASSERT(circuit.secret_bits == agent::secret_bits_of_signature());
  const prep::AuthBits signature =
      agent::sign_with_secrets(context.party, context.engine, circuit, values.secrets,
                               key->key.kout, body ? &body_bits : nullptr);
  signature_text = circuit.public_text;
  const prep::AuthBits content = std::move(secret);
  secret = merged_bits({{at, &content}, {layout->signature_bits, &signature}});
}

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
                       {},
                       {},
                       {},
                       {}}) {}
AgreedRequest::~AgreedRequest() = default;

void AgreedRequest::continue_on(std::unique_ptr<agent::Connection> connection,
                                std::function<void()> before_new) {
  FLEXROOM_ASSERT(state_->connection == nullptr && connection->kept());
  FLEXROOM_ASSERT(!(state_->layout->slots && state_->layout->slots->has_totp));
  state_->connection = std::move(connection);
  state_->before_new = std::move(before_new);
  state_->follows = true;
  state_->index = state_->connection->next_request();
}

bool AgreedRequest::went_on() const { return state_->follows; }

std::unique_ptr<agent::Connection> AgreedRequest::take_connection() {
  State& s = *state_;
  if (!s.called || s.connection == nullptr || !s.connection->kept()) return nullptr;
  return std::move(s.connection);
}

bool AgreedRequest::released() const {
  const State& s = *state_;
  return s.connection == nullptr ? s.called : s.connection->released(s.index);
}
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
  if (s.connection == nullptr) s.connect(s.layout->request);
  const bool codes = s.layout->slots && s.layout->slots->has_totp;
  s.fill(values, timeline, totp_step);
  if (s.call.signs_secrets) s.sign_inside(values, timeline);
  if (!codes) s.prepare_connection(timeline);
}

void AgreedRequest::prepare_again(agent::Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(s.called && !(s.layout->slots && s.layout->slots->has_totp) &&
                  !s.call.signs_secrets);
  ++s.attempt;
  s.connect(s.layout->request);
  s.connection->prepare(timeline);
}

agent::Reply AgreedRequest::call(const agent::ServerBytes::Connect& connect,
                                 agent::Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(!s.called);
  s.look_again(timeline);
  if (s.call.signing) s.call.signs_secrets ? s.check_date() : s.set_date();
  agent::Request request;
  request.text = s.request_text();
  if (!s.layout->plan.secret_bits.empty()) request.secret = &s.secret;
  request.method = s.call.method;
  RandomOracle id("request", s.context.party.scope());
  id.field(s.proposal).field(s.call.request.digest()).field(request.text);
  id.field(uint64_t{s.attempt});
  if (s.config.pad != tls::Padding::kNone) id.field("pad").field(to_string(s.config.pad));
  if (s.key && !s.call.signs_secrets) {
    const Digest hash = s.body_hash.value_or(s.call.signing->body.digest);
    request.kout_signing = &s.key->key.kout;
    request.signature_inner_digest =
        agent::signature_inner_digest(s.key->key, s.call.signing->string_to_sign(hash));
    id.field(hash);
  }
  request.id = id.digest();
  agent::Reply reply = s.follows ? s.connection->call_next(request, timeline)
                                 : s.connection->call(request, connect, timeline);
  s.called = true;
  return reply;
}

}  // namespace flexroom
