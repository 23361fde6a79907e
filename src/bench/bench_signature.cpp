#include <fmt/core.h>

#include <stdexcept>

#include "agreement/time.h"
#include "bench/bench_session.h"
#include "call/recipe_call.h"

namespace flexroom::bench {
namespace {

constexpr const char* kRegion = "us-east-1";
constexpr const char* kService = "ec2";

/// DescribeInstances, signed at that time; or the same number of bytes without a signature.
OpenCall describe_call(const std::string& access_key, const std::string& date_time, bool signs) {
  http::Template request;
  request.host = kBenchHost;
  request.method = "GET";
  request.target = "/?Action=DescribeInstances&Version=2016-11-15";
  const auto head = [&](const CallDates& dates) {
    return fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nX-Amz-Date: {}\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=",
        request.target, kBenchHost, dates.time, access_key, dates.day, kRegion, kService);
  };
  const std::string end = "\r\nConnection: close\r\n\r\n";
  const std::string of_date = head(CallDates::of(date_time));
  CallTerms terms;
  terms.place = "bench";
  terms.provider = "bench";
  if (!signs) {
    const std::string line = fmt::format("GET / HTTP/1.1\r\nHost: {}\r\nX-Filler: ", kBenchHost);
    request.target = "/";
    const size_t filler = of_date.size() + signature_slot().length - line.size();
    request.parts = {to_bytes(line + std::string(filler, 'x') + end)};
    return make_call(std::move(request), terms);
  }
  terms.sign = Recipe::Sign{"bench", kRegion, kService};
  request.parts = {to_bytes(of_date), signature_slot(), to_bytes(end)};
  http::Template marked = request;
  marked.parts.front() = to_bytes(head(CallDates::marks()));
  OpenCall out = make_call(std::move(request), terms);
  out.dates = places_of_dates(out.request, marked);
  return out;
}

/// One call as `flexroom call` makes it, from what is agreed to the answer; its timeline.
nlohmann::json measure_call(BenchSession& session, const BenchService& service, bool signs,
                            std::optional<DatedKey> key, const std::string& now, size_t number) {
  const auto dated = [&service, signs](const std::string& date_time) {
    return describe_call(service.access_key, date_time, signs);
  };
  const OpenCall call = dated(now);
  agent::ConnectionConfig config = service.connection();
  const ConnectionShape shape{config.suite, config.groups, session.party.num_parties()};
  const auto layout = lay_out_call(call, shape, [](const std::string&) -> PartyId {
    throw std::logic_error("bench: no slot of a member");
  });
  const CallCost cost = call_cost(call, *layout, shape);
  session.engines->reserve_triples(cost.handshake_ands + cost.request_ands);
  AgreedRequest request(
      session.context(), call, dated, std::move(config), layout,
      RandomOracle(signs ? "bench signed" : "bench unsigned", session.party.scope(), number)
          .digest());
  agent::Timeline timeline(session.party);
  request.prepare({}, std::move(key), timeline);
  meet(session.party);
  const agent::Reply reply = request.call(service.connect(), timeline);
  // The sandbox checks the signature.
  if (reply.unknown_outcome || (signs && reply.response.status != 200)) {
    throw std::runtime_error(
        fmt::format("bench: a signed request was answered by {}", reply.response.status));
  }
  return {{"phases", phases_of(timeline)}, {"ands", request.num_ands()}};
}

}  // namespace

nlohmann::json measure_signatures(BenchSession& session, const BenchService& service,
                                  size_t times) {
  // The sandbox's own key is member 0's here, and shared like one of the store.
  std::vector<uint8_t> bits;
  for (const char c : service.secret_key) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(uint8_t(c) >> b & 1));
  }
  const prep::AuthBits secret = session.source.owned_bits_of(0, bits.size(), bits);
  const std::string now = amz_date(agree_on_time(session.party));
  const std::string day = now.substr(0, 8);
  agent::SigningKeyDerivation derivation(session.engine, secret);
  const agent::SigningKey key = derivation.run(session.party, {day, kRegion, kService});
  nlohmann::json out = nlohmann::json::array();
  for (size_t k = 0; k < times; ++k) {
    nlohmann::json pair;
    DatedKey dated{{key.kin, key.kout.clone()}, day};
    pair["signed"] = measure_call(session, service, true, std::move(dated), now, k);
    pair["unsigned"] = measure_call(session, service, false, std::nullopt, now, k);
    out.push_back(std::move(pair));
  }
  return out;
}

}  // namespace flexroom::bench
