#include "agent/client_secret.h"

#include <gtest/gtest.h>

#include "support/dealer.h"
#include "support/parties.h"

// tls-complete.md §4.2, attack 68 at the object that holds the shares.

namespace flexroom {
namespace {

using agent::ClientSecret;
using support::Dealer;

constexpr PartyId kCourier = 1;

// Of SHA-384: the longest.
std::vector<uint8_t> secret_bits() {
  std::vector<uint8_t> bits(384);
  for (size_t k = 0; k < bits.size(); ++k) bits[k] = k % 3 == 0;
  return bits;
}

/// What `use` gives at every member, and who sent a share.
struct Uses {
  std::vector<std::optional<tls::HashValue>> values;
  std::vector<size_t> sent;
};
template <typename Use>
Uses with_secret(size_t n, Use use) {
  Dealer dealer(n);
  Uses out{std::vector<std::optional<tls::HashValue>>(n), std::vector<size_t>(n)};
  const auto run = support::run_parties(n, [&](net::Party& party) {
    const PartyId me = party.id();
    party.set_observer([&out, me](const net::MessageId& m, ByteView) {
      out.sent[me] += m.label == "tls/open c_hs" ? 1 : 0;
    });
    ClientSecret secret(party, dealer.source(me).delta(), dealer.share_bits(me, 1, secret_bits()),
                        kCourier);
    out.values[me] = use(party, secret);
    return true;
  });
  for (const auto& outcome : run.outcomes) {
    EXPECT_TRUE(outcome.value.has_value()) << outcome.abort->what();
  }
  return out;
}

class ClientSecretTest : public ::testing::TestWithParam<size_t> {};

TEST_P(ClientSecretTest, IsOpenedToTheCourierAlone) {
  for (const bool alert : {true, false}) {
    const Uses uses = with_secret(
        GetParam(), [&](net::Party& party, ClientSecret& s) -> std::optional<tls::HashValue> {
          if (alert) return s.open_for_alert();
          s.agreed();
          if (party.id() != kCourier) {
            s.give();
            return std::nullopt;
          }
          for (const PartyId j : party.peers()) s.take_from(j);
          return s.result();
        });
    for (PartyId i = 0; i < GetParam(); ++i) {
      EXPECT_EQ(uses.values[i].has_value(), i == kCourier);
      EXPECT_EQ(uses.sent[i], i == kCourier ? 0u : 1u);
    }
    EXPECT_EQ(uses.values[kCourier]->size(), 48u);
    EXPECT_EQ((*uses.values[kCourier])[0], 0x49);  // bits 0, 3, 6
    EXPECT_EQ((*uses.values[kCourier])[1], 0x92);
  }
}

TEST_P(ClientSecretTest, IsOpenedForOneAlert) {
  const Uses uses = with_secret(GetParam(), [&](net::Party&, ClientSecret& s) {
    (void)s.open_for_alert();
    return s.open_for_alert();
  });
  for (PartyId i = 0; i < GetParam(); ++i) EXPECT_FALSE(uses.values[i].has_value());
}

INSTANTIATE_TEST_SUITE_P(Members, ClientSecretTest, ::testing::Values(2, 3));

// 67: behind a CertificateRequest it is in the circuit's hands and in nobody else's.
TEST(ClientSecret, InsideItIsOpenedForNothing) {
  const Uses uses = with_secret(2, [&](net::Party&, ClientSecret& s) {
    EXPECT_EQ(s.agreed_inside().size(), 384u);
    return s.open_for_alert();
  });
  for (PartyId i = 0; i < 2; ++i) {
    EXPECT_FALSE(uses.values[i].has_value());
    EXPECT_EQ(uses.sent[i], 0u);
  }
}

TEST(ClientSecretDeathTest, InsideNoShareIsGivenOrTaken) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(with_secret(2,
                           [&](net::Party& party, ClientSecret& s) -> std::optional<Digest> {
                             (void)s.agreed_inside();
                             if (party.id() != kCourier) s.give();
                             if (party.id() == kCourier) s.take_from(0);
                             return std::nullopt;
                           }),
               "");
}

// An abort, a timeout: whatever comes behind HS_OK of this member, its share stays.
TEST(ClientSecret, NoAbortBehindHsOkCarriesAShare) {
  const Uses uses = with_secret(2, [&](net::Party&, ClientSecret& s) {
    s.agreed();
    return s.open_for_alert();
  });
  for (PartyId i = 0; i < 2; ++i) {
    EXPECT_FALSE(uses.values[i].has_value());
    EXPECT_EQ(uses.sent[i], 0u);
  }
}

TEST(ClientSecretDeathTest, LeavesBehindHsOkOnly) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      with_secret(2,
                  [&](net::Party& party, ClientSecret& s) -> std::optional<tls::HashValue> {
                    if (party.id() != kCourier) s.give();
                    return std::nullopt;
                  }),
      "");
}

}  // namespace
}  // namespace flexroom
