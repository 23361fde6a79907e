#pragma once

#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "base/prg.h"
#include "math/ml_kem.h"
#include "net/identity.h"

namespace flexroom::net {

/// Who meets whom in a mesh, as far as its pair keys go: equal at all members but for `self`.
struct MeshScope {
  /// `room_digest` is what all must have alike before they talk; `fingerprints` by party.
  MeshScope(const Digest& room_digest, std::vector<Digest> members, PartyId own);

  Digest room{};
  std::vector<Digest> fingerprints;
  PartyId self = 0;
};

/// What two members hold in common beside their certificates (tls-complete.md §2.2a).
struct PairKey {
  static constexpr size_t kId = 16;
  std::array<uint8_t, kId> id{};  // public
  SecretBytes secret;             // 32 bytes
};

/// The messages by which two members make a pair key, one side of them, for one connection that
/// both proved their certificates on and that carries nothing else of weight.
///
/// Protocol   tls-complete.md §2.2a. Both send a fresh ML-KEM-768 key; both answer the other's with
///            a ciphertext
/// Guarantee  secret = RO over the room, both fingerprints, all that was sent and both shared
///            secrets: whoever recorded the connection, and reads it some day with a quantum
///            computer, has to break ML-KEM as well
/// Single use each step once, in this order; what is secret is wiped with the object
class PairKeyExchange {
 public:
  PairKeyExchange(const MeshScope& scope, PartyId peer, Prg& prg);
  ~PairKeyExchange();
  PairKeyExchange(const PairKeyExchange&) = delete;
  PairKeyExchange& operator=(const PairKeyExchange&) = delete;
  /// To be sent: MlKem768::kPublicKey bytes.
  const Bytes& public_key() const { return key_.public_key(); }
  /// The answer to the peer's key of MlKem768::kPublicKey bytes, MlKem768::kCiphertext bytes.
  /// Nothing where that is none: outside the field (FIPS 203 §7.2), or this member's own.
  std::optional<Bytes> answer(ByteView peers_key);
  /// Of the peer's answer, MlKem768::kCiphertext bytes. Of a false one comes a key that the peer
  /// does not have.
  PairKey finish(ByteView peers_answer);

 private:
  struct Side {
    Bytes key, answer;
    SecretBytes shared;  // by its own answer
  };
  const Side& side(PartyId party) const { return party == scope_.self ? own_ : peers_; }
  RandomOracle oracle(std::string_view tag) const;

  const MeshScope& scope_;
  const PartyId peer_;
  math::MlKemKey key_;
  SecretBytes message_;
  Side own_, peers_;
};

/// A member's pair keys, for as long as its process: in memory only, wiped with this object. Any
/// thread.
class PairKeys {
 public:
  static constexpr uint64_t kMaxConnections = uint64_t{1} << 20;
  static constexpr size_t kIdentity = PairKey::kId + 4;

  explicit PairKeys(uint64_t max_connections = kMaxConnections)
      : max_connections_(max_connections) {}

  /// A key for one connection, and what its certificate said of the peer.
  struct Use {
    PartyId peer = 0;
    Bytes identity;  // kIdentity bytes, as it travels: the key's id and who dials
    SecretBytes secret;
    SigningKey signing_key{};
  };
  /// For a connection that this member dials; nothing where there is no key with the peer.
  std::optional<Use> offer(const MeshScope& scope, PartyId peer) const;
  /// For a connection of a peer that named `identity`. Nothing where that is no key of this room
  /// with the member that dials by it: what this member offered itself is never found.
  std::optional<Use> find(const MeshScope& scope, ByteView identity) const;
  /// In the place of an older one.
  void set(const MeshScope& scope, PartyId peer, PairKey key, const SigningKey& signing_key);
  /// A connection came up with it: after `max_connections` the key is dropped.
  void count(const MeshScope& scope, const Use& use);
  /// It was of no use; nothing happens if there is a newer one.
  void forget(const MeshScope& scope, const Use& use);

 private:
  struct Entry {
    PairKey key;
    SigningKey signing_key{};
    uint64_t connections = 0;
  };
  using Place = std::tuple<Digest, Digest, Digest>;  // room, own and peer's fingerprint
  static Place place(const MeshScope& scope, PartyId peer);
  std::optional<Use> use(const MeshScope& scope, PartyId peer, PartyId dialler) const;

  const uint64_t max_connections_;
  mutable std::mutex mutex_;
  std::map<Place, Entry> entries_;
};

}  // namespace flexroom::net
