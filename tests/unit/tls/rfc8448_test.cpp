#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/hmac_states.h"
#include "tls/handshake.h"
#include "tls/key_schedule.h"
#include "tls/open_response.h"

// RFC 8448 §3, the published 1-RTT trace, through the machine. Its server key is RSA 1024, so the
// chain verdict is the test's; everything else is checked as always.

namespace flexroom::tls {
namespace {

const char* const kPath = FLEXROOM_SOURCE_DIR "/tests/vectors/rfc8448-section3.json";

class Rfc8448 : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream in(kPath);
    ASSERT_TRUE(in) << kPath;
    trace_ = nlohmann::json::parse(in);
  }
  // The n-th step of section 3 by that actor whose text begins so.
  Bytes field(const std::string& actor, const std::string& step, const std::string& name,
              size_t index = 0) const {
    for (const auto& entry : trace_) {
      if (entry["actor"] != actor || !entry["step"].get<std::string>().starts_with(step)) continue;
      if (!entry["fields"].contains(name)) continue;
      if (index-- == 0) return from_hex(entry["fields"][name].get<std::string>());
    }
    ADD_FAILURE() << actor << " " << step << " " << name;
    return {};
  }
  static Digest digest(const Bytes& bytes) {
    Digest out{};
    if (bytes.size() == out.size()) std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }
  nlohmann::json trace_;
};

TEST_F(Rfc8448, TheKeyScheduleOfSection3) {
  const Bytes x = field("server", "extract secret \"handshake\"", "IKM");
  const HashKind& kind = sha256_kind();
  const HashValue hs = hmac(kind, derived_early_secret(kind), x);
  EXPECT_EQ(hs, digest(field("server", "extract secret \"handshake\"", "secret")));
  const support::HmacStates states = support::hmac_states(hs);
  EXPECT_EQ(to_hex(sha256_state_bytes(states.inner)),
            "cd5146fe6806d3bd689ca021f0a8ee1cca5a6adefbe31e1ceafa67fae507a371");
  EXPECT_EQ(to_hex(sha256_state_bytes(states.outer)),
            "2dde0fbb235022bd7d4af6a25f93247c046021696a6f5005bbd4bc40de2dd147");
  const Digest h1 = digest(field("server", "derive secret \"tls13 c hs", "hash"));
  // As GC-A computes it: a public block behind Kin(HS), the outer one behind Kout(HS).
  const auto by_states = [&](const support::HmacStates& s, std::string_view label,
                             const Digest& hash) {
    const HashValue inner =
        inner_digest(kind, sha256_state_bytes(s.inner), label, hash, kind.digest_bytes);
    return kind.compress(sha256_state_bytes(s.outer), last_block(kind, inner, 64));
  };
  EXPECT_EQ(by_states(states, kClientHandshake, h1),
            digest(field("server", "derive secret \"tls13 c hs", "expanded")));
  EXPECT_EQ(by_states(states, kServerHandshake, h1),
            digest(field("server", "derive secret \"tls13 s hs", "expanded")));
  const support::HmacStates ms =
      support::hmac_states(field("server", "extract secret \"master\"", "secret"));
  EXPECT_EQ(to_hex(sha256_state_bytes(ms.inner)),
            "e8066ba8ab8065392488c42f6f117c610bf2edae47161dfcbc8988c6cf8c98d5");
  const Digest h2 = digest(field("server", "derive secret \"tls13 c ap", "hash"));
  EXPECT_EQ(by_states(ms, kClientApplication, h2),
            digest(field("server", "derive secret \"tls13 c ap", "expanded")));
  const HashValue kin = sha256_state_bytes(ms.inner);
  EXPECT_EQ(application_words(kind, kin, h2).server,
            outer_words(kind, inner_digest(kind, kin, kServerApplication, h2, 32)));
}

TEST_F(Rfc8448, TheMachineAcceptsTheFlightAndDecryptsTheAnswers) {
  ClientHello hello;
  hello.message = field("client", "construct a ClientHello", "ClientHello");
  hello.input.session_id.clear();
  hello.input.key_shares = {{NamedGroup::kX25519, {}}};
  hello.input.record_size_limit = 16385;
  HandshakeConfig config;
  config.check_chain = [](const CertificateList& list) { EXPECT_EQ(list.chain.size(), 1u); };
  ClientHandshake client(config, hello);
  EXPECT_EQ(client.client_hello_record(),
            field("client", "send handshake record", "complete record"));

  auto events = client.feed(field("server", "send handshake record", "complete record", 0));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].digest, digest(field("server", "derive secret \"tls13 c hs", "hash")));
  EXPECT_EQ(events[0].key_share.key, field("server", "create an ephemeral", "public key"));
  client.set_server_secret(digest(field("server", "derive secret \"tls13 s hs", "expanded")));
  events = client.feed(field("server", "send handshake record", "complete record", 1));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].digest, digest(field("server", "derive secret \"tls13 c ap", "hash")));
  // After our ChangeCipherSpec, the Finished record of the trace.
  const Bytes out = client.client_finished_record(
      digest(field("server", "derive secret \"tls13 c hs", "expanded")));
  EXPECT_EQ(Bytes(out.begin() + 6, out.end()),
            field("client", "send handshake record", "complete record", 1));

  const Digest s_ap = digest(field("server", "derive secret \"tls13 s ap", "expanded"));
  client.feed(field("server", "send handshake record", "complete record", 2));  // NewSessionTicket
  client.feed(field("server", "send application_data record", "complete record"));
  client.feed(field("server", "send alert record", "complete record"));
  const OpenedResponse opened = open_response({client.take_application_records(), 0, false}, s_ap);
  EXPECT_EQ(opened.application_data, field("server", "send application_data record", "payload"));
  EXPECT_EQ(opened.tickets, 1u);
  EXPECT_TRUE(opened.close_notify);
}

TEST(Sha256Block, AgreesWithTheLibraryAtEveryLength) {
  Bytes message;
  for (size_t size = 0; size <= 200; ++size) {
    const Sha256State start =
        sha256_absorb(kSha256Initial, ByteView(message).first(size / 64 * 64));
    EXPECT_EQ(sha256_finish(start, size / 64 * 64, ByteView(message).subspan(size / 64 * 64)),
              sha256(message));
    EXPECT_EQ(sha256_finish(kSha256Initial, 0, message), sha256(message));
    const Bytes key(size % 65, 0x42);
    const support::HmacStates states = support::hmac_states(key);
    EXPECT_EQ(sha256_finish(states.outer, 64, hmac_inner_digest(states.inner, message)),
              hmac_sha256(key, message));
    message.push_back(static_cast<uint8_t>(size * 37 + 1));
  }
}

}  // namespace
}  // namespace flexroom::tls
