#include "session/room_terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "support/parties.h"

namespace flexroom::session {
namespace {

using support::run_parties;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

RoomConfig room(size_t n) {
  RoomConfig out;
  out.name = "rig";
  for (size_t i = 0; i < n; ++i) {
    MemberEntry& member = out.members.emplace_back();
    member.name = "m" + std::to_string(i);
    member.address = {"host", 1};
    member.certificate_sha256 = std::string(64, 'a');
  }
  Provider provider;
  provider.name = "p";
  provider.open_calls = {"GET https://a.example/"};
  out.providers.push_back(provider);
  return out;
}

using Change = std::function<void(RoomConfig&, std::vector<Term>&)>;
auto agree(size_t n, const Change& at_last, net::Tamper tamper = nullptr) {
  return run_parties(
      n,
      [&](net::Party& party) {
        RoomConfig config = room(n);
        std::vector<Term> more = {{"command", "get"}};
        for (Term& term : format_terms()) more.push_back(std::move(term));
        if (party.id() + 1 == n && at_last) at_last(config, more);
        for (Term& term : room_terms(config)) more.push_back(std::move(term));
        agree_on_terms(party, config, more);
        return true;
      },
      std::move(tamper));
}

class RoomTermsTest : public ::testing::TestWithParam<size_t> {};

TEST_P(RoomTermsTest, EqualTermsPass) {
  for (const auto& outcome : agree(GetParam(), nullptr).outcomes) {
    EXPECT_TRUE(outcome.value) << outcome.abort->what();
  }
}

TEST_P(RoomTermsTest, EachDifferenceIsNamedWithBothValues) {
  struct Case {
    Change change;
    std::vector<std::string> words;
  };
  const std::vector<Case> cases = {
      {[](RoomConfig&, auto& more) { more[0].value = "call"; }, {"command", "get", "call"}},
      {[](RoomConfig&, auto& more) { more[1].value = "format 3, text forms 1 to 4"; },
       {"proposals", "format 2, text forms 1 to 3", "format 3", "read the same forms"}},
      {[](RoomConfig&, auto& more) { more[2].value = "format 2"; },
       {"statements", "format 1", "format 2"}},
      {[](RoomConfig&, auto& more) { more[3].value = "format 3"; },
       {"configurations", "format 2", "format 3"}},
      {[](RoomConfig& c, auto&) { c.name = "other"; }, {"name of the room", "rig", "other"}},
      {[](RoomConfig& c, auto&) { c.profile = "high"; }, {"profile", "default", "high"}},
      {[](RoomConfig& c, auto&) { c.triples = "masked"; }, {"triples", "masked"}},
      {[](RoomConfig& c, auto&) { c.link = "slow"; }, {"link", "slow"}},
      {[](RoomConfig& c, auto&) { c.mesh_pq = "required"; }, {"mesh_pq", "required"}},
      {[](RoomConfig& c, auto&) { c.courier = "m0"; }, {"courier", "m0"}},
      {[](RoomConfig& c, auto&) { std::swap(c.members[0], c.members[1]); },
       {"members, in this order", "m0, m1", "m1, m0"}},
      {[](RoomConfig& c, auto&) { c.members[0].certificate_sha256[3] = 'b'; },
       {"certificate of m0", "aaaa", "aaab"}},
      {[](RoomConfig& c, auto&) { c.members.pop_back(); }, {"members, in this order"}},
      {[](RoomConfig& c, auto&) { c.providers[0].groups = {NamedGroup::kP256}; },
       {"groups of provider p", "x25519mlkem768, x25519, p256", "p256"}},
      {[](RoomConfig& c, auto&) { c.providers[0].host_groups["m.example"] = {NamedGroup::kP256}; },
       {"groups m.example of provider p", "p256", "(nothing)"}},
      {[](RoomConfig& c, auto&) { c.providers[0].tls.suite = &tls::chacha20_poly1305_sha256(); },
       {"suite of provider p", "aes128", "chacha20"}},
      {[](RoomConfig& c, auto&) {
         c.providers[0].host_suite["m.example"] = &tls::chacha20_poly1305_sha256();
       },
       {"suite m.example of provider p", "chacha20", "(nothing)"}},
      {[](RoomConfig& c, auto&) { c.providers[0].tls.client_auth = tls::ClientAuth::kNone; },
       {"client_auth of provider p", "none", "refuse"}},
      {[](RoomConfig& c, auto&) {
         c.providers[0].host_client_auth["m.example"] = tls::ClientAuth::kNone;
       },
       {"client_auth m.example of provider p", "none", "(nothing)"}},
      {[](RoomConfig& c, auto&) { c.providers[0].traffic.pad = tls::Padding::k1024; },
       {"pad of provider p", "1024", "(nothing)"}},
      {[](RoomConfig& c, auto&) {
         c.providers[0].traffic.period = std::chrono::minutes(10);
         c.providers[0].traffic.cover = "HEAD /";
       },
       {"cover of provider p", "HEAD /", "(nothing)"}},
      {[](RoomConfig& c, auto&) {
         c.providers[0].host_traffic["m.example"].period = std::chrono::hours(1);
       },
       {"m.example of provider p", "(nothing)"}},
      {[](RoomConfig& c, auto&) { c.providers[0].tls.receive = tls::ReceiveMode::kSealed; },
       {"receive of provider p", "open", "sealed"}},
      {[](RoomConfig& c, auto&) { c.providers[0].tls.max_answer = 4321; },
       {"max_answer of provider p", "16777216", "4321"}},
      {[](RoomConfig& c, auto&) { c.providers[0].open_calls[0] = "GET https://b.example/"; },
       {"open_calls of provider p", "a.example", "b.example"}},
      {[](RoomConfig& c, auto&) { c.providers[0].host_mailbox["m.example"] = true; },
       {"mailbox m.example of provider p", "true"}},
      {[](RoomConfig& c, auto&) {
         c.providers.push_back(c.providers[0]);
         c.providers[1].name = "q";
       },
       {"providers", "p, q"}}};
  for (const Case& one : cases) {
    const auto run = agree(GetParam(), one.change);
    const ProtocolAbort& abort = *run.outcomes[0].abort;
    EXPECT_EQ(abort.code(), AbortCode::kDisagreement);
    for (const std::string& word : one.words) EXPECT_THAT(abort.detail(), HasSubstr(word));
    EXPECT_FALSE(run.outcomes.back().value);
  }
}

// A name that stands twice could hide a difference behind the first of them.
TEST_P(RoomTermsTest, ATermStandsOnceAndNothingIsNoValue) {
  const auto twice = agree(GetParam(), [](RoomConfig&, auto& more) {
    more.push_back({"command", "call"});
  });
  EXPECT_EQ(twice.outcomes[0].code(), AbortCode::kUnexpectedMessage);
  const auto many = agree(GetParam(), [](RoomConfig&, auto& more) {
    for (int k = 0; k < 20'000; ++k) more.push_back({"t" + std::to_string(k), ""});
  });
  EXPECT_EQ(many.outcomes[0].code(), AbortCode::kUnexpectedMessage);
  const auto missing = agree(GetParam(), [](RoomConfig&, auto& more) {
    more.push_back({"more", "(nothing)"});
  });
  EXPECT_EQ(missing.outcomes[0].code(), AbortCode::kDisagreement);
  EXPECT_FALSE(missing.outcomes.back().value);
}

TEST_P(RoomTermsTest, OneDifferenceInALongListIsShown) {
  const auto long_list = [](RoomConfig& c, const std::string& end) {
    c.providers[0].open_calls.assign(200, "GET https://a.example/path");
    c.providers[0].open_calls.push_back("GET https://" + end + "/");
  };
  const auto run = run_parties(GetParam(), [&](net::Party& party) {
    RoomConfig config = room(GetParam());
    long_list(config, party.id() == 0 ? "here" : "there");
    agree_on_terms(party, config, room_terms(config));
    return true;
  });
  EXPECT_THAT(run.outcomes[0].abort->detail(),
              AllOf(HasSubstr("https://here"), HasSubstr("https://there")));
}

TEST_P(RoomTermsTest, WhatACorruptedMemberSendsIsBoundedAndHarmless) {
  const PartyId liar = static_cast<PartyId>(GetParam() - 1);
  const std::vector<std::function<void(Bytes&)>> lies = {
      [](Bytes& payload) { payload.clear(); },
      [](Bytes& payload) { payload.resize(payload.size() - 1); },
      [](Bytes& payload) { payload.push_back(0); },
      [](Bytes& payload) { payload.at(0) = 0xff; },        // 4 billion terms
      [](Bytes& payload) { payload.resize(2 << 20, 1); },  // too long
      [](Bytes& payload) {
        // Another value of the same length: the command, with a control character.
        for (size_t i = 0; i + 3 <= payload.size(); ++i) {
          if (payload[i] == 'g' && payload[i + 1] == 'e' && payload[i + 2] == 't') {
            payload[i] = 0x1b;
            return;
          }
        }
      }};
  for (const auto& lie : lies) {
    const auto run = agree(GetParam(), nullptr, [&](const net::MessageId& id, Bytes& payload) {
      if (id.sender == liar && id.label == "session/terms") lie(payload);
    });
    ASSERT_TRUE(run.outcomes[0].abort);
    EXPECT_THAT(run.outcomes[0].abort->what(), Not(HasSubstr("\x1b")));
    EXPECT_NE(run.outcomes[0].abort->abort_class(), AbortClass::kBooleanCheat);
  }
}

INSTANTIATE_TEST_SUITE_P(Parties, RoomTermsTest, ::testing::Values(2, 3));

}  // namespace
}  // namespace flexroom::session
