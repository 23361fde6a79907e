#include "bench/link_simulator.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "bench/bench_members.h"
#include "support/tcp_members.h"

namespace flexroom::bench {
namespace {

Bytes read_all(int fd) {
  Bytes out;
  uint8_t buffer[65536];
  while (true) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return out;
    append(out, ByteView(buffer, static_cast<size_t>(n)));
  }
}

/// One connection through a simulator: what is written at one end and the end of it come out at the
/// other, in both directions.
class Through {
 public:
  explicit Through(LinkSimulator& link) {
    const auto [listener, port] = support::listen_on_loopback();
    near_ = support::connect_to_loopback(link.forward_to(port));
    far_ = accept(listener, nullptr, nullptr);
    close(listener);
  }
  ~Through() {
    close(near_);
    close(far_);
  }
  Through(const Through&) = delete;
  Through& operator=(const Through&) = delete;
  int near_end() const { return near_; }
  int far_end() const { return far_; }

 private:
  int near_ = -1, far_ = -1;
};

Bytes counted(size_t size) {
  Bytes out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(i * 7 + (i >> 12));
  return out;
}

TEST(LinkSimulatorTest, PassesBytesAndEndsInBothDirections) {
  LinkSimulator link;
  const Through through(link);
  const Bytes up = counted(3'000'000), down = counted(1'000'001);
  std::thread far([&] {
    EXPECT_EQ(send(through.far_end(), down.data(), down.size(), 0), ssize_t(down.size()));
    shutdown(through.far_end(), SHUT_WR);
    EXPECT_EQ(read_all(through.far_end()), up);
  });
  std::thread sender([&] {
    EXPECT_EQ(send(through.near_end(), up.data(), up.size(), 0), ssize_t(up.size()));
    shutdown(through.near_end(), SHUT_WR);
  });
  EXPECT_EQ(read_all(through.near_end()), down);
  sender.join();
  far.join();
}

TEST(LinkSimulatorTest, NothingArrivesBeforeItsTime) {
  LinkSimulator link;
  link.set_shape({40, 0});
  const Through through(link);
  for (int k = 0; k < 3; ++k) {
    const auto start = BenchClock::now();
    uint8_t byte = 1;
    ASSERT_EQ(send(through.near_end(), &byte, 1, 0), 1);
    ASSERT_EQ(recv(through.far_end(), &byte, 1, 0), 1);
    EXPECT_GE(seconds_since(start), 0.020);
    ASSERT_EQ(send(through.far_end(), &byte, 1, 0), 1);
    ASSERT_EQ(recv(through.near_end(), &byte, 1, 0), 1);
    EXPECT_GE(seconds_since(start), 0.040);
  }
}

TEST(LinkSimulatorTest, NothingArrivesFasterThanTheRate) {
  LinkSimulator link;
  link.set_shape({0, 80});  // 10 MB/s
  const Through through(link);
  const Bytes sent = counted(2'000'000);
  const auto start = BenchClock::now();
  std::thread sender([&] {
    EXPECT_EQ(send(through.near_end(), sent.data(), sent.size(), 0), ssize_t(sent.size()));
    shutdown(through.near_end(), SHUT_WR);
  });
  EXPECT_EQ(read_all(through.far_end()), sent);
  EXPECT_GE(seconds_since(start), 0.2);
  sender.join();
}

}  // namespace
}  // namespace flexroom::bench
