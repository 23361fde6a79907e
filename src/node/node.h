#pragma once

#include <filesystem>
#include <memory>

#include "node/api.h"
#include "node/console.h"
#include "node/core.h"
#include "node/http_server.h"
#include "node/listener.h"
#include "node/peer_link.h"
#include "node/runner.h"

namespace flexroom::node {

/// One member's resident node (members.md §8, 9.1; docs/node.md): links to the other members'
/// nodes, the control socket, and the runner that begins what all approved.
class Node {
 public:
  /// All is up when it returns. Throws InputError: a file is wrong, another node runs, an address
  /// is taken.
  explicit Node(const std::filesystem::path& member_file);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Takes no more proposals and begins no more runs; returns when the present one is over. What is
  /// signed is on disk already.
  void drain();
  /// Ends the present run at once, as Ctrl-C ends a command. Any thread.
  void cancel() { runner_->cancel(); }

 private:
  void tell_all();
  void open_console();
  Core core_;
  Listener listener_;
  Api::Links links_;
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<Console> console_;
};

/// The socket of the member's node, by member.toml.
std::filesystem::path socket_of(const MemberConfig& member);

}  // namespace flexroom::node
