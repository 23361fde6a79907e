#include "tls/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "unit/tls/fake_server.h"

namespace flexroom::tls {
namespace {

using testing::abort_of;
using testing::CertOptions;
using testing::chain_policy;
using ::testing::HasSubstr;
using testing::make_cert;
using testing::make_key;
using testing::Pki;
using testing::to_der;

std::string verdict(const std::vector<Bytes>& chain, const ChainPolicy& policy = chain_policy()) {
  return abort_of([&] { check_chain(chain, policy); });
}

std::string verdict_of_leaf(const CertOptions& options,
                            const testing::Key& key = Pki::shared().leaf_key,
                            const std::string& host = "api.example") {
  const Pki& pki = Pki::shared();
  const auto leaf = make_cert(options, key, pki.middle, pki.middle_key);
  return verdict({to_der(leaf), to_der(pki.middle)}, chain_policy(host));
}

TEST(CheckChain, AcceptsAGoodChainAndItsPin) {
  const Pki& pki = Pki::shared();
  const std::vector<Bytes> chain = {to_der(pki.leaf), to_der(pki.middle)};
  EXPECT_EQ(verdict(chain), "");
  EXPECT_EQ(verdict({to_der(pki.leaf), to_der(pki.middle), to_der(pki.root)}), "");
  uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(pki.leaf_key.get(), &der);
  ChainPolicy pinned = chain_policy();
  pinned.spki_pin = sha256(ByteView(der, static_cast<size_t>(size)));
  OPENSSL_free(der);
  EXPECT_EQ(verdict(chain, pinned), "");
  (*pinned.spki_pin)[0] ^= 1;
  EXPECT_THAT(verdict(chain, pinned), HasSubstr("spki_pin"));
}

TEST(CheckChain, UsesThisPartysClock) {
  const Pki& pki = Pki::shared();
  const std::vector<Bytes> chain = {to_der(pki.leaf), to_der(pki.middle)};
  ChainPolicy policy = chain_policy();
  policy.clock = [] { return std::chrono::system_clock::from_time_t(testing::kNow + 7 * 86400); };
  EXPECT_THAT(verdict(chain, policy), HasSubstr("expired"));
  policy.clock = [] { return std::chrono::system_clock::from_time_t(testing::kNow - 7 * 86400); };
  EXPECT_THAT(verdict(chain, policy), HasSubstr("not valid yet"));
}

TEST(CheckChain, MatchesSubjectAlternativeNamesOnly) {
  CertOptions options;
  options.names = "DNS:other.example";
  EXPECT_THAT(verdict_of_leaf(options), HasSubstr("for another name than api.example"));
  options.names = "";
  options.common_name = "api.example";
  EXPECT_NE(verdict_of_leaf(options), "");
  options.names = "IP:10.0.0.1";
  EXPECT_NE(verdict_of_leaf(options), "");
  options.names = "DNS:*.svc.example";
  EXPECT_EQ(verdict_of_leaf(options, Pki::shared().leaf_key, "api.svc.example"), "");
  EXPECT_NE(verdict_of_leaf(options, Pki::shared().leaf_key, "a.b.svc.example"), "");
  options.names = "DNS:a*.svc.example";
  EXPECT_NE(verdict_of_leaf(options, Pki::shared().leaf_key, "api.svc.example"), "");
  EXPECT_NE(verdict_of_leaf(CertOptions{}, Pki::shared().leaf_key, "x.api.example"), "");
}

TEST(CheckChain, RefusesWrongPurposeAndWeakKeysAndHashes) {
  CertOptions options;
  options.usage = "clientAuth";
  EXPECT_THAT(verdict_of_leaf(options), HasSubstr("extended key usage"));
  options.usage = "";
  EXPECT_THAT(verdict_of_leaf(options), HasSubstr("serverAuth"));
  EXPECT_THAT(verdict_of_leaf(CertOptions{}, make_key("rsa1024")), HasSubstr("RSA 2048"));
  EXPECT_NE(verdict_of_leaf(CertOptions{}, make_key("P-224")), "");
  EXPECT_NE(verdict_of_leaf(CertOptions{}, make_key("secp256k1")), "");
  EXPECT_NE(verdict_of_leaf(CertOptions{}, make_key("ed25519")), "");
  options = CertOptions{};
  options.digest = EVP_sha1();
  EXPECT_NE(verdict_of_leaf(options), "");
}

TEST(CheckChain, RefusesUnknownRootsAndNamesTheSetting) {
  const Pki& pki = Pki::shared();
  EXPECT_THAT(verdict({to_der(pki.leaf)}), HasSubstr("`ca_file` test.pem"));
  EXPECT_THAT(verdict({to_der(pki.leaf)}), HasSubstr("missing intermediate"));
  const Pki stranger;
  EXPECT_THAT(verdict({to_der(stranger.leaf), to_der(stranger.middle)}), HasSubstr("unknown root"));
  EXPECT_THAT(verdict({to_der(stranger.leaf), to_der(stranger.middle), to_der(stranger.root)}),
              HasSubstr("trusted root"));
  const auto self = make_cert(CertOptions{}, pki.leaf_key, nullptr, pki.leaf_key);
  EXPECT_THAT(verdict({to_der(self)}), HasSubstr("self-signed"));
  // A leaf is no authority.
  CertOptions options;
  const auto below = make_cert(options, make_key("P-256"), pki.leaf, pki.leaf_key);
  EXPECT_NE(verdict({to_der(below), to_der(pki.leaf), to_der(pki.middle)}), "");
  EXPECT_THAT(verdict({Bytes{0x30, 3, 1, 2, 3}}), HasSubstr("cannot be parsed"));
  Bytes longer = to_der(pki.leaf);
  longer.push_back(0);
  EXPECT_THAT(verdict({longer, to_der(pki.middle)}), HasSubstr("cannot be parsed"));
}

TEST(CheckCertificateVerify, EverySchemeChecksKeyTypeAndSignature) {
  const Digest transcript = testing::filled(3);
  const Bytes content = certificate_verify_content(transcript);
  const std::vector<std::pair<uint16_t, testing::Key>> signers = {{0x0403, make_key("P-256")},
                                                                  {0x0503, make_key("P-384")},
                                                                  {0x0804, make_key("rsa2048")},
                                                                  {0x0805, make_key("rsa2048")},
                                                                  {0x0806, make_key("rsa2048")}};
  for (const auto& [scheme, key] : signers) {
    const Bytes leaf = to_der(make_cert({}, key, Pki::shared().middle, Pki::shared().middle_key));
    CertificateVerify verify{scheme, testing::sign(key, scheme, content)};
    EXPECT_EQ(abort_of([&] { check_certificate_verify(leaf, verify, transcript); }), "") << scheme;
    EXPECT_THAT(abort_of([&] { check_certificate_verify(leaf, verify, testing::filled(4)); }),
                HasSubstr("signature"));
    verify.signature[verify.signature.size() / 2] ^= 4;
    EXPECT_THAT(abort_of([&] { check_certificate_verify(leaf, verify, transcript); }),
                HasSubstr("signature"));
    verify.scheme = scheme >> 8 == 8 ? 0x0403 : 0x0804;
    EXPECT_THAT(abort_of([&] { check_certificate_verify(leaf, verify, transcript); }),
                HasSubstr("does not fit"));
  }
}

TEST(ParseCertificate, HoldsItsLimits) {
  const auto body = [](const Bytes& message) { return Bytes(message.begin() + 4, message.end()); };
  const Bytes der = {1, 2, 3};
  EXPECT_EQ(parse_certificate(body(testing::certificate_message({der, der}))).size(), 2u);
  const auto refused = [&](const Bytes& message) {
    return abort_of([&] { parse_certificate(body(message)); });
  };
  EXPECT_THAT(refused(testing::certificate_message({})), HasSubstr("no certificate"));
  EXPECT_THAT(refused(testing::certificate_message(std::vector<Bytes>(11, der))), HasSubstr("10"));
  EXPECT_THAT(refused(testing::certificate_message({Bytes(70000)})), HasSubstr("64 KB"));
  EXPECT_THAT(refused(testing::certificate_message({der}, {1})), HasSubstr("context"));
  EXPECT_THAT(refused(testing::certificate_message({der}, {}, Bytes{0, 5, 0, 0})),
              HasSubstr("extension"));
  EXPECT_THAT(refused(testing::certificate_message({Bytes()})), HasSubstr("empty certificate"));
  Bytes longer = testing::certificate_message({der});
  longer.push_back(0);
  EXPECT_THAT(refused(longer), HasSubstr("too many"));
}

TEST(TrustStore, SaysWhatIsWrongWithAFile) {
  const auto path = std::filesystem::temp_directory_path() / "flexroom_trust_test.pem";
  std::ofstream(path) << "no certificate here\n";
  EXPECT_THROW(TrustStore::from_files({path.string()}, "aws"), InputError);
  EXPECT_THROW(TrustStore::from_files({path.string() + ".absent"}, "aws"), InputError);
  std::ofstream(path) << testing::to_pem(Pki::shared().root);
  EXPECT_THAT(TrustStore::from_files({path.string()}, "aws").description(),
              HasSubstr("provider aws"));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace flexroom::tls
