#include "net/address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

#include "base/bytes.h"

namespace flexroom::net {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

}  // namespace

std::string SocketAddress::text() const {
  char host[NI_MAXHOST] = {}, port[NI_MAXSERV] = {};
  const int error = getnameinfo(get(), size, host, sizeof host, port, sizeof port,
                                NI_NUMERICHOST | NI_NUMERICSERV);
  return error == 0 ? std::string(host) + ":" + port : "unknown address";
}

std::string SocketAddress::key() const {
  if (family() == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(&storage);
    return to_hex({reinterpret_cast<const uint8_t*>(&four->sin_addr), sizeof(in_addr)});
  }
  const auto* six = reinterpret_cast<const sockaddr_in6*>(&storage);
  const uint8_t* host = six->sin6_addr.s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) return to_hex({host + 12, 4});
  return to_hex({host, 8});
}

bool SocketAddress::is_loopback() const {
  if (family() == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(&storage);
    return ntohl(four->sin_addr.s_addr) >> 24 == 127;
  }
  return family() == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr);
}

Resolved resolve(const std::string& host, uint16_t port, bool for_listening) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (for_listening ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  Resolved out;
  const int error = getaddrinfo(for_listening && host.empty() ? nullptr : host.c_str(),
                                std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    out.problem = gai_strerror(error);
    return out;
  }
  const AddressList list(found, &::freeaddrinfo);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    SocketAddress& address = out.addresses.emplace_back();
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.size = a->ai_addrlen;
  }
  return out;
}

bool is_address(const std::string& host) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  freeaddrinfo(found);
  return true;
}

bool means_this_machine(const std::string& host) {
  return host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") ||
         host == "::1";
}

}  // namespace flexroom::net
