#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <new>

#include "tls/handshake.h"
#include "unit/tls/fake_server.h"

// The public half of the client under each cipher suite, whose hash has 32 or 48 bytes
// (tls-complete.md §3).

namespace flexroom::tls {
namespace suites_test {

using testing::abort_of;
using testing::FakeServer;
using ::testing::HasSubstr;
using testing::hello_of;
using testing::join;

HashValue secret_of(const CipherSuite& suite, uint8_t value) {
  return HashValue(ByteView(Bytes(suite.hash().digest_bytes, value)));
}

FakeServer server_of(const CipherSuite& suite) {
  FakeServer out;
  out.suite = &suite;
  out.hello.suite = suite.code;
  out.c_hs = secret_of(suite, 0xc1);
  out.s_hs = secret_of(suite, 0x51);
  return out;
}

ClientHandshake client_of(const CipherSuite& suite) {
  ClientHelloInput input = testing::hello_input();
  input.suite = &suite;
  return ClientHandshake(handshake_config(testing::chain_policy()), input);
}

class Suites : public ::testing::TestWithParam<const CipherSuite*> {
 protected:
  const CipherSuite& suite() const { return *GetParam(); }
  const HashKind& hash() const { return suite().hash(); }
  const FakeServer server_ = server_of(suite());
  /// At a client that has its secrets, of the flight whose Finished is altered.
  template <typename Alter>
  std::string refusal_of(Alter alter) const {
    ClientHandshake client = client_of(suite());
    client.feed(server_.server_hello_record());
    client.set_server_secret(server_.s_hs);
    std::vector<Bytes> flight = server_.flight(hello_of(client));
    Bytes content(flight.back().begin() + 4, flight.back().end());
    alter(content);
    flight.back() = handshake_message(HandshakeType::kFinished, content);
    return abort_of([&] { client.feed(server_.seal_handshake(join(flight), 0)); });
  }
};
INSTANTIATE_TEST_SUITE_P(All, Suites,
                         ::testing::Values(&aes128_gcm_sha256(), &chacha20_poly1305_sha256(),
                                           &aes256_gcm_sha384()));

TEST_P(Suites, AFlightIsAcceptedAndOurFinishedIsOfTheSuite) {
  ClientHandshake client = client_of(suite());
  Bytes hashed = join({hello_of(client).message, server_.hello.message()});
  auto events = client.feed(server_.server_hello_record());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].digest, hash_of(hash(), hashed));
  client.set_server_secret(server_.s_hs);
  const std::vector<Bytes> flight = server_.flight(hello_of(client));
  append(hashed, join(flight));
  events = client.feed(server_.seal_handshake(join(flight), 0));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, EventKind::kServerFinished);
  const HashValue h2 = hash_of(hash(), hashed);
  EXPECT_EQ(events[0].digest, h2);

  const auto records = RecordReader().feed(client.client_finished_record(server_.c_hs));
  ASSERT_EQ(records.size(), 2u);
  const auto inner = aead_open(traffic_keys(server_.c_hs, suite()), 0, records[1]);
  ASSERT_TRUE(inner.has_value());
  const Bytes content = split_inner(*inner, "test").content;
  EXPECT_EQ(content.size(), 4 + hash().digest_bytes);
  EXPECT_EQ(content,
            handshake_message(HandshakeType::kFinished, finished_mac(hash(), server_.c_hs, h2)));
}

// C4: every byte of it, and its length.
TEST_P(Suites, AFinishedThatIsNotOursToTheLastByteIsRefused) {
  const std::string refused = "Finished does not match";
  EXPECT_EQ(refusal_of([](Bytes&) {}), "");
  for (size_t at = 0; at < hash().digest_bytes; ++at) {
    EXPECT_THAT(refusal_of([&](Bytes& content) { content.at(at) ^= 0x80; }), HasSubstr(refused));
  }
  for (const size_t size : {0, 12, 31, 32, 33, 47, 48, 49, 64}) {
    if (size == hash().digest_bytes) continue;
    EXPECT_THAT(refusal_of([&](Bytes& content) { content.resize(size); }), HasSubstr(refused))
        << size;
  }
}

// §3.3: one suite is offered, and no other is taken, also not one that the client knows.
TEST_P(Suites, AServerThatTakesAnotherIsRefused) {
  for (const uint16_t other : std::vector<uint16_t>{0x1301, 0x1302, 0x1303, 0x1304, 0xc02c, 0}) {
    if (other == suite().code) continue;
    FakeServer server = server_;
    server.hello.suite = other;
    ClientHandshake client = client_of(suite());
    EXPECT_THAT(abort_of([&] { client.feed(server.server_hello_record()); }), HasSubstr("suite"))
        << other;
    FakeServer retry = server_;
    retry.hello = testing::hello_retry({}, Bytes{1});
    retry.hello.suite = other;
    ClientHandshake again = client_of(suite());
    EXPECT_THAT(abort_of([&] { again.feed(retry.server_hello_record()); }), HasSubstr("suite"))
        << other;
  }
}

// RFC 8446 §4.4.1: message_hash has the length of the suite's hash.
TEST_P(Suites, AHelloRetryRequestIsHashedUnderTheSuite) {
  ClientHandshake client = client_of(suite());
  Bytes hashed = testing::message_hash(hello_of(client).message, hash());
  EXPECT_EQ(hashed.size(), 4 + hash().digest_bytes);
  testing::ServerHelloFields retry = testing::hello_retry({}, Bytes(9, 5));
  retry.suite = suite().code;
  append(hashed, retry.message());
  const auto events = client.feed(plain_record(ContentType::kHandshake, 0x0303, retry.message()));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, EventKind::kHelloRetry);
  const Bytes second = client.client_hello_record();
  append(hashed, ByteView(second).subspan(6 + 5));  // behind ChangeCipherSpec
  append(hashed, server_.hello.message());
  const auto hello = client.feed(server_.server_hello_record());
  ASSERT_EQ(hello.size(), 1u);
  EXPECT_EQ(hello[0].digest, hash_of(hash(), hashed));
  client.set_server_secret(server_.s_hs);
  const auto finished = client.feed(server_.seal_handshake(join(server_.flight(hashed)), 0));
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished[0].kind, EventKind::kServerFinished);
}

// What is opened to the members is nobody else's: a secret does not stay where it lay.
TEST(HashValues, AreWiped) {
  alignas(HashValue) std::array<uint8_t, sizeof(HashValue)> memory;
  auto* const value = new (memory.data()) HashValue(ByteView(Bytes(48, 0xa7)));
  EXPECT_GE(std::count(memory.begin(), memory.end(), 0xa7), 48);
  value->~HashValue();
  EXPECT_LT(std::count(memory.begin(), memory.end(), 0xa7), 8);
}

TEST(HashValues, AreOfTheirLength) {
  const HashValue value(ByteView(Bytes(48, 1)));
  EXPECT_EQ(value.size(), 48u);
  EXPECT_FALSE(value == HashValue(ByteView(Bytes(32, 1))));
  EXPECT_FALSE(value == HashValue(ByteView(Bytes(64, 1))));
  EXPECT_TRUE(value == HashValue(ByteView(Bytes(48, 1))));
}

}  // namespace suites_test
}  // namespace flexroom::tls
