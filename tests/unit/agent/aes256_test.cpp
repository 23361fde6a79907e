#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/memory_journal.h"
#include "agent/wires.h"
#include "circuits/aes256.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "support/parties.h"
#include "support/sealed_rig.h"
#include "support/sweeps.h"

// TLS_AES_256_GCM_SHA384 (tls-in-mpc.md §4.8, tls-complete.md §3): records under a shared key
// through the engines, and whole connections, open and sealed, in every group, with
// HelloRetryRequests, changes of keys and several requests, against the service of the tests and
// OpenSSL's.

namespace flexroom {
namespace aes256_test {

using agent::SealedPlan;
using support::ConnectionRig;
using support::cookie_plan;
using support::Dealer;
using support::expect_failure;
using support::expect_kept;
using support::json_plan;
using support::OpensslService;
using support::set_cookie;
using support::small_plan;
using support::TestService;
using tls::testing::hello_retry;
using Report = ConnectionRig::Report;
using Scenario = ConnectionRig::Scenario;

constexpr auto kData = tls::ContentType::kApplicationData;
constexpr auto kHandshakeRecord = tls::ContentType::kHandshake;

// --- records ---

struct Message {
  int id = 0;
  Bytes key, nonce, aad, plaintext, ciphertext, tag;
  bool valid = true;
};

std::vector<Message> wycheproof() {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/aes-256-gcm.json");
  std::vector<Message> out;
  for (const auto& row : nlohmann::json::parse(in)) {
    Message m;
    m.id = row[0];
    size_t column = 1;
    for (Bytes* part : {&m.key, &m.nonce, &m.aad, &m.plaintext, &m.ciphertext, &m.tag}) {
      *part = from_hex(row[column++].get<std::string>());
    }
    m.valid = row[7];
    out.push_back(std::move(m));
  }
  return out;
}

/// A record circuit whose key, nonce and text are shared.
std::shared_ptr<const mpc::Program> message_program(size_t size) {
  mpc::Builder builder;
  const circuits::Text key = circuits::text_of(builder.add_input("key", mpc::InputKind::kDyn, 256));
  const circuits::Text nonce =
      circuits::text_of(builder.add_input("nonce", mpc::InputKind::kDyn, 96));
  const mpc::Bits r_c = builder.add_input("r_c", mpc::InputKind::kZero, 128);
  const circuits::TrafficKeys keys{circuits::aes_expand_key(key), nonce};
  mpc::Bits d_c = circuits::bits_of(
      circuits::text_of(circuits::aes_encrypt(keys.round_keys, circuits::constant_block({}))));
  for (size_t i = 0; i < d_c.size(); ++i) d_c[i] ^= r_c[i];
  builder.add_output("d_c", mpc::OutputKind::kOpenAll, d_c);
  circuits::Text text;
  if (size > 0) {
    text = circuits::text_of(
        builder.add_input("text", mpc::InputKind::kDyn, static_cast<uint32_t>(8 * size)));
  }
  circuits::RecordWriter(builder, keys).add_message(0, text);
  return std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
}

/// One member's engines, and its shares of what the dealer deals.
class Member {
 public:
  Member(net::Party& party, Dealer& dealer)
      : party_(party),
        dealer_(dealer),
        source_(dealer.source(party.id())),
        arith_(party, source_),
        engine_(party, source_) {}

  /// Ciphertext and tag, as the sending direction of a connection makes them.
  std::pair<Bytes, Bytes> seal(const Message& m) {
    const auto program = message_program(m.plaintext.size());
    agent::RequestPlan plan;
    plan.bytes = m.plaintext.size() + m.aad.size() + 32;
    const auto write = agent::make_gcm_write_direction({party_, source_, arith_, engine_, journal_},
                                                       {&plan, 1}, plan.bytes);
    std::vector<prep::AuthBits> zero(program->inputs.size());
    write->bind(*program, 0, 1, zero);
    const auto instance = engine_.prepare(program, std::move(zero), "message");
    boolean::OnlineInputs inputs = agent::empty_inputs(*program);
    const prep::AuthBits key = share(m.key), nonce = share(m.nonce);
    prep::AuthBits text;
    inputs.dyn[program->input_group("key")] = &key;
    inputs.dyn[program->input_group("nonce")] = &nonce;
    if (!m.plaintext.empty()) {
      text = share(m.plaintext);
      inputs.dyn[program->input_group("text")] = &text;
    }
    boolean::Outputs outputs = engine_.run(*instance, inputs);
    agent::RecordText record{m.aad, {}};
    if (!m.plaintext.empty()) {
      record.ciphertext = agent::bytes_of_bits(outputs.opened[program->output_group("c_0")]);
    }
    write->take(*program, outputs, 1);
    const Block tag =
        prep::open_field(party_, source_.delta(), write->tag_shares({&record, 1}), "test/tag")
            .front();
    return {record.ciphertext, prep::ghash_bytes(tag)};
  }

 private:
  prep::AuthBits share(ByteView bytes) {
    std::vector<uint8_t> bits = agent::bits_of_bytes(bytes);
    return dealer_.share_bits(party_.id(), ++dealt_, bits);
  }

  net::Party& party_;
  Dealer& dealer_;
  prep::Source& source_;
  arith::ArithEngine arith_;
  boolean::Engine engine_;
  agent::MemoryJournal journal_;
  uint64_t dealt_ = 100;
};

/// Every `stride`-th case: the ciphertext is that of the case, and so is the tag of those that are
/// valid alone.
void run_wycheproof(size_t n, size_t stride) {
  const std::vector<Message> all = wycheproof();
  ASSERT_EQ(all.size(), 66u);
  Dealer dealer(n);
  const auto run = support::run_parties(
      n,
      [&](net::Party& party) {
        Member member(party, dealer);
        size_t done = 0;
        for (size_t k = 0; k < all.size(); k += stride, ++done) {
          const auto [ciphertext, tag] = member.seal(all[k]);
          EXPECT_EQ(ciphertext, all[k].ciphertext) << all[k].id;
          EXPECT_EQ(tag == all[k].tag, all[k].valid) << all[k].id;
        }
        return done;
      },
      nullptr, std::chrono::seconds(120));
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    EXPECT_EQ(*outcome.value, (all.size() + stride - 1) / stride);
  }
}

TEST(WycheproofAes256Gcm, SweepOfTwoMembers) { run_wycheproof(2, 1); }
TEST(WycheproofAes256Gcm, SweepOfThreeMembers) {
  run_wycheproof(3, std::getenv("FLEXROOM_LONG") != nullptr ? 1 : 6);
}

// --- connections ---

ConnectionRig& open_rig(size_t n) {
  static std::map<size_t, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[n];
  if (!rig) {
    rig = std::make_unique<ConnectionRig>(n, [](PartyId, agent::ConnectionConfig& config) {
      config.suite = &tls::aes256_gcm_sha384();
    });
  }
  return *rig;
}

ConnectionRig& sealed_rig(size_t n, const std::string& name, const std::vector<SealedPlan>& plans) {
  static std::map<std::pair<size_t, std::string>, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[{n, name}];
  if (rig) return *rig;
  rig = std::make_unique<ConnectionRig>(n, [&](PartyId, agent::ConnectionConfig& config) {
    config.suite = &tls::aes256_gcm_sha384();
    config.receive = agent::ReceiveMode::kSealed;
    config.sealed = std::make_shared<const SealedPlan>(plans[0]);
    for (size_t k = 1; k < plans.size(); ++k) {
      config.later.push_back({{}, std::make_shared<const SealedPlan>(plans[k])});
    }
  });
  return *rig;
}

OpensslService::Options openssl(const std::string& answer) {
  OpensslService::Options out;
  out.answer = answer;
  out.suite = "TLS_AES_256_GCM_SHA384";
  return out;
}

class Aes256Connection : public ::testing::TestWithParam<size_t> {
 protected:
  ConnectionRig& members() { return open_rig(GetParam()); }
  void expect_answer(const Report& report, const std::string& body = "ok") {
    ASSERT_TRUE(report.ended);
    EXPECT_TRUE(report.seen.finished);
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.replied) << member.where << ": " << member.detail;
      EXPECT_EQ(member.status, 200);
      EXPECT_EQ(member.body, body);
    }
  }
  void expect_refusal(const Report& report, const std::string& reason) {
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.seen.request, "");
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.replied || member.released);
      EXPECT_EQ(member.code, AbortCode::kServer);
      EXPECT_THAT(member.detail, ::testing::HasSubstr(reason));
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Members, Aes256Connection, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, Aes256Connection,
                         ::testing::ValuesIn(support::in_long_runs({3})));

// One hello serves every group, P-256 behind a HelloRetryRequest, the others also behind a cookie.
TEST_P(Aes256Connection, EveryGroupAndHelloRetryRequests) {
  for (const NamedGroup group : all_groups()) {
    for (const bool cookie : {false, true}) {
      if (cookie && GetParam() > 2) continue;
      Scenario scenario;
      scenario.script.group = group;
      const Bytes with = cookie ? Bytes(40, 0xc0) : Bytes();
      if (group == NamedGroup::kP256) {
        scenario.script.retry = {hello_retry(0x0017, with)};
      } else if (cookie) {
        scenario.script.retry = {hello_retry({}, with)};
      }
      const Report report = members().run(scenario);
      EXPECT_EQ(report.seen.retried, !scenario.script.retry.empty());
      expect_answer(report);
      EXPECT_EQ(report.seen.request, members().expected_request());
    }
  }
}

// OpenSSL's server, restricted to this suite; and with P-256 alone, which it asks for.
TEST_P(Aes256Connection, AnswersOfOpenSsl) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer";
  for (const bool retry : {false, true}) {
    OpensslService::Options options = openssl(answer);
    if (retry) options.groups = "P-256";
    options.key_update = true;
    const Report report = members().run(support::from_openssl(options));
    expect_answer(report, "answer");
    const std::string seen = members().expected_request();
    EXPECT_EQ(report.seen.request, seen.substr(0, seen.size() - 1));  // without its type
  }
}

// C4, and a server of another suite: nothing of a request leaves.
TEST_P(Aes256Connection, WhatIsNotOfTheSuiteIsRefused) {
  Scenario finished;
  finished.script.server.bad_finished = true;
  expect_refusal(members().run(finished), "Finished does not match");
  for (const uint16_t other : std::vector<uint16_t>{0x1303, 0x1304}) {
    Scenario suite;
    suite.script.server.hello.suite = other;
    expect_refusal(members().run(suite), "suite");
  }
  OpensslService::Options without = openssl("");
  without.suite = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
  expect_refusal(members().run(support::from_openssl(without)), "handshake_failure");
}

// tls-complete.md §4.2: the alert under c_hs, of 48 bytes, and the courier's Finished.
TEST_P(Aes256Connection, TheAlertIsSealedUnderTheSuite) {
  Scenario scenario;
  scenario.script.server.bad_finished = true;
  const Report report = members().run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.alert, (Bytes{2, 51}));  // decrypt_error
  EXPECT_FALSE(report.seen.alert_in_clear);
}

// What a member opens of the hash's values: a false share of any is cheating.
TEST_P(Aes256Connection, WrongSharesOfSecretsAreCheating) {
  for (const std::string label : {"tls/open c_hs", "tls/open s_ap", "tls/tag share"}) {
    for (const bool at_the_end : {false, true}) {
      SCOPED_TRACE(label);
      Scenario scenario;
      scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
        if (message.sender != 0 || message.receiver != 1 || message.label != label) return;
        const size_t share = label == "tls/tag share" ? 16 : 48;
        ASSERT_GT(payload.size(), share);
        payload[at_the_end ? share - 1 : 0] ^= 1;
      };
      const Report report = members().run(scenario);
      ASSERT_TRUE(report.ended);
      EXPECT_EQ(report.members[1].code, AbortCode::kMac) << report.members[1].where;
      EXPECT_FALSE(report.members[1].replied);
      EXPECT_EQ(report.seen.finished, label == "tls/open s_ap");
    }
  }
}

// --- sealed answers ---

class Aes256Sealed : public ::testing::TestWithParam<size_t> {
 protected:
  ConnectionRig& cookies() { return sealed_rig(GetParam(), "cookie", {cookie_plan()}); }
};
INSTANTIATE_TEST_SUITE_P(Rooms, Aes256Sealed, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, Aes256Sealed, ::testing::ValuesIn(support::in_long_runs({3})));

TEST(Aes256SealedOfThree, StatusAlone) {
  ConnectionRig& members = sealed_rig(3, "status", {small_plan()});
  const Report report =
      support::answer_with(members, "HTTP/1.1 204 No Content\r\nX-Secret: 1\r\n\r\n");
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.request, members.expected_request());
  for (const auto& member : report.members) {
    EXPECT_TRUE(member.sealed) << member.where << ": " << member.detail;
    EXPECT_EQ(member.sealed_status, 204);
    EXPECT_EQ(member.failure, "");
    EXPECT_EQ(member.sent_count("tls/open s_ap"), 0u);
  }
}

TEST_P(Aes256Sealed, KeepsACookieHoweverItsRecordsAreCut) {
  ConnectionRig& members = cookies();
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/; Secure");
  const Report whole = support::answer_with(members, answer);
  expect_kept(whole, "a1b2c3d4");
  for (const auto& member : whole.members) EXPECT_EQ(member.leak.opened_bytes, 0u);
  for (const auto& [first, second] :
       std::vector<std::pair<size_t, size_t>>{{1, 2}, {15, 33}, {16, 64}}) {
    Scenario cut;
    cut.script.answer = answer.substr(0, first);
    cut.script.more = {answer.substr(first, second - first), answer.substr(second)};
    expect_kept(members.run(cut), "a1b2c3d4");
  }
  Scenario padded;
  padded.script.answer = answer;
  padded.script.padding = 20;
  padded.script.ticket_with_flight = true;
  padded.script.group = NamedGroup::kP256;
  padded.script.retry = {hello_retry(0x0017)};
  expect_kept(members.run(padded), "a1b2c3d4");
  // Beyond 4 KB GHASH takes products.
  Scenario of_length;
  of_length.script.answer = answer + std::string(7000, 'x');
  of_length.script.group = NamedGroup::kX25519;
  expect_kept(members.run(of_length), "a1b2c3d4");
  expect_kept(members.run(support::from_openssl(openssl(answer))), "a1b2c3d4");
}

TEST_P(Aes256Sealed, ABodyIsSelectedFrom) {
  ConnectionRig& members = sealed_rig(GetParam(), "json", {json_plan()});
  const std::string body =
      R"({"key":{"secret":"abc+/123="},"id":4711,"name":"ann","kind":"a kind of key that is long"})";
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Code: c=f00d;\r\n";
  const Report report = support::answer_with(
      members, head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  expect_kept(report, "abc+/123=");
  for (const auto& member : report.members) EXPECT_EQ(member.values.at(1).text, "4711");
  EXPECT_EQ(report.members[1].values[2].secret, "ann");
  EXPECT_EQ(report.kept(4), "f00d");
}

// tls-in-mpc.md §3.6 with a traffic secret of 48 bytes.
TEST_P(Aes256Sealed, TheServerChangesItsKeys) {
  SealedPlan plan = cookie_plan();
  plan.records = 6;
  plan.key_updates = 2;
  ConnectionRig& members = sealed_rig(GetParam(), "updates", {plan});
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/; Secure");
  Scenario scenario;
  scenario.script.answer = answer.substr(0, 20);
  scenario.script.behind = {{kHandshakeRecord, TestService::key_update_message()},
                            {kData, to_bytes(answer.substr(20, 43))},
                            {kHandshakeRecord, TestService::key_update_message()},
                            {kData, to_bytes(answer.substr(63))}};
  scenario.script.close_notify = false;
  const Report report = members.run(scenario);
  expect_kept(report, "a1b2c3d4");
  for (const auto& member : report.members) EXPECT_EQ(member.leak.key_updates, 2u);
  OpensslService::Options options = openssl(answer);
  options.key_update = true;
  expect_kept(members.run(support::from_openssl(options)), "a1b2c3d4");
}

TEST_P(Aes256Sealed, SeveralRequestsShareAConnection) {
  SealedPlan first = cookie_plan();
  first.keep_alive = true;
  ConnectionRig& members = sealed_rig(GetParam(), "several", {first, cookie_plan()});
  Scenario scenario;
  scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/");
  scenario.script.close_notify = false;
  scenario.script.stays = true;
  scenario.script.one_piece = true;
  scenario.script.next_answers = {{{kData, to_bytes(set_cookie("session=second; Path=/"))}}};
  scenario.next_requests = 1;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  ASSERT_EQ(report.seen.requests.size(), 2u);
  EXPECT_EQ(report.seen.requests[1], members.expected_request(1));
  for (const auto& member : report.members) {
    ASSERT_EQ(member.next.size(), 1u) << member.where << ": " << member.detail;
    EXPECT_EQ(member.next[0].failure, "") << member.next[0].where << member.next[0].detail;
  }
  EXPECT_EQ(report.kept(0), "a1b2c3d4");
  EXPECT_EQ(report.kept_next(0, 0), "second");
}

// 20, 21: header, ciphertext, tag: nothing of the answer opens.
TEST_P(Aes256Sealed, AlteredRecordsOpenNothing) {
  ConnectionRig& members = cookies();
  Scenario scenario;
  scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/");
  const size_t record = 5 + scenario.script.answer.size() + 1 + 16;
  for (const size_t at : {size_t{1}, size_t{40}, record - 16, record - 1}) {
    Scenario flipped = scenario;
    flipped.script.flip_in_answer = at;
    const Report report = members.run(flipped);
    expect_failure(report, "a record of the service does not verify under its key");
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.unknown);
      EXPECT_EQ(member.sealed_status, 0);
      EXPECT_EQ(member.sent_count("sealed/open types"), 0u);
    }
  }
}

}  // namespace aes256_test
}  // namespace flexroom
