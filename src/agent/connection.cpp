#include "agent/connection.h"

#include <fmt/core.h>

#include <algorithm>

#include "agent/wires.h"
#include "base/codec.h"
#include "base/ct.h"
#include "base/sha256_block.h"
#include "circuits/handshake.h"
#include "circuits/sha256.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "tls/key_schedule.h"
#include "tls/open_response.h"

namespace flexroom::agent {
namespace {

constexpr size_t kNonceBytes = 32;

tls::Group tls_group(arith::Group group) {
  return group == arith::Group::kX25519 ? tls::Group::kX25519 : tls::Group::kP256;
}

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

/// Bit i of a GHASH element is bit 7 - (i mod 8) of byte i / 8 of the block (SP 800-38D).
size_t ghash_wire(size_t i) { return 8 * (i / 8) + 7 - i % 8; }

/// 128 bits between byte order (least significant bit of a byte first) and GHASH order. The map is
/// its own inverse.
prep::AuthBits ghash_order(const prep::AuthBits& bits) {
  FLEXROOM_ASSERT(bits.size() == 128);
  prep::AuthBits out(bits.self(), bits.num_parties(), 128);
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (size_t i = 0; i < 128; ++i) {
      out.mac[j][i] = bits.mac[j][ghash_wire(i)];
      out.key[j][i] = bits.key[j][ghash_wire(i)];
    }
  }
  return out;
}

}  // namespace

struct Connection::State {
  State(Context c, ConnectionConfig cfg, RequestPlan p)
      : context(c), config(std::move(cfg)), plan(std::move(p)) {}

  Context context;
  ConnectionConfig config;
  RequestPlan plan;

  // made by prepare()
  uint64_t number = 0;  // of this connection in the session
  Bytes own_nonce;      // nonce, commitment randomness
  std::vector<Bytes> commitments;
  std::optional<arith::Token> token;
  Bytes own_key_share;
  std::shared_ptr<const mpc::Program> program_a, program_b;
  std::unique_ptr<boolean::Instance> gc_a, gc_b;
  prep::Powers powers;
  bool prepared = false;
  bool used = false;
  bool released = false;

  // of the running connection
  Digest csid{};
  Sha256State kin_ms{};
  prep::AuthBits kout_ms;
  prep::AuthBits s_ap, j0;
  Block d_c;                                    // H + R
  std::pair<Digest, Digest> handshake_secrets;  // c_hs, s_hs: opened
  Digest h2{};

  net::Party& party() { return context.party; }
  bool is_courier() const { return context.party.id() == config.courier; }

  RandomOracle view(std::string_view step) {
    RandomOracle hash("view", party().scope(), number);
    hash.field(step).field(config.policy);
    return hash;
  }
  Digest commitment(PartyId i, ByteView nonce) {
    RoScope scope = party().scope();
    scope.csid = {};
    return RandomOracle("com", scope, number, i)
        .field("conn nonce")
        .field(nonce.first(kNonceBytes))
        .field(nonce.subspan(kNonceBytes))
        .digest();
  }

  /// Whatever the end was: token, instances, powers and keys of this connection are void
  /// (§0.3(10)).
  void erase() {
    token.reset();
    gc_a.reset();
    gc_b.reset();
    powers = prep::Powers();
    for (prep::AuthBits* bits : {&kout_ms, &s_ap, &j0}) *bits = prep::AuthBits();
  }
  void commit_nonce();
  void open_nonces();
  Reply converse(const Request& request, const ServerBytes::Connect& connect, Timeline& timeline);
  void agree(std::string_view label, const Digest& own, AbortCode mismatch);
  void run_gc_a(const std::vector<uint8_t>& c, const Digest& h1);
  Bytes run_gc_b(const Request& request);
  Bytes seal(const Request& request, const Bytes& ciphertext, uint64_t server_offset);
  Block open_tag(const prep::AuthField& share, const Digest& a3);
  tls::FrozenResponse freeze(tls::ClientHandshake& machine, ServerBytes& server,
                             uint64_t request_offset);
  Digest open_server_secret(const ServerBytes& server, const tls::FrozenResponse& frozen);
  Reply read_reply(const Request& request, const tls::FrozenResponse& frozen, const Digest& s_ap);
};

Connection::Connection(Context context, ConnectionConfig config, RequestPlan plan,
                       std::shared_ptr<const mpc::Program> program)
    : state_(std::make_unique<State>(context, std::move(config), std::move(plan))) {
  state_->program_b = std::move(program);
  FLEXROOM_ASSERT(state_->config.courier != 0 &&
                  state_->config.courier < context.party.num_parties());
}
Connection::~Connection() = default;
bool Connection::released() const { return state_->released; }
uint64_t Connection::num_ands() const {
  FLEXROOM_ASSERT(state_->prepared);
  return uint64_t{state_->program_a->num_ands()} + state_->program_b->num_ands();
}

// The nonces make csid unpredictable to everybody until all are bound to theirs (§1.8).
void Connection::State::commit_nonce() {
  number = party().next_counter("connection");
  own_nonce.resize(2 * kNonceBytes);
  party().prg().fill(std::span<uint8_t>(own_nonce));
  commitments = party().exchange("tls/nonce commit", commitment(party().id(), own_nonce));
  for (PartyId i = 0; i < commitments.size(); ++i) {
    for (PartyId j = 0; j < i; ++j) {
      if (commitments[i] == commitments[j]) {
        throw ProtocolAbort(AbortCode::kCoin, "tls/nonce commit",
                            "copied another member's commitment", i);
      }
    }
  }
  party().echo("tls/nonce commit");
}

void Connection::State::open_nonces() {
  const std::vector<Bytes> nonces = party().exchange("tls/nonce open", own_nonce);
  RandomOracle hash("csid", party().scope(), number);
  hash.field(config.policy);
  for (PartyId i = 0; i < nonces.size(); ++i) {
    if (!ct_equal(commitments[i], commitment(i, nonces[i]))) {
      throw ProtocolAbort(AbortCode::kCoin, "tls/nonce open",
                          "opening does not match the commitment", i);
    }
    hash.field(ByteView(nonces[i]).first(kNonceBytes));
  }
  party().echo("tls/nonce open");
  csid = hash.digest();
  RoScope scope = party().scope();
  scope.csid = csid;
  party().set_scope(scope);
}

// All send the hash of the same public thing; every member compares every other's with its own, so
// no echo is needed.
void Connection::State::agree(std::string_view label, const Digest& own, AbortCode mismatch) {
  for (const PartyId j : party().peers()) party().send(j, label, own);
  for (const PartyId j : party().peers()) {
    if (party().receive(j, label, own.size()) != Bytes(own.begin(), own.end())) {
      throw ProtocolAbort(mismatch, label, "this member's view differs from ours", j);
    }
  }
}

void Connection::prepare(Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(!s.prepared);
  timeline.begin("token");
  s.commit_nonce();
  std::vector<arith::Token> tokens = s.context.arith.make_tokens(s.config.group, 1);
  s.token.emplace(std::move(tokens.front()));
  s.own_key_share = arith::key_share(*s.token);

  const size_t n = s.party().num_parties();
  timeline.begin("garble handshake circuit");
  s.program_a = handshake_program(s.config.group, n);
  timeline.set_ands(s.program_a->num_ands());
  std::vector<prep::AuthBits> zero_a(s.program_a->inputs.size());
  for (size_t i = 0; i < n; ++i) {
    zero_a[s.program_a->input_group(fmt::format("rho_{}", i))] = std::move(s.token->rho[i]);
  }
  s.gc_a = s.context.engine.prepare(s.program_a, std::move(zero_a), "gc-a");

  // One power a block of AAD, ciphertext and lengths.
  timeline.begin("powers for the tag");
  s.powers = s.context.source.powers(s.plan.keystream_blocks() + 2);
  timeline.begin("garble request circuit");
  if (s.program_b == nullptr) s.program_b = request_program(s.plan);
  timeline.set_ands(s.program_b->num_ands());
  std::vector<prep::AuthBits> zero_b(s.program_b->inputs.size());
  zero_b[s.program_b->input_group("r_c")] = ghash_order(s.powers.r_bits);
  s.gc_b = s.context.engine.prepare(s.program_b, std::move(zero_b), "gc-b");
  s.prepared = true;
  timeline.end();
}

Reply Connection::call(const Request& request, const ServerBytes::Connect& connect,
                       Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(s.prepared && !s.used && request.text.size() == s.plan.bytes);
  s.used = true;
  const ScopeRestorer scope(s.party());
  struct Eraser {
    State& state;
    ~Eraser() { state.erase(); }
  } const eraser{s};
  return s.converse(request, connect, timeline);
}

Reply Connection::State::converse(const Request& request, const ServerBytes::Connect& connect,
                                  Timeline& timeline) {
  timeline.begin("agree");
  open_nonces();
  tls::ClientHelloInput hello;
  hello.host = config.host;
  hello.group = tls_group(config.group);
  hello.key_share = own_key_share;
  hello.random = RandomOracle("ch random", party().scope()).digest();
  hello.session_id = RandomOracle("ch sid", party().scope()).digest();
  tls::ClientHandshake machine(config.handshake, hello);
  const Bytes first_flight = machine.client_hello_record();
  // READY: everything is prepared everywhere, and all agree on what will be said.
  agree("tls/ready",
        view("ready").field(first_flight).field(request.id).field(request.text).digest(),
        AbortCode::kDisagreement);

  timeline.begin("server hello");
  ServerBytes server(party(), config.courier, connect);
  server.open(first_flight);
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
  const tls::Event server_hello = feed_until(tls::EventKind::kServerHello, {});

  // A1 is inside: the view travels with the points and is compared before anything is opened.
  timeline.begin("ECDHE");
  const Digest a1 = view("A1").field(first_flight).field(server_hello.digest).digest();
  arith::DhHooks hooks;
  hooks.mark_used = [&](const arith::Token& spent) { context.journal.mark("token", spent.id); };
  const std::vector<uint8_t> c = context.arith.guarded(
      [&] { return arith::dh_online(party(), *token, server_hello.key_share, csid, a1, hooks); });

  timeline.begin("handshake keys", program_a->num_ands());
  run_gc_a(c, server_hello.digest);
  const auto& [c_hs, s_hs] = handshake_secrets;

  timeline.begin("server flight");
  h2 =
      feed_until(tls::EventKind::kServerFinished, machine.set_handshake_secrets(c_hs, s_hs)).digest;

  timeline.begin("request keys and ciphertext", program_b->num_ands());
  const Bytes ciphertext = run_gc_b(request);

  timeline.begin("tag and send");
  const uint64_t request_offset = machine.bytes_received();
  const Bytes record = seal(request, ciphertext, request_offset);
  if (is_courier()) {
    Bytes flight = machine.client_finished_record();
    append(flight, record);
    released = true;  // the courier's own share leaves inside the tag, here and not before
    server.write(flight);
  }

  timeline.begin("wait for the answer");
  const tls::FrozenResponse frozen = freeze(machine, server, request_offset);
  timeline.begin("open the answer");
  const Digest server_secret = open_server_secret(server, frozen);
  server.close();
  Reply reply = read_reply(request, frozen, server_secret);
  timeline.begin("confirm");
  context.engine.confirm(*gc_a);
  context.engine.confirm(*gc_b);
  timeline.end();
  return reply;
}

void Connection::State::run_gc_a(const std::vector<uint8_t>& c, const Digest& h1) {
  const mpc::Program& program = *program_a;
  boolean::OnlineInputs inputs = empty_inputs(program);
  const tls::HandshakeWords words = tls::handshake_words(h1);
  inputs.pub[program.input_group("c")] = c;
  inputs.pub[program.input_group("kw_c_hs")] = word_bits(words.client);
  inputs.pub[program.input_group("kw_s_hs")] = word_bits(words.server);
  inputs.view = view("gc-a").field(h1).field(c).digest();
  boolean::Outputs outputs = context.engine.run(*gc_a, inputs);
  handshake_secrets = {digest_of_bits(outputs.opened[program.output_group("c_hs")]),
                       digest_of_bits(outputs.opened[program.output_group("s_hs")])};
  kin_ms = sha256_state_from(digest_of_bits(outputs.opened[program.output_group("kin_ms")]));
  kout_ms = std::move(outputs.kept[program.output_group("kout_ms")]);
}

// A2 is the view hash of GC-B: it covers H2 and the request id, travels with the first message of
// each member, and is compared before a label leaves (n = 2, evaluator: before it evaluates).
Bytes Connection::State::run_gc_b(const Request& request) {
  const mpc::Program& program = *program_b;
  boolean::OnlineInputs inputs = empty_inputs(program);
  const tls::ApplicationWords words = tls::application_words(kin_ms, h2);
  inputs.dyn[program.input_group("kout_ms")] = &kout_ms;
  inputs.pub[program.input_group("kw_c_ap")] = word_bits(words.client);
  inputs.pub[program.input_group("kw_s_ap")] = word_bits(words.server);
  RandomOracle a2 = view("A2");
  a2.field(h2).field(request.id).field(request.text).field(sha256_state_bytes(kin_ms));
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

  // Before a label, Lambda or share from which a bit of the ciphertext follows: this (direction,
  // generation, sequence) belongs to this request for ever (§4.1).
  Writer mark;
  mark.raw(csid).u8(0).u32(0).u64(0);
  context.journal.mark("record", mark.bytes());
  boolean::Outputs outputs = context.engine.run(*gc_b, inputs);
  s_ap = std::move(outputs.kept[program.output_group("s_ap")]);
  j0 = std::move(outputs.kept[program.output_group("j0_0")]);
  d_c = prep::ghash_block(bytes_of_bits(outputs.opened[program.output_group("d_c")]));

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
  const auto header = tls::record_aad(ciphertext.size() + tls::kTagSize);
  std::vector<Block> blocks;
  prep::append_ghash_blocks(blocks, header);
  prep::append_ghash_blocks(blocks, ciphertext);
  Writer lengths;
  lengths.u64(8 * header.size()).u64(8 * ciphertext.size());
  blocks.push_back(prep::ghash_block(lengths.bytes()));
  prep::AuthField tag = prep::ghash_share(powers, d_c, blocks);
  prep::add(tag, prep::pack(ghash_order(j0)));

  const Digest a3 = view("A3")
                        .field(h2)
                        .field(request.id)
                        .field(header)
                        .field(ciphertext)
                        .field(server_offset)
                        .digest();
  context.journal.mark("release", request.id);
  const Block opened = open_tag(tag, a3);
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
    if (party().receive(j, "tls/A3", a3.size()) != Bytes(a3.begin(), a3.end())) {
      throw ProtocolAbort(AbortCode::kViewMismatch, "tls/A3",
                          "this member's view differs from ours", j);
    }
    opening.receive_from(j);
  }
  return opening.result().front();
}

tls::FrozenResponse Connection::State::freeze(tls::ClientHandshake& machine, ServerBytes& server,
                                              uint64_t request_offset) {
  tls::FrozenResponse frozen;
  frozen.request_offset = request_offset;
  const auto collect = [&] {
    for (tls::RawRecord& record : machine.take_application_records()) {
      frozen.records.push_back(std::move(record));
    }
  };
  collect();
  while (!tls::may_freeze(frozen.records, machine.has_partial_record(), server.ended())) {
    const Bytes piece = server.next();
    if (!piece.empty()) (void)machine.feed(piece);
    collect();
  }
  frozen.trailing_partial = machine.has_partial_record();
  return frozen;
}

// A4, then the reveal. From here on no share of a tag and no ciphertext of this connection leaves
// this member (R2-2): there is no code path back.
Digest Connection::State::open_server_secret(const ServerBytes& server,
                                             const tls::FrozenResponse& frozen) {
  // Everything that read_reply() judges: the stream, where the answer may begin, what was frozen.
  const Digest a4 = view("A4")
                        .field(h2)
                        .field(server.digest())
                        .field(server.offset())
                        .field(frozen.request_offset)
                        .field(uint64_t{frozen.records.size()})
                        .field(uint64_t{frozen.trailing_partial ? 1u : 0u})
                        .digest();
  prep::BitOpening opening(party(), context.source.delta(), s_ap, "tls/open s_ap");
  if (party().num_parties() > 2) {
    agree("tls/A4", a4, AbortCode::kViewMismatch);
    opening.send_to_all();
    opening.receive_from_all();
  } else {
    // n = 2: the courier's share travels with its view; the other compares before it answers.
    const PartyId peer = party().peers().front();
    const auto send = [&] {
      party().send(peer, "tls/A4", a4);
      opening.send_to(peer);
    };
    if (is_courier()) send();
    if (party().receive(peer, "tls/A4", a4.size()) != Bytes(a4.begin(), a4.end())) {
      throw ProtocolAbort(AbortCode::kViewMismatch, "tls/A4",
                          "this member's view differs from ours", peer);
    }
    if (!is_courier()) send();
    opening.receive_from(peer);
  }
  return digest_of_bits(opening.result());
}

Reply Connection::State::read_reply(const Request& request, const tls::FrozenResponse& frozen,
                                    const Digest& secret) {
  const tls::OpenedResponse opened = tls::open_response(frozen, secret);
  Reply reply;
  if (opened.unknown_outcome) {
    reply.unknown_outcome = opened.unknown_outcome;
    if (opened.application_data.empty()) return reply;
  }
  http::ResponseOptions options;
  options.head = request.method == "HEAD";
  options.no_secret = config.no_secret;
  try {
    reply.response = http::parse_response(opened.application_data, options, opened.close_notify);
  } catch (const http::ResponseError& error) {
    if (error.fault() != http::ResponseFault::kIncomplete) throw;
    reply.unknown_outcome = error.detail();
  }
  return reply;
}

}  // namespace flexroom::agent
