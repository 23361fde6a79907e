#include "node/peer_link.h"

#include <fmt/core.h>
#include <poll.h>

#include <ctime>

#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "base/read_array.h"
#include "flexroom/version.h"

namespace flexroom::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kMaxFrame = size_t{9} << 20;
constexpr size_t kMaxProgram = 64;
constexpr seconds kKeptUp{30}, kSilence{100}, kJoin{10}, kMaxBackOff{30};

enum Kind : uint8_t { kHello = 1, kHeads, kWant, kBundle, kMeet };
constexpr PartyId kOther = 1;

/// Of two parties, the one that listens is 0.
PartyId other(bool connects) { return connects ? 0 : kOther; }

}  // namespace

Bytes LinkHello::encode() const {
  Writer out;
  out.u16(oldest).u16(newest).field(program).raw(room).raw(member);
  out.u32(incarnation).u64(session).u64(now);
  return out.take();
}

LinkHello LinkHello::decode(ByteView bytes, PartyId peer) {
  Reader in(bytes, "node/hello", peer);
  LinkHello out;
  out.oldest = in.u16();
  out.newest = in.u16();
  out.program = display_text(to_text(in.field(kMaxProgram)));
  out.room = in.digest();
  out.member = read_array<sizeof(agreement::MemberId)>(in);
  out.incarnation = in.u32();
  out.session = in.u64();
  out.now = in.u64();
  if (out.newest <= kExchangeNewest) in.finish();
  return out;
}

PeerLink::PeerLink(Settings settings, const net::Identity& identity, WaitingConnections& incoming,
                   LinkWork& work)
    : settings_(std::move(settings)), identity_(identity), incoming_(incoming), work_(work) {
  state_.since = static_cast<int64_t>(std::time(nullptr));
  state_.problem = "not reached yet";
}

PeerLink::~PeerLink() { stop(); }

void PeerLink::start() {
  thread_ = std::thread([this] { run(); });
}

void PeerLink::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void PeerLink::tell_heads() {
  const std::lock_guard lock(mutex_);
  heads_due_ = true;
  wake_.notify_all();
}

void PeerLink::ask_to_meet() {
  const std::lock_guard lock(mutex_);
  meet_due_ = true;
  wake_.notify_all();
}

PeerLink::State PeerLink::state() {
  const std::lock_guard lock(mutex_);
  return state_;
}

void PeerLink::set_down(const std::string& problem) {
  {
    const std::lock_guard lock(mutex_);
    const bool was = std::exchange(state_.up, false);
    if (was) state_.since = static_cast<int64_t>(std::time(nullptr));
    state_.problem = problem;
    meet_due_ = false;
  }
  work_.link_changed(settings_.peer_id);
}

bool PeerLink::pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [&] { return stop_.load(); });
}

void PeerLink::run() {
  seconds back_off{1};
  while (!stop_) {
    // Who waits does so without a clock: a connection wakes it.
    if (!settings_.connects) {
      pollfd fd{incoming_.event(), POLLIN, 0};
      if (::poll(&fd, 1, 500) <= 0) continue;
      if (!incoming_.tidy()) {
        (void)incoming_.take();
        continue;
      }
    }
    try {
      const std::unique_ptr<net::TcpMesh> mesh = connect();
      serve(*mesh);
      back_off = seconds(1);
    } catch (const std::exception& error) {
      if (state().up) back_off = seconds(1);
      set_down(display_text(error.what()));
    }
    if (!settings_.connects) continue;
    if (!pause(back_off)) return;
    back_off = std::min(back_off * 2, kMaxBackOff);
  }
}

std::unique_ptr<net::TcpMesh> PeerLink::connect() {
  net::MeshConfig config;
  config.members = settings_.connects ? std::vector{settings_.peer, settings_.self}
                                      : std::vector{settings_.self, settings_.peer};
  config.self = settings_.connects ? 1 : 0;
  config.incoming = &incoming_;
  if (settings_.connects) config.preamble = Listener::preamble(settings_.self_id);
  // Never what a session's mesh has: neither can be taken for the other.
  config.room_digest = RandomOracle("flexroom node exchange/1", {}).field(settings_.room).digest();
  config.pair_keys = &pair_keys_;
  config.connect_timeout = kJoin;
  config.receive_timeout = kSilence;
  config.cancel = &stop_;
  config.limits.max_frame_bytes = kMaxFrame;
  config.limits.max_queued_bytes = 2 * kMaxFrame;
  config.limits.max_ahead_bytes = 1 << 20;
  config.limits.max_backlog_bytes = 2 * kMaxFrame;
  config.limits.send_timeout = seconds(30);
  config.limits.linger = milliseconds(500);
  config.limits.cancel = &stop_;
  return net::TcpMesh::join(config, identity_);
}

void PeerLink::send(net::TcpMesh& mesh, uint8_t kind, ByteView body) {
  Bytes frame;
  frame.reserve(1 + body.size());
  frame.push_back(kind);
  append(frame, body);
  mesh.send(other(settings_.connects), std::move(frame));
}

void PeerLink::serve(net::TcpMesh& mesh) {
  const PartyId peer = other(settings_.connects);
  send(mesh, kHello, work_.hello().encode());
  const Bytes first = mesh.receive(peer, 4096);
  if (first.empty() || first[0] != kHello) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, "node/hello", "no hello came first", peer);
  }
  const LinkHello hello = LinkHello::decode(ByteView(first).subspan(1), peer);
  if (hello.newest < kExchangeOldest || hello.oldest > kExchangeNewest) {
    throw ProtocolAbort(
        AbortCode::kRefusedByRule, "node/hello",
        fmt::format("{} runs version {}, which speaks the exchange in the forms {} to {}; this "
                    "one, {}, in {} to {}: update the older one",
                    settings_.peer.name, hello.program, hello.oldest, hello.newest, kVersion,
                    kExchangeOldest, kExchangeNewest),
        peer);
  }
  work_.heard_hello(settings_.peer_id, hello);
  {
    const std::lock_guard lock(mutex_);
    state_ = {true,
              static_cast<int64_t>(std::time(nullptr)),
              "",
              hello.program,
              static_cast<int64_t>(hello.now) - static_cast<int64_t>(std::time(nullptr)),
              0};
    heads_due_ = true;
    meet_due_ = ended_ = false;
    replies_.clear();
  }
  work_.link_changed(settings_.peer_id);
  std::thread writer([&] { write(mesh); });
  try {
    while (!stop_) heard(mesh, mesh.receive(peer, kMaxFrame));
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      wake_.notify_all();
    }
    mesh.close();
    writer.join();
    throw;
  }
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    wake_.notify_all();
  }
  writer.join();
}

// All that leaves after the hello, so that answering never keeps the reader waiting.
void PeerLink::write(net::TcpMesh& mesh) {
  auto next = Clock::now() + kKeptUp;
  try {
    while (true) {
      std::vector<std::pair<uint8_t, Bytes>> replies;
      bool heads = false, meet = false;
      {
        std::unique_lock lock(mutex_);
        wake_.wait_until(lock, next, [&] {
          return stop_ || ended_ || heads_due_ || meet_due_ || !replies_.empty();
        });
        if (stop_ || ended_) return;
        heads = std::exchange(heads_due_, false) || Clock::now() >= next;
        meet = std::exchange(meet_due_, false);
        replies.swap(replies_);
      }
      for (const auto& [kind, body] : replies) send(mesh, kind, body);
      if (heads) {
        send(mesh, kHeads, work_.heads());
        next = Clock::now() + kKeptUp;
      }
      if (meet) send(mesh, kMeet, {});
    }
  } catch (const std::exception&) {  // the reader tells why
    mesh.close();
  }
}

void PeerLink::heard(net::TcpMesh&, Bytes frame) {
  const milliseconds wait = pace_.next();
  if (wait.count() > 0) {
    {
      const std::lock_guard lock(mutex_);
      ++state_.held_back;
    }
    if (!pause(wait)) return;
  }
  const PartyId peer = other(settings_.connects);
  const auto reply = [&](uint8_t kind, Bytes body) {
    const std::lock_guard lock(mutex_);
    // One of each kind is enough: the newer one covers what the one before would have.
    std::erase_if(replies_, [&](const auto& one) { return one.first == kind; });
    replies_.emplace_back(kind, std::move(body));
    wake_.notify_all();
  };
  if (frame.empty()) {
    throw ProtocolAbort(AbortCode::kBadFrame, "node", "an empty message", peer);
  }
  const ByteView body = ByteView(frame).subspan(1);
  switch (frame[0]) {
    case kHeads: {
      peers_heads_.assign(body.begin(), body.end());
      Bytes want = work_.missing(settings_.peer_id, body);
      if (!want.empty()) reply(kWant, std::move(want));
      return;
    }
    case kWant:
      reply(kBundle, work_.give(settings_.peer_id, body));
      return;
    case kBundle: {
      if (!work_.take(settings_.peer_id, body)) return;
      Bytes want = work_.missing(settings_.peer_id, peers_heads_);
      if (!want.empty()) reply(kWant, std::move(want));
      return;
    }
    case kMeet:
      work_.asked_to_meet(settings_.peer_id);
      return;
    default:
      throw ProtocolAbort(AbortCode::kUnexpectedMessage, "node",
                          fmt::format("a message of the kind {}, which this version ({}) does not "
                                      "know",
                                      frame[0], kVersion),
                          peer);
  }
}

}  // namespace flexroom::node
