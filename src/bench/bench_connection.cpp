#include <fmt/core.h>

#include <stdexcept>

#include "agent/connection_circuits.h"
#include "agent/wires.h"
#include "bench/bench_session.h"

namespace flexroom::bench {
namespace {

using Program = std::shared_ptr<const mpc::Program>;

/// Takes the time inside a Source, so that garbling can be told apart from making its bits and
/// triples.
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

[[noreturn]] void wrong(std::string_view what) {
  throw std::runtime_error(fmt::format("bench: {} came out wrong", what));
}

/// Preparing and evaluating the handshake circuit as an instance of the engine. Its inputs are
/// random: what it computes is not looked at, what the engine checks of it is.
nlohmann::json measure_engine(BenchSession& session) {
  net::Party& party = session.party;
  const Program program = agent::handshake_program(all_groups(), party.num_parties());
  session.engines->reserve_triples(program->num_triples);
  TimedSource source(session.source);
  boolean::Engine engine(party, source);
  std::vector<prep::AuthBits> zero(program->inputs.size());
  for (size_t g = 0; g < zero.size(); ++g) {
    const mpc::InputGroup& group = program->inputs[g];
    if (group.kind == mpc::InputKind::kZero) zero[g] = session.source.random_bits(group.size);
  }
  meet(party);
  source.seconds = source.cpu_seconds = 0;
  const double cpu = thread_cpu_seconds();
  const auto start = BenchClock::now();
  const auto instance = engine.prepare(program, std::move(zero), "bench handshake");
  const double garble = seconds_since(start) - source.seconds;
  const double garble_cpu = thread_cpu_seconds() - cpu - source.cpu_seconds;

  boolean::OnlineInputs inputs = agent::empty_inputs(*program);
  for (size_t g = 0; g < program->inputs.size(); ++g) {
    const mpc::InputGroup& group = program->inputs[g];
    if (group.kind == mpc::InputKind::kPub) inputs.pub[g].assign(group.size, 0);
  }
  inputs.view = RandomOracle("view", party.scope()).field("bench").digest();
  engine.exchange_inputs(*instance, inputs);
  const auto evaluation = BenchClock::now();
  engine.evaluate(*instance);
  const double evaluate = seconds_since(evaluation);
  (void)engine.finish(*instance);
  engine.confirm(*instance);
  return {{"ands", program->num_ands()},
          {"garble", garble},
          {"garble_cpu", garble_cpu},
          {"evaluate", evaluate}};
}

/// What is not as the product has it by default.
struct Unusual {
  const tls::CipherSuite* suite = &tls::aes128_gcm_sha256();
  Groups groups = all_groups();
  tls::ClientAuth client_auth = tls::ClientAuth::kRefuse;
};

/// One whole connection of the product, with a request of `bytes`; its timeline.
nlohmann::json measure_connection(BenchSession& session, const BenchService& service, size_t bytes,
                                  size_t number, const Unusual& unusual = {}) {
  agent::Request request;
  const std::string head =
      fmt::format("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Filler: ", kBenchHost);
  const std::string end = "\r\n\r\n";
  FLEXROOM_ASSERT(bytes > head.size() + end.size());
  request.text = to_bytes(head + std::string(bytes - head.size() - end.size(), 'x') + end);
  request.id =
      RandomOracle("bench request", session.party.scope(), number).field(request.text).digest();
  agent::RequestPlan plan;
  plan.bytes = request.text.size();
  agent::ConnectionConfig config = service.connection();
  config.suite = unusual.suite;
  config.groups = unusual.groups;
  config.client_auth = unusual.client_auth;
  agent::Connection connection(session.context(), std::move(config), plan);
  agent::Timeline timeline(session.party);
  connection.prepare(timeline);
  meet(session.party);
  const agent::Reply reply = connection.call(request, service.connect(), timeline);
  // The service answers in HTTP only if all of it was right.
  if (reply.unknown_outcome || reply.response.status < 200) wrong("the service's answer");
  return phases_of(timeline);
}

}  // namespace

nlohmann::json measure(BenchSession& session, const nlohmann::json& order) {
  const BenchService service(order.at("service"));
  nlohmann::json out = {
      {"signatures", measure_signatures(session, service, order.at("signatures"))},
      {"engine", nlohmann::json::array()},
      {"short", nlohmann::json::array()},
      {"one_group", nlohmann::json::array()},
      {"long", nlohmann::json::array()},
      {"chacha20", nlohmann::json::array()},
      {"aes256", nlohmann::json::array()},
      {"client_auth", nlohmann::json::array()}};
  const size_t connections = order.at("connections");
  size_t number = 0;
  const auto connect = [&](const char* name, size_t bytes, const Unusual& unusual = {}) {
    out[name].push_back(measure_connection(session, service, bytes, number++, unusual));
  };
  for (size_t k = 0; k < connections; ++k) {
    out["engine"].push_back(measure_engine(session));
    connect("short", kShortBytes);
    connect("one_group", kShortBytes, {.groups = {NamedGroup::kX25519}});
    connect("long", kShortBytes + kMoreBytes);
  }
  for (const size_t more : {size_t{0}, kMoreBytes}) {
    connect("chacha20", kShortBytes + more, {.suite = &tls::chacha20_poly1305_sha256()});
  }
  connect("aes256", kShortBytes, {.suite = &tls::aes256_gcm_sha384()});
  connect("client_auth", kShortBytes, {.client_auth = tls::ClientAuth::kNone});
  out["retry"] = measure_retry(session, order);
  meet(session.party);
  return out;
}

}  // namespace flexroom::bench
