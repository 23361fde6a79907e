#include "agent/signing_key.h"

#include <gtest/gtest.h>

#include "agent/wires.h"
#include "prep/open.h"
#include "support/dealer.h"
#include "support/hmac_states.h"
#include "support/parties.h"

namespace flexroom::agent {
namespace {

// The example of the AWS documentation ("Signature Version 4, Deriving the signing key").
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SigningScope kScope{"20150830", "us-east-1", "iam"};

std::vector<uint8_t> bits_of(std::string_view text) {
  std::vector<uint8_t> bits;
  for (const char c : text) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(uint8_t(c) >> b & 1));
  }
  return bits;
}

Digest plain_signing_key() {
  const std::string first = "AWS4" + std::string(kSecret);
  Digest key = hmac_sha256(as_bytes(first), as_bytes(kScope.date));
  key = hmac_sha256(key, as_bytes(kScope.region));
  key = hmac_sha256(key, as_bytes(kScope.service));
  return hmac_sha256(key, as_bytes(std::string_view("aws4_request")));
}

struct Result {
  Sha256State kin{};
  std::vector<uint8_t> kout;
};

auto derive(size_t n, SigningScope scope_of_last) {
  support::Dealer dealer(n);
  return support::run_parties(n, [&](net::Party& party) {
    prep::Source& source = dealer.source(party.id());
    boolean::Engine engine(party, source);
    const prep::AuthBits secret = dealer.share_bits(party.id(), 1, bits_of(kSecret));
    SigningKeyDerivation derivation(engine, secret);
    EXPECT_EQ(derivation.num_ands(), 281'134u);
    const SigningKey key = derivation.run(party, party.id() + 1 == n ? scope_of_last : kScope);
    return Result{key.kin, prep::open_bits(party, source.delta(), key.kout, "test")};
  });
}

TEST(SigningKeyTest, EqualsTheChainOfTheDocumentation) {
  EXPECT_EQ(to_hex(plain_signing_key()),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
  const support::HmacStates want = support::hmac_states(plain_signing_key());
  const auto run = derive(2, kScope);
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    EXPECT_EQ(outcome.value->kin, want.inner);
    EXPECT_EQ(digest_of_bits(outcome.value->kout), sha256_state_bytes(want.outer));
  }
  SigningKey key;
  key.kin = want.inner;
  EXPECT_EQ(signature_inner_digest(key, "text"),
            hmac_inner_digest(want.inner, as_bytes(std::string_view("text"))));
}

// 34: a member that means another day, region or service stops the derivation; no other key forms.
TEST(SigningKeyTest, MembersWithAnotherScopeStop) {
  for (const SigningScope& other :
       {SigningScope{"20150831", "us-east-1", "iam"}, SigningScope{"20150830", "us-east-2", "iam"},
        SigningScope{"20150830", "us-east-1", "ec2"}}) {
    const auto run = derive(2, other);
    for (const auto& outcome : run.outcomes) {
      EXPECT_FALSE(outcome.value.has_value());
      EXPECT_EQ(outcome.abort->abort_class(), AbortClass::kNetwork);
    }
  }
}

}  // namespace
}  // namespace flexroom::agent
