#include "bench/bench_members.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/block.h"

namespace flexroom::bench {
namespace {

double clock_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// One line; empty when the other end is gone.
std::string read_line(int fd) {
  std::string out;
  char c = 0;
  while (true) {
    const ssize_t n = ::read(fd, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    if (c == '\n') return out;
    out.push_back(c);
  }
}

void write_line(int fd, const nlohmann::json& value) {
  const std::string line = value.dump() + "\n";
  std::string_view text = line;
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the reader is gone; it finds out by itself
    text.remove_prefix(static_cast<size_t>(n));
  }
}

[[noreturn]] void child_main(const LoopbackMembers& members, PartyId self,
                             const MakeBenchMember& make, int parent) {
  std::unique_ptr<BenchMember> member;
  while (true) {
    const std::string line = read_line(parent);
    if (line.empty()) _exit(0);
    nlohmann::json answer;
    try {
      if (member == nullptr) {
        pin_to_core(self, members.size());
        keep_freed_memory();  // as the product does
        member = make(members, self);
      }
      answer = member->run(nlohmann::json::parse(line));
    } catch (const std::exception& error) {
      answer = {{"error", fmt::format("member {}: {}", self + 1, error.what())}};
    }
    write_line(parent, answer);
    if (answer.contains("error")) _exit(1);
  }
}

}  // namespace

double thread_cpu_seconds() { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }
double process_cpu_seconds() { return clock_seconds(CLOCK_PROCESS_CPUTIME_ID); }

double median(std::vector<double> values) {
  FLEXROOM_ASSERT(!values.empty());
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::pair<int, uint16_t> listen_on_loopback() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (fd < 0 || ::bind(fd, generic, size) != 0 || ::listen(fd, 16) != 0 ||
      ::getsockname(fd, generic, &size) != 0) {
    throw std::runtime_error("bench: cannot listen on loopback");
  }
  return {fd, ntohs(address.sin_port)};
}

LoopbackMembers::LoopbackMembers(size_t n) {
  for (size_t i = 0; i < n; ++i) {
    identities_.push_back(net::Identity::make("bench " + std::to_string(i + 1)));
    const auto [fd, port] = listen_on_loopback();
    listeners_.push_back(fd);
    members_.push_back({identities_[i].name(), "127.0.0.1", port, identities_[i].fingerprint()});
  }
}

LoopbackMembers::~LoopbackMembers() {
  for (const int fd : listeners_) ::close(fd);
}

std::unique_ptr<net::Party> LoopbackMembers::join(PartyId self, const std::vector<uint16_t>& ports,
                                                  net::PairKeys* keys) const {
  FLEXROOM_ASSERT(ports.size() == size());
  net::MeshConfig config;
  config.connect_timeout = std::chrono::seconds(60);
  config.receive_timeout = std::chrono::seconds(120);
  config.members = members_;
  config.self = self;
  config.pair_keys = keys;
  for (PartyId j = 0; j < self; ++j) config.members[j].port = ports[j];
  config.listen_socket = ::fcntl(listeners_[self], F_DUPFD_CLOEXEC, 0);  // the join takes it over
  return std::make_unique<net::Party>(net::TcpMesh::join(config, identities_[self]),
                                      Prg::from_system());
}

prep::EpochParameters LoopbackMembers::epoch_parameters() const {
  prep::EpochParameters out;
  for (const net::Identity& identity : identities_) {
    out.identities.emplace_back(identity.fingerprint().begin(), identity.fingerprint().end());
  }
  return out;
}

void pin_to_core(size_t index, size_t members) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  if (cores.size() < members) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cores[index], &one);
  (void)sched_setaffinity(0, sizeof one, &one);
}

void meet(net::Party& party) { (void)party.exchange("bench/meet", Bytes(1)); }

MemberProcesses::MemberProcesses(size_t n, const MakeBenchMember& make) : members_(n) {
  for (PartyId i = 0; i < n; ++i) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw std::runtime_error("bench: no socket pair");
    }
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("bench: cannot fork");
    if (pid == 0) {
      // The end of the parent must be the end of a child: no other process may hold its socket.
      ::close(ends[0]);
      for (const Child& other : children_) ::close(other.socket);
      child_main(members_, i, make, ends[1]);
    }
    ::close(ends[1]);
    children_.push_back({pid, ends[0]});
  }
}

void MemberProcesses::release(Child& child) {
  if (child.socket >= 0) ::close(child.socket);
  child.socket = -1;
  if (child.pid > 0) {
    ::kill(child.pid, SIGKILL);  // done, or of no use any more
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  child.pid = -1;
}

MemberProcesses::~MemberProcesses() {
  for (Child& child : children_) release(child);
}

std::vector<nlohmann::json> MemberProcesses::run(const nlohmann::json& order) {
  for (const Child& child : children_) write_line(child.socket, order);
  std::vector<nlohmann::json> answers;
  std::string problem;
  for (Child& child : children_) {
    answers.push_back(nlohmann::json::parse(read_line(child.socket), nullptr, false));
    const nlohmann::json& answer = answers.back();
    if (answer.is_object() && !answer.contains("error")) continue;
    problem += fmt::format("{}\n", answer.is_object() ? answer["error"].get<std::string>()
                                                      : "bench: a member's process died");
  }
  if (!problem.empty()) throw std::runtime_error(problem);
  return answers;
}

}  // namespace flexroom::bench
