#include <openssl/err.h>

#include <algorithm>

#include "base/codec.h"
#include "net/tcp_join.h"

// What members say to each other on a connection before it is a link (MeshJoin, Pair key).

namespace flexroom::net {
namespace {

using math::MlKem768;

constexpr std::string_view kHelloMagic = "flexroom mesh/2\n";
constexpr size_t kHelloBytes = 16 + 4 + 4 + 4 + 32;

}  // namespace

Bytes MeshJoin::hello() const {
  Writer out;
  out.raw(as_bytes(kHelloMagic)).u32(config_.self).u32(static_cast<uint32_t>(slots_.size()));
  out.u32(0);  // reserved
  out.raw(config_.room_digest);
  FLEXROOM_ASSERT(out.size() == kHelloBytes);
  return out.take();
}

void MeshJoin::begin_hello(Attempt& attempt) {
  attempt.sent = hello();
  attempt.state = Attempt::State::kHello;
  if (attempt.proof == PeerProof::kPairKey || attempt.asks) return;
  const OpensslPtr<X509> certificate(SSL_get1_peer_certificate(attempt.ssl.get()));
  uint8_t* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  FLEXROOM_ASSERT(size > 0);
  const Bytes copy(der, der + size);
  OPENSSL_free(der);
  attempt.signing_key =
      signing_key_of(copy, "certificate of " + config_.members[attempt.peer].name);
  attempt.exchange = std::make_unique<PairKeyExchange>(scope_, attempt.peer, prg_);
  append(attempt.sent, attempt.exchange->public_key());
}

// Each side has said its part before it reads on, so that whoever ends first leaves nothing unsaid.
bool MeshJoin::drive_hello(Attempt& attempt) {
  ERR_clear_error();
  if (attempt.sent_bytes < attempt.sent.size()) {
    const int n = SSL_write(attempt.ssl.get(), attempt.sent.data() + attempt.sent_bytes,
                            static_cast<int>(attempt.sent.size() - attempt.sent_bytes));
    if (n <= 0) {
      ssl_blocked(attempt, n, "hello");
      return false;
    }
    attempt.sent_bytes += static_cast<size_t>(n);
    return true;
  }
  size_t size = kHelloBytes;
  if (attempt.awaits == Attempt::Message::kPublicKey) size = MlKem768::kPublicKey;
  if (attempt.awaits == Attempt::Message::kAnswer) size = MlKem768::kCiphertext;
  const size_t have = attempt.received.size();
  attempt.received.resize(size);
  const int n =
      SSL_read(attempt.ssl.get(), attempt.received.data() + have, static_cast<int>(size - have));
  attempt.received.resize(have + static_cast<size_t>(std::max(n, 0)));
  if (n <= 0) {
    ssl_blocked(attempt, n, "hello");
    return false;
  }
  if (attempt.received.size() == size) {
    took_message(attempt);
    wipe(attempt.received);
    attempt.received.clear();
  }
  return attempt.state != Attempt::State::kDone;
}

void MeshJoin::took_message(Attempt& attempt) {
  switch (attempt.awaits) {
    case Attempt::Message::kHello:
      check_hello(attempt);
      attempt.awaits = Attempt::Message::kPublicKey;
      if (!attempt.exchange) attempt.state = Attempt::State::kDone;
      break;
    case Attempt::Message::kPublicKey:
      took_public_key(attempt);
      attempt.awaits = Attempt::Message::kAnswer;
      break;
    case Attempt::Message::kAnswer:
      took_answer(attempt);
      attempt.state = Attempt::State::kDone;
      break;
  }
}

// The peer is authenticated: a difference is the members' problem and ends the joining at once.
void MeshJoin::check_hello(Attempt& attempt) {
  const std::string& name = config_.members[attempt.peer].name;
  Reader in(attempt.received, "mesh hello", attempt.peer);
  const auto differ = [&](const std::string& what) {
    throw ProtocolAbort(AbortCode::kDisagreement, "connect", what, attempt.peer);
  };
  if (as_text(in.raw(16)) != kHelloMagic) differ(name + " runs another version of flexroom");
  const uint32_t id = in.u32();
  const uint32_t members = in.u32();
  in.u32();
  const Digest room = in.digest();
  in.finish();
  if (id != attempt.peer || members != slots_.size()) {
    const std::string order =
        members == slots_.size() ? "the [[member]] entries are in another order there: " : "";
    differ(order + name + " takes itself for member " + std::to_string(uint64_t{id} + 1) + " of " +
           std::to_string(members) + ", here it is member " + std::to_string(attempt.peer + 1) +
           " of " + std::to_string(slots_.size()) + "; make room.toml the same at every member");
  }
  if (room != config_.room_digest) {
    differ("room parameters differ: " + name + " has " + to_hex(room).substr(0, 16) +
           "..., this member " + to_hex(config_.room_digest).substr(0, 16) +
           "...; make room.toml and the version identical at every member");
  }
}

void MeshJoin::took_public_key(Attempt& attempt) {
  const auto answer = attempt.exchange->answer(attempt.received);
  if (!answer) {
    throw ProtocolAbort(
        AbortCode::kBadFrame, "connect",
        config_.members[attempt.peer].name + " sent a public key that is none (ML-KEM-768)",
        attempt.peer);
  }
  append(attempt.sent, *answer);
}

void MeshJoin::took_answer(Attempt& attempt) {
  keys_.set(scope_, attempt.peer, attempt.exchange->finish(attempt.received), attempt.signing_key);
  attempt.exchange.reset();
  wipe(attempt.sent);
  // Nothing more comes on this connection, in either direction.
  SSL_shutdown(attempt.ssl.get());
  ERR_clear_error();
}

}  // namespace flexroom::net
