#include "node/listener.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "support/tcp_members.h"

namespace flexroom::node {
namespace {

using namespace std::chrono_literals;
using support::connect_to_loopback;

bool until(const std::function<bool()>& condition) {
  for (int i = 0; i < 200; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

void say(int fd, const Bytes& bytes) {
  ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

class ListenerTest : public ::testing::Test {
 protected:
  ListenerTest() {
    const auto [fd, port] = support::listen_on_loopback();
    port_ = port;
    listener_ = std::make_unique<Listener>(Fd(fd), std::vector{kPeer});
  }
  static constexpr agreement::MemberId kPeer{1, 2, 3}, kStranger{9};
  uint16_t port_ = 0;
  std::unique_ptr<Listener> listener_;
};

TEST_F(ListenerTest, SortsByTheFirstBytes) {
  const Fd session(connect_to_loopback(port_)), peer(connect_to_loopback(port_));
  say(session.get(), Bytes(25, 0x16));
  Bytes first = Listener::preamble(kPeer);
  first.push_back(0x16);
  say(peer.get(), first);
  EXPECT_TRUE(until([&] { return listener_->of_sessions().tidy(); }));
  EXPECT_TRUE(until([&] { return listener_->of_peer(kPeer).tidy(); }));
  const Fd taken = listener_->of_peer(kPeer).take();
  uint8_t byte = 0;
  ASSERT_EQ(::recv(taken.get(), &byte, 1, 0), 1);  // the preamble is off
  EXPECT_EQ(byte, 0x16);
}

TEST_F(ListenerTest, DropsWhatIsNeither) {
  for (const Bytes& bytes : {Bytes(25, 'G'), Listener::preamble(kStranger)}) {
    const Fd fd(connect_to_loopback(port_));
    say(fd.get(), bytes);
    uint8_t byte = 0;
    EXPECT_LE(::recv(fd.get(), &byte, 1, 0), 0);
  }
  EXPECT_FALSE(listener_->of_sessions().tidy());
}

// M37: a stranger with many connections that say nothing keeps no member waiting.
TEST_F(ListenerTest, IsNotFilledByWhoSaysNothing) {
  std::vector<Fd> silent;
  for (size_t i = 0; i < 3 * Listener::kMostUnsorted; ++i) {
    silent.emplace_back(connect_to_loopback(port_));
  }
  const Fd session(connect_to_loopback(port_));
  say(session.get(), Bytes(25, 0x16));
  EXPECT_TRUE(until([&] { return listener_->of_sessions().tidy(); }));
  // The oldest of the address went.
  uint8_t byte = 0;
  EXPECT_EQ(::recv(silent.front().get(), &byte, 1, 0), 0);
}

TEST_F(ListenerTest, KeepsNoMoreThanItMayForAMesh) {
  WaitingConnections waiting;
  std::vector<Fd> far;
  for (size_t i = 0; i < WaitingConnections::kMost + 5; ++i) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    waiting.put(Fd(ends[0]));
    far.emplace_back(ends[1]);
  }
  size_t taken = 0;
  while (waiting.take().valid()) ++taken;
  EXPECT_EQ(taken, WaitingConnections::kMost);
  waiting.put(std::move(far.back()));
  EXPECT_FALSE(waiting.tidy());  // its other end is closed
}

}  // namespace
}  // namespace flexroom::node
