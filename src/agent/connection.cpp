#include "agent/connection.h"

#include <fmt/core.h>

#include <algorithm>

#include "agent/phases.h"
#include "agent/suite.h"
#include "agent/views.h"
#include "agent/wires.h"
#include "base/ct.h"
#include "base/sha256_block.h"
#include "circuits/handshake.h"
#include "circuits/sha256.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "tls/key_schedule.h"

namespace flexroom::agent {
namespace {

constexpr size_t kNonceBytes = 32;

/// Puts the scope back, however the connection ends: what the session does next must not carry the
/// csid of a dead connection.
class ScopeRestorer {
 public:
  explicit ScopeRestorer(net::Party& party) : party_(party), saved_(party.scope()) {}
  ~ScopeRestorer() { party_.set_scope(saved_); }
  ScopeRestorer(const ScopeRestorer&) = delete;
  ScopeRestorer& operator=(const ScopeRestorer&) = delete;

 private:
  net::Party& party_;
  const RoScope saved_;
};

/// Everything that the members must have in common.
Digest terms_of(const ConnectionConfig& config) {
  return RandomOracle("policy", RoScope{})
      .field(config.policy)
      .field(config.host)
      .field(uint64_t{static_cast<uint8_t>(config.group)})
      .field(uint64_t{config.suite->code})
      .field(uint64_t{static_cast<uint8_t>(config.receive)})
      .field(uint64_t{config.courier})
      .field(uint64_t{config.no_secret ? 1u : 0u})
      .field(uint64_t{config.max_answer})
      .field(uint64_t{config.await_close ? 1u : 0u})
      .field(config.sealed != nullptr ? config.sealed->digest() : Digest{})
      .digest();
}

/// Bytes of the service outside of the answer: its hello and its flight.
constexpr uint64_t kMaxHandshakeBytes = 512 * 1024;

/// What the handshake needs and leaves: from the nonces to c_hs, s_hs, Kin(MS) and the share of
/// Kout(MS).
struct HandshakeState {
  Bytes own_nonce;  // nonce, commitment randomness
  std::vector<Bytes> commitments;
  std::optional<arith::Token> token;
  Bytes own_key_share;
  std::shared_ptr<const mpc::Program> program;
  std::unique_ptr<boolean::Instance> circuit;  // GC-A

  // of the running connection
  Digest csid{};
  Digest c_hs{}, s_hs{};  // opened
  Sha256State kin_ms{};   // opened
  prep::AuthBits kout_ms;
  Digest h2{};

  void erase() {
    token.reset();
    circuit.reset();
    kout_ms = prep::AuthBits();
  }
};

}  // namespace

struct Connection::State {
  State(Context c, ConnectionConfig cfg, RequestPlan p)
      : context(c),
        config(std::move(cfg)),
        plan(std::move(p)),
        suite(suite_of(*config.suite)),
        views(context.party, terms_of(config)) {}

  Context context;
  ConnectionConfig config;
  RequestPlan plan;
  const Suite& suite;
  Views views;

  HandshakeState handshake;
  std::shared_ptr<const mpc::Program> request_program;
  std::unique_ptr<boolean::Instance> request_circuit;  // GC-B
  std::unique_ptr<WriteDirection> write;
  std::unique_ptr<ReadDirection> read;
  bool prepared = false;
  bool used = false;
  bool released = false;

  net::Party& party() { return context.party; }
  bool is_courier() const { return context.party.id() == config.courier; }
  Digest commitment(PartyId i, ByteView nonce) {
    RoScope scope = party().scope();
    scope.csid = {};
    return RandomOracle("com", scope, views.number(), i)
        .field("conn nonce")
        .field(nonce.first(kNonceBytes))
        .field(nonce.subspan(kNonceBytes))
        .digest();
  }

  /// Whatever the end was: token, instances, powers and keys of this connection are void
  /// (§0.3(10)).
  void erase() {
    handshake.erase();
    request_circuit.reset();
    if (write != nullptr) write->erase();
    if (read != nullptr) read->erase();
  }
  void commit_nonce();
  void open_nonces();
  tls::ClientHandshake new_client();
  Reply converse(const Request& request, const ServerBytes::Connect& connect, Timeline& timeline);
  void shake_hands(tls::ClientHandshake& machine, ServerBytes& server, Timeline& timeline);
  void run_gc_a(const std::vector<uint8_t>& c, const Digest& h1);
  Bytes run_gc_b(const Request& request);
  boolean::OnlineInputs request_inputs(const Request& request);
  Bytes seal(const Request& request, const Bytes& ciphertext, uint64_t server_offset);
  Block open_tag(const prep::AuthField& share, const Digest& a3);
  void send(const tls::ClientHandshake& machine, ServerBytes& server, const Bytes& record);
  void confirm(Reply& reply);
};

Connection::Connection(Context context, ConnectionConfig config, RequestPlan plan,
                       std::shared_ptr<const mpc::Program> program)
    : state_(std::make_unique<State>(context, std::move(config), std::move(plan))) {
  State& s = *state_;
  s.request_program = std::move(program);
  ReadTerms terms;
  terms.suite = s.config.suite;
  terms.max_answer = s.config.max_answer;
  terms.await_close = s.config.await_close;
  terms.no_secret = s.config.no_secret;
  if (s.config.receive == ReceiveMode::kSealed) terms.sealed = s.config.sealed;
  if (terms.sealed != nullptr) terms.sealed->require_valid(context.party.num_parties());
  s.read = make_read_direction(s.config.receive, terms);
  s.config.handshake.max_application_bytes = terms.max_records();
  s.plan.sealed_answer = s.config.receive == ReceiveMode::kSealed;
  FLEXROOM_ASSERT(s.config.courier != 0 && s.config.courier < context.party.num_parties());
}
Connection::~Connection() = default;
bool Connection::released() const { return state_->released; }
uint64_t Connection::num_ands() const {
  FLEXROOM_ASSERT(state_->prepared);
  return uint64_t{state_->handshake.program->num_ands()} + state_->request_program->num_ands() +
         state_->suite.tag_ands(state_->context.party.num_parties()) + state_->read->num_ands();
}

// The nonces make csid unpredictable to everybody until all are bound to theirs (§1.8).
void Connection::State::commit_nonce() {
  views.set_number(party().next_counter("connection"));
  HandshakeState& h = handshake;
  h.own_nonce.resize(2 * kNonceBytes);
  party().prg().fill(std::span<uint8_t>(h.own_nonce));
  h.commitments = party().exchange("tls/nonce commit", commitment(party().id(), h.own_nonce));
  for (PartyId i = 0; i < h.commitments.size(); ++i) {
    for (PartyId j = 0; j < i; ++j) {
      if (h.commitments[i] == h.commitments[j]) {
        throw ProtocolAbort(AbortCode::kCoin, "tls/nonce commit",
                            "copied another member's commitment", i);
      }
    }
  }
  party().echo("tls/nonce commit");
}

void Connection::State::open_nonces() {
  const std::vector<Bytes> nonces = party().exchange("tls/nonce open", handshake.own_nonce);
  RandomOracle hash("csid", party().scope(), views.number());
  hash.field(views.terms());
  for (PartyId i = 0; i < nonces.size(); ++i) {
    if (!ct_equal(handshake.commitments[i], commitment(i, nonces[i]))) {
      throw ProtocolAbort(AbortCode::kCoin, "tls/nonce open",
                          "opening does not match the commitment", i);
    }
    hash.field(ByteView(nonces[i]).first(kNonceBytes));
  }
  party().echo("tls/nonce open");
  handshake.csid = hash.digest();
  RoScope scope = party().scope();
  scope.csid = handshake.csid;
  party().set_scope(scope);
}

void Connection::prepare(Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(!s.prepared);
  HandshakeState& h = s.handshake;
  timeline.begin(phase::kToken);
  s.commit_nonce();
  std::vector<arith::Token> tokens = s.context.arith.make_tokens(s.config.group, 1);
  h.token.emplace(std::move(tokens.front()));
  h.own_key_share = arith::key_share(*h.token);

  const size_t n = s.party().num_parties();
  timeline.begin(phase::kGarbleHandshake);
  h.program = s.suite.handshake_program(s.config.group, n);
  timeline.set_ands(h.program->num_ands());
  std::vector<prep::AuthBits> zero_a(h.program->inputs.size());
  for (size_t i = 0; i < n; ++i) {
    zero_a[h.program->input_group(fmt::format("rho_{}", i))] = std::move(h.token->rho[i]);
  }
  h.circuit = s.context.engine.prepare(h.program, std::move(zero_a), "gc-a");

  timeline.begin(phase::kPowers);
  s.write = s.suite.write_direction(s.context, s.plan);
  timeline.begin(phase::kGarbleRequest);
  if (s.request_program == nullptr) s.request_program = s.suite.request_program(s.plan, n);
  timeline.set_ands(s.request_program->num_ands());
  std::vector<prep::AuthBits> zero_b(s.request_program->inputs.size());
  s.write->bind(*s.request_program, zero_b);
  s.request_circuit = s.context.engine.prepare(s.request_program, std::move(zero_b), "gc-b");
  if (s.config.receive == ReceiveMode::kSealed) {
    timeline.begin(phase::kGarbleAnswer, s.read->num_ands());
  }
  s.read->prepare(s.context);
  s.prepared = true;
  timeline.end();
}

Reply Connection::call(const Request& request, const ServerBytes::Connect& connect,
                       Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(s.prepared && !s.used && request.text.size() == s.plan.bytes);
  if (s.config.receive == ReceiveMode::kSealed && request.method == "HEAD") {
    throw InputError("`request`", "is a HEAD, whose answer has no body to select from",
                     "use GET");  // §5.7
  }
  s.used = true;
  const ScopeRestorer scope(s.party());
  struct Eraser {
    State& state;
    ~Eraser() { state.erase(); }
  } const eraser{s};
  return s.converse(request, connect, timeline);
}

tls::ClientHandshake Connection::State::new_client() {
  tls::ClientHelloInput hello;
  hello.host = config.host;
  hello.group = config.group;
  hello.suite = config.suite;
  hello.key_share = handshake.own_key_share;
  hello.status_request = config.handshake.status_request;
  hello.random = RandomOracle("ch random", party().scope()).digest();
  hello.session_id = RandomOracle("ch sid", party().scope()).digest();
  return tls::ClientHandshake(config.handshake, hello);
}

Reply Connection::State::converse(const Request& request, const ServerBytes::Connect& connect,
                                  Timeline& timeline) {
  timeline.begin(phase::kAgree);
  open_nonces();
  tls::ClientHandshake machine = new_client();
  // READY: everything is prepared everywhere, and all agree on what will be said.
  views.agree("tls/ready",
              views.of("ready")
                  .field(machine.client_hello_record())
                  .field(request.id)
                  .field(request.text)
                  .digest(),
              AbortCode::kDisagreement);

  ServerBytes server(party(), config.courier, connect,
                     kMaxHandshakeBytes + config.handshake.max_application_bytes);
  try {
    shake_hands(machine, server, timeline);
  } catch (const ProtocolAbort&) {
    // No HS_OK of this member is out: the alert serves nobody's request (§3.6).
    server.write_farewell(machine.alert_record());
    throw;
  }

  timeline.begin(phase::kRequest, request_program->num_ands());
  const Bytes ciphertext = run_gc_b(request);

  timeline.begin(phase::kTagAndSend);
  if (const auto& fault = machine.application_fault()) {
    throw ProtocolAbort(AbortCode::kServer, "tls/application data", *fault);
  }
  const uint64_t request_offset = machine.bytes_received();
  const Bytes record = seal(request, ciphertext, request_offset);
  send(machine, server, record);

  Reply reply = read->read({views, handshake.h2, config.courier, context.source.delta(), machine,
                            server, request_offset, request.method == "HEAD",
                            [&](std::string_view phase) { timeline.begin(phase); }});
  timeline.begin(phase::kConfirm);
  confirm(reply);
  timeline.end();
  return reply;
}

// Up to H2 in every member's hands. A1 is inside: the view travels with the points and is compared
// before anything is opened.
void Connection::State::shake_hands(tls::ClientHandshake& machine, ServerBytes& server,
                                    Timeline& timeline) {
  const auto feed_until = [&](tls::EventKind kind, std::vector<tls::Event> events) {
    while (true) {
      for (const tls::Event& event : events) {
        if (event.kind == kind) return event;
      }
      const Bytes piece = server.next();
      if (piece.empty()) machine.end_of_stream();  // aborts: the handshake is not over
      events = machine.feed(piece);
    }
  };
  timeline.begin(phase::kServerHello);
  const Bytes first_flight = machine.client_hello_record();
  server.open(first_flight);
  const tls::Event server_hello = feed_until(tls::EventKind::kServerHello, {});

  timeline.begin(phase::kEcdhe);
  const Digest a1 = views.of("A1").field(first_flight).field(server_hello.digest).digest();
  arith::DhHooks hooks;
  hooks.mark_used = [&](const arith::Token& spent) { context.journal.mark("token", spent.id); };
  const std::vector<uint8_t> c = context.arith.guarded([&] {
    return arith::dh_online(party(), *handshake.token, server_hello.key_share, handshake.csid, a1,
                            hooks);
  });

  timeline.begin(phase::kHandshakeKeys, handshake.program->num_ands());
  run_gc_a(c, server_hello.digest);

  timeline.begin(phase::kServerFlight);
  handshake.h2 = feed_until(tls::EventKind::kServerFinished,
                            machine.set_handshake_secrets(handshake.c_hs, handshake.s_hs))
                     .digest;
}

void Connection::State::send(const tls::ClientHandshake& machine, ServerBytes& server,
                             const Bytes& record) {
  if (!is_courier()) return;
  Bytes flight = machine.client_finished_record();
  append(flight, record);
  released = true;  // the courier's own share leaves inside the tag, here and not before
  server.write(flight);
}

// All shares of the answer's key are checked and the answer is read: a member that withholds its
// last word changes neither.
void Connection::State::confirm(Reply& reply) {
  try {
    context.engine.confirm(*handshake.circuit);
    context.engine.confirm(*request_circuit);
    read->confirm();
  } catch (const ProtocolAbort& abort) {
    if (abort.abort_class() != AbortClass::kNetwork) throw;
    reply.unconfirmed = abort.what();
    if (reply.sealed != nullptr) reply.sealed->forget_values();  // void for everyone (boolean §7.5)
    party().abort();  // the others wait for this member's last word no longer
  }
}

void Connection::State::run_gc_a(const std::vector<uint8_t>& c, const Digest& h1) {
  const mpc::Program& program = *handshake.program;
  boolean::OnlineInputs inputs = empty_inputs(program);
  const tls::HandshakeWords words = tls::handshake_words(h1);
  inputs.pub[program.input_group("c")] = c;
  inputs.pub[program.input_group("kw_c_hs")] = word_bits(words.client);
  inputs.pub[program.input_group("kw_s_hs")] = word_bits(words.server);
  inputs.view = views.of("gc-a").field(h1).field(c).digest();
  boolean::Outputs outputs = context.engine.run(*handshake.circuit, inputs);
  handshake.c_hs = digest_of_bits(outputs.opened[program.output_group("c_hs")]);
  handshake.s_hs = digest_of_bits(outputs.opened[program.output_group("s_hs")]);
  handshake.kin_ms =
      sha256_state_from(digest_of_bits(outputs.opened[program.output_group("kin_ms")]));
  handshake.kout_ms = std::move(outputs.kept[program.output_group("kout_ms")]);
}

// A2 is the view hash of GC-B: it covers H2 and the request id, travels with the first message of
// each member, and is compared before a label leaves (n = 2, evaluator: before it evaluates).
boolean::OnlineInputs Connection::State::request_inputs(const Request& request) {
  const mpc::Program& program = *request_program;
  boolean::OnlineInputs inputs = empty_inputs(program);
  const tls::ApplicationWords words = tls::application_words(handshake.kin_ms, handshake.h2);
  inputs.dyn[program.input_group("kout_ms")] = &handshake.kout_ms;
  inputs.pub[program.input_group("kw_c_ap")] = word_bits(words.client);
  inputs.pub[program.input_group("kw_s_ap")] = word_bits(words.server);
  RandomOracle a2 = views.of("A2");
  a2.field(handshake.h2)
      .field(request.id)
      .field(request.text)
      .field(sha256_state_bytes(handshake.kin_ms));
  if (!plan.secret_bits.empty()) {
    FLEXROOM_ASSERT(request.secret != nullptr && request.secret->size() == plan.secret_bits.size());
    inputs.dyn[program.input_group("secret")] = request.secret;
  }
  if (plan.signature_offset) {
    FLEXROOM_ASSERT(request.kout_signing != nullptr && request.signature_inner_digest.has_value());
    inputs.dyn[program.input_group("kout_signing")] = request.kout_signing;
    inputs.pub[program.input_group("kw_signature")] =
        word_bits(tls::outer_words(*request.signature_inner_digest));
    a2.field(*request.signature_inner_digest);
  }
  inputs.view = a2.digest();
  return inputs;
}

Bytes Connection::State::run_gc_b(const Request& request) {
  const mpc::Program& program = *request_program;
  const boolean::OnlineInputs inputs = request_inputs(request);
  write->mark(context.journal, handshake.csid);
  boolean::Outputs outputs = context.engine.run(*request_circuit, inputs);
  read->take(program, outputs);
  write->take(program, outputs);

  Bytes ciphertext = bytes_of_bits(outputs.opened[program.output_group("c_0")]);
  FLEXROOM_ASSERT(ciphertext.size() == plan.inner_bytes());
  for (size_t k = 0; k < request.text.size(); ++k) {
    ciphertext[k] = static_cast<uint8_t>(ciphertext[k] ^ request.text[k]);
  }
  return ciphertext;
}

// A3: this member's share of the tag is its signature under the request; it goes to the courier
// alone, with the view it stands for.
Bytes Connection::State::seal(const Request& request, const Bytes& ciphertext,
                              uint64_t server_offset) {
  // Before the tag: what it opens on the way may count as one already (§4.7).
  context.journal.mark("release", request.id);
  const auto header = tls::record_aad(ciphertext.size() + tls::kTagSize);
  const prep::AuthField tag = write->tag_share(header, ciphertext);
  ReleaseView a3;
  a3.h2 = handshake.h2;
  a3.request = request.id;
  a3.position = write->position();
  a3.header = header;
  a3.ciphertext = ciphertext;
  a3.server_offset = server_offset;
  const Block opened = open_tag(tag, a3.digest(views));
  Bytes record(header.begin(), header.end());
  append(record, ciphertext);
  append(record, prep::ghash_bytes(opened));
  return record;
}

Block Connection::State::open_tag(const prep::AuthField& share, const Digest& a3) {
  prep::FieldOpening opening(party(), context.source.delta(), share, "tls/tag share");
  if (!is_courier()) {
    released = true;
    party().send(config.courier, "tls/A3", a3);
    opening.send_to(config.courier);
    return {};
  }
  for (const PartyId j : party().peers()) {
    views.expect(j, "tls/A3", a3, AbortCode::kViewMismatch);
    opening.receive_from(j);
  }
  return opening.result().front();
}

}  // namespace flexroom::agent
