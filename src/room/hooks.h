#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "net/party.h"

namespace flexroom::room {

/// For tests, which run operations in processes of their own and watch, alter or end them.
struct Hooks {
  std::function<void(std::string_view step)> fault;  // as in session::MemberState
  std::function<void(net::Party&)> connected;        // all members are there, nothing was sent
  std::function<int64_t()> clock;  // of flows, in Unix seconds; empty: this machine's
};

}  // namespace flexroom::room
