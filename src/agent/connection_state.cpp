#include "agent/connection_state.h"

#include <utility>

#include "agent/phases.h"
#include "agent/wires.h"
#include "math/curve.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "tls/key_schedule.h"

namespace flexroom::agent {
namespace {

/// Bytes of the service outside of the answer: its hello and its flight.
constexpr uint64_t kMaxHandshakeBytes = 512 * 1024;

void append_record(Bytes& out, const RecordText& record, const Block& tag) {
  append(out, record.header);
  append(out, record.ciphertext);
  append(out, prep::ghash_bytes(tag));
}

/// Of the server's half of it that is a curve's.
bool is_point(const tls::KeyShare& share) {
  const ByteView point = tls::curve_share(share.group, share.key);
  return curve_of(share.group) == NamedGroup::kX25519
             ? math::decode_share<math::X25519Group>(point).has_value()
             : math::decode_share<math::P256Group>(point).has_value();
}

}  // namespace

Digest connection_terms(const ConnectionConfig& config) {
  RandomOracle hash("policy", RoScope{});
  hash.field(config.policy)
      .field(config.host)
      .field(to_string(config.groups))
      .field(uint64_t{config.suite->code})
      .field(uint64_t{static_cast<uint8_t>(config.receive)})
      .field(uint64_t{static_cast<uint8_t>(config.client_auth)})
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
  if (config.pad != tls::Padding::kNone) hash.field("pad").field(to_string(config.pad));
  if (config.likely_curve) hash.field(to_string(*config.likely_curve));
  return hash.digest();
}

void require_valid(const ConnectionConfig& config) {
  const bool sealed = config.receive == ReceiveMode::kSealed;
  if (sealed && config.pipelined) {
    throw InputError("several requests on a sealed connection",
                     "are made one behind the answer of the other",
                     "use \"open\" to send all at once");
  }
  const bool to_come = config.to_come.count > 0;
  if (config.later.empty() && !to_come) return;
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

tls::ClientHandshake Connection::State::new_client(std::vector<tls::KeyShare> shares) {
  tls::ClientHelloInput hello;
  hello.host = config.host;
  hello.suite = config.suite;
  hello.key_shares = std::move(shares);
  hello.held_back = tls::held_back_of(config.groups, config.likely_curve);
  hello.status_request = config.handshake.status_request;
  hello.random = RandomOracle("ch random", party().scope()).digest();
  const Digest session_id = RandomOracle("ch sid", party().scope()).digest();
  hello.session_id.assign(session_id.begin(), session_id.end());
  return tls::ClientHandshake(config.handshake, hello);
}

void Connection::State::enter_scope() {
  RoScope own = party().scope();
  own.csid = csid;
  party().set_scope(own);
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
  csid = offer->open_nonces(party(), views);
  enter_scope();
  // Before any hello can leave: a key of it is never seen in another one, whatever happens.
  offer->mark(context.journal);
  machine.emplace(new_client(offer->shares()));
  // READY: everything is prepared everywhere, and all agree on what will be said.
  RandomOracle ready = views.of("ready");
  ready.field(machine->client_hello_record());
  for (const Request& request : all) ready.field(request.id).field(request.text);
  views.agree("tls/ready", ready.digest(), AbortCode::kDisagreement);
  mark_instances();

  server = std::make_unique<ServerBytes>(
      party(), config.courier, connect,
      kMaxHandshakeBytes + config.handshake.application.stream_bytes());
  try {
    shake_hands(timeline);
  } catch (const ProtocolAbort&) {
    say_farewell();
    throw;
  }
}

// One durable step for all that may start up to the end of the answer (boolean-engine.md §8.2).
void Connection::State::mark_instances() {
  std::vector<Digest> ids;
  if (next == 0) ids.push_back(offer->instance_id());
  if (next == 0 && client_flight != nullptr) ids.push_back(client_flight->instance().id());
  for (size_t k = next; k < requests.size(); ++k) ids.push_back(requests[k].instance->id());
  read->add_ids(ids);
  context.journal.mark_ahead(ids);
}

// No HS_OK of this member is out: the alert serves nobody's request (§3.6). Behind ServerHello it
// takes c_hs, to which every member that found the flight bad gives its share.
void Connection::State::say_farewell() {
  Bytes alert = machine->alert_record();
  if (keyed && machine->owes_sealed_alert()) {
    const std::optional<tls::HashValue> c_hs = keyed->c_hs->open_for_alert();
    if (c_hs) alert = machine->sealed_alert_record(*c_hs);
  }
  server->write_farewell(alert);
}

// Up to the sealed records at the service.
void Connection::State::release(const Request& request, Timeline& timeline) {
  const bool flight_inside = next == 0 && machine->certificate_requested();
  timeline.begin(phase::kRequest, requests[next].program->num_ands() +
                                      (flight_inside ? client_flight->num_ands() : 0));
  const std::vector<RecordText> records = encrypt(request);

  timeline.begin(phase::kTagAndSend);
  if (const auto& fault = machine->application_fault()) {
    throw ProtocolAbort(AbortCode::kServer, "tls/application data", *fault);
  }
  request_offset = machine->bytes_received();
  const Bytes sealed = seal(request, records, request_offset);
  negotiated.record_bytes.clear();
  for (const RecordText& record : records) {
    negotiated.record_bytes.push_back(record.ciphertext.size());
  }
  negotiated.pause = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - server_hello_at);
  try {
    send(sealed);
  } catch (...) {
    tell_negotiated();  // some of it may have left
    throw;
  }
  tell_negotiated();
}

// Behind the request, which waits for nobody's disk.
void Connection::State::tell_negotiated() {
  if (next == 0 && config.on_negotiated) config.on_negotiated(negotiated);
}

Released Connection::State::released_request(const Request& request, Timeline& timeline) {
  return {views,
          h2,
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

// Whatever the server sends goes to the machine until that event; a HelloRetryRequest on the way is
// answered.
tls::Event Connection::State::feed_until(tls::EventKind kind, std::vector<tls::Event> events) {
  while (true) {
    for (tls::Event& event : events) {
      if (event.kind == kind) return std::move(event);
      if (event.kind == tls::EventKind::kHelloRetry) {
        negotiated.retried = true;
        if (offer && !machine->offers_kem()) offer->drop_kem();
        server->write_hello(machine->client_hello_record());
      }
    }
    const Bytes piece = server->next();
    if (piece.empty()) machine->end_of_stream();  // aborts: the handshake is not over
    events = machine->feed(piece);
  }
}

// Up to H2 in every member's hands. A1 is inside: the view travels with the points and is compared
// before anything is opened. H1 covers a HelloRetryRequest and both hellos too.
void Connection::State::shake_hands(Timeline& timeline) {
  timeline.begin(phase::kServerHello);
  const Bytes first_flight = machine->client_hello_record();
  negotiated.opened = std::chrono::system_clock::now();
  server->open(first_flight);
  const tls::Event server_hello = feed_until(tls::EventKind::kServerHello, {});
  negotiated.group = server_hello.key_share.group;
  server_hello_at = std::chrono::steady_clock::now();
  if (!is_point(server_hello.key_share)) machine->refuse_key_share();

  timeline.begin(phase::kEcdhe);
  SecretBytes kem_secret = offer->decapsulate(server_hello);
  RandomOracle view = views.of("A1");
  view.field(first_flight).field(server_hello.digest);
  view.field(RandomOracle("kem ss", party().scope()).field(kem_secret.reveal()).digest());
  const Digest a1 = view.digest();
  const std::vector<uint8_t> c = offer->agree(context, server_hello, csid, a1);

  timeline.begin(phase::kHandshakeKeys, handshake_ands);
  keyed.emplace(std::move(*offer).run(context, views, server_hello, c, std::move(kem_secret), a1,
                                      config.courier));
  offer.reset();
  handshake_circuit = std::move(keyed->circuit);

  timeline.begin(phase::kServerFlight);
  h2 = feed_until(tls::EventKind::kServerFinished, machine->set_server_secret(keyed->s_hs)).digest;
}

// Requests that are sent before any answer leave in one flight behind the last release: the socket
// is not touched while members run a circuit together.
void Connection::State::send(const Bytes& records) {
  if (!is_courier()) return;
  if (next == 0) {
    if (!machine->certificate_requested()) {
      flight = machine->client_finished_record(keyed->c_hs->result());
    }
    keyed.reset();
  }
  append(flight, records);
  if (config.pipelined && next + 1 < plans.size()) return;
  released = next + 1;  // the courier's own shares leave inside the tags, here and not before
  server->write(std::exchange(flight, {}));
}

// All shares of the answers' keys are checked and the answers are read: a member that withholds its
// last word changes neither.
void Connection::State::confirm(std::span<Reply> replies) {
  try {
    if (handshake_circuit != nullptr) context.engine.confirm(*handshake_circuit);
    handshake_circuit.reset();
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

// A2 is the view hash of GC-B: it covers H2 and the request id, travels with the first message of
// each member, and is compared before a label leaves (n = 2, evaluator: before it evaluates). That
// of a later request says in its place which one it is, and behind how many bytes of the service.
boolean::OnlineInputs Connection::State::request_inputs(const Request& request) {
  const mpc::Program& program = *requests[next].program;
  boolean::OnlineInputs inputs = empty_inputs(program);
  RandomOracle a2 = views.of(next == 0 ? "A2" : "A2 next");
  a2.field(h2).field(request.id).field(request.text);
  a2.field(uint64_t{plan().record_bytes}).field(write->position().sequence);
  if (next == 0) {
    const tls::ApplicationWords words =
        tls::application_words(config.suite->hash(), keyed->kin_ms, h2);
    inputs.dyn[program.input_group("kout_ms")] = &keyed->kout_ms;
    inputs.pub[program.input_group("kw_c_ap")] = bits_of_bytes(words.client);
    inputs.pub[program.input_group("kw_s_ap")] = bits_of_bytes(words.server);
    a2.field(keyed->kin_ms);
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
        bits_of_bytes(tls::outer_words(tls::sha256_kind(), *request.signature_inner_digest));
    a2.field(*request.signature_inner_digest);
  }
  inputs.view = a2.digest();
  return inputs;
}

// From here on this member's HS_OK may be out. Where the service asked for a certificate, which is
// in H2 and so in the view of GC-B, c_hs goes into GC-CF, whose messages are beside those of GC-B
// (tls-complete.md §4.2); else GC-CF is thrown away with all its labels.
boolean::Outputs Connection::State::run_request(const boolean::OnlineInputs& inputs) {
  boolean::Instance& request = *requests[next].instance;
  if (next != 0) return context.engine.run(request, inputs);
  if (!machine->certificate_requested()) {
    client_flight.reset();
    keyed->c_hs->agreed();
    return context.engine.run(request, inputs);
  }
  FLEXROOM_ASSERT(client_flight != nullptr);
  ClientFlight::mark(context.journal, csid);
  const boolean::OnlineInputs flight_inputs = client_flight->inputs(
      keyed->c_hs->agreed_inside(), machine->client_flight_transcript(), views, inputs.view);
  const boolean::InstanceRun runs[] = {{request, inputs},
                                       {client_flight->instance(), flight_inputs}};
  std::vector<boolean::Outputs> outputs = context.engine.run_together(runs);
  flight_record = client_flight->take(std::move(outputs[1]));
  return std::move(outputs[0]);
}

std::vector<RecordText> Connection::State::encrypt(const Request& request) {
  const mpc::Program& program = *requests[next].program;
  const boolean::OnlineInputs inputs = request_inputs(request);
  write->mark(context.journal, csid, plan().records());
  boolean::Outputs outputs = run_request(inputs);
  if (next == 0) {
    read->take(program, outputs);
    // A connection that is kept keeps the keys of its records, not what they were derived from.
    keyed->kout_ms = prep::AuthBits();
  }
  write->take(program, outputs, plan().records());

  std::vector<RecordText> records(plan().records());
  size_t at = 0;
  for (size_t k = 0; k < records.size(); ++k) {
    Bytes& ciphertext = records[k].ciphertext;
    const uint64_t sequence = write->position().sequence + k;
    ciphertext =
        bytes_of_bits(outputs.opened[program.output_group("c_" + std::to_string(sequence))]);
    FLEXROOM_ASSERT(ciphertext.size() == plan().inner_bytes(k));
    for (size_t t = 0; t < plan().content_bytes(k); ++t, ++at) {
      ciphertext[t] = static_cast<uint8_t>(ciphertext[t] ^ request.text[at]);
    }
    const auto header = tls::record_aad(ciphertext.size() + tls::kTagSize);
    records[k].header.assign(header.begin(), header.end());
  }
  FLEXROOM_ASSERT(at == request.text.size());
  return records;
}

// A3: this member's shares of the tags are its signature under the request; they go to the courier
// alone, in one message, with the view they stand for: never those of some of the records (§4.3).
// Beside the first goes its share of c_hs (tls-complete.md §4.2), every member's HS_OK having been
// compared when GC-B ran; or, where the service asked for a certificate, that of the tag of the
// client's flight, in one opening with the others.
Bytes Connection::State::seal(const Request& request, const std::vector<RecordText>& records,
                              uint64_t server_offset) {
  // Before the tags: what they open on the way may count as one already (§4.7).
  context.journal.mark("release", request.id);
  prep::AuthField tags;
  if (flight_record) tags = client_flight->tag_share(*flight_record);
  tags.append(write->tag_shares(records));
  ReleaseView a3;
  a3.h2 = h2;
  a3.request = request.id;
  a3.position = write->position();
  a3.records = records;
  if (flight_record) a3.flight = &*flight_record;
  a3.server_offset = server_offset;
  const std::vector<Block> opened = open_tags(tags, a3.digest(views));
  Bytes out;
  auto tag = opened.begin();  // none at the other members
  if (!opened.empty()) {
    if (flight_record) {
      out = machine->client_flight_start();
      append_record(out, *flight_record, *tag++);
    }
    for (const RecordText& record : records) append_record(out, record, *tag++);
  }
  flight_record.reset();
  client_flight.reset();
  return out;
}

// None at the other members.
std::vector<Block> Connection::State::open_tags(const prep::AuthField& shares, const Digest& a3) {
  prep::FieldOpening opening(party(), context.source.delta(), shares, "tls/tag share");
  if (!is_courier()) {
    released = next + 1;
    party().send(config.courier, "tls/A3", a3);
    if (next == 0) {
      if (!flight_record) keyed->c_hs->give();
      keyed.reset();
    }
    opening.send_to(config.courier);
    return {};
  }
  for (const PartyId j : party().peers()) {
    views.expect(j, "tls/A3", a3, AbortCode::kViewMismatch);
    if (next == 0 && !flight_record) keyed->c_hs->take_from(j);
    opening.receive_from(j);
  }
  return opening.result();
}

}  // namespace flexroom::agent
