#pragma once

#include <optional>

#include "net/tcp_mesh.h"
#include "support/tcp_members.h"

namespace flexroom::net {

inline Bytes pattern(size_t size, uint8_t seed) {
  Bytes out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(i * 7 + (i >> 11) + seed);
  return out;
}

template <typename Action>
std::optional<AbortCode> abort_of(Action action) {
  try {
    action();
  } catch (const ProtocolAbort& abort) {
    return abort.code();
  }
  return std::nullopt;
}

}  // namespace flexroom::net
