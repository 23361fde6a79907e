#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <poll.h>
#include <unistd.h>

#include <future>

#include "base/codec.h"
#include "net/sigpipe_guard.h"
#include "net/tls_context.h"
#include "tcp_mesh_rig.h"

// tls-complete.md §2.2a and attack 77: what becomes a link, and what does not, of a member that
// does otherwise than MeshJoin, and of a stranger that repeats what it recorded.

namespace flexroom::net {
namespace {

using namespace std::chrono_literals;
using math::MlKem768;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr size_t kHelloBytes = 60;

MeshScope scope_of(const support::TcpMembers& members, PartyId self, const Digest& room = {}) {
  std::vector<Digest> fingerprints;
  for (const Identity& identity : members.identities)
    fingerprints.push_back(identity.fingerprint());
  return MeshScope(room, std::move(fingerprints), self);
}

/// One connection of an odd member, step by step; every step may fail.
struct Line {
  ~Line() {
    ssl.reset();
    if (fd >= 0) close(fd);
  }
  bool handshake(int socket, bool server, const TlsContext& context) {
    fd = socket;
    const timeval patience{3, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssl = context.endpoint(fd, server, &check);
    if (SSL_do_handshake(ssl.get()) != 1) return false;
    proof = TlsContext::proof(ssl.get(), check);
    return proof.has_value();
  }
  bool write(ByteView bytes) {
    return SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
  }
  /// All of it, or nothing where the other end is gone.
  Bytes read(size_t size) {
    Bytes out(size);
    for (size_t have = 0; have < size;) {
      const int n = SSL_read(ssl.get(), out.data() + have, static_cast<int>(size - have));
      if (n <= 0) return {};
      have += static_cast<size_t>(n);
    }
    return out;
  }
  int fd = -1;
  PeerCheck check;
  OpensslPtr<SSL> ssl;
  std::optional<PeerProof> proof;
};

/// A member of `members` that does as a test says.
class OddMember {
 public:
  OddMember(const support::TcpMembers& members, PartyId self)
      : members_(members),
        self_(self),
        scope_(scope_of(members, self)),
        context_(members.identities[self]) {}
  OddMember(const support::TcpMembers&&, PartyId) = delete;

  std::unique_ptr<Line> connect(PartyId to, std::optional<PairKeys::Use> offered = std::nullopt) {
    auto line = std::make_unique<Line>();
    line->check.accepted = {members_.identities[to].fingerprint()};
    line->check.key = std::move(offered);
    const int fd = support::connect_to_loopback(members_.configs[to].members[to].port);
    return line->handshake(fd, false, context_) ? std::move(line) : nullptr;
  }
  Bytes hello() const {
    Writer out;
    out.raw(as_bytes("flexroom mesh/2\n")).u32(self_);
    out.u32(static_cast<uint32_t>(members_.identities.size())).u32(0).raw(Digest{});
    return out.take();
  }
  /// The whole of a first connection.
  std::optional<PairKey> make_key(Line& line, PartyId with) {
    PairKeyExchange exchange(scope_, with, prg_);
    Bytes first = hello();
    append(first, exchange.public_key());
    if (!line.write(first) || line.read(kHelloBytes).empty()) return std::nullopt;
    const Bytes key = line.read(MlKem768::kPublicKey);
    if (key.empty()) return std::nullopt;
    const auto answer = exchange.answer(key);
    if (!answer || !line.write(*answer)) return std::nullopt;
    const Bytes theirs = line.read(MlKem768::kCiphertext);
    if (theirs.empty()) return std::nullopt;
    return exchange.finish(theirs);
  }
  PairKeys::Use use(const PairKey& key, PartyId with, PartyId dialler) const {
    Writer identity;
    identity.raw(key.id).u32(dialler);
    return {with, identity.take(), key.secret.clone(), {}};
  }
  /// make_key() on a connection of its own.
  PairKey key_with(PartyId with) {
    const auto line = connect(with);
    EXPECT_TRUE(line);
    auto key = line ? make_key(*line, with) : std::nullopt;
    EXPECT_TRUE(key);
    return key ? std::move(*key) : PairKey();
  }
  const TlsContext& context() const { return context_; }

 private:
  const SigpipeGuard guard_;  // the others hang up when they like
  const support::TcpMembers& members_;
  const PartyId self_;
  const MeshScope scope_;
  TlsContext context_;
  Prg prg_ = Prg::from_system();
};

/// How a joining ended.
struct Outcome {
  std::optional<AbortCode> code;  // nothing: joined
  std::optional<PartyId> peer;
  std::string text;
};
std::future<Outcome> joining(support::TcpMembers& members, PartyId self) {
  return std::async(std::launch::async, [&members, self]() -> Outcome {
    try {
      (void)members.join(self);
      return {};
    } catch (const ProtocolAbort& abort) {
      return {abort.code(), abort.peer(), abort.detail()};
    }
  });
}
support::TcpMembers members_of(size_t n, std::chrono::milliseconds patience) {
  support::TcpMembers out(n);
  for (auto& config : out.configs) config.connect_timeout = patience;
  return out;
}

TEST(PairKeyJoin, ALinkIsWhatThePairKeyAuthenticates) {
  support::TcpMembers members = members_of(2, 20s);
  OddMember odd(members, 1);
  auto first = joining(members, 0);
  const PairKey key = odd.key_with(0);
  const auto line = odd.connect(0, odd.use(key, 0, 1));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->proof, PeerProof::kPairKey);
  EXPECT_EQ(SSL_get0_peer_certificate(line->ssl.get()), nullptr);
  EXPECT_EQ(SSL_get_early_data_status(line->ssl.get()), SSL_EARLY_DATA_NOT_SENT);
  ASSERT_TRUE(line->write(odd.hello()));
  EXPECT_EQ(line->read(kHelloBytes).size(), kHelloBytes);
  EXPECT_FALSE(first.get().code);
}

// Before the key and after it: whoever shows a certificate may make keys, and that is all.
TEST(PairKeyJoin, ACertificateAloneIsNoLink) {
  support::TcpMembers members = members_of(2, 2s);
  OddMember odd(members, 1);
  auto first = joining(members, 0);
  const auto before = odd.connect(0);
  ASSERT_TRUE(before);
  EXPECT_TRUE(before->write(odd.hello()));
  // The one that made the key stays open: that both have it makes no link of it.
  const auto made = odd.connect(0);
  ASSERT_TRUE(made);
  ASSERT_TRUE(odd.make_key(*made, 0));
  const auto after = odd.connect(0);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->proof, PeerProof::kCertificate);
  EXPECT_TRUE(after->write(odd.hello()));
  const Outcome outcome = first.get();
  EXPECT_EQ(outcome.code, AbortCode::kTimeout);
  EXPECT_THAT(outcome.text, HasSubstr("member 2"));
}

TEST(PairKeyJoin, AFalsePublicKeyIsRefusedByName) {
  for (const bool reflected : {false, true}) {
    support::TcpMembers members = members_of(2, 20s);
    OddMember odd(members, 1);
    auto first = joining(members, 0);
    const auto line = odd.connect(0);
    ASSERT_TRUE(line);
    Bytes key(MlKem768::kPublicKey, 0xff);
    ASSERT_TRUE(line->write(odd.hello()));
    EXPECT_EQ(line->read(kHelloBytes).size(), kHelloBytes);
    const Bytes theirs = line->read(MlKem768::kPublicKey);
    ASSERT_TRUE(line->write(reflected ? theirs : key));
    const Outcome outcome = first.get();
    EXPECT_EQ(outcome.code, AbortCode::kBadFrame);
    EXPECT_EQ(outcome.peer, 1u);
    EXPECT_THAT(outcome.text, HasSubstr("member 2 sent a public key that is none"));
  }
}

// As a false answer leaves it: both know the name of the key, and only one of them the key.
TEST(PairKeyJoin, WhoDoesNotHaveTheKeyIsNamed) {
  support::TcpMembers members = members_of(2, 2s);
  OddMember odd(members, 1);
  auto first = joining(members, 0);
  PairKey key = odd.key_with(0);
  key.secret.writable()[31] ^= 1;
  EXPECT_FALSE(odd.connect(0, odd.use(key, 0, 1)));
  const Outcome outcome = first.get();
  EXPECT_EQ(outcome.code, AbortCode::kTimeout);
  EXPECT_THAT(outcome.text, HasSubstr("it named the pair key of member 2 and does not have it"));
}

TEST(PairKeyJoin, KeysOfAnotherPairDirectionOrRoomAreNotTaken) {
  support::TcpMembers members = members_of(3, 3s);
  PairKeys keys;
  members.configs[0].pair_keys = &keys;
  OddMember second(members, 1), third(members, 2);
  auto first = joining(members, 0);
  const PairKey of_second = second.key_with(0), of_third = third.key_with(0);
  const auto not_taken = [&](OddMember& by, PairKeys::Use offered) {
    const auto line = by.connect(0, std::move(offered));
    return line == nullptr || line->proof != PeerProof::kPairKey;
  };
  EXPECT_TRUE(not_taken(third, third.use(of_second, 0, 2)));
  EXPECT_TRUE(not_taken(third, third.use(of_third, 0, 1)));
  EXPECT_TRUE(not_taken(third, third.use(of_third, 0, 0)));
  EXPECT_TRUE(not_taken(third, third.use(of_third, 0, 3)));
  PairKey mixed = third.key_with(0);
  mixed.id = of_second.id;
  EXPECT_TRUE(not_taken(third, third.use(mixed, 0, 1)));
  Digest room{};
  room[0] = 1;
  keys.set(scope_of(members, 0, room), 2, {of_third.id, of_third.secret.clone()}, {});
  EXPECT_TRUE(not_taken(third, third.use(of_third, 0, 2))) << "of before, or of another room";
  EXPECT_EQ(first.get().code, AbortCode::kTimeout);
}

// psk_ke alone, or another group: without a fresh X25519 there is no link.
TEST(PairKeyJoin, AKeyWithoutAFreshX25519IsNotTaken) {
  support::TcpMembers members = members_of(2, 2s);
  OddMember odd(members, 1);
  auto first = joining(members, 0);
  const PairKey key = odd.key_with(0);
  Line line;
  line.check.accepted = {members.identities[0].fingerprint()};
  line.check.key = odd.use(key, 0, 1);
  line.fd = support::connect_to_loopback(members.configs[0].members[0].port);
  line.ssl = odd.context().endpoint(line.fd, false, &line.check);
  SSL_set_options(line.ssl.get(), SSL_OP_ALLOW_NO_DHE_KEX);
  ASSERT_EQ(SSL_set1_groups_list(line.ssl.get(), "P-256"), 1);
  EXPECT_NE(SSL_do_handshake(line.ssl.get()), 1);
  EXPECT_EQ(first.get().code, AbortCode::kTimeout);
}

TEST(PairKeyJoin, AListenerThatTakesNoKeyIsNamed) {
  support::TcpMembers members = members_of(2, 2s);
  OddMember odd(members, 0);
  const int listener = members.configs[0].listen_socket;
  auto second = joining(members, 1);
  size_t keys = 0;
  while (second.wait_for(0s) != std::future_status::ready) {
    pollfd fd{listener, POLLIN, 0};
    if (poll(&fd, 1, 50) <= 0) continue;
    Line line;
    line.check.accepted = {members.identities[1].fingerprint()};
    if (!line.handshake(accept(listener, nullptr, nullptr), true, odd.context())) continue;
    EXPECT_EQ(line.proof, PeerProof::kCertificate);
    keys += odd.make_key(line, 1) ? 1 : 0;
  }
  const Outcome outcome = second.get();
  close(listener);
  EXPECT_EQ(outcome.code, AbortCode::kTimeout);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("member 1"), HasSubstr("does not take the pair key")));
  EXPECT_GT(keys, 1u);
  EXPECT_LT(keys, 12u) << "it has to pause between them";
}

/// Passes connections on, one after the other, and notes what who connects said.
class Recorder {
 public:
  explicit Recorder(uint16_t target) : target_(target) {
    std::tie(listener_, port_) = support::listen_on_loopback();
    thread_ = std::thread([this] { run(); });
  }
  ~Recorder() {
    (void)end();
    close(listener_);
  }
  uint16_t port() const { return port_; }
  std::vector<Bytes> end() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return said_;
  }

 private:
  void run() {
    while (!stop_) {
      pollfd fd{listener_, POLLIN, 0};
      if (poll(&fd, 1, 20) <= 0) continue;
      const int ends[2] = {accept(listener_, nullptr, nullptr),
                           support::connect_to_loopback(target_)};
      said_.emplace_back();
      pollfd fds[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}};
      Bytes buffer(65536);
      for (bool open = true; open && !stop_;) {
        if (poll(fds, 2, 20) <= 0) continue;
        for (int i = 0; i < 2 && open; ++i) {
          if (fds[i].revents == 0) continue;
          const ssize_t n = read(ends[i], buffer.data(), buffer.size());
          if (n > 0 && i == 0) append(said_.back(), ByteView(buffer).first(static_cast<size_t>(n)));
          open =
              n > 0 && send(ends[1 - i], buffer.data(), static_cast<size_t>(n), MSG_NOSIGNAL) > 0;
        }
      }
      for (const int end : ends) close(end);
    }
  }
  uint16_t target_ = 0, port_ = 0;
  int listener_ = -1;
  std::atomic<bool> stop_{false};
  std::vector<Bytes> said_;
  std::thread thread_;
};

// A stranger says again, byte for byte, what a member said: the listener still has the key.
TEST(PairKeyJoin, ARecordedConnectionIsWorthNothing) {
  support::TcpMembers members = members_of(2, 20s);
  PairKeys keys;
  members.configs[0].pair_keys = &keys;
  std::vector<Bytes> said;
  {
    Recorder recorder(members.configs[0].members[0].port);
    members.configs[1].members[0].port = recorder.port();
    (void)members.join_all();
    said = recorder.end();
  }
  ASSERT_EQ(said.size(), 2u) << "the pair key, and the link";
  const MeshScope scope = scope_of(members, 0);
  const Bytes before = keys.offer(scope, 1)->identity;

  std::tie(members.configs[0].listen_socket, members.configs[0].members[0].port) =
      support::listen_on_loopback();
  members.configs[0].connect_timeout = 2s;
  auto first = joining(members, 0);
  for (const Bytes& one : said) {
    const int fd = support::connect_to_loopback(members.configs[0].members[0].port);
    ASSERT_GT(send(fd, one.data(), one.size(), MSG_NOSIGNAL), 0);
    const timeval patience{3, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    uint8_t sink[4096];
    while (read(fd, sink, sizeof sink) > 0) {
    }
    close(fd);
  }
  EXPECT_EQ(first.get().code, AbortCode::kTimeout);
  EXPECT_EQ(keys.offer(scope, 1)->identity, before) << "strangers change no key";
}

/// The members' keys after both have joined, by what they offer.
class KeptKeys {
 public:
  explicit KeptKeys(uint64_t connections) : keys_{PairKeys(connections), PairKeys(connections)} {}
  /// The key's name, empty if none is left; how many connections were made counts recorder's.
  std::pair<std::string, size_t> join(bool first_keeps = true, bool second_keeps = true) {
    support::TcpMembers& members = members_;
    members.configs[0].pair_keys = first_keeps ? &keys_[0] : nullptr;
    members.configs[1].pair_keys = second_keeps ? &keys_[1] : nullptr;
    const auto [socket, port] = support::listen_on_loopback();
    close(std::exchange(members.configs[0].listen_socket, socket));
    Recorder recorder(port);
    for (auto& config : members.configs) config.members[0].port = port;
    members.configs[1].members[0].port = recorder.port();
    const auto meshes = members.join_all();
    EXPECT_EQ(meshes[0]->signing_key(1), members.identities[1].signing_key());
    EXPECT_EQ(meshes[1]->signing_key(0), members.identities[0].signing_key());
    for (auto& config : members.configs) config.listen_socket = -1;  // taken over
    const auto use = keys_[1].offer(scope_of(members, 1), 0);
    return {use ? to_hex(use->identity) : "", recorder.end().size()};
  }

 private:
  support::TcpMembers members_ = members_of(2, 20s);
  std::array<PairKeys, 2> keys_;
};

// One connection a mesh while both have the key; whoever lost it is given a new one.
TEST(PairKeyJoin, AKeyIsMadeOnceAProcess) {
  KeptKeys kept(100);
  const auto first = kept.join();
  EXPECT_EQ(first.second, 2u);
  EXPECT_EQ(kept.join(), std::make_pair(first.first, size_t{1}));
  const auto restarted = kept.join(false, true);
  EXPECT_NE(restarted.first, first.first);
  EXPECT_EQ(restarted.second, 2u);
  const auto again = kept.join();  // the listener has an old one
  EXPECT_NE(again.first, restarted.first);
  EXPECT_EQ(again.second, 2u);
  EXPECT_EQ(kept.join(), std::make_pair(again.first, size_t{1}));
}

TEST(PairKeyJoin, AKeyEndsAfterItsConnections) {
  KeptKeys kept(2);
  const auto first = kept.join();
  EXPECT_NE(first.first, "");
  EXPECT_EQ(kept.join(), std::make_pair(std::string(), size_t{1}));
  EXPECT_EQ(kept.join().second, 2u);
}

}  // namespace
}  // namespace flexroom::net
