#pragma once

#include <cstdint>
#include <string_view>

namespace flexroom::tls {

/// What a service gets that asks for a client certificate (tls-complete.md §4.2).
enum class ClientAuth : uint8_t {
  kRefuse,  // nothing: the connection ends before a request
  kNone,    // an empty Certificate, made inside MPC beside the client's Finished
};

/// As `provider.NAME.client_auth` writes it.
constexpr std::string_view to_string(ClientAuth auth) {
  return auth == ClientAuth::kRefuse ? "refuse" : "none";
}

}  // namespace flexroom::tls
