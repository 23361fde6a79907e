#include <fmt/core.h>

#include <algorithm>

#include "agent/server_bytes.h"
#include "agent/wires.h"
#include "arith/ecdh.h"
#include "base/codec.h"
#include "bench/bench_figures.h"
#include "boolean/engine.h"
#include "circuits/handshake.h"
#include "circuits/sha256.h"
#include "circuits/sigv4.h"
#include "net/tcp_stream.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/memory_safety.h"
#include "prep/open.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"
#include "tls/handshake.h"
#include "tls/open_response.h"

namespace flexroom::bench {
namespace {

constexpr size_t kRequestBytes = 224;
constexpr size_t kPings = 200;

using Program = std::shared_ptr<const mpc::Program>;

/// Takes the time inside a Source, so that the phases above it can be told apart from it.
class TimedSource final : public prep::Source {
  template <typename Make>
  auto timed(Make make) {
    const auto start = BenchClock::now();
    const double cpu = thread_cpu_seconds();
    auto out = make();
    seconds += seconds_since(start);
    cpu_seconds += thread_cpu_seconds() - cpu;
    return out;
  }

 public:
  explicit TimedSource(prep::Source& source) : source_(source) {}
  double seconds = 0;
  double cpu_seconds = 0;

  const Block& delta() const override { return source_.delta(); }
  prep::AuthBits random_bits(size_t count) override {
    return timed([&] { return source_.random_bits(count); });
  }
  prep::AuthBits owned_bits(PartyId owner, size_t count) override {
    return timed([&] { return source_.owned_bits(owner, count); });
  }
  prep::AuthBits owned_bits_of(PartyId owner, size_t count,
                               std::span<const uint8_t> bits) override {
    return timed([&] { return source_.owned_bits_of(owner, count, bits); });
  }
  prep::AndTriples and_triples(size_t count) override {
    return timed([&] { return source_.and_triples(count); });
  }
  prep::VecTriple vec_triple(size_t count) override {
    return timed([&] { return source_.vec_triple(count); });
  }
  prep::Powers powers(size_t max_power) override {
    return timed([&] { return source_.powers(max_power); });
  }
  RotSender rot_send(PartyId receiver, size_t count) override {
    return timed([&] { return source_.rot_send(receiver, count); });
  }
  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override {
    return timed([&] { return source_.rot_receive(sender, count, choices); });
  }

 private:
  prep::Source& source_;
};

Program compiled(mpc::Circuit circuit) {
  return std::make_shared<const mpc::Program>(mpc::compile(circuit));
}

std::vector<uint8_t> bits_of_bytes(ByteView bytes) {
  std::vector<uint8_t> out;
  for (const uint8_t byte : bytes) {
    for (unsigned b = 0; b < 8; ++b) out.push_back(static_cast<uint8_t>(byte >> b & 1));
  }
  return out;
}

/// Between the byte order of circuits and that of GHASH (SP 800-38D); its own inverse.
prep::AuthBits ghash_order(const prep::AuthBits& bits) {
  prep::AuthBits out(bits.self(), bits.num_parties(), 128);
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (size_t i = 0; i < 128; ++i) {
      const size_t wire = 8 * (i / 8) + 7 - i % 8;
      out.mac[j][i] = bits.mac[j][wire];
      out.key[j][i] = bits.key[j][wire];
    }
  }
  return out;
}

/// "GET / HTTP/1.1 ..." of exactly kRequestBytes.
Bytes request_text() {
  const std::string head =
      fmt::format("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Filler: ", kBenchHost);
  const std::string end = "\r\n\r\n";
  return to_bytes(head + std::string(kRequestBytes - head.size() - end.size(), 'x') + end);
}

/// Public text enters as zeros: what is opened is the keystream.
mpc::Circuit later_request() {
  circuits::LaterRequest request;
  request.records().add(0, circuits::constant_text(Bytes(kRequestBytes)));
  return request.finish();
}

/// The signature of a public string under a shared kSigning. Its characters' constant bits are no
/// outputs.
struct SignatureCircuit {
  Program program;
  std::vector<size_t> positions;  // of the outputs among the 512 bits of the text
};
SignatureCircuit signature_circuit() {
  SignatureCircuit out;
  mpc::Builder builder;
  const mpc::Bits text = circuits::bits_of(circuits::add_sigv4_signature(builder));
  mpc::Bits secret;
  for (size_t k = 0; k < text.size(); ++k) {
    if (text[k].is_constant()) continue;
    out.positions.push_back(k);
    secret.push_back(text[k]);
  }
  builder.add_output("signature", mpc::OutputKind::kOpenAll, secret);
  out.program = compiled(builder.finish());
  return out;
}

[[noreturn]] void wrong(std::string_view what) {
  throw std::runtime_error(fmt::format("bench: {} came out wrong", what));
}

class Member {
 public:
  Member(net::Party& party, prep::Source& source, const cloud::Sandbox& sandbox)
      : party_(party),
        source_(source),
        sandbox_(sandbox),
        arith_(party, source_),
        engine_(party, source_),
        gc_a_(compiled(circuits::gc_a(circuits::EcdhField::k25519, party.num_parties()))),
        gc_b_(compiled(circuits::GcB(true).finish())),
        request_(compiled(later_request())),
        signature_(signature_circuit()) {}

  ConnectionTimes connection(size_t number);
  OnlineStep signature(size_t number);

 private:
  struct Prepared {
    std::optional<arith::Token> token;
    Bytes key_share;
    prep::Powers powers;
    std::unique_ptr<boolean::Instance> gc_a, gc_b, request;
  };
  struct Keys {
    prep::AuthBits s_ap, iv, round_keys;
    Block d_c;  // H + R
  };
  Prepared prepare(ConnectionTimes& times);
  Keys agree_on_keys(Prepared& prepared, const tls::Event& hello, tls::ClientHandshake& machine,
                     agent::ServerBytes& server, ConnectionTimes& times);
  Bytes seal(Prepared& prepared, const Keys& keys);
  void check_answer(tls::ClientHandshake& machine, agent::ServerBytes& server, uint64_t offset,
                    const Keys& keys);
  tls::Event feed_until(tls::EventKind kind, std::vector<tls::Event> events,
                        tls::ClientHandshake& machine, agent::ServerBytes& server);
  Digest view(std::string_view step) {
    return RandomOracle("view", party_.scope()).field("bench").field(step).digest();
  }
  OnlineStep begin(uint64_t ands) {
    OnlineStep step;
    step.ands = ands;
    step.half_rounds = party_.traffic().half_rounds;
    step.start = BenchClock::now();
    return step;
  }
  void end(OnlineStep& step) {
    step.end = BenchClock::now();
    step.half_rounds = party_.traffic().half_rounds - step.half_rounds;
  }

  net::Party& party_;
  TimedSource source_;
  const cloud::Sandbox& sandbox_;
  arith::ArithEngine arith_;
  boolean::Engine engine_;
  const Program gc_a_, gc_b_, request_;
  const SignatureCircuit signature_;
};

Member::Prepared Member::prepare(ConnectionTimes& times) {
  Prepared out;
  out.token.emplace(std::move(arith_.make_tokens(arith::Group::kX25519, 1).front()));
  out.key_share = arith::key_share(*out.token);
  std::vector<prep::AuthBits> zero_a(gc_a_->inputs.size());
  for (PartyId i = 0; i < party_.num_parties(); ++i) {
    zero_a[gc_a_->input_group(fmt::format("rho_{}", i))] = std::move(out.token->rho[i]);
  }
  meet(party_);
  source_.seconds = source_.cpu_seconds = 0;
  const double cpu = thread_cpu_seconds();
  const auto start = BenchClock::now();
  out.gc_a = engine_.prepare(gc_a_, std::move(zero_a), "bench gc-a");
  times.garble_seconds = seconds_since(start) - source_.seconds;
  times.garble_cpu_seconds = thread_cpu_seconds() - cpu - source_.cpu_seconds;
  times.garbled_ands = gc_a_->num_ands();

  // One power a block of AAD, ciphertext and lengths.
  out.powers = source_.powers((kRequestBytes + 1 + 15) / 16 + 2);
  std::vector<prep::AuthBits> zero_b(gc_b_->inputs.size());
  zero_b[gc_b_->input_group("r_c")] = ghash_order(out.powers.r_bits);
  out.gc_b = engine_.prepare(gc_b_, std::move(zero_b), "bench gc-b");
  out.request = engine_.prepare(request_, std::vector<prep::AuthBits>(request_->inputs.size()),
                                "bench request");
  return out;
}

tls::Event Member::feed_until(tls::EventKind kind, std::vector<tls::Event> events,
                              tls::ClientHandshake& machine, agent::ServerBytes& server) {
  while (true) {
    for (const tls::Event& event : events) {
      if (event.kind == kind) return event;
    }
    const Bytes piece = server.next();
    if (piece.empty()) machine.end_of_stream();
    events = machine.feed(piece);
  }
}

/// ECDHE, GC-A, the server's flight, GC-B: tls-in-mpc.md §3.3-3.7.
Member::Keys Member::agree_on_keys(Prepared& prepared, const tls::Event& hello,
                                   tls::ClientHandshake& machine, agent::ServerBytes& server,
                                   ConnectionTimes& times) {
  arith::DhHooks hooks;
  hooks.mark_used = [](const arith::Token&) {};  // a token of this process, gone with it
  const std::vector<uint8_t> c = arith::dh_online(party_, *prepared.token, hello.key_share,
                                                  party_.scope().csid, view("A1"), hooks);
  boolean::OnlineInputs inputs = agent::empty_inputs(*gc_a_);
  const tls::HandshakeWords words = tls::handshake_words(hello.digest);
  inputs.pub[gc_a_->input_group("c")] = c;
  inputs.pub[gc_a_->input_group("kw_c_hs")] = agent::word_bits(words.client);
  inputs.pub[gc_a_->input_group("kw_s_hs")] = agent::word_bits(words.server);
  inputs.view = view("gc-a");
  engine_.exchange_inputs(*prepared.gc_a, inputs);
  const auto start = BenchClock::now();
  engine_.evaluate(*prepared.gc_a);
  times.evaluate_seconds = seconds_since(start);
  boolean::Outputs a = engine_.finish(*prepared.gc_a);
  const auto opened = [&](std::string_view name) {
    return agent::digest_of_bits(a.opened[gc_a_->output_group(name)]);
  };
  const Sha256State kin_ms = sha256_state_from(opened("kin_ms"));
  const Digest h2 =
      feed_until(tls::EventKind::kServerFinished,
                 machine.set_handshake_secrets(opened("c_hs"), opened("s_hs")), machine, server)
          .digest;

  inputs = agent::empty_inputs(*gc_b_);
  const tls::ApplicationWords application = tls::application_words(kin_ms, h2);
  inputs.dyn[gc_b_->input_group("kout_ms")] = &a.kept[gc_a_->output_group("kout_ms")];
  inputs.pub[gc_b_->input_group("kw_c_ap")] = agent::word_bits(application.client);
  inputs.pub[gc_b_->input_group("kw_s_ap")] = agent::word_bits(application.server);
  inputs.view = view("gc-b");
  boolean::Outputs b = engine_.run(*prepared.gc_b, inputs);
  Keys keys;
  keys.s_ap = std::move(b.kept[gc_b_->output_group("s_ap")]);
  keys.iv = std::move(b.kept[gc_b_->output_group("iv_c")]);
  keys.round_keys = std::move(b.kept[gc_b_->output_group("round_keys_c")]);
  keys.d_c = prep::ghash_block(agent::bytes_of_bits(b.opened[gc_b_->output_group("d_c")]));
  return keys;
}

/// The record at the courier; elsewhere the tag is missing.
Bytes Member::seal(Prepared& prepared, const Keys& keys) {
  boolean::OnlineInputs inputs = agent::empty_inputs(*request_);
  inputs.dyn[request_->input_group("iv_c")] = &keys.iv;
  inputs.dyn[request_->input_group("round_keys_c")] = &keys.round_keys;
  inputs.view = view("request");
  boolean::Outputs outputs = engine_.run(*prepared.request, inputs);
  Bytes ciphertext = agent::bytes_of_bits(outputs.opened[request_->output_group("c_0")]);
  const Bytes text = request_text();
  for (size_t k = 0; k < text.size(); ++k) {
    ciphertext[k] = static_cast<uint8_t>(ciphertext[k] ^ text[k]);
  }
  const auto header = tls::record_aad(ciphertext.size() + tls::kTagSize);
  std::vector<Block> blocks;
  prep::append_ghash_blocks(blocks, header);
  prep::append_ghash_blocks(blocks, ciphertext);
  Writer lengths;
  lengths.u64(8 * header.size()).u64(8 * ciphertext.size());
  blocks.push_back(prep::ghash_block(lengths.bytes()));
  prep::AuthField tag = prep::ghash_share(prepared.powers, keys.d_c, blocks);
  prep::add(tag, prep::pack(ghash_order(outputs.kept[request_->output_group("j0_0")])));
  prep::FieldOpening opening(party_, source_.delta(), tag, "bench/tag share");
  Bytes record(header.begin(), header.end());
  append(record, ciphertext);
  if (party_.id() != kBenchCourier) {
    opening.send_to(kBenchCourier);
    return record;
  }
  for (const PartyId j : party_.peers()) opening.receive_from(j);
  append(record, prep::ghash_bytes(opening.result().front()));
  return record;
}

/// The service answers in HTTP only if all of the above was right.
void Member::check_answer(tls::ClientHandshake& machine, agent::ServerBytes& server,
                          uint64_t offset, const Keys& keys) {
  tls::FrozenResponse frozen;
  frozen.request_offset = offset;
  while (true) {
    for (tls::RawRecord& record : machine.take_application_records()) {
      frozen.records.push_back(std::move(record));
    }
    frozen.trailing_partial = machine.has_partial_record();
    if (server.ended()) break;
    const Bytes piece = server.next_of_answer(
        tls::quiet_before_freeze(frozen.records, offset, frozen.trailing_partial, false));
    if (!piece.empty()) (void)machine.feed(piece);
  }
  const Digest s_ap =
      agent::digest_of_bits(prep::open_bits(party_, source_.delta(), keys.s_ap, "bench/open s_ap"));
  const tls::OpenedResponse answer = tls::open_response(frozen, s_ap);
  if (!as_text(answer.application_data).starts_with("HTTP/1.1 ")) wrong("the service's answer");
}

ConnectionTimes Member::connection(size_t number) {
  ConnectionTimes times;
  Prepared prepared = prepare(times);
  const RoScope outer = party_.scope();
  RoScope scope = outer;
  scope.csid = RandomOracle("bench csid", outer, number).digest();
  party_.set_scope(scope);

  tls::ClientHelloInput input;
  input.host = kBenchHost;
  input.group = tls::Group::kX25519;
  input.key_share = prepared.key_share;
  input.random = RandomOracle("ch random", scope).digest();
  input.session_id = RandomOracle("ch sid", scope).digest();
  tls::ClientHandshake machine(
      tls::handshake_config({kBenchHost,
                             tls::TrustStore::from_files({sandbox_.ca_file().string()}, "sandbox"),
                             [] { return std::chrono::system_clock::now(); }, std::nullopt}),
      input);
  meet(party_);
  agent::ServerBytes server(
      party_, kBenchCourier,
      [this] { return net::connect_tcp("127.0.0.1", sandbox_.port(), std::chrono::seconds(20)); },
      uint64_t{1} << 24);
  server.open(machine.client_hello_record());
  const tls::Event hello = feed_until(tls::EventKind::kServerHello, {}, machine, server);
  times.handshake = begin(uint64_t{gc_a_->num_ands()} + gc_b_->num_ands());
  const Keys keys = agree_on_keys(prepared, hello, machine, server, times);
  end(times.handshake);

  meet(party_);
  times.request = begin(request_->num_ands());
  const Bytes record = seal(prepared, keys);
  end(times.request);

  const uint64_t offset = machine.bytes_received();
  Bytes flight = machine.client_finished_record();
  append(flight, record);
  server.write(flight);
  check_answer(machine, server, offset, keys);
  server.close();
  party_.set_scope(outer);
  return times;
}

OnlineStep Member::signature(size_t number) {
  // kSigning is member 0's here, so that the signature can be checked; shared like a derived one.
  const Digest key = RandomOracle("bench signing key", party_.scope(), number).digest();
  const std::string text = fmt::format("AWS4-HMAC-SHA256\nstring to sign {}", number);
  const HmacStates states = hmac_states(key);
  const mpc::Program& program = *signature_.program;
  std::vector<prep::AuthBits> zero(program.inputs.size());
  const std::vector<uint8_t> outer = bits_of_bytes(sha256_state_bytes(states.outer));
  zero[program.input_group("kout_signing")] = source_.owned_bits_of(0, outer.size(), outer);
  const auto instance = engine_.prepare(signature_.program, std::move(zero), "bench sigv4");
  meet(party_);
  OnlineStep step = begin(program.num_ands());
  boolean::OnlineInputs inputs = agent::empty_inputs(program);
  inputs.pub[program.input_group("kw_sts")] =
      agent::word_bits(tls::outer_words(hmac_inner_digest(states.inner, as_bytes(text))));
  inputs.view = view("sigv4");
  const boolean::Outputs outputs = engine_.run(*instance, inputs);
  end(step);
  const std::vector<uint8_t> expected =
      bits_of_bytes(as_bytes(to_hex(hmac_sha256(key, as_bytes(text)))));
  for (size_t k = 0; k < signature_.positions.size(); ++k) {
    if (outputs.opened[0][k] != expected[signature_.positions[k]]) wrong("a SigV4 signature");
  }
  return step;
}

double round_trip_ms(net::Party& party) {
  meet(party);
  const auto start = BenchClock::now();
  const PartyId peer = party.peers().front();
  for (size_t k = 0; k < kPings; ++k) {
    if (party.id() == 0) party.send(peer, "bench/ping", Bytes(1));
    (void)party.receive(peer, "bench/ping", 1);
    if (party.id() != 0) party.send(peer, "bench/ping", Bytes(1));
  }
  return 1e3 * seconds_since(start) / static_cast<double>(kPings);
}

}  // namespace

MemberFigures measure_member(net::Party& party, const prep::EpochParameters& parameters,
                             const cloud::Sandbox& sandbox, const BenchSizes& sizes,
                             const BenchProgress& progress) {
  const auto report = [&](std::string_view phase, double fraction) {
    if (party.id() == 0 && progress) progress(phase, fraction);
  };
  MemberFigures out;
  out.rtt_ms = round_trip_ms(party);
  const prep::EpochState epoch = prep::setup_epoch(party, parameters);
  prep::session_hello(party, epoch);
  prep::MemorySafety safety;
  bool stocking = true;
  prep::SessionPrep source(
      party, epoch, safety, {}, [&](std::string_view, uint64_t done, uint64_t total) {
        if (!stocking || total == 0) return;
        report("preprocessing", static_cast<double>(done) / static_cast<double>(total));
      });
  meet(party);
  const uint64_t sent = party.traffic().bytes_sent;
  const double cpu = thread_cpu_seconds();
  const auto start = BenchClock::now();
  source.stock_triples(sizes.triples);
  out.preprocess_cpu_seconds = thread_cpu_seconds() - cpu;
  out.preprocess_seconds = seconds_since(start);
  out.preprocess_bytes = party.traffic().bytes_sent - sent;
  stocking = false;

  Member member(party, source, sandbox);
  for (size_t k = 0; k < sizes.signatures; ++k) {
    report("SigV4 signatures", static_cast<double>(k) / static_cast<double>(sizes.signatures));
    out.signatures.push_back(member.signature(k));
  }
  for (size_t k = 0; k < sizes.connections; ++k) {
    report("TLS connections", static_cast<double>(k) / static_cast<double>(sizes.connections));
    out.connections.push_back(member.connection(k));
  }
  meet(party);
  return out;
}

}  // namespace flexroom::bench
