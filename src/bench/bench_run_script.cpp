#include <fmt/core.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "bench/bench_figures.h"
#include "call/run_script.h"
#include "net/tcp_stream.h"
#include "prep/memory_safety.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"

namespace flexroom::bench {
namespace {

class MemoryJournal final : public agent::Journal {
 public:
  void mark(std::string_view kind, ByteView id) override {
    if (!marks_.insert(std::string(kind) + to_hex(id)).second) {
      throw ProtocolAbort(AbortCode::kReuse, kind, "marked already");
    }
  }

 private:
  std::set<std::string> marks_;
};

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
OwnLinks bench_links(PartyId member) {
  Prg prg(Block(member, 1));
  return {data_url(member), result_url(member),
          split_private_url("https://joint-scripts.s3.amazonaws.com/loader-0001", "bench"), prg};
}

RunScriptTerms bench_terms(const std::string& access_key) {
  RunScriptTerms out;
  out.job.region = "us-east-1";
  out.job.image_id = "ami-0123456789abcdef0";
  out.job.instance_type = "t3.large";
  out.job.access_key_id = access_key;
  out.job.script_url = "https://scripts.s3.us-east-1.amazonaws.com/train.py";
  out.job.script_sha256 = std::string(64, 'a');
  out.client_token = "8e81973e-0bec-47b0-b898-d190f9ebdacc";
  for (PartyId i = 0; i < kBenchMembers; ++i) {
    out.links.push_back(bench_links(i).public_part(fmt::format("member-{}", i)));
  }
  return out;
}

struct Order {
  uint16_t port = 0;
  std::string ca_file, access_key, secret_key;  // the sandbox's own, nobody's secret
};

double process_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

nlohmann::json run_member(LoopbackMembers& members, PartyId self, const Order& order) {
  pin_to_core(self);
  const std::unique_ptr<net::Party> mesh = members.join(self);
  net::Party& party = *mesh;
  const prep::EpochState epoch = prep::setup_epoch(party, members.epoch_parameters());

  meet(party);
  const double cpu = process_cpu_seconds();
  const auto start = BenchClock::now();
  prep::session_hello(party, epoch);
  prep::MemorySafety safety;
  prep::SessionPrep source(party, epoch, safety);
  arith::ArithEngine arith(party, source);
  boolean::Engine engine(party, source);
  MemoryJournal journal;
  std::vector<uint8_t> bits;
  for (const char c : order.secret_key) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(uint8_t(c) >> b & 1));
  }
  const prep::AuthBits key = source.owned_bits_of(0, bits.size(), bits);

  agent::ConnectionConfig config;
  config.host = kBenchHost;
  config.courier = kBenchCourier;
  config.handshake =
      tls::handshake_config({config.host, tls::TrustStore::from_files({order.ca_file}, "sandbox"),
                             [] { return std::chrono::system_clock::now(); }, std::nullopt});
  const RunScriptTerms terms = bench_terms(order.access_key);
  const std::shared_ptr<const RunScriptLayout> layout = lay_out_run_script(terms);
  RunScriptCall call({party, source, arith, engine, journal}, terms, config,
                     bench_links(self).private_part(carrier_of(terms.links) == self), layout);
  agent::Timeline timeline(party);
  const uint64_t triples = run_script_cost(*layout, config.group, party.num_parties()).total();
  timeline.begin("make AND triples", triples);
  source.stock_triples(triples);
  call.prepare(key, timeline);
  meet(party);
  const auto warm_start = BenchClock::now();
  const RunScriptResult result =
      call.call([&] { return net::connect_tcp("127.0.0.1", order.port, std::chrono::seconds(20)); },
                timeline);
  const double warm = seconds_since(warm_start), cold = seconds_since(start);
  const double cpu_used = process_cpu_seconds() - cpu;
  if (result.status != 200 || result.instance_id.empty()) {
    throw std::runtime_error(fmt::format("bench: RunInstances was refused: {} {} {}", result.status,
                                         result.error_code, result.error_message));
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  nlohmann::json out = {{"cold", cold},
                        {"warm", warm},
                        {"cpu", cpu_used},
                        {"rss_mib", static_cast<double>(usage.ru_maxrss) / 1024},
                        {"ands", call.num_ands()},
                        {"request_bytes", call.request_bytes()},
                        {"phases", nlohmann::json::array()}};
  for (const auto& phase : timeline.phases()) out["phases"].push_back({phase.name, phase.seconds});
  meet(party);  // nobody closes the mesh before the other has read everything
  return out;
}

std::string read_all(int fd) {
  std::string out;
  char buffer[4096];
  while (true) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return out;
    out.append(buffer, static_cast<size_t>(n));
  }
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the reader is gone; it finds out by itself
    text.remove_prefix(static_cast<size_t>(n));
  }
}

[[noreturn]] void child_main(LoopbackMembers& members, PartyId self, int parent) {
  nlohmann::json answer;
  try {
    const std::string text = read_all(parent);
    if (text.empty()) _exit(1);  // the parent gave up
    const nlohmann::json order = nlohmann::json::parse(text);
    answer = run_member(
        members, self,
        {order.at("port"), order.at("ca_file"), order.at("access_key"), order.at("secret_key")});
  } catch (const std::exception& error) {
    answer = {{"error", error.what()}};
  }
  write_all(parent, answer.dump());
  _exit(0);
}

}  // namespace

RunScriptMembers::RunScriptMembers() {
  LoopbackMembers members;
  for (PartyId i = 0; i < kBenchMembers; ++i) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw std::runtime_error("bench: no socket pair");
    }
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("bench: cannot fork");
    if (pid == 0) {
      // A child waits for the end of its order: no other process may hold that socket open.
      ::close(ends[0]);
      for (const Child& other : children_) ::close(other.socket);
      child_main(members, i, ends[1]);
    }
    ::close(ends[1]);
    children_.push_back({pid, ends[0]});
  }
}

void RunScriptMembers::release(Child& child) {
  if (child.socket >= 0) ::close(child.socket);
  child.socket = -1;
  if (child.pid > 0) {
    ::kill(child.pid, SIGKILL);  // done, or of no use any more
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  child.pid = -1;
}

RunScriptMembers::~RunScriptMembers() {
  for (Child& child : children_) release(child);
}

RunScriptFigures RunScriptMembers::run(const cloud::Sandbox& sandbox,
                                       const cloud::AccountKey& account) {
  const nlohmann::json order = {{"port", sandbox.port()},
                                {"ca_file", sandbox.ca_file().string()},
                                {"access_key", account.access_key_id},
                                {"secret_key", account.secret_access_key}};
  for (Child& child : children_) {
    write_all(child.socket, order.dump());
    ::shutdown(child.socket, SHUT_WR);
  }
  RunScriptFigures out;
  std::string problem;
  for (Child& child : children_) {
    const auto answer = nlohmann::json::parse(read_all(child.socket), nullptr, false);
    release(child);
    if (!answer.is_object() || answer.contains("error")) {
      problem += fmt::format("{}\n", answer.is_object() ? answer["error"].get<std::string>()
                                                        : "a member's process died");
      continue;
    }
    out.cold_seconds = std::max(out.cold_seconds, answer.at("cold").get<double>());
    out.warm_seconds = std::max(out.warm_seconds, answer.at("warm").get<double>());
    out.peak_rss_mib = std::max(out.peak_rss_mib, answer.at("rss_mib").get<double>());
    out.cpu_seconds = std::max(out.cpu_seconds, answer.at("cpu").get<double>());
    out.ands = answer.at("ands");
    out.request_bytes = answer.at("request_bytes");
    if (out.phases.empty()) answer.at("phases").get_to(out.phases);
  }
  if (!problem.empty()) throw std::runtime_error(problem);
  return out;
}

}  // namespace flexroom::bench
