#include "net/tcp_stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "base/fd.h"
#include "support/tcp_members.h"

// The courier's socket, as it is looked at without waiting (tls-in-mpc.md §4.9 "stands").

namespace flexroom::net {
namespace {

using namespace std::chrono_literals;

class TcpStreamTest : public ::testing::Test {
 protected:
  TcpStreamTest() {
    const auto [listener, port] = support::listen_on_loopback();
    listener_.reset(listener);
    stream_ = connect_tcp("127.0.0.1", port, 10s);
    service_.reset(::accept(listener, nullptr, nullptr));
  }
  /// What is there without waiting, once anything has arrived: loopback has no bound for that.
  std::optional<Bytes> look_behind_arrival() {
    for (int k = 0; k < 1000; ++k) {
      if (auto there = stream_->read_some_within(16, 0ms)) return there;
      std::this_thread::sleep_for(10ms);
    }
    return std::nullopt;
  }

  Fd listener_, service_;
  std::unique_ptr<ByteStream> stream_;
};

TEST_F(TcpStreamTest, ALookThatDoesNotWaitSeesWhatIsThere) {
  EXPECT_EQ(stream_->read_some_within(16, 0ms), std::nullopt);
  ASSERT_EQ(::send(service_.get(), "408", 3, MSG_NOSIGNAL), 3);
  EXPECT_EQ(look_behind_arrival(), (Bytes{'4', '0', '8'}));
  EXPECT_EQ(stream_->read_some_within(16, 0ms), std::nullopt);
}

TEST_F(TcpStreamTest, ALookThatDoesNotWaitSeesTheEnd) {
  service_.reset(-1);
  EXPECT_EQ(look_behind_arrival(), Bytes());
}

TEST_F(TcpStreamTest, SilenceEndsAWait) {
  EXPECT_EQ(stream_->read_some_within(16, 20ms), std::nullopt);
  stream_->write(Bytes{'a'});
  char byte = 0;
  EXPECT_EQ(::recv(service_.get(), &byte, 1, 0), 1);
}

}  // namespace
}  // namespace flexroom::net
