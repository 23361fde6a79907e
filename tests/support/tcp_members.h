#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "net/tcp_mesh.h"

namespace flexroom::support {

/// A listening socket on a free loopback port.
inline std::pair<int, uint16_t> listen_on_loopback() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  FLEXROOM_ASSERT(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  FLEXROOM_ASSERT(listen(fd, 256) == 0);
  FLEXROOM_ASSERT(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return {fd, ntohs(address.sin_port)};
}

inline int connect_to_loopback(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

/// n members on loopback: identities, listening sockets, and the configuration of each.
struct TcpMembers {
  explicit TcpMembers(size_t n) {
    net::MeshConfig config;
    config.connect_timeout = std::chrono::seconds(20);
    config.receive_timeout = std::chrono::seconds(20);
    config.limits.linger = std::chrono::seconds(1);
    std::vector<int> sockets;
    for (size_t i = 0; i < n; ++i) {
      identities.push_back(net::Identity::make("member " + std::to_string(i + 1)));
      const auto [fd, port] = listen_on_loopback();
      sockets.push_back(fd);
      config.members.push_back(
          {identities[i].name(), "127.0.0.1", port, identities[i].fingerprint()});
    }
    for (size_t i = 0; i < n; ++i) {
      config.self = static_cast<PartyId>(i);
      config.listen_socket = sockets[i];
      configs.push_back(config);
    }
  }

  std::unique_ptr<net::TcpMesh> join(PartyId i) {
    return net::TcpMesh::join(configs[i], identities[i]);
  }
  /// All members, in threads of their own.
  std::vector<std::unique_ptr<net::TcpMesh>> join_all() {
    std::vector<std::unique_ptr<net::TcpMesh>> meshes(configs.size());
    std::vector<std::thread> threads;
    for (PartyId i = 0; i < configs.size(); ++i) {
      threads.emplace_back([&, i] { meshes[i] = join(i); });
    }
    for (auto& thread : threads) thread.join();
    return meshes;
  }

  std::vector<net::Identity> identities;
  std::vector<net::MeshConfig> configs;
};

}  // namespace flexroom::support
