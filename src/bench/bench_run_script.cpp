#include <fmt/core.h>
#include <sys/resource.h>

#include <map>
#include <stdexcept>

#include "agent/phases.h"
#include "bench/bench_session.h"
#include "call/run_script.h"

namespace flexroom::bench {
namespace {

/// A pre-signed URL as the SDKs write it; object name and signature are the private part.
PrivateUrl presigned_url(PartyId member, std::string_view object) {
  return split_private_url(
      fmt::format("https://member-{}.s3.us-east-1.amazonaws.com/{}?X-Amz-Algorithm=AWS4-HMAC-SHA256"
                  "&X-Amz-Credential=AKIA{:016d}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
                  "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
                  "&X-Amz-Signature={}",
                  member, object, member, std::string(64, 'b')),
      "bench");
}
PrivateUrl data_url(PartyId member) { return presigned_url(member, "data/cohort-2026-01.csv"); }
PrivateUrl result_url(PartyId member) { return presigned_url(member, "results/run-0001.json"); }

/// The same at every member: what is agreed is equal, and here nobody keeps anything from another.
/// The loader has a public place of its own: what a run costs hangs on that (tls-in-mpc.md §5.11).
OwnLinks bench_links(PartyId member) {
  Prg prg(Block(member, 1));
  return {data_url(member), result_url(member),
          split_private_url("https://joint-scripts.s3.amazonaws.com/loader-0001", "bench"), prg};
}

RunScriptTerms bench_terms(const std::string& access_key, size_t num_members, uint64_t run) {
  RunScriptTerms out;
  out.job.region = "us-east-1";
  out.job.image_id = "ami-0123456789abcdef0";
  out.job.instance_type = "t3.large";
  out.job.access_key_id = access_key;
  out.job.script_url = "https://scripts.s3.us-east-1.amazonaws.com/train.py";
  out.job.script_sha256 = std::string(64, 'a');
  out.client_token = fmt::format("8e81973e-0bec-47b0-b898-{:012}", run);
  for (PartyId i = 0; i < num_members; ++i) {
    out.links.push_back(bench_links(i).public_part(fmt::format("member-{}", i)));
  }
  return out;
}

/// By the first part of a message's label.
std::map<std::string, uint64_t> bytes_by_protocol(const net::Traffic& traffic) {
  std::map<std::string, uint64_t> out;
  for (const auto& [label, bytes] : traffic.bytes_sent_by_label) {
    out[label.substr(0, label.find('/'))] += bytes;
  }
  return out;
}

}  // namespace

struct BenchRunScript::State {
  State(BenchRoom& of, const nlohmann::json& order)
      : room(of),
        party(*of.party),
        service(order.at("service")),
        run(order.at("run")),
        triples(bench_triples(order.at("protocol").get<std::string>())),
        timeline(party) {}

  BenchRoom& room;
  net::Party& party;
  const BenchService service;
  const uint64_t run;
  const prep::TripleParameters triples;
  agent::Timeline timeline;
  std::unique_ptr<BenchSession> session;
  std::unique_ptr<RunScriptCall> call;
  double cpu = 0;
  net::Traffic before;  // what was sent before the run
};

BenchRunScript::BenchRunScript(BenchRoom& room, const nlohmann::json& order)
    : state_(std::make_unique<State>(room, order)) {}
BenchRunScript::~BenchRunScript() = default;

nlohmann::json BenchRunScript::prepare() {
  State& s = *state_;
  meet(s.party);
  s.cpu = process_cpu_seconds();
  s.before = s.party.traffic();
  const auto start = BenchClock::now();
  s.timeline.begin("session and circuits");
  s.session = std::make_unique<BenchSession>(s.room, s.triples);
  std::vector<uint8_t> bits;
  for (const char c : s.service.secret_key) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(uint8_t(c) >> b & 1));
  }
  const prep::AuthBits key = s.session->source.owned_bits_of(0, bits.size(), bits);
  const agent::ConnectionConfig config = s.service.connection();
  const PartyId self = s.party.id();
  const RunScriptTerms terms = bench_terms(s.service.access_key, s.party.num_parties(), s.run);
  const ConnectionShape shape{config.suite, config.groups, s.party.num_parties()};
  const std::shared_ptr<const RunScriptLayout> layout = lay_out_run_script(terms, shape);
  s.call = std::make_unique<RunScriptCall>(
      s.session->context(), terms, config,
      bench_links(self).private_part(carrier_of(terms.links) == self), layout);
  const uint64_t triples = run_script_cost(*layout, shape).total();
  s.timeline.begin(agent::phase::kTriples, triples);
  s.session->engines->reserve_triples(triples);
  s.call->prepare(key, s.timeline);
  s.timeline.end();
  return {{"seconds", seconds_since(start)}};
}

nlohmann::json BenchRunScript::call() {
  State& s = *state_;
  meet(s.party);
  const auto start = BenchClock::now();
  const RunScriptResult result = s.call->call(s.service.connect(), s.timeline);
  const double seconds = seconds_since(start);
  if (result.status != 200 || result.instance_id.empty()) {
    throw std::runtime_error(fmt::format("bench: RunInstances was refused: {} {} {}", result.status,
                                         result.error_code, result.error_message));
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const net::Traffic sent = s.party.traffic().since(s.before);
  nlohmann::json out = {{"seconds", seconds},
                        {"cpu", process_cpu_seconds() - s.cpu},
                        {"bytes", sent.bytes_sent},
                        {"bytes_of", bytes_by_protocol(sent)},
                        {"rss_mib", static_cast<double>(usage.ru_maxrss) / 1024},
                        {"faults", usage.ru_minflt},
                        {"ands", s.call->num_ands()},
                        {"request_bytes", s.call->request_bytes()},
                        {"phases", phases_of(s.timeline)}};
  meet(s.party);  // nobody goes on before the others have read everything
  return out;
}

}  // namespace flexroom::bench
