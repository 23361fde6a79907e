#include "tls/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/tls/fake_server.h"

namespace flexroom::tls {
namespace {

using testing::abort_of;
using testing::encrypted_extensions;
using testing::extension;
using testing::FakeServer;
using ::testing::HasSubstr;
using testing::hello_of;
using testing::join;
using testing::new_client;

// Runs a whole handshake with the flight in the given records; true when it was accepted.
bool accepts(const FakeServer& server, ClientHandshake& client, const std::vector<Bytes>& records) {
  auto events = client.feed(server.server_hello_record());
  EXPECT_EQ(events.size(), 1u);
  client.set_server_secret(server.s_hs);
  for (const Bytes& record : records) {
    for (const Event& event : client.feed(record)) {
      if (event.kind == EventKind::kServerFinished) return true;
    }
  }
  return false;
}

// Why the records were refused; "" when they were accepted.
std::string refusal(const FakeServer& server, const std::vector<Bytes>& records) {
  ClientHandshake client = new_client();
  bool accepted = false;
  const std::string why = abort_of([&] { accepted = accepts(server, client, records); });
  return accepted || !why.empty() ? why : "still waiting";
}

std::vector<Bytes> one_record(const FakeServer& server, const std::vector<Bytes>& flight) {
  return {server.seal_handshake(join(flight), 0)};
}

std::string refusal_of_flight(const FakeServer& server) {
  return refusal(server, one_record(server, server.flight(hello_of(new_client()))));
}

std::string refusal_of_hello(const FakeServer& server) {
  ClientHandshake client = new_client();
  return abort_of([&] { client.feed(server.server_hello_record()); });
}

TEST(ClientHandshake, AcceptsAGoodFlightAndGivesBothHashes) {
  const FakeServer server;
  ClientHandshake client = new_client();
  auto events = client.feed(server.server_hello_record());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, EventKind::kServerHello);
  EXPECT_EQ(events[0].key_share.key, Bytes(32, 9));
  Transcript transcript(sha256_kind());
  transcript.add(hello_of(client).message);
  transcript.add(server.hello.message());
  EXPECT_EQ(events[0].digest, transcript.digest());

  client.set_server_secret(server.s_hs);
  const auto flight = server.flight(hello_of(client));
  events = client.feed(server.seal_handshake(join(flight), 0));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, EventKind::kServerFinished);
  for (const Bytes& message : flight) transcript.add(message);
  EXPECT_EQ(events[0].digest, transcript.digest());

  // CCS, then Finished under c_hs.
  const Bytes out = client.client_finished_record(server.c_hs);
  RecordReader reader;
  const auto records = reader.feed(out);
  ASSERT_EQ(records.size(), 2u);
  const auto inner = aead_open(traffic_keys(server.c_hs), 0, records[1]);
  ASSERT_TRUE(inner.has_value());
  EXPECT_EQ(split_inner(*inner, "test").content,
            handshake_message(HandshakeType::kFinished,
                              finished_mac(sha256_kind(), server.c_hs, transcript.digest())));
}

TEST(ClientHandshake, AcceptsEveryFragmentationOfTheStream) {
  const FakeServer server;
  const auto flight = join(server.flight(hello_of(new_client())));
  for (const size_t fragment : {1u, 3u, 7u, 100u, 5000u}) {
    Bytes stream = plain_record(ContentType::kChangeCipherSpec, 0x0303, Bytes{1});
    uint64_t seq = 0;
    for (size_t at = 0; at < flight.size(); at += fragment) {
      const auto piece = ByteView(flight).subspan(at, std::min(fragment, flight.size() - at));
      append(stream, server.seal_handshake(piece, seq++));
    }
    for (const size_t cut : {1u, 2u, 5u, 64u, 100000u}) {
      ClientHandshake client = new_client();
      const Bytes hello = server.server_hello_record();
      size_t finished = 0;
      for (const uint8_t byte : hello) {
        for (const Event& event : client.feed(ByteView(&byte, 1))) {
          EXPECT_EQ(event.kind, EventKind::kServerHello);
        }
      }
      // Half of the flight arrives before the secrets do.
      const size_t half = stream.size() / 2;
      client.feed(ByteView(stream).first(half));
      finished += client.set_server_secret(server.s_hs).size();
      for (size_t at = half; at < stream.size(); at += cut) {
        finished +=
            client.feed(ByteView(stream).subspan(at, std::min<size_t>(cut, stream.size() - at)))
                .size();
      }
      EXPECT_EQ(finished, 1u) << fragment << " " << cut;
      EXPECT_EQ(client.bytes_received(), hello.size() + stream.size());
    }
  }
}

TEST(ClientHandshake, NoFlippedBitOfTheServersBytesIsAccepted) {
  const FakeServer server;
  ClientHandshake reference = new_client();
  const Bytes hello = server.server_hello_record();
  const Bytes flight = server.seal_handshake(join(server.flight(hello_of(reference))), 0);
  const HashValue h1 = reference.feed(hello).at(0).digest;
  // A flip in ServerHello's random or key share is not seen by the parser; then H1 differs, hence
  // the opened secrets (here: the flight was signed for another transcript) do not fit.
  for (size_t at = 0; at < hello.size(); ++at) {
    if (at == 1 || at == 2) continue;  // the version of a record in the clear: not looked at (§3.6)
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = hello;
      bad[at] ^= static_cast<uint8_t>(1 << bit);
      ClientHandshake client = new_client();
      bool accepted = false;
      const std::string why = abort_of([&] {
        const auto events = client.feed(bad);
        if (events.empty()) return;  // a longer record is awaited
        EXPECT_NE(events[0].digest, h1);
        client.set_server_secret(server.s_hs);
        accepted = !client.feed(flight).empty();
      });
      EXPECT_FALSE(accepted) << at << "." << bit << " " << why;
    }
  }
  for (size_t at = 0; at < flight.size(); ++at) {
    Bytes bad = flight;
    bad[at] ^= static_cast<uint8_t>(1 << (at % 8));
    ClientHandshake client = new_client();
    client.feed(hello);
    client.set_server_secret(server.s_hs);
    bool accepted = false;
    abort_of([&] { accepted = !client.feed(bad).empty(); });
    EXPECT_FALSE(accepted) << at;
  }
}

// s_hs is public: whoever knows it can re-encrypt. The signature must still catch each flipped
// byte.
TEST(ClientHandshake, NoFlippedByteOfTheMessagesIsAcceptedUnderAFreshMac) {
  const FakeServer server;
  const auto good = server.flight(hello_of(new_client()));
  for (size_t m = 0; m < good.size(); ++m) {
    for (size_t at = 0; at < good[m].size(); ++at) {
      auto flight = good;
      flight[m][at] ^= 1;
      if (m < 3) {  // the relay recomputes Finished
        Transcript transcript(sha256_kind());
        transcript.add(hello_of(new_client()).message);
        transcript.add(server.hello.message());
        for (size_t i = 0; i < 3; ++i) transcript.add(flight[i]);
        flight[3] =
            handshake_message(HandshakeType::kFinished,
                              finished_mac(sha256_kind(), server.s_hs, transcript.digest()));
      }
      ClientHandshake client = new_client();
      bool accepted = false;
      abort_of([&] { accepted = accepts(server, client, one_record(server, flight)); });
      EXPECT_FALSE(accepted) << "message " << m << " byte " << at;
    }
  }
}

TEST(ClientHandshake, RefusesEveryForbiddenServerHello) {
  const auto with = [](auto change) {
    FakeServer server;
    change(server.hello);
    return refusal_of_hello(server);
  };
  EXPECT_EQ(with([](auto&) {}), "");
  EXPECT_THAT(with([](auto& h) { h.versions = {}; }), HasSubstr("TLS 1.2"));
  EXPECT_THAT(with([](auto& h) { h.with_extensions = false; }), HasSubstr("TLS 1.2"));
  EXPECT_THAT(with([](auto& h) { h.version = 0x0302; }), HasSubstr("TLS 1.1"));
  EXPECT_THAT(with([](auto& h) { h.version = 0x0304; }), HasSubstr("legacy_version"));
  EXPECT_THAT(with([](auto& h) {
                h.versions = extension(43, Bytes{3, 3});
              }),
              HasSubstr("other than TLS 1.3"));
  EXPECT_THAT(with([](auto& h) { h.session_id[31] ^= 1; }), HasSubstr("session id"));
  EXPECT_THAT(with([](auto& h) { h.session_id.clear(); }), HasSubstr("session id"));
  EXPECT_THAT(with([](auto& h) { h.suite = 0x1302; }), HasSubstr("cipher suite"));
  EXPECT_THAT(with([](auto& h) { h.compression = 1; }), HasSubstr("compression"));
  EXPECT_THAT(with([](auto& h) {
                h.more = extension(41, Bytes{0, 0});
              }),
              HasSubstr("pre-shared key"));
  EXPECT_THAT(with([](auto& h) { h.more = extension(42, {}); }), HasSubstr("early_data"));
  EXPECT_THAT(with([](auto& h) { h.more = extension(16, {}); }), HasSubstr("extension 16"));
  EXPECT_THAT(with([](auto& h) { h.more = extension(43, Bytes{3, 4}); }), HasSubstr("twice"));
  EXPECT_THAT(with([](auto& h) { h.key_share = {}; }), HasSubstr("no key share"));
  EXPECT_THAT(with([](auto& h) { h.key_share[5] = 0x17; }), HasSubstr("another group"));
  EXPECT_THAT(with([](auto& h) {
                h.key_share = extension(51, Writer().u16(0x1d).u16(31).raw(Bytes(31, 9)).take());
              }),
              HasSubstr("31 bytes"));
}

TEST(ClientHandshake, RefusesEveryForbiddenEncryptedExtension) {
  const auto with = [](const Bytes& extensions) {
    FakeServer server;
    server.ee = encrypted_extensions(extensions);
    return refusal_of_flight(server);
  };
  EXPECT_EQ(with({}), "");
  EXPECT_EQ(with(extension(0, {})), "");
  EXPECT_EQ(with(extension(10, Bytes{0, 2, 0, 29})), "");
  EXPECT_THAT(with(extension(0, Bytes{0})), HasSubstr("server_name"));
  EXPECT_THAT(with(extension(16, Bytes{0, 3, 2, 'h', '2'})), HasSubstr("application protocol"));
  EXPECT_THAT(with(extension(28, Bytes{0x40, 1})), HasSubstr("extension 28"));
  EXPECT_THAT(with(extension(42, {})), HasSubstr("early_data"));
  EXPECT_THAT(with(extension(51, {})), HasSubstr("extension 51"));
  EXPECT_THAT(with(join({extension(0, {}), extension(0, {})})), HasSubstr("twice"));
}

TEST(ClientHandshake, RefusesClientCertificateRequestsAndWrongOrder) {
  const FakeServer server;
  const auto good = server.flight(hello_of(new_client()));
  auto flight = good;
  flight.insert(flight.begin() + 1,
                handshake_message(HandshakeType::kCertificateRequest, Bytes(9)));
  EXPECT_THAT(refusal(server, one_record(server, flight)), HasSubstr("CertificateRequest"));
  for (size_t a = 0; a < good.size(); ++a) {
    flight = good;
    flight.erase(flight.begin() + static_cast<std::ptrdiff_t>(a));  // one missing
    flight.push_back(handshake_message(HandshakeType::kNewSessionTicket, Bytes(9)));
    EXPECT_THAT(refusal(server, one_record(server, flight)), HasSubstr("was due")) << a;
    flight = good;
    flight.insert(flight.begin(), good[a]);  // one doubled or early
    EXPECT_NE(refusal(server, one_record(server, flight)), "") << a;
  }
}

ClientHandshake client_without_certificate() {
  HandshakeConfig config = handshake_config(testing::chain_policy());
  config.client_auth = ClientAuth::kNone;
  return ClientHandshake(std::move(config), testing::hello_input());
}

/// A flight that is signed with the request in its place, and why it is refused.
std::string refusal_of_request(const std::vector<Bytes>& requests, size_t at = 1) {
  FakeServer server;
  ClientHandshake client = client_without_certificate();
  server.requests = requests;
  server.requests_at = at;
  bool accepted = false;
  const std::string why = abort_of([&] {
    accepted = accepts(server, client, one_record(server, server.flight(hello_of(client))));
  });
  EXPECT_NE(accepted, !why.empty());
  EXPECT_TRUE(client.certificate_requested() || requests.empty());
  EXPECT_FALSE(client.owes_sealed_alert() && client.certificate_requested());
  return why;
}

// tls-complete.md §4.2, RFC 8446 §4.3.2.
TEST(ClientHandshake, ReadsACertificateRequestWhereItAnswersWithNone) {
  const auto request = [](const Bytes& extensions, const Bytes& context = {}) {
    Writer body;
    body.u8(static_cast<uint8_t>(context.size())).raw(context);
    body.u16(static_cast<uint16_t>(extensions.size())).raw(extensions);
    return handshake_message(HandshakeType::kCertificateRequest, body.bytes());
  };
  const Bytes schemes = extension(13, Bytes{0, 2, 4, 3});
  const Bytes good = request(schemes);
  EXPECT_EQ(refusal_of_request({}), "");
  EXPECT_EQ(refusal_of_request({good}), "");
  // What it asks for changes nothing: certificate_authorities, unknown ones.
  EXPECT_EQ(refusal_of_request({request(join({extension(47, Bytes{0, 1, 9}), schemes,
                                              extension(0x1a1a, Bytes(3)), extension(5, {})}))}),
            "");
  EXPECT_THAT(refusal_of_request({request(schemes, {7})}), HasSubstr("has a context"));
  EXPECT_THAT(refusal_of_request({request({})}), HasSubstr("no signature_algorithms"));
  EXPECT_THAT(refusal_of_request({request(extension(47, Bytes{0, 1, 9}))}),
              HasSubstr("no signature_algorithms"));
  EXPECT_THAT(refusal_of_request({request(join({schemes, schemes}))}), HasSubstr("twice"));
  EXPECT_THAT(refusal_of_request({request(join({extension(9, {}), schemes, extension(9, {})}))}),
              HasSubstr("twice"));
  for (const Bytes& list : {Bytes{}, Bytes{0, 0}, Bytes{0, 1, 4}, Bytes{0, 3, 4, 3, 4},
                            Bytes{0, 4, 4, 3}, Bytes{0, 2, 4, 3, 0}}) {
    EXPECT_NE(refusal_of_request({request(extension(13, list))}), "") << to_hex(list);
  }
  Bytes longer = good;
  longer.push_back(0);
  longer[3] += 1;
  EXPECT_NE(refusal_of_request({longer}), "");
  EXPECT_NE(refusal_of_request({handshake_message(HandshakeType::kCertificateRequest, {})}), "");
  // One, between EncryptedExtensions and Certificate.
  EXPECT_THAT(refusal_of_request({good, good}), HasSubstr("was due"));
  for (const size_t at : {size_t{0}, size_t{2}, size_t{3}}) {
    EXPECT_THAT(refusal_of_request({good}, at), HasSubstr("was due")) << at;
  }
}

// What is sent is covered by the Finished: a Certificate without any. Nothing of c_hs is needed for
// the start of the flight, and nothing under it is made here.
TEST(ClientHandshake, GivesWhatTheFlightWithoutACertificateCovers) {
  FakeServer server;
  server.asks_for_certificate = true;
  ClientHandshake client = client_without_certificate();
  const auto flight = server.flight(hello_of(client));
  ASSERT_TRUE(accepts(server, client, one_record(server, flight)));
  EXPECT_TRUE(client.certificate_requested());
  EXPECT_EQ(to_hex(empty_certificate()), "0b00000400000000");
  EXPECT_EQ(client.client_flight_transcript(),
            sha256(join({hello_of(client).message, server.hello.message(), join(flight),
                         empty_certificate()})));
  EXPECT_EQ(client.client_flight_start(),
            plain_record(ContentType::kChangeCipherSpec, 0x0303, Bytes{1}));
  EXPECT_DEATH((void)client.client_finished_record(server.c_hs), "");
}

TEST(ClientHandshake, RefusesDataAcrossAKeyChange) {
  const FakeServer server;
  auto flight = server.flight(hello_of(new_client()));
  flight.push_back(handshake_message(HandshakeType::kNewSessionTicket, Bytes(9)));
  EXPECT_THAT(refusal(server, one_record(server, flight)), HasSubstr("change of keys"));

  ClientHandshake client = new_client();
  Bytes two = server.hello.message();
  append(two, flight[0]);
  EXPECT_THAT(abort_of([&] { client.feed(plain_record(ContentType::kHandshake, 0x0303, two)); }),
              HasSubstr("change of keys"));
}

TEST(ClientHandshake, RefusesRecordsThatDoNotBelong) {
  const FakeServer server;
  const Bytes flight = join(server.flight(hello_of(new_client())));
  const Bytes ccs = plain_record(ContentType::kChangeCipherSpec, 0x0303, Bytes{1});
  EXPECT_EQ(refusal(server, {ccs, ccs, server.seal_handshake(flight, 0)}), "");
  EXPECT_THAT(refusal(server, {ccs, ccs, ccs}), HasSubstr("more than two"));
  EXPECT_THAT(refusal(server, {plain_record(ContentType::kChangeCipherSpec, 0x0303, Bytes{2})}),
              HasSubstr("ChangeCipherSpec"));
  EXPECT_THAT(refusal(server, {server.seal_handshake(ByteView(flight).first(9), 0), ccs}),
              HasSubstr("ChangeCipherSpec"));
  EXPECT_THAT(refusal(server, {plain_record(ContentType::kHandshake, 0x0303, flight)}),
              HasSubstr("in the clear"));
  EXPECT_THAT(refusal(server, {server.seal_handshake({}, 0)}),
              HasSubstr("empty handshake fragment"));
  EXPECT_THAT(
      refusal(server, {server.seal_handshake(Bytes{'x'}, 0, ContentType::kApplicationData)}),
      HasSubstr("content type 23"));
  EXPECT_THAT(refusal(server, {server.seal_handshake(Bytes{2, 40}, 0, ContentType::kAlert)}),
              HasSubstr("handshake_failure (40)"));
  EXPECT_THAT(refusal(server, {plain_record(ContentType::kAlert, 0x0303, Bytes{2, 70})}),
              HasSubstr("protocol_version"));
  EXPECT_THAT(refusal(server, {server.seal_handshake(flight, 1)}), HasSubstr("does not verify"));
  EXPECT_THAT(refusal(server, {to_bytes("HTTP/1.1 400 Bad Request\r\n")}),
              HasSubstr("unknown type"));
  EXPECT_THAT(refusal(server, {Bytes{23, 3, 3, 0x41, 1}}), HasSubstr("at most 16640"));
  EXPECT_THAT(refusal(server, {Bytes{23, 3, 3, 0, 16}}), HasSubstr("too short"));
  EXPECT_THAT(refusal(server, {Bytes{23, 3, 1, 0, 90}}), HasSubstr("waiting"));  // any version
  // A message longer than any certificate list, announced in its first bytes.
  EXPECT_THAT(refusal(server, {server.seal_handshake(Bytes{8, 1, 0, 1}, 0)}), HasSubstr("at most"));
  // From the first ClientHello on, two in all (RFC 8446 §5).
  ClientHandshake early = new_client();
  early.feed(ccs);
  early.feed(ccs);
  EXPECT_THAT(abort_of([&] { early.feed(ccs); }), HasSubstr("more than two"));
}

TEST(ClientHandshake, BoundsWhatArrivesBeforeTheSecrets) {
  const FakeServer server;
  ClientHandshake client = new_client();
  client.feed(server.server_hello_record());
  const Bytes record = server.seal_handshake(Bytes(16384), 0);
  EXPECT_THAT(abort_of([&] {
                for (int i = 0; i < 9; ++i) client.feed(record);
              }),
              HasSubstr("too long"));
}

TEST(ClientHandshake, AWrongFinishedOrSignatureIsRefused) {
  FakeServer server;
  server.bad_finished = true;
  EXPECT_THAT(refusal_of_flight(server), HasSubstr("Finished"));
  server = FakeServer();
  server.key = testing::make_key("P-256");
  EXPECT_THAT(refusal_of_flight(server), HasSubstr("signature"));
  server = FakeServer();
  server.key = testing::make_key("rsa2048");
  server.scheme = 0x0804;
  EXPECT_THAT(refusal_of_flight(server), HasSubstr("does not fit"));
  server.scheme = 0x0401;
  EXPECT_THAT(refusal_of_flight(server), HasSubstr("not allowed"));
}

TEST(ClientHandshake, StaysDeadAfterAnAbort) {
  const FakeServer server;
  ClientHandshake client = new_client();
  EXPECT_NE(abort_of([&] { client.feed(Bytes{99, 0, 0, 0, 0}); }), "");
  EXPECT_EQ(client.phase(), Phase::kDead);
  EXPECT_THAT(abort_of([&] { client.feed(server.server_hello_record()); }), HasSubstr("already"));
  ClientHandshake closed = new_client();
  EXPECT_THAT(abort_of([&] { closed.end_of_stream(); }), HasSubstr("closed the connection"));
}

TEST(ClientHandshake, CollectsApplicationRecordsRawWithTheirOffsets) {
  const FakeServer server;
  ClientHandshake client = new_client();
  ASSERT_TRUE(accepts(server, client, one_record(server, server.flight(hello_of(client)))));
  const uint64_t start = client.bytes_received();
  const Bytes a =
      aead_seal(traffic_keys(server.s_ap), 0, ContentType::kApplicationData, to_bytes("a"));
  const Bytes b =
      aead_seal(traffic_keys(server.s_ap), 1, ContentType::kApplicationData, to_bytes("bb"));
  client.feed(join({a, b, Bytes{23, 3}}));
  const auto records = client.take_application_records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].offset, start);
  EXPECT_EQ(records[1].offset, start + a.size());
  EXPECT_TRUE(client.has_partial_record());
  EXPECT_TRUE(client.take_application_records().empty());
  client.end_of_stream();
  ClientHandshake other = new_client();
  ASSERT_TRUE(accepts(server, other, one_record(server, server.flight(hello_of(other)))));
  // A request may be out by now: nothing aborts, what came before is given out, what follows not.
  other.feed(join({a, plain_record(ContentType::kAlert, 0x0303, Bytes{1, 0}), b}));
  EXPECT_THAT(other.application_fault().value_or(""), HasSubstr("unprotected"));
  EXPECT_EQ(other.take_application_records().size(), 1u);
  ClientHandshake third = new_client();
  ASSERT_TRUE(accepts(server, third, one_record(server, server.flight(hello_of(third)))));
  for (const uint8_t byte : join({a, Bytes{23, 3, 3, 0x41, 1}, b})) third.feed(Bytes{byte});
  EXPECT_THAT(third.application_fault().value_or(""), HasSubstr("at most 16640"));
  EXPECT_EQ(third.take_application_records().size(), 1u);
}

TEST(ClientHandshake, BoundsTheRecordsOfAnAnswer) {
  const FakeServer server;
  HandshakeConfig config = handshake_config(testing::chain_policy());
  config.application = {61, 3, "as `it` says"};
  ClientHandshake client(config, testing::hello_input());
  ASSERT_TRUE(accepts(server, client, one_record(server, server.flight(hello_of(client)))));
  const Bytes record =
      aead_seal(traffic_keys(server.s_ap), 0, ContentType::kApplicationData, Bytes(30));
  ASSERT_EQ(record.size(), 52u);
  client.feed(record);
  EXPECT_FALSE(client.application_fault().has_value());
  client.feed(record);
  EXPECT_FALSE(client.application_fault().has_value());  // headers, types and tags are not content
  const Bytes two =
      aead_seal(traffic_keys(server.s_ap), 0, ContentType::kApplicationData, Bytes(2));
  client.feed(two);
  EXPECT_EQ(client.application_fault().value_or(""),
            "the server sent more than 61 bytes in its records, as `it` says");
  EXPECT_EQ(client.take_application_records().size(), 2u);
}

TEST(ClientHandshake, BoundsTheNumberOfRecordsOfAnAnswer) {
  const FakeServer server;
  HandshakeConfig config = handshake_config(testing::chain_policy());
  config.application = {61, 3, "as `it` says"};
  ClientHandshake client(config, testing::hello_input());
  ASSERT_TRUE(accepts(server, client, one_record(server, server.flight(hello_of(client)))));
  const Bytes empty =
      aead_seal(traffic_keys(server.s_ap), 0, ContentType::kApplicationData, Bytes());
  client.feed(join({empty, empty, empty}));
  EXPECT_FALSE(client.application_fault().has_value());
  client.feed(empty);
  EXPECT_EQ(client.application_fault().value_or(""),
            "the server sent more than 3 records, as `it` says");
  EXPECT_EQ(client.take_application_records().size(), 3u);
}

// §3.6: in the clear up to ServerHello, under c_hs where that is known, never when
// the server ended the connection itself.
TEST(ClientHandshake, TellsTheServerWhyItIsRefused) {
  const auto plain = [](const Bytes& bytes) {
    ClientHandshake client = new_client();
    EXPECT_NE(abort_of([&] { client.feed(bytes); }), "");
    return client.alert_record();
  };
  const auto clear = [](uint8_t code) {
    return plain_record(ContentType::kAlert, 0x0303, Bytes{2, code});
  };
  FakeServer server;
  server.hello.suite = 0x1302;
  EXPECT_EQ(plain(server.server_hello_record()), clear(47));
  server.hello = {};
  server.hello.versions = {};
  EXPECT_EQ(plain(server.server_hello_record()), clear(70));
  server.hello = {};
  server.hello.key_share = {};
  EXPECT_EQ(plain(server.server_hello_record()), clear(109));
  server.hello = {};
  server.hello.more = extension(16, {});
  EXPECT_EQ(plain(server.server_hello_record()), clear(110));
  EXPECT_EQ(plain(plain_record(ContentType::kHandshake, 0x0303, Bytes{2, 0, 0, 1, 3})), clear(50));
  EXPECT_EQ(plain(to_bytes("HTTP/1.1 400 no\r\n")), clear(10));
  EXPECT_EQ(plain(plain_record(ContentType::kAlert, 0x0303, Bytes{2, 40})), Bytes());
  ClientHandshake closed = new_client();
  EXPECT_NE(abort_of([&] { closed.end_of_stream(); }), "");
  EXPECT_EQ(closed.alert_record(), Bytes());

  const auto sealed = [](FakeServer bad) {
    ClientHandshake client = new_client();
    abort_of([&] { accepts(bad, client, one_record(bad, bad.flight(hello_of(client)))); });
    EXPECT_EQ(client.alert_record(), Bytes());
    if (!client.owes_sealed_alert()) return Bytes();
    const auto records = RecordReader().feed(client.sealed_alert_record(bad.c_hs));
    // Behind ChangeCipherSpec, as the flight would stand (RFC 8446 D.4): servers wait for it.
    if (records.size() != 2 || records[0].type() != 20 || records[0].payload != Bytes{1}) {
      return Bytes();
    }
    return aead_open(traffic_keys(bad.c_hs), 0, records[1]).value_or(Bytes());
  };
  FakeServer bad;
  bad.bad_finished = true;
  EXPECT_EQ(sealed(bad), (Bytes{2, 51, 21}));
  bad = {};
  bad.chain = {bad.chain[0]};
  EXPECT_EQ(sealed(bad), (Bytes{2, 48, 21}));
  bad = {};
  bad.ee = encrypted_extensions(extension(42, {}));
  EXPECT_EQ(sealed(bad), (Bytes{2, 110, 21}));
  // 67: c_hs is not opened for an alert to a server that would take a certificate under it.
  bad = {};
  bad.asks_for_certificate = true;
  EXPECT_EQ(sealed(bad), Bytes());
  // Between the two: ServerHello is accepted and c_hs is not there. Nothing can be said.
  ClientHandshake between = new_client();
  between.feed(FakeServer().server_hello_record());
  EXPECT_NE(abort_of([&] { between.feed(Bytes{99, 3, 3, 0, 1}); }), "");
  EXPECT_EQ(between.alert_record(), Bytes());
  EXPECT_FALSE(between.owes_sealed_alert());
  // But that its key share is no point, which whoever made the keys finds: there will be none.
  ClientHandshake no_keys = new_client();
  no_keys.feed(FakeServer().server_hello_record());
  EXPECT_THAT(abort_of([&] { no_keys.refuse_key_share(); }), HasSubstr("is no point"));
  EXPECT_EQ(no_keys.alert_record(), clear(47));
  EXPECT_FALSE(no_keys.owes_sealed_alert());
  EXPECT_NE(abort_of([&] { no_keys.feed(Bytes{22, 3, 3, 0, 1}); }), "");
}

TEST(ClientHandshake, NamesGroupAndSuiteOfARefusedHello) {
  ClientHandshake client = new_client();
  EXPECT_THAT(abort_of([&] {
                client.feed(plain_record(ContentType::kAlert, 0x0303, Bytes{2, 40}));
              }),
              ::testing::AllOf(HasSubstr("`groups`"), HasSubstr("x25519"),
                               HasSubstr("TLS_AES_128_GCM_SHA256")));
}

TEST(ClientHello, IsExactlyTheSpecifiedOne) {
  auto input = testing::hello_input();
  input.record_size_limit = 4096;
  const ClientHello hello = build_client_hello(input);
  const std::string share(64, '0');
  std::string nines;
  for (int i = 0; i < 32; ++i) nines += "09";
  std::string ones, twos;
  for (int i = 0; i < 32; ++i) ones += "01", twos += "02";
  EXPECT_EQ(to_hex(hello.message),
            "010000cd"
            "0303" +
                ones + "20" + twos +
                "00021301"
                "0100"
                "0082"
                "0000"
                "0010"
                "000e"
                "00"
                "000b" +
                to_hex(as_bytes("api.example")) +
                "000a"
                "0004"
                "0002"
                "001d"
                "000d"
                "001c"
                "001a"
                "04030503060308040805080608070809080a080b040105010601"
                "0010"
                "000b"
                "0009"
                "08" +
                to_hex(as_bytes("http/1.1")) +
                "002b"
                "0003"
                "02"
                "0304"
                "0033"
                "0026"
                "0024"
                "001d"
                "0020" +
                nines +
                "001c"
                "0002"
                "1000");
  EXPECT_THROW(build_client_hello(testing::hello_input("10.0.0.1")), InputError);
  EXPECT_THROW(build_client_hello(testing::hello_input("Api.example")), InputError);
}

}  // namespace
}  // namespace flexroom::tls
