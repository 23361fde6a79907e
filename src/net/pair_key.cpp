#include "net/pair_key.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::net {
namespace {

using math::MlKem768;

SecretBytes drawn(Prg& prg, size_t size) {
  SecretBytes out(size);
  prg.fill(out.writable());
  return out;
}

}  // namespace

MeshScope::MeshScope(const Digest& room_digest, std::vector<Digest> members, PartyId own)
    : fingerprints(std::move(members)), self(own) {
  RandomOracle oracle("mesh room", {});
  oracle.field(room_digest).field(uint64_t{fingerprints.size()});
  for (const Digest& one : fingerprints) oracle.field(one);
  room = oracle.digest();
}

PairKeyExchange::PairKeyExchange(const MeshScope& scope, PartyId peer, Prg& prg)
    : scope_(scope),
      peer_(peer),
      key_(drawn(prg, MlKem768::kSeed)),
      message_(drawn(prg, MlKem768::kMessage)) {
  FLEXROOM_ASSERT(peer < scope.fingerprints.size() && peer != scope.self);
  own_.key = key_.public_key();
}

PairKeyExchange::~PairKeyExchange() {
  for (Side* side : {&own_, &peers_}) {
    wipe(side->key);
    wipe(side->answer);
  }
}

std::optional<Bytes> PairKeyExchange::answer(ByteView peers_key) {
  FLEXROOM_ASSERT(peers_.key.empty() && !message_.empty());
  if (std::equal(peers_key.begin(), peers_key.end(), own_.key.begin(), own_.key.end())) {
    return std::nullopt;
  }
  auto capsule = math::ml_kem_encapsulate(peers_key, message_);
  message_ = SecretBytes();
  if (!capsule) return std::nullopt;
  peers_.key.assign(peers_key.begin(), peers_key.end());
  own_.answer = std::move(capsule->ciphertext);
  own_.shared = std::move(capsule->shared);
  return own_.answer;
}

PairKey PairKeyExchange::finish(ByteView peers_answer) {
  FLEXROOM_ASSERT(!own_.answer.empty() && peers_.answer.empty());
  peers_.answer.assign(peers_answer.begin(), peers_answer.end());
  peers_.shared = key_.decapsulate(peers_answer);
  PairKey out;
  const Digest id = oracle("mesh psk id").digest();
  std::copy_n(id.begin(), out.id.size(), out.id.begin());
  RandomOracle secret = oracle("mesh psk");
  for (const PartyId party : {std::min(scope_.self, peer_), std::max(scope_.self, peer_)}) {
    secret.field(side(party).shared.reveal());
  }
  Digest made = secret.digest();
  out.secret = SecretBytes::copy_of(made);
  wipe(made.data(), made.size());
  return out;
}

/// Over all that is public, the member of the lower number first.
RandomOracle PairKeyExchange::oracle(std::string_view tag) const {
  const std::array<PartyId, 2> pair = {std::min(scope_.self, peer_), std::max(scope_.self, peer_)};
  RandomOracle out(tag, {});
  out.field(scope_.room);
  for (const PartyId party : pair) out.field(scope_.fingerprints[party]);
  for (const PartyId party : pair) out.field(side(party).key);
  for (const PartyId party : pair) out.field(side(party).answer);
  return out;
}

PairKeys::Place PairKeys::place(const MeshScope& scope, PartyId peer) {
  FLEXROOM_ASSERT(std::max(peer, scope.self) < scope.fingerprints.size() && peer != scope.self);
  return {scope.room, scope.fingerprints[scope.self], scope.fingerprints[peer]};
}

std::optional<PairKeys::Use> PairKeys::use(const MeshScope& scope, PartyId peer,
                                           PartyId dialler) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(place(scope, peer));
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = found->second;
  Writer identity;
  identity.raw(entry.key.id).u32(dialler);
  return Use{peer, identity.take(), entry.key.secret.clone(), entry.signing_key};
}

std::optional<PairKeys::Use> PairKeys::offer(const MeshScope& scope, PartyId peer) const {
  return use(scope, peer, scope.self);
}

std::optional<PairKeys::Use> PairKeys::find(const MeshScope& scope, ByteView identity) const {
  if (identity.size() != kIdentity) return std::nullopt;
  const PartyId dialler = Reader(identity.last(4), "pair key").u32();
  if (dialler >= scope.fingerprints.size() || dialler == scope.self) return std::nullopt;
  std::optional<Use> out = use(scope, dialler, dialler);
  if (!out || !std::equal(identity.begin(), identity.end(), out->identity.begin())) {
    return std::nullopt;
  }
  return out;
}

void PairKeys::set(const MeshScope& scope, PartyId peer, PairKey key,
                   const SigningKey& signing_key) {
  const std::lock_guard lock(mutex_);
  entries_[place(scope, peer)] = Entry{std::move(key), signing_key, 0};
}

void PairKeys::count(const MeshScope& scope, const Use& use) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(place(scope, use.peer));
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (!std::equal(entry.key.id.begin(), entry.key.id.end(), use.identity.begin())) return;
  if (++entry.connections >= max_connections_) entries_.erase(found);
}

void PairKeys::forget(const MeshScope& scope, const Use& use) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(place(scope, use.peer));
  if (found == entries_.end()) return;
  const auto& id = found->second.key.id;
  if (std::equal(id.begin(), id.end(), use.identity.begin())) entries_.erase(found);
}

}  // namespace flexroom::net
