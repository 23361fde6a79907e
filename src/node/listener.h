#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agreement/configuration.h"
#include "base/fd.h"
#include "net/tcp_mesh.h"

namespace flexroom::node {

/// Connections that wait to be taken by a mesh (net::IncomingConnections): at most so many, each
/// for so long; of more, the oldest go.
class WaitingConnections final : public net::IncomingConnections {
 public:
  static constexpr size_t kMost = 64;
  static constexpr std::chrono::seconds kLongest{20};

  WaitingConnections();
  Fd take() override;
  int event() const override { return event_.get(); }
  void put(Fd connection);
  /// Those that waited too long, or have ended; true if one is left.
  bool tidy();
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    Fd fd;
    Clock::time_point since;
  };
  std::mutex mutex_;
  Fd event_;
  std::deque<Waiting> waiting_;
};

/// The member's one listening address, and what each connection is for: statements (it says so
/// before TLS) or a session of all members (it begins with TLS). Nothing is known of who connects:
/// the mesh that takes it asks for the member's certificate, and the two purposes cannot be taken
/// for each other, since their meshes differ in what must be equal (MeshConfig::room_digest).
///
/// Bounds  so many connections that have not said what they are for, of one address and together,
///         each for three seconds; then those of WaitingConnections
class Listener {
 public:
  static constexpr size_t kMostUnsorted = 128, kMostUnsortedOfAddress = 32;

  /// A peer's first bytes, before TLS, of a connection for statements; `author` is who connects.
  static Bytes preamble(const agreement::MemberId& author);

  /// `socket` listens already and is taken over. `peers`: whose statements may come.
  Listener(Fd socket, const std::vector<agreement::MemberId>& peers);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  WaitingConnections& of_sessions() { return sessions_; }
  WaitingConnections& of_peer(const agreement::MemberId& peer) { return *peers_.at(peer); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Unsorted {
    Fd fd;
    std::string address;
    Clock::time_point deadline;
  };
  void run();
  void accept_all();
  /// True once it is sorted or dropped.
  bool sort(Unsorted& one);

  Fd socket_, stop_;
  std::list<Unsorted> unsorted_;
  Clock::time_point next_accept_{};
  WaitingConnections sessions_;
  std::map<agreement::MemberId, std::unique_ptr<WaitingConnections>> peers_;
  std::thread thread_;
};

/// A socket that listens on HOST:PORT; InputError says what is in the way.
Fd listen_on(const std::string& host, uint16_t port);

}  // namespace flexroom::node
