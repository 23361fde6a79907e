#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/pair_key.h"
#include "net/tcp_mesh.h"
#include "net/tls_context.h"

namespace flexroom::net {

/// A connected socket as links are: not blocking, not inherited, no delay, and a peer that is gone
/// is noticed.
void tune_connection(int fd);

struct JoinedPeer {
  PartyId id = 0;
  OpensslPtr<SSL> ssl;
  Socket socket;
  SigningKey signing_key{};
};

/// Brings up the links of TcpMesh::join: one poll loop over the listening socket, the handshakes
/// that came in and the connections to lower ids, so that nobody who is slow holds up the others.
///
/// Strangers   Every connection is taken at once. Until its certificate is a member's it may be
///             dropped for a newer one: when its address holds too many, or all together do. The
///             one that did least goes first (said nothing, before began its handshake), of equals
///             the oldest. So a member, whose handshake takes two round trips, gets through however
///             many sockets others hold or reopen; what has said nothing costs a descriptor and no
///             TLS state
/// Order       Who listens for whom follows from the order of the members, and where it is another
///             one elsewhere, all may wait or all may connect. So a member that is missing for long
///             is asked as well by whom it should connect to, and who has nobody to wait for
///             listens then too: the hellos name the difference. Such a connection is no link
/// Pair key    A connection whose ends proved their certificates carries hellos and the making of a
///             pair key (tls-complete.md §2.2a), and ends; the link is one that the pair key
///             authenticates. Who connects offers the key it has, and who does not know it answers
///             with its certificate: both make a new one
class MeshJoin {
 public:
  MeshJoin(const MeshConfig& config, const Identity& identity);
  std::vector<JoinedPeer> run();

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kHandshakeTimeout{10000};

  /// One connection on its way: TCP, TLS, then messages of fixed length each way: a hello; beside
  /// certificates also a public key and the answer to the other's.
  struct Attempt {
    enum class State { kConnecting, kSilent, kHandshake, kHello, kDone, kFailed };
    enum class Message { kHello, kPublicKey, kAnswer };
    State state = State::kConnecting;
    Message awaits = Message::kHello;
    bool ready = true;  // something happened at its socket
    bool inbound = false;
    bool asks = false;  // about the order only
    PartyId peer = 0;   // of an inbound one: known after the handshake
    Socket socket;
    PeerCheck check;
    std::optional<PeerProof> proof;  // after the handshake
    SigningKey signing_key{};        // the peer's, then
    OpensslPtr<SSL> ssl;
    std::unique_ptr<PairKeyExchange> exchange;  // of a connection that makes a pair key
    Bytes sent, received;
    size_t sent_bytes = 0;
    Clock::time_point deadline;
    std::string from;     // remote address and port
    std::string address;  // what is counted together: an IPv4 address, or an IPv6 /64
    std::string problem;
    short wants = 0;  // poll events
  };
  struct Slot {
    std::unique_ptr<Attempt> link;      // done
    std::unique_ptr<Attempt> outbound;  // on its way, to a lower id
    Clock::time_point next_try;
    size_t tries = 0;
    size_t keys_made = 0;  // on connections of ours
    std::string problem;
  };

  void open_listener();
  void listen();
  void ask_about_order();
  void accept_all();
  void accept_given();
  void admit(Socket socket, const SocketAddress& address);
  void start_connecting(PartyId peer);
  void drive(Attempt& attempt);
  void make_room(const std::string& address);
  void drop(Attempt& attempt, std::string problem);
  bool drive_connect(Attempt& attempt);
  bool drive_silent(Attempt& attempt);
  bool drive_handshake(Attempt& attempt);
  void begin_hello(Attempt& attempt);
  bool drive_hello(Attempt& attempt);
  void took_message(Attempt& attempt);
  void identify(Attempt& attempt);
  void check_hello(Attempt& attempt);
  void took_public_key(Attempt& attempt);
  void took_answer(Attempt& attempt);
  bool ssl_blocked(Attempt& attempt, int result, std::string_view step);
  void drop_lost_links();
  void settle_inbound();
  void settle_outbound(PartyId peer);
  bool complete() const;
  std::vector<MissingMember> missing() const;
  void report_waiting();
  void wait_for_events();
  [[noreturn]] void give_up(AbortCode code);
  Bytes hello() const;

  const MeshConfig& config_;
  const Identity& identity_;
  const MeshScope scope_;
  PairKeys keys_of_this_join_;
  PairKeys& keys_;
  Prg prg_ = Prg::from_system();
  TlsContext context_;
  Socket listener_;
  std::vector<Slot> slots_;  // by party
  std::list<std::unique_ptr<Attempt>> inbound_;
  Clock::time_point deadline_, next_report_, next_question_;
  Clock::time_point next_accept_;  // later than now while the process has no descriptor to spare
};

}  // namespace flexroom::net
