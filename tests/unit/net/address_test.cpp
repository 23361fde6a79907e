#include "net/address.h"

#include <gtest/gtest.h>

namespace flexroom::net {
namespace {

SocketAddress only(const std::string& host, uint16_t port = 443) {
  const Resolved resolved = resolve(host, port);
  EXPECT_EQ(resolved.problem, "") << host;
  return resolved.addresses.at(0);
}

TEST(Address, OfANumericHostIsItself) {
  EXPECT_EQ(only("192.0.2.7").text(), "192.0.2.7:443");
  EXPECT_EQ(only("2001:db8::7", 80).text(), "2001:db8::7:80");
  EXPECT_TRUE(is_address("192.0.2.7") && is_address("::1"));
  EXPECT_FALSE(is_address("localhost"));
}

// What one sender of connections has many of counts as one: ports, and all of an IPv6 /64.
TEST(Address, KeyIsAnIpv4AddressOrAnIpv6Network) {
  EXPECT_EQ(only("192.0.2.7", 1).key(), only("192.0.2.7", 2).key());
  EXPECT_NE(only("192.0.2.7").key(), only("192.0.2.8").key());
  EXPECT_EQ(only("::ffff:192.0.2.7").key(), only("192.0.2.7").key());
  EXPECT_EQ(only("2001:db8:0:1::7").key(), only("2001:db8:0:1:ffff::8").key());
  EXPECT_NE(only("2001:db8:0:1::7").key(), only("2001:db8:0:2::7").key());
}

TEST(Address, LoopbackIsAllOf127AndOne) {
  EXPECT_TRUE(only("127.8.0.1").is_loopback() && only("::1").is_loopback());
  EXPECT_FALSE(only("192.0.2.7").is_loopback() || only("2001:db8::1").is_loopback());
}

// To listen at no host in particular is to listen everywhere; to connect to none is an error.
TEST(Address, AnEmptyHostIsForListeningOnly) {
  EXPECT_FALSE(resolve("", 443, true).addresses.empty());
  const Resolved nowhere = resolve("", 443);
  EXPECT_TRUE(nowhere.addresses.empty());
  EXPECT_NE(nowhere.problem, "");
}

}  // namespace
}  // namespace flexroom::net
