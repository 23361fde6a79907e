#include "config/tls_terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace flexroom {
namespace {

using ::testing::HasSubstr;

TlsTerms load(const std::string& lines) {
  const TomlTable table = TomlTable::parse(lines, "room.toml");
  TlsTerms terms = TlsTerms::load(table);
  table.finish();  // every key was taken
  return terms;
}

std::string refusal(const std::string& lines) {
  try {
    (void)load(lines);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(TlsTerms, AreReadAsWritten) {
  TlsTerms terms = load("");
  EXPECT_EQ(terms.suite->name, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(terms.max_answer, size_t{16} << 20);
  EXPECT_FALSE(terms.trust_exact);
  EXPECT_EQ(terms.revocation, tls::Revocation::kOff);
  EXPECT_FALSE(terms.spki_pin.has_value());
  terms = load(
      "suite = \"aes128\"\nreceive = \"open\"\nmax_answer = 1024\nawait_close = true\ntrust = "
      "\"exact\"\n"
      "revocation = \"must\"\nspki_pin = \"" +
      std::string(62, '0') + "0f\"");
  EXPECT_EQ(terms.max_answer, 1024u);
  EXPECT_TRUE(terms.await_close);
  EXPECT_TRUE(terms.trust_exact);
  EXPECT_EQ(terms.revocation, tls::Revocation::kMust);
  EXPECT_EQ((*terms.spki_pin)[31], 0x0f);
  EXPECT_EQ(load("suite = \"chacha20\"").suite->name, "TLS_CHACHA20_POLY1305_SHA256");
  EXPECT_EQ(load("suite = \"aes256\"").suite->name, "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(terms.client_auth, tls::ClientAuth::kRefuse);
  EXPECT_EQ(load("client_auth = \"refuse\"").client_auth, tls::ClientAuth::kRefuse);
  EXPECT_EQ(load("client_auth = \"none\"").client_auth, tls::ClientAuth::kNone);
  EXPECT_EQ(load("revocation = \"staple\"").revocation, tls::Revocation::kStaple);
}

TEST(TlsTerms, WhatIsNotBuiltIsRefusedInWords) {
  EXPECT_THAT(
      refusal("suite = \"ccm\""),
      ::testing::AllOf(HasSubstr("not built"), HasSubstr("\"aes128\", \"chacha20\", \"aes256\"")));
  EXPECT_THAT(refusal("suite = \"aes-128\""), HasSubstr("did you mean `aes128`?"));
  EXPECT_THAT(refusal("receive = \"sealed\""), HasSubstr("not built"));
  EXPECT_THAT(refusal("receive = \"closed\""), HasSubstr("closed"));
  EXPECT_THAT(refusal("client_auth = \"certificate\""),
              ::testing::AllOf(HasSubstr("certificate"), HasSubstr("\"refuse\", or \"none\"")));
  EXPECT_THAT(refusal("client_auth = true"), HasSubstr("client_auth"));
  EXPECT_THAT(refusal("max_answer = 1023"), HasSubstr("max_answer"));
  EXPECT_THAT(refusal("await_close = 1"), HasSubstr("await_close"));
  EXPECT_THAT(refusal("max_answer = 268435457"), HasSubstr("max_answer"));
  EXPECT_THAT(refusal("trust = \"all\""), HasSubstr("\"exact\""));
  EXPECT_THAT(refusal("revocation = \"crl\""), HasSubstr("\"staple\""));
  EXPECT_THAT(refusal("spki_pin = \"00\""), HasSubstr("64"));
  EXPECT_THAT(refusal("spki_pin = \"" + std::string(64, 'g') + "\""), HasSubstr("hex"));
}

}  // namespace
}  // namespace flexroom
