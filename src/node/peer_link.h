#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "agreement/configuration.h"
#include "net/tcp_mesh.h"
#include "node/listener.h"
#include "node/pace.h"

namespace flexroom::node {

/// Forms of the exchange that this program speaks: of two nodes, the newest that both do
/// (members.md §5.2). N talks to N-1.
inline constexpr uint16_t kExchangeNewest = 1, kExchangeOldest = 1;

/// First message each way on a link.
struct LinkHello {
  uint16_t oldest = kExchangeOldest, newest = kExchangeNewest;
  std::string program;  // version, as people name it; compared with nothing
  Digest room{};        // rid
  agreement::MemberId member{};
  uint32_t incarnation = 0;
  uint64_t session = 0;  // counter of once.db
  uint64_t now = 0;      // seconds since 1970

  Bytes encode() const;
  /// Throws ProtocolAbort(kBadFrame). Of a newer form the beginning alone is read.
  static LinkHello decode(ByteView bytes, PartyId peer);
};

/// What a link does with what comes. Called by the link's threads, one at a time a link; of several
/// links at the same time.
class LinkWork {
 public:
  virtual ~LinkWork() = default;
  virtual LinkHello hello() = 0;
  /// Throws ProtocolAbort where this peer is not spoken to.
  virtual void heard_hello(const agreement::MemberId& peer, const LinkHello& hello) = 0;
  virtual Bytes heads() = 0;
  /// What to ask that peer for; empty: nothing.
  virtual Bytes missing(const agreement::MemberId& peer, ByteView heads) = 0;
  virtual Bytes give(const agreement::MemberId& peer, ByteView missing) = 0;
  /// Returns whether anything new was taken.
  virtual bool take(const agreement::MemberId& peer, ByteView bundle) = 0;
  /// That peer asks for a session of all.
  virtual void asked_to_meet(const agreement::MemberId& peer) = 0;
  /// Its state changed: up, or down with a reason.
  virtual void link_changed(const agreement::MemberId& peer) = 0;
};

/// The link to one peer over which statements go, for as long as the node lives: mutually
/// authenticated as every mesh link, made again when it ends, kept up by a message every half
/// minute.
///
/// Bounds   frames of 9 MiB; so many messages a second, else the peer waits (Pace) and is named; a
///          link that is silent for 100 seconds is over; after a failure 1, 2, 4 .. 30 seconds
class PeerLink {
 public:
  struct Settings {
    net::MeshMember self, peer;
    agreement::MemberId self_id{}, peer_id{};
    bool connects = false;  // to a peer that is before us in the room; the other one waits
    Digest room{};
  };
  PeerLink(Settings settings, const net::Identity& identity, WaitingConnections& incoming,
           LinkWork& work);
  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  /// Begins; stop() ends for good.
  void start();
  void stop();
  /// There is something new here: the peer is told where our chains end.
  void tell_heads();
  void ask_to_meet();
  struct State {
    bool up = false;
    int64_t since = 0;        // Unix seconds, of the change
    std::string problem;      // of a link that is down
    std::string program;      // of the peer
    int64_t clock_ahead = 0;  // of its clock before ours, seconds, when it said hello
    uint64_t held_back = 0;   // messages that came faster than they may
  };
  State state();

 private:
  using Clock = std::chrono::steady_clock;
  void run();
  std::unique_ptr<net::TcpMesh> connect();
  void serve(net::TcpMesh& mesh);
  void write(net::TcpMesh& mesh);
  void heard(net::TcpMesh& mesh, Bytes frame);
  void send(net::TcpMesh& mesh, uint8_t kind, ByteView body);
  void set_down(const std::string& problem);
  bool pause(std::chrono::milliseconds time);

  const Settings settings_;
  const net::Identity& identity_;
  WaitingConnections& incoming_;
  LinkWork& work_;
  net::PairKeys pair_keys_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  State state_;
  bool heads_due_ = false, meet_due_ = false, ended_ = false;
  std::vector<std::pair<uint8_t, Bytes>> replies_;
  Pace pace_{20, 200};
  Bytes peers_heads_;  // the newest that came
  std::thread thread_;
};

}  // namespace flexroom::node
