#include "agent/connection_state.h"

#include <utility>

#include "agent/phases.h"
#include "agent/wires.h"
#include "base/ct.h"
#include "circuits/handshake.h"
#include "circuits/sha256.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "tls/key_schedule.h"

namespace flexroom::agent {
namespace {

constexpr size_t kNonceBytes = 32;

/// Bytes of the service outside of the answer: its hello and its flight.
constexpr uint64_t kMaxHandshakeBytes = 512 * 1024;

}  // namespace

Digest connection_terms(const ConnectionConfig& config) {
  RandomOracle hash("policy", RoScope{});
  hash.field(config.policy)
      .field(config.host)
      .field(uint64_t{static_cast<uint8_t>(config.group)})
      .field(uint64_t{config.suite->code})
      .field(uint64_t{static_cast<uint8_t>(config.receive)})
      .field(uint64_t{config.courier})
      .field(uint64_t{config.no_secret ? 1u : 0u})
      .field(uint64_t{config.max_answer})
      .field(uint64_t{config.await_close ? 1u : 0u})
      .field(config.sealed != nullptr ? config.sealed->digest() : Digest{})
      .field(uint64_t{config.pipelined ? 1u : 0u})
      .field(uint64_t{config.to_come.count})
      .field(uint64_t{config.to_come.request_bytes})
      .field(uint64_t{config.to_come.records})
      .field(uint64_t{config.to_come.record_bytes})
      .field(uint64_t{config.later.size()});
  for (const LaterRequest& later : config.later) {
    hash.field(later.sealed != nullptr ? later.sealed->digest() : Digest{});
  }
  return hash.digest();
}

void require_valid(const ConnectionConfig& config) {
  const Suite& suite = suite_of(*config.suite);
  const bool sealed = config.receive == ReceiveMode::kSealed;
  if (sealed && config.pipelined) {
    throw InputError("several requests on a sealed connection",
                     "are made one behind the answer of the other",
                     "use \"open\" to send all at once");
  }
  const bool to_come = config.to_come.count > 0;
  if (config.later.empty() && !to_come) return;
  if (suite.later_request_program == nullptr) {
    throw InputError("`suite` " + std::string(suite.tls.setting),
                     "is not built for several requests on a connection",
                     "use \"aes128\", or a connection a request");
  }
  if (!sealed && !config.pipelined) {
    throw InputError("several requests on an open connection",
                     "are all sent before any answer is read",
                     "say that each may be made twice, or use a connection a request");
  }
  if (to_come && (!config.later.empty() || !sealed || config.sealed == nullptr ||
                  !config.sealed->keep_alive || config.to_come.request_bytes == 0)) {
    throw InputError("requests that are laid out later",
                     "follow a sealed answer that leaves them the connection",
                     "set keep_alive, and say how long they may be");
  }
  for (size_t k = 0; sealed && k < config.later.size(); ++k) {
    const auto& before = k == 0 ? config.sealed : config.later[k - 1].sealed;
    if (before == nullptr || !before->keep_alive || config.later[k].sealed == nullptr) {
      throw InputError("sealed answer", "does not leave the connection to the next request",
                       "set keep_alive, or use a connection a request");
    }
  }
}

Digest Connection::State::commitment(PartyId i, ByteView nonce) {
  RoScope scope = party().scope();
  scope.csid = {};
  return RandomOracle("com", scope, views.number(), i)
      .field("conn nonce")
      .field(nonce.first(kNonceBytes))
      .field(nonce.subspan(kNonceBytes))
      .digest();
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

void Connection::State::enter_scope() {
  RoScope own = party().scope();
  own.csid = handshake.csid;
  party().set_scope(own);
}

std::vector<RequestPlan> Connection::State::longest_plans() const {
  std::vector<RequestPlan> out = plans;
  if (left.count == 0) return out;
  out.emplace_back();
  out.back().bytes = left.request_bytes;
  return out;
}

// What came behind the answer is a close_notify, a 408, a late ticket: whatever it is, the next
// request is not made here, where it could not be told from what answers it (§4.9(1)). The courier
// can say that there is an end: that costs a handshake.
bool Connection::State::is_idle() {
  const Bytes piece = server->next_of_answer(std::chrono::milliseconds(0));
  const bool idle = piece.empty() && server->end() == StreamEnd::kQuiet;
  views.agree("tls/idle",
              views.of("idle")
                  .field(uint64_t{next})
                  .field(server->digest())
                  .field(server->offset())
                  .field(uint64_t{static_cast<uint8_t>(server->end())})
                  .digest(),
              AbortCode::kViewMismatch);
  if (idle) server->go_on();
  return idle;
}

// Up to H2 in every member's hands.
void Connection::State::begin(std::span<const Request> all, const ServerBytes::Connect& connect,
                              Timeline& timeline) {
  timeline.begin(phase::kAgree);
  open_nonces();
  machine.emplace(new_client());
  // READY: everything is prepared everywhere, and all agree on what will be said.
  RandomOracle ready = views.of("ready");
  ready.field(machine->client_hello_record());
  for (const Request& request : all) ready.field(request.id).field(request.text);
  views.agree("tls/ready", ready.digest(), AbortCode::kDisagreement);

  server = std::make_unique<ServerBytes>(
      party(), config.courier, connect,
      kMaxHandshakeBytes + config.handshake.application.stream_bytes());
  try {
    shake_hands(timeline);
  } catch (const ProtocolAbort&) {
    // No HS_OK of this member is out: the alert serves nobody's request (§3.6).
    server->write_farewell(machine->alert_record());
    throw;
  }
}

// Up to the sealed record at the service.
void Connection::State::release(const Request& request, Timeline& timeline) {
  timeline.begin(phase::kRequest, requests[next].program->num_ands());
  const Bytes ciphertext = encrypt(request);

  timeline.begin(phase::kTagAndSend);
  if (const auto& fault = machine->application_fault()) {
    throw ProtocolAbort(AbortCode::kServer, "tls/application data", *fault);
  }
  request_offset = machine->bytes_received();
  send(seal(request, ciphertext, request_offset));
}

Released Connection::State::released_request(const Request& request, Timeline& timeline) {
  return {views,
          handshake.h2,
          config.courier,
          context.source.delta(),
          *machine,
          *server,
          request_offset,
          request.method == "HEAD",
          [&timeline](std::string_view phase) { timeline.begin(phase); }};
}

Reply Connection::State::receive(const Request& request, Timeline& timeline) {
  Reply reply = read->read(released_request(request, timeline));
  timeline.begin(phase::kConfirm);
  confirm({&reply, 1});
  kept = reply.goes_on && !reply.unconfirmed && has_next();
  if (kept) go_on();
  timeline.end();
  return reply;
}

// Up to H2 in every member's hands. A1 is inside: the view travels with the points and is compared
// before anything is opened.
void Connection::State::shake_hands(Timeline& timeline) {
  const auto feed_until = [&](tls::EventKind kind, std::vector<tls::Event> events) {
    while (true) {
      for (const tls::Event& event : events) {
        if (event.kind == kind) return event;
      }
      const Bytes piece = server->next();
      if (piece.empty()) machine->end_of_stream();  // aborts: the handshake is not over
      events = machine->feed(piece);
    }
  };
  timeline.begin(phase::kServerHello);
  const Bytes first_flight = machine->client_hello_record();
  server->open(first_flight);
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
                            machine->set_handshake_secrets(handshake.c_hs, handshake.s_hs))
                     .digest;
}

// Requests that are sent before any answer leave in one flight behind the last release: the socket
// is not touched while members run a circuit together.
void Connection::State::send(const Bytes& record) {
  if (!is_courier()) return;
  if (next == 0) flight = machine->client_finished_record();
  append(flight, record);
  if (config.pipelined && next + 1 < plans.size()) return;
  released = next + 1;  // the courier's own shares leave inside the tags, here and not before
  server->write(std::exchange(flight, {}));
}

// All shares of the answers' keys are checked and the answers are read: a member that withholds its
// last word changes neither.
void Connection::State::confirm(std::span<Reply> replies) {
  try {
    if (handshake.circuit != nullptr) context.engine.confirm(*handshake.circuit);
    handshake.circuit.reset();
    for (size_t k = 0; k <= next; ++k) {
      if (requests[k].instance != nullptr) context.engine.confirm(*requests[k].instance);
      requests[k].instance.reset();
    }
    read->confirm();
  } catch (const ProtocolAbort& abort) {
    if (abort.abort_class() != AbortClass::kNetwork) throw;
    for (Reply& reply : replies) {
      reply.unconfirmed = abort.what();
      if (reply.sealed != nullptr)
        reply.sealed->forget_values();  // void for everyone (boolean-engine.md §7.5)
    }
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
// each member, and is compared before a label leaves (n = 2, evaluator: before it evaluates). That
// of a later request says in its place which one it is, and behind how many bytes of the service.
boolean::OnlineInputs Connection::State::request_inputs(const Request& request) {
  const mpc::Program& program = *requests[next].program;
  boolean::OnlineInputs inputs = empty_inputs(program);
  RandomOracle a2 = views.of(next == 0 ? "A2" : "A2 next");
  a2.field(handshake.h2).field(request.id).field(request.text);
  if (next == 0) {
    const tls::ApplicationWords words = tls::application_words(handshake.kin_ms, handshake.h2);
    inputs.dyn[program.input_group("kout_ms")] = &handshake.kout_ms;
    inputs.pub[program.input_group("kw_c_ap")] = word_bits(words.client);
    inputs.pub[program.input_group("kw_s_ap")] = word_bits(words.server);
    a2.field(sha256_state_bytes(handshake.kin_ms));
  } else {
    write->keys_for(program, inputs);
    a2.field(uint64_t{next}).field(machine->bytes_received());
  }
  if (!plan().secret_bits.empty()) {
    FLEXROOM_ASSERT(request.secret != nullptr &&
                    request.secret->size() == plan().secret_bits.size());
    inputs.dyn[program.input_group("secret")] = request.secret;
  }
  if (plan().signature_offset) {
    FLEXROOM_ASSERT(request.kout_signing != nullptr && request.signature_inner_digest.has_value());
    inputs.dyn[program.input_group("kout_signing")] = request.kout_signing;
    inputs.pub[program.input_group("kw_signature")] =
        word_bits(tls::outer_words(*request.signature_inner_digest));
    a2.field(*request.signature_inner_digest);
  }
  inputs.view = a2.digest();
  return inputs;
}

Bytes Connection::State::encrypt(const Request& request) {
  const mpc::Program& program = *requests[next].program;
  const boolean::OnlineInputs inputs = request_inputs(request);
  write->mark(context.journal, handshake.csid);
  boolean::Outputs outputs = context.engine.run(*requests[next].instance, inputs);
  if (next == 0) {
    read->take(program, outputs);
    // A connection that is kept keeps the keys of its records, not what they were derived from.
    handshake.forget_secrets();
  }
  write->take(program, outputs);

  Bytes ciphertext =
      bytes_of_bits(outputs.opened[program.output_group("c_" + std::to_string(next))]);
  FLEXROOM_ASSERT(ciphertext.size() == plan().inner_bytes());
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
    released = next + 1;
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
