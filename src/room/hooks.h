#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "agreement/proposal.h"
#include "base/hash.h"
#include "net/party.h"
#include "net/tcp_mesh.h"

namespace flexroom::room {

/// For tests, which run operations in processes of their own and watch, alter or end them, and for
/// the resident node (node/runner.h), whose sessions begin with START.
struct Hooks {
  std::function<void(std::string_view step)> fault;  // as in session::MemberState
  std::function<void(net::Party&)> connected;        // all members are there, nothing was sent
  std::function<int64_t()> clock;  // of flows, in Unix seconds; empty: this machine's

  /// Connections of the other members, from whoever listens for them; null: the session listens.
  net::IncomingConnections* incoming = nullptr;
  /// The members agreed on what runs before this operation began (members.md §8.2), and START
  /// stands in the log: nobody is asked to sign again.
  struct Begun {
    Digest complete{};  // D
    /// The operation's own proposal, as it stands in the one that was approved: must have its
    /// digest, `proposal`.
    Digest proposal{};
    std::function<agreement::Proposal(const agreement::Proposal&)> framed;
    /// Before the own share of a request's release, each time; throws if nothing may leave.
    std::function<void()> before_release;
  };
  const Begun* begun = nullptr;
};

}  // namespace flexroom::room
