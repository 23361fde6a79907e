#include "bench/bench_members.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <stdexcept>

namespace flexroom::bench {
namespace {

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

}  // namespace

double thread_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  FLEXROOM_ASSERT(!values.empty());
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

LoopbackMembers::LoopbackMembers() {
  net::MeshConfig config;
  config.connect_timeout = std::chrono::seconds(60);
  config.receive_timeout = std::chrono::seconds(120);
  std::vector<int> sockets;
  for (size_t i = 0; i < kBenchMembers; ++i) {
    identities_.push_back(net::Identity::make("bench " + std::to_string(i + 1)));
    const auto [fd, port] = listen_on_loopback();
    sockets.push_back(fd);
    config.members.push_back(
        {identities_[i].name(), "127.0.0.1", port, identities_[i].fingerprint()});
  }
  for (PartyId i = 0; i < kBenchMembers; ++i) {
    config.self = i;
    config.listen_socket = sockets[i];
    configs_.push_back(config);
  }
}

LoopbackMembers::~LoopbackMembers() {
  for (const net::MeshConfig& config : configs_) {
    if (config.listen_socket >= 0) ::close(config.listen_socket);
  }
}

std::unique_ptr<net::Party> LoopbackMembers::join(PartyId self) {
  const net::MeshConfig config = configs_[self];
  configs_[self].listen_socket = -1;
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

bool pin_to_core(size_t index) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  if (cores.size() < kBenchMembers) return false;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cores[index], &one);
  return sched_setaffinity(0, sizeof one, &one) == 0;
}

void meet(net::Party& party) { (void)party.exchange("bench/meet", Bytes(1)); }

}  // namespace flexroom::bench
