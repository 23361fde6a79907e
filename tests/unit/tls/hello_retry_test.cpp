#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "unit/tls/fake_server.h"

// HelloRetryRequest: tls-complete.md §1.2 and its attacks 69, 70. Its rules are those of every
// member on its own copy of the server's bytes.

namespace flexroom::tls {
namespace {

using testing::abort_of;
using testing::extension;
using testing::FakeServer;
using ::testing::HasSubstr;
using testing::hello_retry;
using testing::join;
using testing::key_shares_of;
using testing::ServerHelloFields;

constexpr uint16_t kX25519 = 0x001d, kP256 = 0x0017;
const Bytes kKeyOfP256(65, 4);

/// Both groups offered, X25519's key alone in the first hello.
ClientHelloInput one_key_input() {
  ClientHelloInput input = testing::hello_input();
  input.key_shares.push_back({NamedGroup::kP256, kKeyOfP256});
  input.held_back = {NamedGroup::kP256};
  return input;
}
ClientHandshake client_of(const ClientHelloInput& input) {
  return ClientHandshake(handshake_config(testing::chain_policy()), input);
}

Bytes record_of(const Bytes& message) {
  return plain_record(ContentType::kHandshake, 0x0303, message);
}
Bytes retry_share(uint16_t group, size_t size) {
  return extension(51,
                   Writer().u16(group).u16(static_cast<uint16_t>(size)).raw(Bytes(size, 9)).take());
}
const Bytes kChangeCipherSpec = plain_record(ContentType::kChangeCipherSpec, 0x0303, Bytes{1});

/// The message of the client's first or second flight.
Bytes hello_message(const ClientHandshake& client) {
  return RecordReader().feed(client.client_hello_record()).back().payload;
}

/// Why that HelloRetryRequest is refused; "" if it is taken.
std::string retry_refusal(const ServerHelloFields& retry,
                          const ClientHelloInput& input = one_key_input(), Bytes* alert = nullptr) {
  ClientHandshake client = client_of(input);
  const std::string why = abort_of([&] {
    const auto events = client.feed(record_of(retry.message()));
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, EventKind::kHelloRetry);
  });
  if (alert != nullptr) *alert = client.alert_record();
  return why;
}

TEST(HelloRetry, TheSecondHelloIsTheFirstButForKeyAndCookie) {
  const Bytes cookie(114, 0xc0);
  ClientHelloInput input = one_key_input();
  input.record_size_limit = 4096;
  const Bytes first = hello_message(client_of(input));
  EXPECT_EQ(key_shares_of(first),
            (std::vector<std::pair<uint16_t, Bytes>>{{kX25519, Bytes(32, 9)}}));
  const auto second_behind = [&](const ServerHelloFields& retry) {
    ClientHandshake client = client_of(input);
    client.feed(record_of(retry.message()));
    const auto records = RecordReader().feed(client.client_hello_record());
    EXPECT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0].type(), static_cast<uint8_t>(ContentType::kChangeCipherSpec));
    EXPECT_EQ(records[1].header[2], 3);  // 16 0303, where the first hello has 16 0301
    return records.back().payload;
  };
  // The key: in the place of the other, which it is 33 bytes longer than.
  ClientHelloInput other = input;
  other.held_back = {NamedGroup::kX25519};
  EXPECT_EQ(second_behind(hello_retry(kP256)), build_client_hello(other).message);
  EXPECT_EQ(second_behind(hello_retry(kP256)).size(), first.size() + 33);
  // The cookie: alone, with all keys of before; right behind key_share.
  const Bytes with_cookie = second_behind(hello_retry({}, cookie));
  EXPECT_EQ(with_cookie.size(), first.size() + cookie.size() + 6);
  const Bytes body = Writer().u16(114).raw(cookie).take();
  EXPECT_EQ(testing::extension_of(with_cookie, 44), body);
  EXPECT_EQ(key_shares_of(with_cookie), key_shares_of(first));
  const Bytes keys = extension(51, *testing::extension_of(with_cookie, 51));
  const Bytes both = join({keys, extension(44, body)});
  EXPECT_NE(std::search(with_cookie.begin(), with_cookie.end(), both.begin(), both.end()),
            with_cookie.end());
  // Both.
  const Bytes all = second_behind(hello_retry(kP256, cookie));
  EXPECT_EQ(all.size(), first.size() + 33 + cookie.size() + 6);
  EXPECT_EQ(key_shares_of(all), (std::vector<std::pair<uint16_t, Bytes>>{{kP256, kKeyOfP256}}));
}

/// As a connection offers all groups: P-256's key is held back.
ClientHelloInput hybrid_input() {
  ClientHelloInput input = one_key_input();
  Bytes share(1184, 0xe4);
  append(share, Bytes(32, 9));
  input.key_shares.insert(input.key_shares.begin(), {NamedGroup::kX25519MlKem768, share});
  return input;
}

// tls-complete.md §1.1: one segment for all but long names.
TEST(HelloWithMlKem, HasTheSizeThatTheDesignSays) {
  const ClientHelloInput input = hybrid_input();
  const Bytes message = hello_message(client_of(input));
  EXPECT_EQ(message.size(), 1416 + input.host.size());
  EXPECT_EQ(client_hello_bytes(all_groups(), input.host, false), 5 + message.size());
  EXPECT_EQ(client_hello_bytes(all_groups(), input.host, true), 5 + message.size() + 9);
  EXPECT_EQ(client_hello_bytes(all_curves(), input.host, false), 5 + 263 + input.host.size());
  // One segment of 1,460 bytes.
  EXPECT_EQ(client_hello_bytes(all_groups(), std::string(35, 'a') + ".org", false), 1460u);
  const auto shares = key_shares_of(message);
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].first, 0x11ec);
  EXPECT_EQ(shares[1].first, kX25519);
  EXPECT_EQ(Bytes(shares[0].second.end() - 32, shares[0].second.end()), shares[1].second);
}

// tls-complete.md §1.1: where P-256 is likely its key stands in the place of X25519's, beside
// ML-KEM, which nothing takes out; who asks for X25519 is sent the key that the first hello has.
TEST(HelloWithMlKem, ALikelyCurveHasItsKeyInTheFirstHello) {
  EXPECT_EQ(held_back_of(all_groups()), Groups{NamedGroup::kP256});
  EXPECT_EQ(held_back_of(all_groups(), NamedGroup::kX25519), Groups{NamedGroup::kP256});
  EXPECT_EQ(held_back_of(all_groups(), NamedGroup::kP256), Groups{NamedGroup::kX25519});
  const NamedGroup kem = NamedGroup::kX25519MlKem768;
  EXPECT_EQ(held_back_of({kem}, NamedGroup::kP256), Groups{});
  EXPECT_EQ(held_back_of({kem, NamedGroup::kX25519}, NamedGroup::kP256), Groups{});
  EXPECT_EQ(held_back_of({kem, NamedGroup::kP256}, NamedGroup::kP256), Groups{});
  EXPECT_EQ(held_back_of({kem, NamedGroup::kP256}), Groups{NamedGroup::kP256});
  EXPECT_EQ(held_back_of(all_curves(), NamedGroup::kP256), Groups{});

  ClientHelloInput input = hybrid_input();
  input.held_back = held_back_of(all_groups(), NamedGroup::kP256);
  ClientHandshake client = client_of(input);
  const Bytes first = hello_message(client);
  EXPECT_EQ(first.size(), 1449 + input.host.size());
  const auto shares = key_shares_of(first);
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].first, 0x11ec);
  EXPECT_EQ(shares[1], (std::pair<uint16_t, Bytes>{kP256, kKeyOfP256}));

  client.feed(record_of(hello_retry(kX25519).message()));
  const Bytes second = RecordReader().feed(client.client_hello_record()).back().payload;
  EXPECT_EQ(key_shares_of(second),
            (std::vector<std::pair<uint16_t, Bytes>>{
                {kX25519, Bytes(shares[0].second.end() - 32, shares[0].second.end())}}));
  EXPECT_FALSE(client.offers_kem());
}

// 73: ciphertext and key, not a byte less or more.
TEST(HelloWithMlKem, TheServersShareHasOneSize) {
  for (const size_t size : {size_t{1119}, size_t{1120}, size_t{1121}, size_t{32}, size_t{1216}}) {
    ClientHandshake client = client_of(hybrid_input());
    ServerHelloFields hello;
    hello.key_share = retry_share(0x11ec, size);
    const std::string why = abort_of([&] {
      const auto events = client.feed(record_of(hello.message()));
      ASSERT_EQ(events.size(), 1u);
      const KeyShare& share = events[0].key_share;
      EXPECT_EQ(share.group, NamedGroup::kX25519MlKem768);
      EXPECT_EQ(kem_share(share.group, share.key).size(), 1088u);
      EXPECT_EQ(curve_share(share.group, share.key).size(), 32u);
    });
    if (size == 1120) {
      EXPECT_EQ(why, "");
    } else {
      EXPECT_THAT(why, HasSubstr("expected 1120"));
    }
  }
}

// §1.2: a HelloRetryRequest for another group takes its key out of the hello.
TEST(HelloWithMlKem, AHelloForAnotherGroupHoldsItNoMore) {
  ClientHandshake client = client_of(hybrid_input());
  EXPECT_TRUE(client.offers_kem());
  client.feed(record_of(hello_retry(kP256).message()));
  EXPECT_FALSE(client.offers_kem());
  const auto shares = key_shares_of(hello_message(client));
  EXPECT_EQ(shares, (std::vector<std::pair<uint16_t, Bytes>>{{kP256, kKeyOfP256}}));
  ClientHandshake other = client_of(hybrid_input());
  other.feed(record_of(hello_retry({}, Bytes{1}).message()));
  EXPECT_TRUE(other.offers_kem());
  EXPECT_EQ(retry_refusal(hello_retry(0x11ec), hybrid_input()).find("was sent already") ==
                std::string::npos,
            false);
}

// 70
TEST(HelloRetry, EveryForbiddenOneIsRefused) {
  const auto with = [](auto change, std::optional<uint16_t> group = kP256, Bytes cookie = {}) {
    ServerHelloFields retry = hello_retry(group, cookie);
    change(retry);
    return retry_refusal(retry);
  };
  const auto nothing = [](auto&) {};
  EXPECT_EQ(with(nothing), "");
  EXPECT_EQ(with(nothing, {}, Bytes(2048, 1)), "");
  EXPECT_THAT(with([](auto& h) { h.version = 0x0304; }), HasSubstr("legacy_version"));
  EXPECT_THAT(with([](auto& h) { h.session_id[0] ^= 1; }), HasSubstr("session id"));
  EXPECT_THAT(with([](auto& h) { h.session_id.clear(); }), HasSubstr("session id"));
  EXPECT_THAT(with([](auto& h) { h.suite = 0x1302; }), HasSubstr("cipher suite"));
  EXPECT_THAT(with([](auto& h) { h.compression = 1; }), HasSubstr("compression"));
  EXPECT_THAT(with([](auto& h) { h.versions = {}; }), HasSubstr("TLS 1.2"));
  EXPECT_THAT(with([](auto& h) {
                h.versions = extension(43, Bytes{3, 3});
              }),
              HasSubstr("other than TLS 1.3"));
  EXPECT_THAT(with([](auto& h) { h.more = extension(16, {}); }),
              HasSubstr("extension 16 into its HelloRetryRequest"));
  EXPECT_THAT(with([](auto& h) { h.more = extension(51, Bytes{0, 0x17}); }), HasSubstr("twice"));
  EXPECT_THAT(with([](auto& h) { h.more = extension(43, Bytes{3, 4}); }), HasSubstr("twice"));
  EXPECT_THAT(with([](auto& h) {
                h.key_share = extension(51, Bytes{0, 0x17, 0});
              }),
              ::testing::ContainsRegex("bytes too (early|many)"));
  EXPECT_THAT(with([](auto& h) { h.key_share = extension(51, Bytes{0x17}); }),
              ::testing::ContainsRegex("bytes too (early|many)"));
  EXPECT_THAT(with([](auto& h) { h.key_share = retry_share(kP256, 65); }),
              ::testing::ContainsRegex("bytes too (early|many)"));
  EXPECT_THAT(with(nothing, 0x0018), HasSubstr("was not offered"));
  EXPECT_THAT(with(nothing, 0x11ec), HasSubstr("was not offered"));
  EXPECT_THAT(with(nothing, kX25519), HasSubstr("x25519, which it was sent already"));
  EXPECT_THAT(with(nothing, {}), HasSubstr("without any change"));
  EXPECT_THAT(with([](auto& h) {
                h.more = extension(44, Bytes{0, 0});
              }),
              HasSubstr("cookie is empty"));
  EXPECT_THAT(with(nothing, {}, Bytes(2049, 1)), HasSubstr("2049 bytes"));
  EXPECT_THAT(with([](auto& h) {
                h.more = extension(44, Bytes{0, 2, 1});
              }),
              ::testing::ContainsRegex("bytes too (early|many)"));
  EXPECT_THAT(with([](auto& h) {
                h.more = extension(44, Bytes{0, 1, 1, 1});
              }),
              ::testing::ContainsRegex("bytes too (early|many)"));
  EXPECT_THAT(with(
                  [](auto& h) {
                    append(h.more, extension(44, Bytes{0, 1, 7}));
                  },
                  {}, Bytes{7}),
              HasSubstr("twice"));
}

TEST(HelloRetry, TheServerIsToldWhatIsWrong) {
  const auto alert = [](const ServerHelloFields& retry) {
    Bytes out;
    EXPECT_NE(retry_refusal(retry, one_key_input(), &out), "");
    return out.empty() ? 0 : out.back();
  };
  EXPECT_EQ(alert(hello_retry(kX25519)), 47);
  EXPECT_EQ(alert(hello_retry(0x0018)), 47);
  EXPECT_EQ(alert(hello_retry({})), 47);
  EXPECT_EQ(alert(hello_retry({}, Bytes(2049, 1))), 47);
  ServerHelloFields retry = hello_retry(kP256);
  retry.more = extension(16, {});
  EXPECT_EQ(alert(retry), 110);
  retry.more = extension(44, Bytes{0, 0});
  EXPECT_EQ(alert(retry), 50);
}

// With every key in the first hello there is nothing left to ask for but a cookie.
TEST(HelloRetry, NoGroupIsAskedForWhoseKeyWasSent) {
  ClientHelloInput input = one_key_input();
  input.held_back = {};
  for (const uint16_t group : {kX25519, kP256}) {
    EXPECT_THAT(retry_refusal(hello_retry(group), input), HasSubstr("sent already"));
  }
  EXPECT_EQ(retry_refusal(hello_retry({}, Bytes{1}), input), "");
  // With one group offered, no other.
  EXPECT_THAT(retry_refusal(hello_retry(kP256), testing::hello_input()), HasSubstr("not offered"));
}

TEST(HelloRetry, ThereIsOne) {
  for (const auto& [first, second] : std::vector<std::pair<ServerHelloFields, ServerHelloFields>>{
           {hello_retry(kP256), hello_retry({}, Bytes{1})},
           {hello_retry({}, Bytes{1}), hello_retry(kP256)},
           {hello_retry({}, Bytes{1}), hello_retry({}, Bytes{2})}}) {
    ClientHandshake client = client_of(one_key_input());
    client.feed(record_of(first.message()));
    EXPECT_THAT(abort_of([&, again = second] { client.feed(record_of(again.message())); }),
                HasSubstr("twice"));
    EXPECT_EQ(client.alert_record().back(), 10);
  }
}

// The ServerHello keeps to what was asked for: suite, and the group whose key the second hello has.
TEST(HelloRetry, TheServerHelloBehindItIsHeldToIt) {
  const auto behind = [](const ServerHelloFields& retry, auto change) {
    ClientHandshake client = client_of(one_key_input());
    client.feed(record_of(retry.message()));
    ServerHelloFields hello;
    change(hello);
    return abort_of([&] {
      const auto events = client.feed(record_of(hello.message()));
      EXPECT_EQ(events.at(0).kind, EventKind::kServerHello);
    });
  };
  const ServerHelloFields group = hello_retry(kP256), cookie = hello_retry({}, Bytes{1});
  EXPECT_EQ(behind(group, [](auto& h) { h.key_share = retry_share(kP256, 65); }), "");
  EXPECT_EQ(behind(cookie, [](auto&) {}), "");
  EXPECT_THAT(behind(group, [](auto&) {}), HasSubstr("another group than the offered p256"));
  EXPECT_THAT(behind(cookie, [](auto& h) { h.key_share = retry_share(kP256, 65); }),
              HasSubstr("another group than the offered x25519"));
  EXPECT_THAT(behind(group,
                     [](auto& h) {
                       h.key_share = retry_share(kP256, 65);
                       h.suite = 0x1302;
                     }),
              HasSubstr("cipher suite"));
  EXPECT_THAT(behind(group,
                     [](auto& h) {
                       h.key_share = retry_share(kP256, 65);
                       h.session_id[3] ^= 1;
                     }),
              HasSubstr("session id"));
  EXPECT_THAT(behind(cookie,
                     [](auto& h) {
                       h.more = extension(44, Bytes{0, 1, 1});
                     }),
              HasSubstr("extension 44 into its ServerHello"));
}

// It ends its record, and nothing but ChangeCipherSpec comes before the second hello is out.
TEST(HelloRetry, NothingComesWithIt) {
  const Bytes retry = hello_retry({}, Bytes{1}).message();
  const Bytes hello = ServerHelloFields().message();
  const auto fed = [](const Bytes& bytes) {
    ClientHandshake client = client_of(one_key_input());
    return abort_of([&] { client.feed(bytes); });
  };
  EXPECT_THAT(fed(record_of(join({retry, hello}))), HasSubstr("in the record of its Hello"));
  EXPECT_THAT(fed(record_of(join({retry, Bytes{2}}))), HasSubstr("in the record of its Hello"));
  EXPECT_THAT(fed(join({record_of(retry), record_of(hello)})),
              HasSubstr("before the second ClientHello"));
  EXPECT_EQ(fed(join({record_of(retry), kChangeCipherSpec})), "");
  EXPECT_EQ(fed(join({kChangeCipherSpec, record_of(retry), kChangeCipherSpec})), "");
  EXPECT_THAT(
      fed(join({kChangeCipherSpec, record_of(retry), kChangeCipherSpec, kChangeCipherSpec})),
      HasSubstr("more than two"));
}

// A whole handshake behind it: both transcripts' hashes, and no second ChangeCipherSpec of ours.
TEST(HelloRetry, TheHandshakeGoesOn) {
  for (const bool group : {true, false}) {
    ClientHandshake client = client_of(one_key_input());
    Bytes hashed = testing::message_hash(hello_message(client));
    const Bytes retry = (group ? hello_retry(kP256) : hello_retry({}, Bytes(9, 5))).message();
    append(hashed, retry);
    client.feed(record_of(retry));
    append(hashed, hello_message(client));
    FakeServer server;
    if (group) server.hello.key_share = retry_share(kP256, 65);
    append(hashed, server.hello.message());
    auto events = client.feed(server.server_hello_record());
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].digest, sha256(hashed));
    EXPECT_EQ(events[0].key_share.group, group ? NamedGroup::kP256 : NamedGroup::kX25519);
    client.set_server_secret(server.s_hs);
    const auto flight = server.flight(hashed);
    events = client.feed(server.seal_handshake(join(flight), 0));
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, EventKind::kServerFinished);
    EXPECT_EQ(RecordReader().feed(client.client_finished_record(server.c_hs)).size(), 1u);
  }
}

// 69, 72: a server that did not ask signs another transcript: its flight is refused, under the keys
// that the client derives or, where a member opens s_hs for it, by the signature.
TEST(HelloRetry, AForgedOneEndsAtTheSignature) {
  ClientHandshake client = client_of(one_key_input());
  client.feed(record_of(hello_retry({}, Bytes{1}).message()));
  const FakeServer server;
  // Of the server: the second hello is the first it saw.
  const Bytes theirs = join({hello_message(client), server.hello.message()});
  client.feed(server.server_hello_record());
  client.set_server_secret(server.s_hs);
  EXPECT_THAT(abort_of([&] { client.feed(server.seal_handshake(join(server.flight(theirs)), 0)); }),
              HasSubstr("signature"));
}

TEST(HelloRetry, NoFlippedBitIsAccepted) {
  const ServerHelloFields fields = hello_retry(kP256, Bytes(4, 7));
  const Bytes good = record_of(fields.message());
  FakeServer server;
  server.hello.key_share = retry_share(kP256, 65);
  ClientHandshake reference = client_of(one_key_input());
  reference.feed(good);
  const HashValue h1 = reference.feed(server.server_hello_record()).at(0).digest;
  for (size_t at = 0; at < good.size(); ++at) {
    if (at == 1 || at == 2) continue;  // the version of a record in the clear
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[at] ^= static_cast<uint8_t>(1 << bit);
      ClientHandshake client = client_of(one_key_input());
      abort_of([&] {
        if (client.feed(bad).empty()) return;  // a longer record is awaited
        const auto events = client.feed(server.server_hello_record());
        // Another cookie: both sides must have seen it, or H1 differs.
        EXPECT_NE(events.at(0).digest, h1) << at << "." << bit;
      });
    }
  }
}

TEST(HelloRetry, TheTranscriptIsThatOfRfc8448Section5) {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/rfc8448-section5.json");
  ASSERT_TRUE(in);
  const auto trace = nlohmann::json::parse(in);
  const auto field = [&](const std::string& step, const std::string& name, size_t index = 0) {
    for (const auto& entry : trace) {
      if (!entry["step"].get<std::string>().starts_with(step)) continue;
      if (!entry["fields"].contains(name)) continue;
      if (index-- == 0) return from_hex(entry["fields"][name].get<std::string>());
    }
    ADD_FAILURE() << step << " " << name;
    return Bytes();
  };
  const auto bytes = [](const HashValue& digest) { return Bytes(digest.begin(), digest.end()); };
  Transcript transcript(sha256_kind());
  transcript.add(field("construct a ClientHello", "ClientHello", 0));
  transcript.retry();
  transcript.add(field("construct a ServerHello", "ServerHello", 0));
  transcript.add(field("construct a ClientHello", "ClientHello", 1));
  transcript.add(field("construct a ServerHello", "ServerHello", 1));
  const HashValue h1 = transcript.digest();
  EXPECT_EQ(bytes(h1), field("derive secret \"tls13 c hs", "hash"));
  const HashKind& kind = sha256_kind();
  const HashValue hs =
      hmac(kind, derived_early_secret(kind), field("extract secret \"handshake\"", "IKM"));
  EXPECT_EQ(bytes(derive_secret(kind, hs, kClientHandshake, h1)),
            field("derive secret \"tls13 c hs", "expanded"));
  EXPECT_EQ(bytes(derive_secret(kind, hs, kServerHandshake, h1)),
            field("derive secret \"tls13 s hs", "expanded"));
  // What the server asked for is read: its group, and its cookie of 114 bytes (offered was more
  // than we do, so only the parts are compared).
  const Bytes cookie =
      *testing::extension_of(field("construct a ClientHello", "ClientHello", 1), 44);
  EXPECT_EQ(cookie.size(), 116u);
  for (const char* step : {"EncryptedExtensions", "Certificate", "CertificateVerify", "Finished"}) {
    transcript.add(field(
        std::string(step)[0] == 'E' ? "construct an E" : "construct a " + std::string(step) + " ",
        step));
  }
  EXPECT_EQ(bytes(transcript.digest()), field("derive secret \"tls13 c ap", "hash"));
}

}  // namespace
}  // namespace flexroom::tls
