#include <fmt/core.h>

#include <stdexcept>

#include "bench/bench_session.h"
#include "bench/cookie_service.h"
#include "net/tcp_stream.h"

namespace flexroom::bench {
namespace {

/// A stream that counts how often something is waited for behind something that was written.
class CountedStream final : public ByteStream {
 public:
  CountedStream(std::unique_ptr<ByteStream> stream, size_t& round_trips)
      : stream_(std::move(stream)), round_trips_(round_trips) {}
  void write(ByteView bytes) override {
    wrote_ = true;
    stream_->write(bytes);
  }
  Bytes read_some(size_t max) override {
    turn();
    return stream_->read_some(max);
  }
  std::optional<Bytes> read_some_within(size_t max, std::chrono::milliseconds quiet) override {
    turn();
    return stream_->read_some_within(max, quiet);
  }
  void close() override { stream_->close(); }

 private:
  void turn() {
    if (wrote_) ++round_trips_;
    wrote_ = false;
  }
  std::unique_ptr<ByteStream> stream_;
  size_t& round_trips_;
  bool wrote_ = false;
};

}  // namespace

nlohmann::json measure_retry(BenchSession& session, const nlohmann::json& order) {
  tls::ChainPolicy policy{
      kBenchHost, tls::TrustStore::from_files({order.at("ca_file").get<std::string>()}, "bench"),
      [] { return std::chrono::system_clock::now(); }, std::nullopt};
  policy.partial_chains = true;  // the service's own certificate
  nlohmann::json out;
  for (const char* group : {"X25519", "P-256"}) {
    std::unique_ptr<CookieService> service;
    if (session.party.id() == kBenchCourier) {
      service = std::make_unique<CookieService>(order.at("folder").get<std::string>(), group);
    }
    agent::ConnectionConfig config;
    config.host = kBenchHost;
    config.courier = kBenchCourier;
    config.handshake = tls::handshake_config(policy);
    agent::Request request;
    request.text = to_bytes(fmt::format("GET /{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                                        group, kBenchHost));
    request.id = sha256(request.text);
    agent::RequestPlan plan;
    plan.bytes = request.text.size();
    agent::Connection connection(session.context(), config, plan);
    agent::Timeline timeline(session.party);
    connection.prepare(timeline);
    meet(session.party);
    size_t round_trips = 0;
    const agent::Reply reply = connection.call(
        request,
        [&] {
          return std::make_unique<CountedStream>(
              net::connect_tcp("127.0.0.1", service->port(), std::chrono::seconds(20)),
              round_trips);
        },
        timeline);
    if (reply.unknown_outcome || reply.response.status != 200) {
      throw std::runtime_error(
          fmt::format("bench: the service that takes {} did not answer", group));
    }
    out[group] = round_trips;
  }
  return out;
}

}  // namespace flexroom::bench
