#include <fmt/core.h>

#include <stdexcept>

#include "agent/connection_circuits.h"
#include "agent/phases.h"
#include "agent/sealed_read_direction.h"
#include "bench/bench_session.h"
#include "bench/cookie_service.h"
#include "net/tcp_stream.h"

namespace flexroom::bench {
namespace {

/// Keeps the cookie, from a header that is outlined whole; nothing else of the answer is read.
agent::SealedPlan cookie_plan() {
  agent::SealedPlan plan;
  plan.header_max = CookieService::kAnswerBytes;
  plan.record_bytes = 8192;
  plan.tests_max = 32;
  agent::SealedItem item;
  agent::SealedCookie cookie;
  cookie.query.name = CookieService::kCookie;
  cookie.query.host = kBenchHost;
  item.at = cookie;
  item.char_class = http::char_set(http::CharClass::kCookie);
  item.max_bytes = 64;
  plan.items.push_back(item);
  return plan;
}

/// The phases behind the release of the request: what the members wait for their cookie.
double answer_seconds(const agent::Timeline& timeline) {
  double out = 0;
  for (const agent::Timeline::Phase& phase : timeline.phases()) {
    const bool of_answer =
        phase.name == agent::phase::kAnswerKeys || phase.name == agent::phase::kAnswer ||
        phase.name == agent::phase::kReadAnswer || phase.name == agent::phase::kConfirm;
    if (of_answer) out += phase.seconds;
  }
  return out;
}

}  // namespace

nlohmann::json keep_cookie(BenchRoom& room, const nlohmann::json& order) {
  net::Party& party = *room.party;
  const std::filesystem::path folder = order.at("folder").get<std::string>();
  std::unique_ptr<CookieService> service;
  if (party.id() == kBenchCourier) service = std::make_unique<CookieService>(folder);
  const auto plan = std::make_shared<const agent::SealedPlan>(cookie_plan());
  agent::ConnectionConfig config;
  config.host = kBenchHost;
  config.courier = kBenchCourier;
  config.receive = agent::ReceiveMode::kSealed;
  config.sealed = plan;
  tls::ChainPolicy policy{
      config.host, tls::TrustStore::from_files({order.at("ca_file").get<std::string>()}, "bench"),
      [] { return std::chrono::system_clock::now(); }, std::nullopt};
  policy.partial_chains = true;  // the service's own certificate
  config.handshake = tls::handshake_config(policy);
  agent::Request request;
  request.text =
      to_bytes(fmt::format("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", kBenchHost));
  request.id = sha256(request.text);
  agent::RequestPlan request_plan;
  request_plan.bytes = request.text.size();
  request_plan.sealed_answer = true;
  meet(party);

  const auto start = BenchClock::now();
  BenchSession session(room, bench_triples(kNewRooms));
  const auto program = agent::request_program(request_plan);
  const uint64_t triples =
      agent::handshake_program(all_groups(), party.num_parties())->num_triples +
      program->num_triples +
      agent::sealed_answer_triples(*plan, *config.suite, party.num_parties());
  session.engines->reserve_triples(triples);
  agent::Connection connection(session.context(), config, request_plan, program);
  agent::Timeline timeline(party);
  connection.prepare(timeline);
  const double prepared = seconds_since(start);
  const uint64_t ands = connection.num_ands();
  meet(party);
  const auto online = BenchClock::now();
  const double cpu = process_cpu_seconds();
  const agent::Reply reply = connection.call(
      request,
      [&] { return net::connect_tcp("127.0.0.1", service->port(), std::chrono::seconds(20)); },
      timeline);
  const double called = seconds_since(online);
  const double online_cpu = process_cpu_seconds() - cpu;
  if (reply.sealed == nullptr || reply.sealed->failure || reply.unconfirmed ||
      reply.sealed->values.at(0).bytes != CookieService::value().size()) {
    throw std::runtime_error("bench: the cookie was not kept");
  }
  return {{"total", prepared + called}, {"online", called}, {"answer", answer_seconds(timeline)},
          {"online_cpu", online_cpu},   {"ands", ands},     {"phases", phases_of(timeline)}};
}

}  // namespace flexroom::bench
