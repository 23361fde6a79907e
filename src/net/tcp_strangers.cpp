#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "net/address.h"
#include "net/tcp_join.h"

// Connections of whoever reaches the port, until they are a member's (MeshJoin, Strangers).

namespace flexroom::net {
namespace {

using std::chrono::milliseconds;

// A member's first bytes come with its connection, at the latest after a retransmission or two.
constexpr milliseconds kSilenceTimeout{3000};
// Connections that have not shown a member's certificate: all together, and of one address (members
// behind one translated address join at the same time).
constexpr size_t kMaxStrangers = 128;
constexpr size_t kMaxStrangersOfAddress = 32;
// Of one member's certificate, between handshake and hello.
constexpr size_t kMaxOfMember = 4;
// So many are taken in a row before those that are open are looked at.
constexpr int kAcceptBurst = 64;
constexpr milliseconds kNoDescriptorPause{200};

}  // namespace

void MeshJoin::accept_all() {
  for (int burst = 0; burst < kAcceptBurst; ++burst) {
    SocketAddress address;
    Socket socket(
        accept4(listener_.get(), address.get(), &address.size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      // The connection stays in the queue, and the listener readable: wait instead of asking on.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        next_accept_ = Clock::now() + kNoDescriptorPause;
      }
      if (errno == ECONNABORTED) continue;
      return;
    }
    admit(std::move(socket), address);
  }
}

// As accept_all(), of connections that were accepted elsewhere.
void MeshJoin::accept_given() {
  for (int burst = 0; burst < kAcceptBurst; ++burst) {
    Socket socket = config_.incoming->take();
    if (!socket.valid()) return;
    SocketAddress address;
    if (getpeername(socket.get(), address.get(), &address.size) != 0) continue;
    admit(std::move(socket), address);
  }
}

void MeshJoin::admit(Socket socket, const SocketAddress& address) {
  tune_connection(socket.get());
  auto attempt = std::make_unique<Attempt>();
  attempt->inbound = true;
  attempt->from = address.text();
  attempt->address = address.key();
  attempt->deadline = Clock::now() + kSilenceTimeout;
  attempt->wants = POLLIN;
  attempt->socket = std::move(socket);
  attempt->state = Attempt::State::kSilent;
  make_room(attempt->address);
  // It may offer a pair key of which an older one has yet to read the last message.
  for (const auto& older : inbound_) {
    if (older->state == Attempt::State::kHello) older->ready = true;
  }
  inbound_.push_back(std::move(attempt));
}

// One more connection comes from `address`.
void MeshJoin::make_room(const std::string& address) {
  using State = Attempt::State;
  size_t all = 0, of_address = 0;
  Attempt *least = nullptr, *least_of_address = nullptr;
  // inbound_ is in order of age.
  for (const auto& attempt : inbound_) {
    if (attempt->state != State::kSilent && attempt->state != State::kHandshake) continue;
    const bool same = attempt->address == address;
    ++all;
    of_address += same ? 1 : 0;
    if (least == nullptr || attempt->state < least->state) least = attempt.get();
    if (same && (least_of_address == nullptr || attempt->state < least_of_address->state)) {
      least_of_address = attempt.get();
    }
  }
  if (of_address >= kMaxStrangersOfAddress) {
    drop(*least_of_address, "its address has more than " + std::to_string(kMaxStrangersOfAddress) +
                                " connections that show no member's certificate");
  } else if (all >= kMaxStrangers) {
    drop(*least, "more than " + std::to_string(kMaxStrangers) +
                     " connections show no member's certificate");
  }
}

// Its descriptor goes at once, the rest in settle_inbound().
void MeshJoin::drop(Attempt& attempt, std::string problem) {
  attempt.state = Attempt::State::kFailed;
  attempt.problem = std::move(problem);
  attempt.ssl.reset();
  attempt.socket.reset(-1);
}

// The first bytes are there: it gets TLS state and the time of a handshake.
bool MeshJoin::drive_silent(Attempt& attempt) {
  uint8_t first = 0;
  const ssize_t n = ::recv(attempt.socket.get(), &first, 1, MSG_PEEK);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    drop(attempt, "connection closed");
    return false;
  }
  for (PartyId j = 0; j < config_.members.size(); ++j) {
    if (j != config_.self) attempt.check.accepted.push_back(config_.members[j].fingerprint);
  }
  attempt.check.keys = &keys_;
  attempt.check.scope = &scope_;
  attempt.ssl = context_.endpoint(attempt.socket.get(), true, &attempt.check);
  attempt.state = Attempt::State::kHandshake;
  attempt.deadline = Clock::now() + kHandshakeTimeout;
  return true;
}

void MeshJoin::identify(Attempt& attempt) {
  if (attempt.proof == PeerProof::kPairKey) {
    attempt.peer = attempt.check.key->peer;
    attempt.signing_key = attempt.check.key->signing_key;
    keys_.count(scope_, *attempt.check.key);
    attempt.check.key.reset();
  }
  if (!attempt.inbound) return;
  if (attempt.proof == PeerProof::kCertificate) {
    attempt.peer = config_.self;
    for (PartyId j = 0; j < config_.members.size(); ++j) {
      if (config_.members[j].fingerprint == *attempt.check.seen) attempt.peer = j;
    }
    FLEXROOM_ASSERT(attempt.peer != config_.self);  // its pin was accepted
  }
  attempt.asks = attempt.peer < config_.self;
  // A member's own time for the hello, whatever strangers do meanwhile; only its own later
  // connections take the place of earlier ones.
  attempt.deadline = Clock::now() + kHandshakeTimeout;
  size_t of_member = 0;
  Attempt* oldest = nullptr;
  for (const auto& other : inbound_) {
    if (other->state != Attempt::State::kHello || other->peer != attempt.peer) continue;
    if (oldest == nullptr) oldest = other.get();
    ++of_member;
  }
  if (of_member >= kMaxOfMember) drop(*oldest, "a newer connection of this member came");
}

// The latest connection of a member wins: it may have been restarted meanwhile.
void MeshJoin::settle_inbound() {
  for (auto it = inbound_.begin(); it != inbound_.end();) {
    Attempt& attempt = **it;
    const bool over =
        attempt.state == Attempt::State::kDone || attempt.state == Attempt::State::kFailed;
    if (over && attempt.asks) {  // it was told, and knows us
      it = inbound_.erase(it);
    } else if (attempt.state == Attempt::State::kDone) {
      if (attempt.proof == PeerProof::kPairKey) slots_[attempt.peer].link = std::move(*it);
      it = inbound_.erase(it);
    } else if (attempt.state == Attempt::State::kFailed) {
      std::string problem = "a connection from " + attempt.from + " failed: " + attempt.problem;
      if (attempt.check.seen) {
        problem += " (it showed the certificate " + fingerprint_text(*attempt.check.seen) + ")";
      } else if (attempt.check.key) {
        problem += " (it named the pair key of " + config_.members[attempt.check.key->peer].name +
                   " and does not have it)";
      }
      for (PartyId j = config_.self + 1; j < slots_.size(); ++j) {
        if (!slots_[j].link) slots_[j].problem = problem;
      }
      it = inbound_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace flexroom::net
