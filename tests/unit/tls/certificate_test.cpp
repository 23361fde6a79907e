#include "tls/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ocsp.h>
#include <sys/stat.h>
#include <unistd.h>

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
  EXPECT_NE(verdict_of_leaf(CertOptions{}, make_key("ed448")), "");
  EXPECT_EQ(verdict_of_leaf(CertOptions{}, make_key("ed25519")), "");
  EXPECT_EQ(verdict_of_leaf(CertOptions{}, make_key("rsa-pss")), "");
  options = CertOptions{};
  options.digest = EVP_sha1();
  EXPECT_NE(verdict_of_leaf(options), "");
}

TEST(CheckChain, RefusesUnknownRootsAndNamesTheSetting) {
  const Pki& pki = Pki::shared();
  EXPECT_THAT(verdict({to_der(pki.leaf)}), HasSubstr("`ca_file` ("));
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

// A leaf below an intermediate of its own, whose certificate has the given extensions.
std::string verdict_below(const std::vector<std::pair<int, std::string>>& extensions,
                          const CertOptions& leaf_options, const std::string& host) {
  const Pki& pki = Pki::shared();
  CertOptions options = Pki::ca("Constrained");
  options.more = extensions;
  const auto key = make_key("P-256");
  const auto middle = make_cert(options, key, pki.root, pki.root_key);
  const auto leaf = make_cert(leaf_options, pki.leaf_key, middle, key);
  return verdict({to_der(leaf), to_der(middle)}, chain_policy(host));
}

TEST(CheckChain, WantsAKeyUsageForSignaturesWhereThereIsOne) {
  const auto with = [](const std::string& usage) {
    CertOptions options;
    options.more = {{NID_key_usage, usage}};
    return verdict_of_leaf(options);
  };
  EXPECT_EQ(with("critical,digitalSignature"), "");
  EXPECT_EQ(with("digitalSignature,keyEncipherment"), "");
  EXPECT_THAT(with("critical,keyEncipherment"), HasSubstr("digitalSignature"));
  EXPECT_THAT(with("critical,keyAgreement"), HasSubstr("digitalSignature"));
}

TEST(CheckChain, MeasuresWildcardsAgainstNameConstraints) {
  CertOptions wildcard;
  wildcard.names = "DNS:*.svc.example";
  const auto excluded = [&](const std::string& base, const CertOptions& leaf,
                            const std::string& host) {
    return verdict_below({{NID_name_constraints, "critical,excluded;DNS:" + base}}, leaf, host);
  };
  EXPECT_EQ(excluded("other.example", wildcard, "api.svc.example"), "");
  // Deeper than the wildcard can match.
  EXPECT_EQ(excluded("a.b.svc.example", wildcard, "api.svc.example"), "");
  for (const char* base : {"api.svc.example", "bad.svc.example", "svc.example", "example"}) {
    EXPECT_THAT(excluded(base, wildcard, "api.svc.example"),
                ::testing::AnyOf(HasSubstr("excluded"), HasSubstr("exclu")))
        << base;
  }
  CertOptions both;
  both.names = "DNS:api.example,DNS:*.svc.example";
  EXPECT_NE(excluded("bad.svc.example", both, "api.example"), "");
  const auto permitted = [&](const std::string& base, const CertOptions& leaf,
                             const std::string& host) {
    return verdict_below({{NID_name_constraints, "critical,permitted;DNS:" + base}}, leaf, host);
  };
  EXPECT_EQ(permitted("svc.example", wildcard, "api.svc.example"), "");
  EXPECT_NE(permitted("other.example", wildcard, "api.svc.example"), "");
}

TEST(CheckChain, TakesAnIntermediateForARootOnlyIfTold) {
  const Pki& pki = Pki::shared();
  ChainPolicy policy = chain_policy();
  policy.trust = testing::trust_of(pki.middle);
  const std::vector<Bytes> chain = {to_der(pki.leaf)};
  EXPECT_THAT(verdict(chain, policy), HasSubstr("`trust = \"exact\"`"));
  policy.partial_chains = true;
  EXPECT_EQ(verdict(chain, policy), "");
  EXPECT_EQ(verdict({to_der(pki.leaf), to_der(pki.middle)}, policy), "");
  const Pki stranger;
  EXPECT_NE(verdict({to_der(stranger.leaf), to_der(stranger.middle)}, policy), "");
}

TEST(CheckChain, IsValidThroughTheLastSecond) {
  const Pki& pki = Pki::shared();
  const auto at = [&](long seconds) {
    ChainPolicy policy = chain_policy();
    policy.clock = [seconds] {
      return std::chrono::system_clock::from_time_t(testing::kNow + seconds);
    };
    return verdict({to_der(pki.leaf), to_der(pki.middle)}, policy);
  };
  EXPECT_EQ(at(3600 * 24), "");
  EXPECT_THAT(at(3600 * 24 + 1), HasSubstr("expired"));
  EXPECT_EQ(at(-3600), "");
  EXPECT_THAT(at(-3601), HasSubstr("not valid yet"));
}

// A server may send certificates for clients with other roots, in any order: some path holds.
TEST(CheckChain, FindsThePathThatHolds) {
  const Pki& pki = Pki::shared();
  const auto other_key = make_key("P-256");
  const auto other_root = make_cert(Pki::ca("Other Root"), other_key, nullptr, other_key);
  const auto middle_of = [&](CertOptions options, const testing::Cert& issuer,
                             const testing::Key& key) {
    options.common_name = "Test Middle";
    return to_der(make_cert(options, pki.middle_key, issuer, key));
  };
  const Bytes leaf = to_der(pki.leaf), good = to_der(pki.middle);
  const Bytes crossed = middle_of(Pki::ca(""), other_root, other_key);
  EXPECT_EQ(verdict({leaf, crossed, to_der(other_root), good}), "");
  EXPECT_EQ(verdict({leaf, crossed, good, to_der(other_root)}), "");
  CertOptions weak = Pki::ca("");
  weak.digest = EVP_sha1();
  EXPECT_EQ(verdict({leaf, middle_of(weak, pki.root, pki.root_key), good}), "");
  CertOptions expired = Pki::ca("");
  expired.not_after = -60;
  EXPECT_EQ(verdict({leaf, middle_of(expired, pki.root, pki.root_key), good}), "");
  CertOptions narrow = Pki::ca("");
  narrow.more = {{NID_name_constraints, "critical,permitted;DNS:elsewhere.example"}};
  EXPECT_EQ(verdict({leaf, middle_of(narrow, pki.root, pki.root_key), good}), "");
  // None of them holds: refused, with the first reason.
  EXPECT_NE(verdict({leaf, crossed, to_der(other_root)}), "");
  EXPECT_NE(verdict({leaf, middle_of(expired, pki.root, pki.root_key), crossed}), "");
  // Thirty-one issuers that lead in circles do not keep the search busy.
  std::vector<Bytes> many = {leaf};
  for (int k = 0; k < 15; ++k) {
    many.push_back(middle_of(Pki::ca(""), other_root, other_key));
    CertOptions back = Pki::ca("Other Root");
    many.push_back(to_der(make_cert(back, other_key, pki.middle, pki.middle_key)));
  }
  EXPECT_NE(verdict(many), "");
}

TEST(CheckChain, BoundsTheLengthOfAChain) {
  const Pki& pki = Pki::shared();
  const auto chain_of = [&](size_t intermediates) {
    std::vector<Bytes> chain;
    testing::Cert issuer = pki.root;
    testing::Key key = pki.root_key;
    for (size_t k = 0; k < intermediates; ++k) {
      const auto own = make_key("P-256");
      issuer = make_cert(Pki::ca("Deep " + std::to_string(k)), own, issuer, key);
      key = own;
      chain.insert(chain.begin(), to_der(issuer));
    }
    chain.insert(chain.begin(), to_der(make_cert({}, pki.leaf_key, issuer, key)));
    return verdict(chain);
  };
  EXPECT_EQ(chain_of(8), "");  // leaf, 8, root
  EXPECT_NE(chain_of(9), "");
}

TEST(CheckChain, HoldsAuthoritiesAndLeavesApart) {
  const Pki& pki = Pki::shared();
  CertOptions authority;
  authority.is_ca = true;
  EXPECT_NE(verdict_of_leaf(authority), "");
  CertOptions loose = Pki::ca("Loose");
  loose.constraints = "CA:TRUE";  // not critical
  const auto key = make_key("P-256");
  const auto middle = make_cert(loose, key, pki.root, pki.root_key);
  const auto leaf = make_cert({}, pki.leaf_key, middle, key);
  EXPECT_THAT(verdict({to_der(leaf), to_der(middle)}), HasSubstr("authority"));
  EXPECT_NE(verdict_below({{NID_ext_key_usage, "clientAuth"}}, {}, "api.example"), "");
  EXPECT_EQ(verdict_below({{NID_ext_key_usage, "serverAuth"}}, {}, "api.example"), "");
}

struct Staple {
  int status = V_OCSP_CERTSTATUS_GOOD;
  long this_update = -60, next_update = 3600;
  bool no_next = false;
  testing::Cert subject = Pki::shared().leaf;
  testing::Cert signer = Pki::shared().middle;
  testing::Key signer_key = Pki::shared().middle_key;

  Bytes der() const {
    const auto at = [](long seconds) {
      return ASN1_GENERALIZEDTIME_set(nullptr, testing::kNow + seconds);
    };
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), subject.get(), Pki::shared().middle.get());
    ASN1_TIME* from = at(this_update);
    ASN1_TIME* until = at(next_update);
    ASN1_TIME* revoked = at(-3000);
    OCSP_basic_add1_status(basic, id, status, 0,
                           status == V_OCSP_CERTSTATUS_REVOKED ? revoked : nullptr, from,
                           no_next ? nullptr : until);
    FLEXROOM_ASSERT(
        OCSP_basic_sign(basic, signer.get(), signer_key.get(), EVP_sha256(), nullptr, 0) == 1);
    OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    uint8_t* data = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &data);
    Bytes out(data, data + size);
    OPENSSL_free(data);
    for (ASN1_TIME* time : {from, until, revoked}) ASN1_TIME_free(time);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return out;
  }
};

std::string stapled(const std::optional<Bytes>& staple,
                    Revocation revocation = Revocation::kStaple) {
  const Pki& pki = Pki::shared();
  ChainPolicy policy = chain_policy();
  policy.revocation = revocation;
  return abort_of([&] { check_chain({to_der(pki.leaf), to_der(pki.middle)}, policy, staple); });
}

TEST(Revocation, ChecksTheStapleWhereItIsOn) {
  EXPECT_EQ(stapled(Staple().der()), "");
  EXPECT_EQ(stapled(Staple().der(), Revocation::kMust), "");
  EXPECT_EQ(stapled(std::nullopt), "");
  EXPECT_THAT(stapled(std::nullopt, Revocation::kMust), HasSubstr("`revocation`"));

  Staple staple;
  staple.status = V_OCSP_CERTSTATUS_REVOKED;
  EXPECT_THAT(stapled(staple.der()), HasSubstr("revoked"));
  EXPECT_EQ(stapled(staple.der(), Revocation::kOff), "");
  staple.status = V_OCSP_CERTSTATUS_UNKNOWN;
  EXPECT_THAT(stapled(staple.der()), HasSubstr("does not say"));
  staple = {};
  staple.this_update = 400;
  EXPECT_THAT(stapled(staple.der()), HasSubstr("out of date"));
  staple.this_update = 200;  // within five minutes
  EXPECT_EQ(stapled(staple.der()), "");
  staple = {};
  staple.next_update = -1;
  EXPECT_THAT(stapled(staple.der()), HasSubstr("out of date"));
  staple = {};
  staple.no_next = true;
  EXPECT_THAT(stapled(staple.der()), HasSubstr("out of date"));
  staple = {};
  CertOptions other;
  staple.subject =
      make_cert(other, make_key("P-256"), Pki::shared().middle, Pki::shared().middle_key);
  EXPECT_THAT(stapled(staple.der()), HasSubstr("another certificate"));
  staple = {};  // signed by the root, which did not issue the leaf
  staple.signer = Pki::shared().root;
  staple.signer_key = Pki::shared().root_key;
  EXPECT_THAT(stapled(staple.der()), HasSubstr("not signed by the issuer"));
  // The time at which it was produced is signed; certificates that travel with it are not.
  Bytes bent = Staple().der();
  size_t digits = 0, at = 0;
  for (; at < bent.size() && !(bent[at] == 'Z' && digits >= 14); ++at) {
    digits = bent[at] >= '0' && bent[at] <= '9' ? digits + 1 : 0;
  }
  ASSERT_LT(at, bent.size());
  bent[at - 1] ^= 1;
  EXPECT_THAT(stapled(bent), HasSubstr("not signed"));
  bent = Staple().der();
  bent.push_back(0);
  EXPECT_THAT(stapled(bent), HasSubstr("cannot be parsed"));
  EXPECT_THAT(stapled(Bytes{0x30, 3, 0x0a, 1, 6}), HasSubstr("no answer"));  // unauthorized
}

TEST(Revocation, TakesADelegatedResponderOfTheIssuerOnly) {
  const Pki& pki = Pki::shared();
  const auto key = make_key("P-256");
  const auto responder = [&](const std::string& usage, const testing::Cert& issuer,
                             const testing::Key& issuer_key) {
    CertOptions options;
    options.common_name = "responder";
    options.names = "";
    options.usage = usage;
    Staple staple;
    staple.signer = make_cert(options, key, issuer, issuer_key);
    staple.signer_key = key;
    return stapled(staple.der());
  };
  EXPECT_EQ(responder("OCSPSigning", pki.middle, pki.middle_key), "");
  EXPECT_NE(responder("serverAuth", pki.middle, pki.middle_key), "");
  EXPECT_NE(responder("OCSPSigning", pki.root, pki.root_key), "");
}

TEST(Revocation, AMustStapleCertificateNeedsOne) {
  const Pki& pki = Pki::shared();
  CertOptions options;
  options.more = {{NID_tlsfeature, "status_request"}};
  const auto leaf = make_cert(options, pki.leaf_key, pki.middle, pki.middle_key);
  ChainPolicy policy = chain_policy();
  const std::vector<Bytes> chain = {to_der(leaf), to_der(pki.middle)};
  EXPECT_EQ(verdict(chain, policy), "");
  policy.revocation = Revocation::kStaple;
  EXPECT_THAT(verdict(chain, policy), HasSubstr("demands"));
}

TEST(ParseCertificate, TakesTheStapleThatWasAskedFor) {
  ClientHello asked;
  asked.input.status_request = true;
  const Bytes staple{9, 8, 7};
  Bytes status{1};
  append(status, testing::u24(staple.size()));
  append(status, staple);
  const auto body = [&](const Bytes& content) {
    const Bytes message =
        testing::certificate_message({Bytes{1}}, {}, testing::extension(5, content));
    return Bytes(message.begin() + 4, message.end());
  };
  EXPECT_EQ(parse_certificate(body(status), asked).ocsp_staple, staple);
  EXPECT_THAT(abort_of([&] { parse_certificate(body(status), {}); }), HasSubstr("not offered"));
  Bytes bad = status;
  bad[0] = 2;
  EXPECT_THAT(abort_of([&] { parse_certificate(body(bad), asked); }), HasSubstr("unknown type"));
  bad = status;
  bad.push_back(0);
  EXPECT_NE(abort_of([&] { parse_certificate(body(bad), asked); }), "");
  EXPECT_THAT(abort_of([&] { parse_certificate(body({1, 0, 0, 0}), asked); }), HasSubstr("empty"));
}

TEST(CheckCertificateVerify, EverySchemeChecksKeyTypeAndSignature) {
  const Digest transcript = testing::filled(3);
  const Bytes content = certificate_verify_content(transcript);
  const testing::Key pss = make_key("rsa-pss"), rsa = make_key("rsa2048");
  const std::vector<std::pair<uint16_t, testing::Key>> signers = {
      {0x0403, make_key("P-256")},
      {0x0503, make_key("P-384")},
      {0x0603, make_key("P-521")},
      {0x0804, rsa},
      {0x0805, rsa},
      {0x0806, rsa},
      {0x0807, make_key("ed25519")},
      {0x0809, pss},
      {0x080a, pss},
      {0x080b, pss},
      {0x0809, make_key("rsa-pss sha256")}};
  for (const auto& [scheme, key] : signers) {
    const Bytes leaf = to_der(make_cert({}, key, Pki::shared().middle, Pki::shared().middle_key));
    CertificateVerify verify{scheme, testing::sign(key, scheme, content)};
    EXPECT_EQ(abort_of([&] { check_certificate_verify(leaf, verify, transcript); }), "") << scheme;
    EXPECT_THAT(abort_of([&] { check_certificate_verify(leaf, verify, testing::filled(4)); }),
                HasSubstr("signature"));
    verify.signature[verify.signature.size() / 2] ^= 4;
    EXPECT_THAT(abort_of([&] { check_certificate_verify(leaf, verify, transcript); }),
                HasSubstr("signature"));
    // Of another kind of key, or another curve.
    constexpr uint16_t kOthers[] = {0x0403, 0x0503, 0x0603, 0x0804, 0x0807, 0x0809};
    for (const uint16_t other : kOthers) {
      const bool same_key = other == scheme || (other == 0x0804 && key == rsa) ||
                            (other == 0x0809 && scheme >= 0x0809 && scheme >> 8 == 8);
      if (same_key) continue;
      verify.scheme = other;
      EXPECT_THAT(abort_of([&] { check_certificate_verify(leaf, verify, transcript); }),
                  HasSubstr("does not fit"))
          << scheme << " as " << other;
    }
  }
}

// The salt is as long as the digest (RFC 8446 §4.2.3), and parameters in a key bind it.
TEST(CheckCertificateVerify, SaltAndParametersOfPssFit) {
  const Digest transcript = testing::filled(3);
  const Bytes content = certificate_verify_content(transcript);
  const testing::Key free = make_key("rsa-pss"), bound = make_key("rsa-pss sha256");
  const auto verdict = [&](const testing::Key& key, uint16_t scheme, const Bytes& signature) {
    const Bytes leaf = to_der(make_cert({}, key, Pki::shared().middle, Pki::shared().middle_key));
    return abort_of([&] { check_certificate_verify(leaf, {scheme, signature}, transcript); });
  };
  EXPECT_THAT(verdict(free, 0x0809, testing::sign(free, 0x0809, content, 20)),
              HasSubstr("signature"));
  EXPECT_THAT(verdict(bound, 0x080a, testing::sign(free, 0x080a, content)), HasSubstr("signature"));
}

TEST(ParseCertificate, HoldsItsLimits) {
  const auto body = [](const Bytes& message) { return Bytes(message.begin() + 4, message.end()); };
  const Bytes der = {1, 2, 3};
  EXPECT_EQ(parse_certificate(body(testing::certificate_message({der, der})), {}).chain.size(), 2u);
  const auto refused = [&](const Bytes& message) {
    return abort_of([&] { parse_certificate(body(message), {}); });
  };
  EXPECT_THAT(refused(testing::certificate_message({})), HasSubstr("no certificate"));
  EXPECT_THAT(refused(testing::certificate_message(std::vector<Bytes>(33, der))), HasSubstr("32"));
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
  const auto path = std::filesystem::temp_directory_path() /
                    ("flexroom-trust-" + std::to_string(getpid()) + ".pem");
  const auto error_of = [&] {
    try {
      (void)TrustStore::from_files({path.string()}, "aws");
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  std::ofstream(path) << "no certificate here\n";
  EXPECT_THROW(TrustStore::from_files({path.string()}, "aws"), InputError);
  EXPECT_THROW(TrustStore::from_files({path.string() + ".absent"}, "aws"), InputError);
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);  // and nothing waits for a writer
  EXPECT_THAT(error_of(), HasSubstr("is not a file"));
  std::filesystem::remove(path);
  std::ofstream(path) << testing::to_pem(Pki::shared().root);
  std::filesystem::permissions(path, std::filesystem::perms(0646));
  EXPECT_THAT(error_of(), HasSubstr("can be changed by other users"));
  std::filesystem::permissions(path, std::filesystem::perms(0644));
  EXPECT_THAT(TrustStore::from_files({path.string()}, "aws").description(),
              HasSubstr("provider aws"));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace flexroom::tls
