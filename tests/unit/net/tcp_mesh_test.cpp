#include "net/tcp_mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <future>
#include <random>

#include "net/party.h"
#include "tcp_mesh_rig.h"

namespace flexroom::net {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Sits between two members; cuts or alters what passes once, after some bytes in one direction:
/// over all connections, of which the first one makes the pair key.
class Proxy {
 public:
  enum class Fault { kCut, kFlip };
  Proxy(uint16_t target, bool upstream, size_t offset, Fault fault)
      : target_(target), upstream_(upstream), offset_(offset), fault_(fault) {
    std::tie(listener_, port_) = support::listen_on_loopback();
    thread_ = std::thread([this] { run(); });
  }
  ~Proxy() {
    stop_ = true;
    thread_.join();
    close(listener_);
  }
  uint16_t port() const { return port_; }

 private:
  void run() {
    while (!stop_) {
      pollfd fd{listener_, POLLIN, 0};
      if (poll(&fd, 1, 20) <= 0) continue;
      const int client = accept(listener_, nullptr, nullptr);
      const int server = support::connect_to_loopback(target_);
      if (server >= 0) pump(client, server);
      close(client);
      if (server >= 0) close(server);
    }
  }
  void pump(int client, int server) {
    pollfd fds[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    std::vector<uint8_t> buffer(65536);
    while (!stop_) {
      if (poll(fds, 2, 20) <= 0) continue;
      for (int i = 0; i < 2; ++i) {
        if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
        const ssize_t n = read(fds[i].fd, buffer.data(), buffer.size());
        if (n <= 0) return;
        size_t size = static_cast<size_t>(n);
        const bool here =
            (i == 0) == upstream_ && offset_ >= passed_[i] && offset_ - passed_[i] < size;
        if (here && fault_ == Fault::kFlip) buffer[offset_ - passed_[i]] ^= 0x10;
        if (here && fault_ == Fault::kCut) size = offset_ - passed_[i];
        passed_[i] += here && fault_ == Fault::kCut ? size + 1 : size;  // not twice
        if (send(fds[1 - i].fd, buffer.data(), size, MSG_NOSIGNAL) < 0) return;
        if (here && fault_ == Fault::kCut) return;
      }
    }
  }
  uint16_t target_ = 0, port_ = 0;
  bool upstream_;
  size_t offset_;
  Fault fault_;
  size_t passed_[2] = {0, 0};
  int listener_ = -1;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(TcpMeshTest, TwoHundredMegabytesBothWaysAtOnceDoNotBlockEachOther) {
  support::TcpMembers members(2);
  const auto mesh = members.join_all();
  const Bytes big = pattern(200'000'000, 1);
  const auto run = [&](PartyId i) {
    mesh[i]->send(1 - i, big);  // both send before either receives
    return mesh[i]->receive(1 - i) == big;
  };
  auto other = std::async(std::launch::async, run, 1);
  EXPECT_TRUE(run(0));
  EXPECT_TRUE(other.get());
}

TEST(TcpMeshTest, SmallQueuesDoNotDeadlockTwoSenders) {
  support::TcpMembers members(2);
  for (auto& config : members.configs) {
    config.limits.max_queued_bytes = config.limits.max_ahead_bytes = 2 << 20;
  }
  const auto mesh = members.join_all();
  const auto run = [&](PartyId i) {
    for (uint8_t k = 0; k < 48; ++k) mesh[i]->send(1 - i, pattern(1 << 20, k));
    bool same = true;
    for (uint8_t k = 0; k < 48; ++k) same &= mesh[i]->receive(1 - i) == pattern(1 << 20, k);
    return same;
  };
  auto other = std::async(std::launch::async, run, 1);
  EXPECT_TRUE(run(0));
  EXPECT_TRUE(other.get());
}

TEST(TcpMeshTest, ASlowReceiverHoldsTheSenderBackAndLosesNothing) {
  support::TcpMembers members(2);
  for (auto& config : members.configs) {
    config.limits.max_queued_bytes = config.limits.max_ahead_bytes = 1 << 20;
  }
  const auto mesh = members.join_all();
  std::atomic<bool> all_sent{false};
  auto sender = std::async(std::launch::async, [&] {
    for (uint8_t k = 0; k < 64; ++k) mesh[0]->send(1, pattern(1 << 20, k));
    all_sent = true;
  });
  std::this_thread::sleep_for(300ms);
  EXPECT_FALSE(all_sent);
  for (uint8_t k = 0; k < 64; ++k) EXPECT_EQ(mesh[1]->receive(0), pattern(1 << 20, k));
  sender.get();
}

TEST(TcpMeshTest, UnaskedForDataEndsTheLinkAtTheHardCap) {
  support::TcpMembers members(2);
  for (auto& config : members.configs) {
    config.limits.max_queued_bytes = config.limits.max_ahead_bytes = 1 << 20;
    config.limits.max_backlog_bytes = 4 << 20;
  }
  const auto mesh = members.join_all();
  const auto flood = [&](PartyId i) {
    return abort_of([&] {
      for (int k = 0; k < 100; ++k) mesh[i]->send(1 - i, Bytes(1 << 20));
    });
  };
  auto other = std::async(std::launch::async, flood, 1);
  const auto a = flood(0), b = other.get();
  ASSERT_TRUE(a && b);
  EXPECT_TRUE(a == AbortCode::kBadFrame || b == AbortCode::kBadFrame);
}

TEST(TcpMeshTest, ManySmallFramesArriveInOrderAcrossKeyUpdates) {
  support::TcpMembers members(2);
  for (auto& config : members.configs) config.limits.rekey_bytes = 50'000;
  const auto mesh = members.join_all();
  auto sender = std::async(std::launch::async, [&] {
    for (uint32_t k = 0; k < 20'000; ++k) {
      mesh[0]->send(1, pattern(k % 97, static_cast<uint8_t>(k)));
    }
  });
  bool same = true;
  for (uint32_t k = 0; k < 20'000; ++k) {
    same &= mesh[1]->receive(0) == pattern(k % 97, static_cast<uint8_t>(k));
  }
  EXPECT_TRUE(same);
  sender.get();
}

TEST(TcpMeshTest, ThreeMembersRunAProtocol) {
  support::TcpMembers members(3);
  auto meshes = members.join_all();
  for (PartyId i = 0; i < 3; ++i) {
    for (PartyId j = 0; j < 3; ++j) {
      EXPECT_EQ(meshes[i]->signing_key(j), members.identities[j].signing_key());
    }
  }
  std::vector<std::future<Digest>> coins;
  for (PartyId i = 0; i < 3; ++i) {
    coins.push_back(std::async(std::launch::async, [&, i] {
      Party party(std::move(meshes[i]), Prg(Block(5, i)));
      return party.coin("test");
    }));
  }
  const Digest first = coins[0].get();
  EXPECT_EQ(coins[1].get(), first);
  EXPECT_EQ(coins[2].get(), first);
}

TEST(TcpMeshTest, LastFramesArriveThoughTheSenderIsGone) {
  support::TcpMembers members(2);
  auto mesh = members.join_all();
  auto sender = std::async(std::launch::async, [&] {
    mesh[0]->send(1, pattern(20'000'000, 9));
    mesh[0].reset();
  });
  EXPECT_EQ(mesh[1]->receive(0), pattern(20'000'000, 9));
  EXPECT_EQ(abort_of([&] { mesh[1]->receive(0); }), AbortCode::kPeerLost);
  sender.get();
}

// A peer sends what nobody asked for: it is held back by TCP, and what this member keeps is bounded
// by what the peer may be ahead.
TEST(TcpMeshTest, APeerIsHeldToWhatItMayBeAhead) {
  support::TcpMembers members(2);
  members.configs[0].limits.max_ahead_bytes = 1 << 20;
  members.configs[1].limits.max_queued_bytes = 1 << 20;
  const auto mesh = members.join_all();
  std::atomic<size_t> sent{0};
  auto sender = std::async(std::launch::async, [&] {
    for (uint8_t k = 0; k < 64; ++k) {
      mesh[1]->send(0, pattern(1 << 20, k));
      ++sent;
    }
  });
  // Until nothing has moved for a second: 1 MiB here, 1 MiB there, and what the sockets hold.
  for (size_t before = 64, now = sent; now != before && now < 64; now = sent) {
    before = now;
    std::this_thread::sleep_for(1s);
  }
  EXPECT_LT(sent, 64u);
  for (uint8_t k = 0; k < 64; ++k) EXPECT_EQ(mesh[0]->receive(1), pattern(1 << 20, k));
  sender.get();
}

TEST(TcpMeshTest, AFrameLongerThanTheProtocolExpectsIsRefusedFromItsLengthAlone) {
  support::TcpMembers members(2);
  for (auto& config : members.configs) config.limits.max_ahead_bytes = 1 << 20;
  const auto mesh = members.join_all();
  auto peer = std::async(std::launch::async, [&] { mesh[1]->send(0, Bytes(32 << 20)); });
  try {
    mesh[0]->receive(1, 1 << 20);
    FAIL() << "took a message that nobody expected";
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kUnexpectedMessage);
    EXPECT_EQ(abort.peer(), 1u);
    EXPECT_THAT(abort.what(), HasSubstr("member 2 announced a message of 33554432 bytes"));
    EXPECT_THAT(abort.what(), HasSubstr("at most 1048576"));
  }
  peer.get();
}

// What is expected may be longer than what a peer may be ahead.
TEST(TcpMeshTest, AnExpectedFrameIsTakenWhateverItsSize) {
  support::TcpMembers members(2);
  for (auto& config : members.configs) config.limits.max_ahead_bytes = 64 << 10;
  const auto mesh = members.join_all();
  auto peer = std::async(std::launch::async, [&] {
    for (uint8_t k = 0; k < 4; ++k) mesh[1]->send(0, pattern(8'000'000, k));
  });
  for (uint8_t k = 0; k < 4; ++k) EXPECT_EQ(mesh[0]->receive(1, 8'000'000), pattern(8'000'000, k));
  peer.get();
}

TEST(TcpMeshTest, AnOversizeFrameIsRefusedFromItsLengthAlone) {
  support::TcpMembers members(2);
  members.configs[1].limits.max_frame_bytes = 1000;
  const auto mesh = members.join_all();
  EXPECT_THROW(mesh[1]->send(0, Bytes(1001)), InputError);
  mesh[0]->send(1, Bytes(1000));
  mesh[0]->send(1, Bytes(1001));
  EXPECT_EQ(mesh[1]->receive(0).size(), 1000u);
  EXPECT_EQ(abort_of([&] { mesh[1]->receive(0); }), AbortCode::kBadFrame);
  EXPECT_EQ(abort_of([&] { mesh[0]->receive(1); }), AbortCode::kPeerLost);
}

TEST(TcpMeshTest, SilenceIsATimeout) {
  support::TcpMembers members(2);
  const auto mesh = members.join_all();
  mesh[0]->set_receive_timeout(100ms);
  EXPECT_EQ(abort_of([&] { mesh[0]->receive(1); }), AbortCode::kTimeout);
}

TEST(TcpMeshTest, CloseReleasesAWaitingReceiveAtBothEnds) {
  support::TcpMembers members(2);
  const auto mesh = members.join_all();
  auto own = std::async(std::launch::async, [&] { return abort_of([&] { mesh[0]->receive(1); }); });
  auto peer =
      std::async(std::launch::async, [&] { return abort_of([&] { mesh[1]->receive(0); }); });
  std::this_thread::sleep_for(50ms);
  mesh[0]->close();
  EXPECT_EQ(own.get(), AbortCode::kPeerLost);
  EXPECT_EQ(peer.get(), AbortCode::kPeerLost);
  EXPECT_EQ(abort_of([&] { mesh[0]->send(1, Bytes(1)); }), AbortCode::kPeerLost);
}

// By the end of the connection, that is, and not by silence: that is another code.
TEST(TcpMeshTest, AMemberKilledMidMessageIsNoticedAtOnce) {
  support::TcpMembers members(2);
  const pid_t child = fork();
  if (child == 0) {
    const auto mesh = members.join(1);
    for (int k = 0; k < 1000; ++k) mesh->send(0, Bytes(10'000'000));
    pause();
  }
  const auto mesh = members.join(0);
  EXPECT_EQ(mesh->receive(1).size(), 10'000'000u);
  kill(child, SIGKILL);
  const auto code = abort_of([&] {
    while (true) EXPECT_EQ(mesh->receive(1).size(), 10'000'000u);
  });
  EXPECT_EQ(code, AbortCode::kPeerLost);
  waitpid(child, nullptr, 0);
}

// Wherever the connection is cut: whole frames in order, then a typed abort; never a hang, never a
// part of a frame.
TEST(TcpMeshTest, CutsAtAnyByteGiveWholeFramesThenAnAbort) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 20; ++trial) {
    support::TcpMembers members(2);
    for (auto& config : members.configs) {
      config.connect_timeout = 600ms;
      config.receive_timeout = 2s;
    }
    const size_t offset = trial < 8 ? random() % 5000 : 5000 + random() % 200'000;
    Proxy proxy(members.configs[0].members[0].port, trial % 2 == 0, offset, Proxy::Fault::kCut);
    members.configs[1].members[0].port = proxy.port();
    const auto run = [&](PartyId i) {
      return abort_of([&] {
        const auto mesh = members.join(i);
        for (uint8_t k = 0; k < 30; ++k) mesh->send(1 - i, pattern(9973, k));
        for (uint8_t k = 0; k < 30; ++k) EXPECT_EQ(mesh->receive(1 - i), pattern(9973, k));
      });
    };
    auto other = std::async(std::launch::async, run, 1);
    const auto a = run(0), b = other.get();
    for (const auto& code : {a, b}) {
      EXPECT_TRUE(!code || code == AbortCode::kPeerLost || code == AbortCode::kTimeout)
          << to_string(*code);
    }
    if (trial >= 8) {
      EXPECT_TRUE(a || b) << "offset " << offset;
    }
  }
}

TEST(TcpMeshTest, AnAlteredByteOnTheWireIsMalformedNeverData) {
  for (const size_t offset : {8000u, 60'000u, 150'000u}) {
    support::TcpMembers members(2);
    Proxy proxy(members.configs[0].members[0].port, true, offset, Proxy::Fault::kFlip);
    members.configs[1].members[0].port = proxy.port();
    const auto mesh = members.join_all();
    // The receiver's alert may reach the sender before it has sent everything.
    const auto sending = abort_of([&] {
      for (uint8_t k = 0; k < 30; ++k) mesh[1]->send(0, pattern(9973, k));
    });
    EXPECT_TRUE(!sending || *sending == AbortCode::kBadFrame || *sending == AbortCode::kPeerLost);
    const auto code = abort_of([&] {
      for (uint8_t k = 0; k < 30; ++k) EXPECT_EQ(mesh[0]->receive(1), pattern(9973, k));
    });
    EXPECT_EQ(code, AbortCode::kBadFrame);
  }
}

}  // namespace
}  // namespace flexroom::net
