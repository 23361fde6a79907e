#include "bench/bench_layers.h"

#include <fmt/core.h>

#include "agent/circuit_counts.h"
#include "agent/connection_circuits.h"
#include "agent/phases.h"
#include "bench/cookie_service.h"

namespace flexroom::bench {
namespace {

// The paper: two Azure E8bs_v5 machines, 6.6 ms round trip (§7.2), median of Tables 5 and 6; a
// 224-byte block is its column "Sending requests" over its number of blocks.
constexpr double kPublishedHandshakeMs = 1380;
constexpr double kPublishedRequestMs = 680;
constexpr double kPublishedSigv4Ms = 2700;
constexpr double kPublishedCookieSeconds = 200;

/// ANDs that a connection garbled.
uint64_t garbled(const nlohmann::json& phases) {
  uint64_t ands = 0;
  (void)seconds_of(phases, {agent::phase::kGarble}, &ands);
  return ands;
}

/// What a byte of a request costs, from the circuits of two connections of the product.
void add_request_bytes(BenchReport& report, const nlohmann::json& member) {
  const auto add = [&](const char* name, const char* suite, const nlohmann::json& shorter,
                       const nlohmann::json& longer) {
    uint64_t rounds = 0;
    const double seconds = seconds_of(longer, {agent::phase::kTagAndSend}, nullptr, &rounds);
    report.figures[name] = {
        static_cast<double>(garbled(longer) - garbled(shorter)) / static_cast<double>(kMoreBytes),
        "AND/B", std::nullopt,
        fmt::format("{}: what {} bytes more add to the request circuit of a connection of the "
                    "product, keystream whole blocks. Tag and record of the longer request: {:.1f} "
                    "ms, {} waits for the other member",
                    suite, kMoreBytes, 1e3 * seconds, rounds)};
  };
  add("request_byte_ands", "TLS_AES_128_GCM_SHA256", member.at("short")[0], member.at("long")[0]);
  add("request_byte_ands_chacha20", "TLS_CHACHA20_POLY1305_SHA256", member.at("chacha20")[0],
      member.at("chacha20")[1]);
}

/// TLS_AES_256_GCM_SHA384: what a connection of the product garbles beside its request's record,
/// and what a record takes.
void add_sha384(BenchReport& report, const nlohmann::json& member) {
  const uint64_t ands_of_all = garbled(member.at("aes256")[0]);
  agent::RequestPlan plan;
  plan.bytes = kShortBytes;
  const uint64_t record = agent::later_request_program(plan, 1, circuits::aes256_gcm())->num_ands();
  const auto handshake = [](const Groups& groups) {
    return agent::count_handshake(tls::aes256_gcm_sha384(), groups, 2);
  };
  report.figures["handshake_sha384_ands"] = {
      static_cast<double>(ands_of_all - record), "AND", std::nullopt,
      fmt::format(
          "TLS_AES_256_GCM_SHA384, two members, every group offered: circuits of a "
          "connection of the product up to the keys, without the record of its request. "
          "With X25519 alone {}",
          ands_of_all - record - handshake(all_groups()) + handshake({NamedGroup::kX25519}))};
  plan.bytes = kShortBytes + kMoreBytes;
  const auto ands = [&](const circuits::GcmSuite& suite) {
    return static_cast<double>(agent::later_request_program(plan, 1, suite)->num_ands());
  };
  report.figures["record_sha384_per_128"] = {
      ands(circuits::aes256_gcm()) / ands(circuits::aes128_gcm()), "x", std::nullopt,
      fmt::format("ANDs of a record of {} bytes under TLS_AES_256_GCM_SHA384, those under "
                  "TLS_AES_128_GCM_SHA256 being 1",
                  plan.bytes)};
}

}  // namespace

Answers add_preprocessing(BenchReport& report, std::string_view name, MemberProcesses& members,
                          const Preprocessing& what) {
  Answers answers = members.run({{"do", "preprocess"},
                                 {"triples", what.triples},
                                 {"times", what.times},
                                 {"protocol", std::string(what.protocol)}});
  const std::vector<double> seconds = slowest(answers, "seconds");
  const auto rate = [&](double each) { return static_cast<double>(what.triples) / each; };
  report.figures[std::string(name)] = {
      rate(median(seconds)), "AND/s", std::nullopt,
      fmt::format("{} authenticated AND triples of {} members{}, wall time of the slowest, sending "
                  "and TLS included; median of {}. The first time, in memory that the processes "
                  "never touched before, {:.2f} million a second; in the protocol's thread {:.2f} "
                  "s on a core of {:.2f} s (medians)",
                  what.triples, answers.size(), what.unusual, what.times,
                  rate(seconds.front()) / 1e6, median(slowest(answers, "cpu")), median(seconds))};
  return answers;
}

void add_session_start(BenchReport& report, MemberProcesses& members, size_t times) {
  const Answers answers = members.run({{"do", "start"}, {"times", times}});
  report.figures["session_start_ms"] = {
      1e3 * median(slowest(answers, "seconds")), "ms", std::nullopt,
      fmt::format(
          "members who have met, nothing in stock: hello, keys of the session, the smallest "
          "batch of AND triples with `triples = \"masked\"` ({}), usable; {} waits for the "
          "other member, {:.1f} ms of the thread on its core; median of {}",
          answers.front().at("triples").get<size_t>(), answers.front().at("rounds").get<uint64_t>(),
          1e3 * median(slowest(answers, "cpu")), times)};
}

void add_engine(BenchReport& report, const Answers& both) {
  const size_t repetitions = both[0].at("engine").size();
  std::vector<double> garble, garble_cpu, evaluate;
  for (size_t k = 0; k < repetitions; ++k) {
    const Answers engines = {both[0].at("engine")[k], both[1].at("engine")[k]};
    const auto ands = engines[0].at("ands").get<double>();
    garble.push_back(ands / largest(engines, "garble"));
    garble_cpu.push_back(1e3 * largest(engines, "garble_cpu"));
    evaluate.push_back(ands / engines[0].at("evaluate").get<double>());
  }
  const uint64_t circuit_ands = both[0].at("engine")[0].at("ands");
  report.figures["garble_ands_per_s"] = {
      median(garble), "AND/s", std::nullopt,
      fmt::format("preparing the handshake circuit ({} ANDs) without making its authenticated bits "
                  "and triples: products, garbling, rows sent and received; wall time of the "
                  "slower member ({:.0f} ms of the thread on its core); median of {}",
                  circuit_ands, median(garble_cpu), repetitions)};
  report.figures["evaluate_ands_per_s"] = {
      median(evaluate), "AND/s", std::nullopt,
      fmt::format("the evaluator's local work on the handshake circuit ({} ANDs); median of {}",
                  circuit_ands, repetitions)};
}

/// What a connection garbles beside its request's record, what an empty client certificate adds to
/// it, and how much longer a service's own group makes the way to it.
void add_handshake_counts(BenchReport& report, const Answers& both) {
  const auto ands_of = [&](const char* name) { return garbled(both[0].at(name)[0]); };
  agent::RequestPlan plan;
  plan.bytes = kShortBytes;
  const uint64_t record = agent::later_request_program(plan, 1)->num_ands();
  report.figures["handshake_ands"] = {
      static_cast<double>(ands_of("short") - record), "AND", std::nullopt,
      fmt::format("TLS_AES_128_GCM_SHA256, two members, every group offered: circuits of a "
                  "connection of the product up to the keys, without the record of its request. "
                  "With X25519 alone {}",
                  ands_of("one_group") - record)};
  report.figures["client_flight_ands"] = {
      static_cast<double>(ands_of("client_auth") - ands_of("short")), "AND", std::nullopt,
      "what `client_auth = \"none\"` adds to them, whether or not the service asks: an empty "
      "certificate and Finished under keys that nobody has"};
  const nlohmann::json& retry = both[kBenchCourier].at("retry");
  const auto trips = [&](const char* group) { return retry.at(group).get<double>(); };
  report.figures["handshake_hrr_extra_rtt"] = {
      trips("P-256") - trips("X25519"), "round trips", std::nullopt,
      fmt::format("to OpenSSL's server that takes P-256 alone, whose key is not in the first hello "
                  "(HelloRetryRequest): {} until the answer is there, {} to one that takes X25519",
                  trips("P-256"), trips("X25519"))};
}

void add_connections(BenchReport& report, const Answers& both) {
  const std::initializer_list<std::string_view> handshake = {
      agent::phase::kEcdhe, agent::phase::kHandshakeKeys, agent::phase::kServerFlight,
      agent::phase::kRequest};
  const std::initializer_list<std::string_view> request = {agent::phase::kRequest,
                                                           agent::phase::kTagAndSend};
  const size_t repetitions = both[0].at("short").size();
  uint64_t ands = 0, rounds = 0;
  (void)seconds_of(both[0].at("short")[0], handshake, &ands, &rounds);
  std::vector<double> handshakes, of_one_group;
  // The least of several: what disturbs a run only adds to it, and this is a difference.
  double shorter = 1e9, longer = 1e9;
  for (size_t k = 0; k < repetitions; ++k) {
    double slower = 0, one_group = 0, of_short = 0, of_long = 0;
    for (const nlohmann::json& member : both) {
      slower = std::max(slower, seconds_of(member.at("short")[k], handshake));
      one_group = std::max(one_group, seconds_of(member.at("one_group")[k], handshake));
      of_short = std::max(of_short, seconds_of(member.at("short")[k], request));
      of_long = std::max(of_long, seconds_of(member.at("long")[k], request));
    }
    handshakes.push_back(1e3 * slower);
    of_one_group.push_back(1e3 * one_group);
    shorter = std::min(shorter, of_short);
    longer = std::min(longer, of_long);
  }
  report.figures["handshake_online_ms"] = {
      median(handshakes), "ms", kPublishedHandshakeMs,
      fmt::format("one connection of the product, from the server's hello to the ciphertext of the "
                  "shortest request: ECDHE (X25519), handshake keys, the server's flight and its "
                  "certificate checked, application keys, AES key schedule, hash key and seven "
                  "blocks of keystream; {} ANDs, {} waits for the other member; median of {}",
                  ands, rounds, repetitions)};
  report.figures["handshake_one_group_online_ms"] = {
      median(of_one_group), "ms", std::nullopt,
      fmt::format(
          "the same with X25519 alone in the hello and in the circuit, each behind one with "
          "every group; median of {}",
          repetitions)};
  add_handshake_counts(report, both);
  report.figures["request_224B_online_ms"] = {
      1e3 * (longer - shorter) * 224 / static_cast<double>(kMoreBytes), "ms", kPublishedRequestMs,
      fmt::format("224 bytes more in a request: a quarter of what {} bytes more add to key "
                  "schedule, ciphertext and tag of a connection; the least of {} each",
                  kMoreBytes, repetitions)};
  add_request_bytes(report, both[0]);
  add_sha384(report, both[0]);
}

void add_signatures(BenchReport& report, const Answers& both) {
  const std::initializer_list<std::string_view> request = {agent::phase::kRequest,
                                                           agent::phase::kTagAndSend};
  const size_t count = both[0].at("signatures").size();
  // The least of several, as for the request's bytes: a difference of two connections.
  double with = 1e9, without = 1e9;
  for (size_t k = 0; k < count; ++k) {
    double of_signed = 0, of_unsigned = 0;
    for (const nlohmann::json& member : both) {
      const nlohmann::json& pair = member.at("signatures")[k];
      of_signed = std::max(of_signed, seconds_of(pair.at("signed").at("phases"), request));
      of_unsigned = std::max(of_unsigned, seconds_of(pair.at("unsigned").at("phases"), request));
    }
    with = std::min(with, of_signed);
    without = std::min(without, of_unsigned);
  }
  const nlohmann::json& first = both[0].at("signatures")[0];
  const auto ands = [&](const char* which) { return first.at(which).at("ands").get<uint64_t>(); };
  report.figures["sigv4_online_ms"] = {
      1e3 * (with - without), "ms", kPublishedSigv4Ms,
      fmt::format("what a SigV4 signature with a shared signing key adds to the ciphertext and tag "
                  "of a request of equal length, both as `call` makes them; the service checked "
                  "the signature; {} ANDs more; the least of {} each",
                  ands("signed") - ands("unsigned"), count)};
}

void add_jwe(BenchReport& report, const Answers& both) {
  const nlohmann::json& one = both[0];
  report.figures["jwe_2048_offline_s"] = {
      largest(both, "prepare") + largest(both, "encrypt"), "s", std::nullopt,
      fmt::format(
          "RSA-OAEP-256 with A256GCM of 24 secret bytes under a key of 2048 bits that has "
          "just become known, nothing in stock: {} ANDs, {:.1f} MB each way; {:.2f} s until "
          "the powers of the factors are published, {:.2f} s from there to the text; "
          "in the protocol's thread {:.2f} s on a core. OpenSSL reads it. The connection itself "
          "waits for none of this; once",
          one.at("ands").get<uint64_t>(), 1e-6 * largest(both, "bytes"), largest(both, "prepare"),
          largest(both, "encrypt"), largest(both, "cpu"))};
}

void add_keep_cookie(BenchReport& report, MemberProcesses& members,
                     const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const nlohmann::json order = {{"do", "keep_cookie"},
                                {"folder", folder.string()},
                                {"ca_file", CookieService::make_certificate(folder).string()}};
  (void)members.run(order);
  const Answers both = members.run(order);
  const uint64_t ands = both[0].at("ands");
  report.figures["keep_cookie_4k_total_s"] = {
      largest(both, "total"), "s", kPublishedCookieSeconds,
      fmt::format(
          "a cookie kept out of a sealed answer of {} bytes, all of it header, so that every "
          "byte is decrypted and outlined inside: session, preprocessing, garbling ({} "
          "ANDs), TLS 1.3 connection to OpenSSL's server, request, answer; the cookie ends "
          "as authenticated bits of both members (published: the answers of sign-ins, from)",
          CookieService::kAnswerBytes, ands)};
  report.figures["keep_cookie_4k_online_s"] = {
      largest(both, "online"), "s", std::nullopt,
      fmt::format(
          "the same from where everything is prepared: connect, handshake, request, answer; "
          "{:.3f} s of it behind the release of the request, {:.3f} s of a member's core",
          largest(both, "answer"), largest(both, "online_cpu"))};
}

}  // namespace flexroom::bench
