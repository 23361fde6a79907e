#include "net/tcp_mesh.h"

#include "net/tcp_join.h"

namespace flexroom::net {

FingerprintMismatch::FingerprintMismatch(const std::string& member, PartyId id,
                                         const Digest& expected, const Digest& got)
    : ProtocolAbort(AbortCode::kDisagreement, "connect",
                    member + " shows another certificate than room.toml pins\n  expected " +
                        fingerprint_text(expected) + "\n  got      " + fingerprint_text(got) +
                        "\n  remedy: ask " + member +
                        " for its fingerprint over another channel; if it is the second one, put "
                        "it into room.toml at every member, otherwise somebody is in between",
                    id),
      expected_(expected),
      got_(got) {}

std::unique_ptr<TcpMesh> TcpMesh::join(const MeshConfig& config, const Identity& identity) {
  std::vector<JoinedPeer> peers = MeshJoin(config, identity).run();
  std::unique_ptr<TcpMesh> mesh(new TcpMesh);
  mesh->self_ = config.self;
  mesh->timeout_ms_ = config.receive_timeout.count();
  mesh->signing_keys_.resize(config.members.size());
  mesh->signing_keys_[config.self] = identity.signing_key();
  mesh->links_.resize(config.members.size());
  LinkLimits limits = config.limits;
  limits.cancel = config.cancel;
  for (JoinedPeer& peer : peers) {
    mesh->signing_keys_[peer.id] = peer.signing_key;
    mesh->links_[peer.id] = std::make_unique<TcpLink>(std::move(peer.ssl), std::move(peer.socket),
                                                      peer.id, config.members[peer.id].name, limits,
                                                      &mesh->senders_waiting_, &mesh->frames_);
  }
  return mesh;
}

TcpMesh::~TcpMesh() { close(); }

void TcpMesh::send(PartyId to, Bytes frame) {
  FLEXROOM_ASSERT(to < links_.size() && to != self_);
  links_[to]->send(std::move(frame));
}

Bytes TcpMesh::receive(PartyId from, size_t max_bytes) {
  FLEXROOM_ASSERT(from < links_.size() && from != self_);
  return links_[from]->receive(std::chrono::milliseconds(timeout_ms_.load()), max_bytes);
}

void TcpMesh::check() {
  for (const auto& link : links_) {
    if (link) link->check();
  }
}

void TcpMesh::close() {
  for (const auto& link : links_) {
    if (link) link->close();
  }
}

}  // namespace flexroom::net
