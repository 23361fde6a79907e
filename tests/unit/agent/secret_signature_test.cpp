#include "agent/secret_signature.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "prep/open.h"
#include "support/clear_sigv4.h"
#include "support/dealer.h"
#include "support/hmac_states.h"
#include "support/parties.h"

// tls-in-mpc.md §6.2: a session token that nobody knows is signed as the clear signer signs it.

namespace flexroom::agent {
namespace {

using http::CharClass;
using http::Slot;
using http::SlotSource;

http::AwsCredential credential(std::string token) {
  http::AwsCredential out;
  out.access_key_id = "ASIAEXAMPLE";
  out.secret_access_key = SecretBytes(to_bytes("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"));
  out.session_token = std::move(token);
  return out;
}

http::SigV4Plan plan_with_token(uint32_t length, CharClass char_class = CharClass::kB64,
                                http::Encoding encoding = http::Encoding::kNone) {
  Slot token;
  token.name = token.from = "token";
  token.char_class = char_class;
  token.encoding = encoding;
  token.length = length;
  Slot signature;
  signature.name = "signature";
  signature.source = SlotSource::kComputed;
  signature.from = "sigv4";
  signature.char_class = CharClass::kHex;
  signature.length = 64;
  const std::string text =
      "POST / HTTP/1.1\nHost: ec2.us-east-1.amazonaws.com\n"
      "Content-Type: application/x-www-form-urlencoded; charset=utf-8\n"
      "X-Amz-Date: 20250902T100000Z\nX-Amz-Security-Token: {{token}}\n"
      "Authorization: AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/20250902/us-east-1/ec2/aws4_request, "
      "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
      "Signature={{signature}}\nContent-Length: {{content-length}}\n\nAction=X";
  return http::plan_sigv4(
      http::template_from_text("ec2.us-east-1.amazonaws.com", 443, text, {token, signature}));
}

std::string wanted(const http::SigV4Plan& plan, const http::AwsCredential& who) {
  const auto headers =
      http::sign_headers("POST", "/",
                         {{"Host", "ec2.us-east-1.amazonaws.com"},
                          {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
                         to_hex(sha256(as_bytes(std::string("Action=X")))), who, plan.scope,
                         http::PathRules::of("ec2"));
  return headers.back().second.substr(headers.back().second.size() - 64);
}

std::vector<uint8_t> bits_of(ByteView bytes) {
  std::vector<uint8_t> bits;
  for (const uint8_t byte : bytes) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(byte >> b & 1));
  }
  return bits;
}

class SecretSignature : public ::testing::TestWithParam<size_t> {};

TEST_P(SecretSignature, EqualsTheClearSigner) {
  const size_t n = GetParam();
  for (const size_t length : {1u, 100u}) {
    std::string token;
    for (size_t k = 0; k < length; ++k) token += "IQoJb3JpZ2luX2VjE+/="[k % 20];
    const http::SigV4Plan plan = plan_with_token(static_cast<uint32_t>(length));
    const http::AwsCredential who = credential(token);
    const support::HmacStates states = support::hmac_states(http::signing_key(who, plan.scope));
    const SecretSignatureCircuit circuit = build_secret_signature(plan, states.inner);
    support::Dealer dealer(n);
    const auto run = support::run_parties(n, [&](net::Party& party) {
      prep::Source& source = dealer.source(party.id());
      boolean::Engine engine(party, source);
      const prep::AuthBits secret = dealer.share_bits(party.id(), 1, bits_of(as_bytes(token)));
      const prep::AuthBits kout =
          dealer.share_bits(party.id(), 2, bits_of(sha256_state_bytes(states.outer)));
      const prep::AuthBits out =
          sign_with_secrets(party, engine, circuit, {{"token", &secret}}, kout);
      return prep::open_bits(party, source.delta(), out, "test");
    });
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
      std::string got = to_text(circuit.public_text);
      for (size_t k = 0; k < circuit.secret_bits.size(); ++k) {
        const uint32_t bit = circuit.secret_bits[k];
        got[bit / 8] = static_cast<char>(got[bit / 8] | (*outcome.value)[k] << (bit % 8));
      }
      EXPECT_EQ(got, wanted(plan, who));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Members, SecretSignature, ::testing::Values(2, 3));

/// Header slot or none; a code in the body.
http::SigV4Plan plan_with_body(const std::string& before) {
  Slot code;
  code.name = code.from = "code";
  code.char_class = CharClass::kDigits;
  code.length = 6;
  Slot signature;
  signature.name = "signature";
  signature.source = SlotSource::kComputed;
  signature.from = "sigv4";
  signature.char_class = CharClass::kHex;
  signature.length = 64;
  const std::string text =
      "POST / HTTP/1.1\nHost: ec2.us-east-1.amazonaws.com\n"
      "Content-Type: application/x-www-form-urlencoded; charset=utf-8\n"
      "X-Amz-Date: 20250902T100000Z\n"
      "Authorization: AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/20250902/us-east-1/ec2/aws4_request, "
      "SignedHeaders=content-type;host;x-amz-date, "
      "Signature={{signature}}\nContent-Length: {{content-length}}\n\n" +
      before + "{{code}}&End=1";
  return http::plan_sigv4(
      http::template_from_text("ec2.us-east-1.amazonaws.com", 443, text, {code, signature}));
}

// A one-time code in a signed body: its hash, of which six digits would be found, is opened
// nowhere.
TEST_P(SecretSignature, OfABodyWhoseHashStaysInside) {
  const size_t n = GetParam();
  for (const std::string& before :
       {std::string("Code="), "Pad=" + std::string(70, 'x') + "&Code="}) {
    const http::SigV4Plan plan = plan_with_body(before);
    const http::AwsCredential who = credential("");
    const std::string body = before + "123456&End=1";
    const auto headers = http::sign_headers(
        "POST", "/",
        {{"Host", "ec2.us-east-1.amazonaws.com"},
         {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
        to_hex(sha256(as_bytes(body))), who, plan.scope, http::PathRules::of("ec2"));
    const std::string line = headers.back().second;
    SecretBody secret{to_bytes(body), {}};
    std::vector<uint8_t> bits;
    for (size_t k = before.size(); k < before.size() + 6; ++k) {
      for (uint32_t b = 0; b < 4; ++b) {
        secret.secret_bits.push_back(static_cast<uint32_t>(8 * k + b));
        bits.push_back(static_cast<uint8_t>(secret.public_text[k] >> b & 1));
      }
      secret.public_text[k] &= 0xf0;
    }
    const support::HmacStates states = support::hmac_states(http::signing_key(who, plan.scope));
    const SecretSignatureCircuit circuit = build_secret_signature(plan, states.inner, {}, &secret);
    EXPECT_EQ(circuit.secret_bits, secret_bits_of_signature());
    support::Dealer dealer(n);
    const auto run = support::run_parties(n, [&](net::Party& party) {
      prep::Source& source = dealer.source(party.id());
      boolean::Engine engine(party, source);
      const prep::AuthBits digits = dealer.share_bits(party.id(), 1, bits);
      const prep::AuthBits kout =
          dealer.share_bits(party.id(), 2, bits_of(sha256_state_bytes(states.outer)));
      const prep::AuthBits out = sign_with_secrets(party, engine, circuit, {}, kout, &digits);
      return prep::open_bits(party, source.delta(), out, "test");
    });
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
      std::string got = to_text(circuit.public_text);
      for (size_t k = 0; k < circuit.secret_bits.size(); ++k) {
        const uint32_t bit = circuit.secret_bits[k];
        got[bit / 8] = static_cast<char>(got[bit / 8] | (*outcome.value)[k] << (bit % 8));
      }
      EXPECT_EQ(got, line.substr(line.size() - 64));
    }
  }
}

// Only the blocks from the first with a byte of the token on, two of the string to sign, the outer
// hash and two times hex.
TEST(SecretSignatureCircuit, CostsAQuarterMillionForATokenOf400Bytes) {
  const auto ands = [](uint32_t length) {
    return build_secret_signature(plan_with_token(length), Sha256State{1}).program->num_ands();
  };
  EXPECT_EQ(ands(400), 252'699u);
  EXPECT_LT(ands(400), 275'000u);
  EXPECT_GT(ands(400), ands(100) + 4 * 20'000u);
}

TEST(SecretSignatureCircuit, ASlotThatIsNotSignedAsItIsSentIsRefused) {
  EXPECT_THROW(
      (void)build_secret_signature(plan_with_token(9, CharClass::kJsonSafe), Sha256State{}),
      InputError);
  EXPECT_THROW((void)build_secret_signature(
                   plan_with_token(9, CharClass::kRaw, http::Encoding::kBase64), Sha256State{}),
               InputError);
}

}  // namespace
}  // namespace flexroom::agent
