#include "net/tcp_join.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/codec.h"
#include "net/address.h"
#include "net/sigpipe_guard.h"

namespace flexroom::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRetryInterval{300};
constexpr milliseconds kReportInterval{1000};
// Members that are there meet within a second or two.
constexpr milliseconds kQuestionInterval{3000};
constexpr int kPollMs = 50;

void set_option(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

MeshScope scope_of(const MeshConfig& config) {
  std::vector<Digest> fingerprints;
  for (const MeshMember& member : config.members) fingerprints.push_back(member.fingerprint);
  return {config.room_digest, std::move(fingerprints), config.self};
}

void require_usable(const MeshConfig& config, const Identity& identity) {
  const size_t n = config.members.size();
  if (n < 2 || config.self >= n) throw InputError("room members", "at least two, one of them you");
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (config.members[i].fingerprint == config.members[j].fingerprint) {
        throw InputError("room members", config.members[j].name + " and " + config.members[i].name +
                                             " have the same fingerprint");
      }
    }
  }
  if (config.members[config.self].fingerprint != identity.fingerprint()) {
    throw InputError("room members",
                     "the fingerprint of " + config.members[config.self].name +
                         " is not that of your own certificate, " +
                         fingerprint_text(identity.fingerprint()),
                     "put your fingerprint into room.toml at every member");
  }
}

}  // namespace

// A peer whose machine vanished is noticed within about 20 s, also when nothing is sent.
void tune_connection(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 20000);
}

MeshJoin::MeshJoin(const MeshConfig& config, const Identity& identity)
    : config_(config),
      identity_(identity),
      scope_(scope_of(config)),
      keys_(config.pair_keys != nullptr ? *config.pair_keys : keys_of_this_join_),
      context_(identity),
      slots_(config.members.size()) {
  listener_.reset(config.listen_socket);
  require_usable(config, identity);
  deadline_ = Clock::now() + config.connect_timeout;
  next_report_ = Clock::now();
  next_question_ = Clock::now() + kQuestionInterval;
}

std::vector<JoinedPeer> MeshJoin::run() {
  const SigpipeGuard guard;
  open_listener();
  while (true) {
    if (config_.cancel != nullptr && config_.cancel->load()) give_up(AbortCode::kCancelled);
    if (listener_.valid() && Clock::now() >= next_accept_) accept_all();
    if (config_.incoming != nullptr) accept_given();
    for (auto& attempt : inbound_) drive(*attempt);
    settle_inbound();
    for (PartyId peer = 0; peer < config_.self; ++peer) {
      Slot& slot = slots_[peer];
      if (!slot.link && !slot.outbound && Clock::now() >= slot.next_try) start_connecting(peer);
      if (slot.outbound) drive(*slot.outbound);
      settle_outbound(peer);
    }
    ask_about_order();
    drop_lost_links();
    if (complete()) break;
    if (Clock::now() >= deadline_) give_up(AbortCode::kTimeout);
    report_waiting();
    wait_for_events();
  }
  std::vector<JoinedPeer> out;
  for (PartyId peer = 0; peer < slots_.size(); ++peer) {
    if (peer == config_.self) continue;
    Attempt& link = *slots_[peer].link;
    SSL_set_app_data(link.ssl.get(), nullptr);  // the check ends with this object
    out.push_back({peer, std::move(link.ssl), std::move(link.socket), link.signing_key});
  }
  return out;
}

void MeshJoin::open_listener() {
  const bool last = config_.self + 1 == config_.members.size();
  if (listener_.valid()) {
    fcntl(listener_.get(), F_SETFL, fcntl(listener_.get(), F_GETFL) | O_NONBLOCK);
    return;
  }
  if (config_.incoming != nullptr) return;
  if (last) return;  // everybody else has a lower id: nobody connects to us
  listen();
}

void MeshJoin::listen() {
  const uint16_t port =
      config_.listen_port != 0 ? config_.listen_port : config_.members[config_.self].port;
  const std::string place = "listen address " + config_.listen_host + ":" + std::to_string(port);
  const Resolved resolved = resolve(config_.listen_host, port, true);
  if (!resolved.problem.empty()) throw InputError(place, resolved.problem);
  const SocketAddress& address = resolved.addresses.front();
  if (!config_.listen_host.empty() && address.is_loopback() &&
      !means_this_machine(config_.listen_host)) {
    throw InputError(place,
                     "the name stands for this machine's loopback address here (/etc/hosts), where "
                     "no other machine reaches it",
                     "say in member.toml where to listen, for example listen = \"0.0.0.0:" +
                         std::to_string(port) + "\"");
  }
  Socket socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!socket.valid() || bind(socket.get(), address.get(), address.size) != 0 ||
      ::listen(socket.get(), 256) != 0) {
    const int problem = errno;
    std::string remedy;
    if (problem == EADDRINUSE) remedy = "is another flexroom running? else choose another port";
    if (problem == EADDRNOTAVAIL) {
      remedy =
          "the address is none of this machine's (a translated one?): say in member.toml "
          "where to listen, for example listen = \"0.0.0.0:" +
          std::to_string(port) + "\"";
    }
    throw InputError(place, std::strerror(problem), remedy);
  }
  listener_ = std::move(socket);
}

void MeshJoin::ask_about_order() {
  if (config_.incoming != nullptr) return;
  for (PartyId peer = config_.self + 1; peer < slots_.size(); ++peer) {
    Slot& slot = slots_[peer];
    if (!slot.outbound) continue;
    drive(*slot.outbound);
    const Attempt::State state = slot.outbound->state;
    if (state == Attempt::State::kDone && !slot.link) {
      slot.problem =
          "it waits too, and has not reached us: look at our address in its room.toml, "
          "at firewalls and forwarding";
    }
    if (state == Attempt::State::kDone || state == Attempt::State::kFailed) slot.outbound.reset();
  }
  if (Clock::now() < next_question_) return;
  next_question_ = Clock::now() + kQuestionInterval;
  for (PartyId peer = config_.self + 1; peer < slots_.size(); ++peer) {
    Slot& slot = slots_[peer];
    if (slot.link || slot.outbound) continue;
    // A slow look-up of a name that is otherwise not needed here would hold up those who come.
    if (!is_address(config_.members[peer].host)) continue;
    const std::string problem = slot.problem;
    start_connecting(peer);
    slot.problem = problem;  // that it cannot be asked is usual
    if (slot.outbound) slot.outbound->asks = true;
  }
  if (listener_.valid() || config_.listen_socket >= 0) return;
  if (!config_.listen_host.empty() && !is_address(config_.listen_host)) return;
  try {
    listen();
  } catch (const InputError&) {  // it is not needed
  }
}

void MeshJoin::start_connecting(PartyId peer) {
  Slot& slot = slots_[peer];
  slot.next_try = Clock::now() + kRetryInterval;
  const MeshMember& member = config_.members[peer];
  const Resolved resolved = resolve(member.host, member.port);
  if (!resolved.problem.empty()) {
    slot.problem = resolved.problem;
    return;
  }
  const SocketAddress& address = resolved.addresses[slot.tries++ % resolved.addresses.size()];
  Socket socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) {
    slot.problem = std::strerror(errno);
    return;
  }
  tune_connection(socket.get());
  if (connect(socket.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) {
    slot.problem = std::strerror(errno);
    return;
  }
  auto attempt = std::make_unique<Attempt>();
  attempt->peer = peer;
  attempt->from = address.text();
  attempt->deadline = Clock::now() + kHandshakeTimeout;
  attempt->check.accepted = {member.fingerprint};
  attempt->socket = std::move(socket);
  attempt->wants = POLLOUT;
  slot.outbound = std::move(attempt);
}

void MeshJoin::drive(Attempt& attempt) {
  using State = Attempt::State;
  if (attempt.state == State::kDone || attempt.state == State::kFailed) return;
  bool moved = std::exchange(attempt.ready, false);
  while (moved) {
    switch (attempt.state) {
      case State::kConnecting:
        moved = drive_connect(attempt);
        break;
      case State::kSilent:
        moved = drive_silent(attempt);
        break;
      case State::kHandshake:
        moved = drive_handshake(attempt);
        break;
      case State::kHello:
        moved = drive_hello(attempt);
        break;
      case State::kDone:
      case State::kFailed:
        return;
    }
  }
  if (Clock::now() >= attempt.deadline && attempt.state != State::kDone) {
    attempt.problem = attempt.state == State::kSilent ? "it said nothing within 3 s"
                                                      : "no complete handshake within 10 s";
    attempt.state = State::kFailed;
  }
}

bool MeshJoin::drive_connect(Attempt& attempt) {
  pollfd fd{attempt.socket.get(), POLLOUT, 0};
  if (poll(&fd, 1, 0) <= 0) return false;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(attempt.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    attempt.problem = std::strerror(error);
    attempt.state = Attempt::State::kFailed;
    return false;
  }
  // A socket that just connected has room for it.
  const Bytes& preamble = config_.preamble;
  if (!preamble.empty() && ::send(attempt.socket.get(), preamble.data(), preamble.size(),
                                  MSG_NOSIGNAL) != static_cast<ssize_t>(preamble.size())) {
    drop(attempt, "connection closed");
    return false;
  }
  if (!attempt.asks) attempt.check.key = keys_.offer(scope_, attempt.peer);
  attempt.ssl = context_.endpoint(attempt.socket.get(), false, &attempt.check);
  attempt.state = Attempt::State::kHandshake;
  return true;
}

bool MeshJoin::ssl_blocked(Attempt& attempt, int result, std::string_view step) {
  const int error = SSL_get_error(attempt.ssl.get(), result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    attempt.wants = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return true;
  }
  attempt.state = Attempt::State::kFailed;
  // The listener checks our certificate after our side of the handshake is complete, and its alert
  // may be lost to a reset: an end at the hello most likely means that.
  const bool ours_refused =
      step == "hello" && !attempt.inbound && attempt.proof == PeerProof::kCertificate;
  const std::string detail =
      error == SSL_ERROR_SSL ? take_openssl_error() : std::string("connection closed");
  attempt.problem = std::string(step) + ": " + detail;
  if (ours_refused) {
    attempt.problem += "; it probably does not accept our certificate " +
                       fingerprint_text(identity_.fingerprint()) + ": compare its room.toml";
  }
  return false;
}

bool MeshJoin::drive_handshake(Attempt& attempt) {
  ERR_clear_error();
  const int result = SSL_do_handshake(attempt.ssl.get());
  if (result == 1) {
    attempt.proof = TlsContext::proof(attempt.ssl.get(), attempt.check);
    if (!attempt.proof) {
      drop(attempt, "TLS handshake: no fresh X25519 in it");
      return false;
    }
    identify(attempt);
    begin_hello(attempt);
    return true;
  }
  if (ssl_blocked(attempt, result, "TLS handshake")) return false;
  const PeerCheck& check = attempt.check;
  const bool wrong_pin = check.seen && std::find(check.accepted.begin(), check.accepted.end(),
                                                 *check.seen) == check.accepted.end();
  if (wrong_pin && !attempt.inbound && !attempt.asks) {
    throw FingerprintMismatch(config_.members[attempt.peer].name, attempt.peer,
                              config_.members[attempt.peer].fingerprint, *check.seen);
  }
  if (wrong_pin) attempt.problem = "certificate is not that of a member who should connect here";
  return false;
}

void MeshJoin::settle_outbound(PartyId peer) {
  Slot& slot = slots_[peer];
  if (!slot.outbound) return;
  Attempt& attempt = *slot.outbound;
  if (attempt.state == Attempt::State::kDone && attempt.proof == PeerProof::kPairKey) {
    slot.link = std::move(slot.outbound);
  } else if (attempt.state == Attempt::State::kDone) {
    slot.outbound.reset();
    --slot.tries;  // the address was good
    // One that was restarted does not know the key it is offered first; then both have the same.
    if (++slot.keys_made <= 2) {
      start_connecting(peer);
    } else {
      slot.problem = "it does not take the pair key that it made with us a moment ago";
      slot.next_try = Clock::now() + kRetryInterval;
    }
  } else if (attempt.state == Attempt::State::kFailed) {
    slot.problem = attempt.problem;
    // By certificates the next time, whatever was wrong.
    if (!attempt.proof && attempt.check.key) keys_.forget(scope_, *attempt.check.key);
    slot.outbound.reset();
    slot.next_try = Clock::now() + kRetryInterval;
  }
}

// A member that is restarted while we wait for a third one must not leave a dead link behind.
void MeshJoin::drop_lost_links() {
  for (Slot& slot : slots_) {
    if (!slot.link) continue;
    pollfd fd{slot.link->socket.get(), POLLRDHUP, 0};
    if (poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
      slot.link.reset();
      slot.problem = "was connected and went away";
      slot.next_try = Clock::now() + kRetryInterval;
    }
  }
}

bool MeshJoin::complete() const {
  for (PartyId peer = 0; peer < slots_.size(); ++peer) {
    if (peer != config_.self && !slots_[peer].link) return false;
  }
  return true;
}

std::vector<MissingMember> MeshJoin::missing() const {
  std::vector<MissingMember> out;
  for (PartyId peer = 0; peer < slots_.size(); ++peer) {
    if (peer == config_.self || slots_[peer].link) continue;
    const MeshMember& member = config_.members[peer];
    out.push_back(
        {peer, member.name,
         peer < config_.self ? member.host + ":" + std::to_string(member.port) : "to connect to us",
         slots_[peer].problem});
  }
  return out;
}

void MeshJoin::report_waiting() {
  if (!config_.on_waiting || Clock::now() < next_report_) return;
  next_report_ = Clock::now() + kReportInterval;
  config_.on_waiting(missing());
}

void MeshJoin::wait_for_events() {
  std::vector<pollfd> fds;
  std::vector<Attempt*> attempts;
  const auto watch = [&](Attempt& attempt) {
    fds.push_back({attempt.socket.get(), attempt.wants, 0});
    attempts.push_back(&attempt);
  };
  for (const auto& attempt : inbound_) watch(*attempt);
  for (const Slot& slot : slots_) {
    if (slot.outbound) watch(*slot.outbound);
  }
  if (listener_.valid() && Clock::now() >= next_accept_) {
    fds.push_back({listener_.get(), POLLIN, 0});
  }
  if (config_.incoming != nullptr) fds.push_back({config_.incoming->event(), POLLIN, 0});
  poll(fds.data(), fds.size(), kPollMs);
  for (size_t k = 0; k < attempts.size(); ++k) attempts[k]->ready = fds[k].revents != 0;
}

void MeshJoin::give_up(AbortCode code) {
  std::string detail = "waited for";
  const std::vector<MissingMember> absent = missing();
  for (const MissingMember& member : absent) {
    detail += "\n  " + member.name + " " +
              (member.id < config_.self ? "at " + member.address : member.address);
    if (!member.problem.empty()) detail += " (" + member.problem + ")";
  }
  throw ProtocolAbort(code, "connect", detail,
                      absent.size() == 1 ? std::optional(absent[0].id) : std::nullopt);
}

}  // namespace flexroom::net
