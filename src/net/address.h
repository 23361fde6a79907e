#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

namespace flexroom::net {

/// An address and port as the system's calls take it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  /// "192.0.2.1:443"
  std::string text() const;
  /// What one sender of connections can easily have many of counts as one: an IPv4 address, or an
  /// IPv6 /64.
  std::string key() const;
  bool is_loopback() const;
};

struct Resolved {
  std::vector<SocketAddress> addresses;  // in the system's order of preference
  std::string problem;                   // why there is none; empty otherwise
};

/// The addresses of `host` for TCP; of an empty one for listening, of this machine. May wait for a
/// name server.
Resolved resolve(const std::string& host, uint16_t port, bool for_listening = false);

/// No name that somebody would have to be asked for.
bool is_address(const std::string& host);

/// A name that is there for this machine only: listening there, no other machine reaches us.
bool means_this_machine(const std::string& host);

}  // namespace flexroom::net
