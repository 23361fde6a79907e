#pragma once

#include <cstdint>
#include <string_view>

namespace flexroom::tls {

/// Who may read the answers of a connection, for its whole life (tls-in-mpc.md §4.6, R2-1).
enum class ReceiveMode : uint8_t {
  kOpen,    // every member reads everything
  kSealed,  // nobody does; values are selected and kept inside
};

/// As `provider.NAME.receive` writes it.
constexpr std::string_view to_string(ReceiveMode mode) {
  return mode == ReceiveMode::kOpen ? "open" : "sealed";
}

}  // namespace flexroom::tls
