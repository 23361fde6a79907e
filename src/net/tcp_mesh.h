#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "net/frame_pool.h"
#include "net/identity.h"
#include "net/pair_key.h"
#include "net/tcp_link.h"
#include "net/transport.h"

namespace flexroom::net {

struct MeshMember {
  std::string name;
  std::string host;  // name or address the others reach it at
  uint16_t port = 0;
  Digest fingerprint{};  // SHA-256 of its certificate
};

struct MissingMember {
  PartyId id = 0;
  std::string name;
  std::string address;  // host:port for a member we connect to, "to connect to us" otherwise
  std::string problem;  // last thing that went wrong, empty if nothing yet
};

/// Connections that somebody else accepted for a mesh: a process that listens for several things on
/// one port. Called by the thread that joins.
class IncomingConnections {
 public:
  virtual ~IncomingConnections() = default;
  /// The next one, or none. Its peer is nobody yet.
  virtual Fd take() = 0;
  /// A descriptor that is readable while one waits.
  virtual int event() const = 0;
};

struct MeshConfig {
  std::vector<MeshMember> members;  // party i is members[i], the same list at every member
  PartyId self = 0;
  std::string listen_host;   // empty: all addresses (the product: members[self].host)
  uint16_t listen_port = 0;  // 0: members[self].port
  /// An already listening socket (socket activation, tests) to use instead; taken over. -1: none.
  int listen_socket = -1;
  /// In place of a listening socket; outlives the joining. With it nothing is bound, and nobody is
  /// asked about the order of members, which such meshes settle before they meet. Null: listen.
  IncomingConnections* incoming = nullptr;
  /// What who connects says first, before TLS, to whoever sorts connections at the other end: it is
  /// no secret and proves nothing. At most 64 bytes.
  Bytes preamble;
  /// Whatever must be equal at all members before they talk (digest of room.toml, version).
  Digest room_digest{};
  /// What earlier meshes of this process left, with the same identity; outlives the joining. Null:
  /// this mesh makes keys of its own.
  PairKeys* pair_keys = nullptr;

  std::chrono::milliseconds connect_timeout = std::chrono::minutes(5);
  std::chrono::milliseconds receive_timeout = std::chrono::minutes(2);
  LinkLimits limits;

  /// Called about once a second while somebody is missing.
  std::function<void(const std::vector<MissingMember>&)> on_waiting;
  /// Set to stop waiting, while joining and later: kCancelled.
  const std::atomic<bool>* cancel = nullptr;
};

/// A member's certificate is not the pinned one.
class FingerprintMismatch : public ProtocolAbort {
 public:
  FingerprintMismatch(const std::string& member, PartyId id, const Digest& expected,
                      const Digest& got);
  const Digest& expected() const { return expected_; }
  const Digest& got() const { return got_; }

 private:
  Digest expected_, got_;
};

/// n members over pairwise TLS 1.3: by pinned certificates on both sides (tls_context.h) two
/// members make a pair key, and what the key authenticates is their link.
///
/// Setting    the lower id listens, the higher one connects and retries until the deadline
/// Guarantee  bytes arrive in order, unaltered, from the pinned member, or the link ends; neither
///            side's large messages block the other's; memory per peer is bounded by LinkLimits.
///            Who recorded a link, and has a quantum computer later, has to break ML-KEM-768 to
///            read it (pair_key.h): of every link, there is no other kind
/// Aborts     joining: FingerprintMismatch, kDisagreement (room digest, number of members),
/// kBadFrame
///            (a false public key), kTimeout (names who is missing and why), kCancelled; later:
///            kPeerLost, kTimeout, kBadFrame
class TcpMesh final : public Transport {
 public:
  /// Who recorded a link reads nothing of it later, as above: of each.
  static constexpr bool kOutlastsRecording = true;

  /// Returns when all links are up. Strangers and garbage at the listening port are dropped and
  /// mentioned in MissingMember::problem; they cannot stop the members from joining.
  static std::unique_ptr<TcpMesh> join(const MeshConfig& config, const Identity& identity);
  ~TcpMesh() override;

  PartyId self() const override { return self_; }
  size_t num_parties() const override { return links_.size(); }
  void send(PartyId to, Bytes frame) override;
  Bytes receive(PartyId from, size_t max_bytes = kAnySize) override;
  Bytes buffer(size_t size) override { return frames_.take(size); }
  void recycle(Bytes frame) override { frames_.give(std::move(frame)); }
  void check() override;
  void close() override;

  /// Any thread.
  std::chrono::milliseconds set_receive_timeout(std::chrono::milliseconds timeout) override {
    return std::chrono::milliseconds(timeout_ms_.exchange(timeout.count()));
  }
  /// The Ed25519 key inside a member's pinned certificate (own one included).
  const SigningKey& signing_key(PartyId member) const { return signing_keys_[member]; }

 private:
  TcpMesh() = default;
  PartyId self_ = 0;
  std::atomic<int> senders_waiting_{0};
  std::atomic<int64_t> timeout_ms_{0};
  std::vector<SigningKey> signing_keys_;
  FramePool frames_;
  std::vector<std::unique_ptr<TcpLink>> links_;  // [n], own one empty
};

}  // namespace flexroom::net
