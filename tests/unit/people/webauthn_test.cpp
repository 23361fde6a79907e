#include "people/webauthn.h"

#include "people/cbor.h"
#include "unit/people/people_fixture.h"

// Bytes of browsers and authenticators (members.md 7.3, M40): enrolment, COSE keys, CBOR,
// clientDataJSON.

namespace flexroom::people {
namespace {

using Ask = VirtualAuthenticator::Ask;

const Digest kChallenge{42};

const std::vector<RelyingParty>& parties() {
  static const auto out = local_relying_parties(7180);
  return out;
}

class EnrolmentTest : public ::testing::TestWithParam<KeyKind> {
 protected:
  std::string asked_so(const Ask& ask) {
    return refused([&] {
      (void)verify_registration(authenticator_.create(kChallenge, ask), kChallenge, parties());
    });
  }
  std::string with_key(const Bytes& cose, uint8_t flags = AuthenticatorData::kAttested) {
    return refused([&] {
      (void)verify_registration(
          authenticator_.create_with(kChallenge, {.flags = flags}, authenticator_.attested(cose)),
          kChallenge, parties());
    });
  }
  VirtualAuthenticator authenticator_{"new", GetParam()};
};

TEST_P(EnrolmentTest, GivesTheKeyThatSignsLater) {
  const Key key = verify_registration(authenticator_.create(kChallenge), kChallenge, parties());
  EXPECT_EQ(key, authenticator_.key());
  (void)verify_assertion(key, authenticator_.get(kChallenge), kChallenge, parties());
  EXPECT_EQ(asked_so({.origin = "flexroom:cli"}), "ok");
}

TEST_P(EnrolmentTest, SaysThatASyncedPasskeyIsOne) {
  VirtualAuthenticator synced("synced", GetParam(), true);
  EXPECT_TRUE(verify_registration(synced.create(kChallenge), kChallenge, parties()).synced);
}

TEST_P(EnrolmentTest, EachCheck) {
  EXPECT_EQ(asked_so({.type = "webauthn.get"}), "type");
  EXPECT_EQ(asked_so({.origin = "http://localhost:3000"}), "origin");
  EXPECT_EQ(asked_so({.more = ",\"topOrigin\":\"https://evil\""}), "framed");
  EXPECT_EQ(asked_so({.rp = "evil.example"}), "relying party");
  EXPECT_EQ(asked_so({.present = false}), "presence");
  EXPECT_EQ(asked_so({.verified = false}), "verification");
  EXPECT_EQ(refused([&] {
              (void)verify_registration(authenticator_.create({1}), kChallenge, parties());
            }),
            "challenge");
  // No key along: an assertion's data in place of a registration's.
  EXPECT_EQ(refused([&] {
              (void)verify_registration(authenticator_.create_with(kChallenge, {}, {}), kChallenge,
                                        parties());
            }),
            "form");
}

TEST_P(EnrolmentTest, AnAssertionBringsNoKey) {
  const Ask ask{.flags = AuthenticatorData::kAttested,
                .extensions = authenticator_.attested(authenticator_.cose())};
  EXPECT_EQ(refused([&] {
              (void)verify_assertion(authenticator_.key(), authenticator_.get(kChallenge, ask),
                                     kChallenge, parties());
            }),
            "form");
}

TEST_P(EnrolmentTest, KeysOffTheCurveAndOfOtherKinds) {
  const Bytes right = authenticator_.cose();
  EXPECT_EQ(with_key(right), "ok");
  Bytes off = right;
  off.back() ^= 1;  // y of P-256, x of Ed25519: half of all are points
  if (GetParam() == KeyKind::kEdDsa) std::fill(off.end() - 32, off.end(), uint8_t{0});
  EXPECT_EQ(with_key(off), "form");
  Bytes other = right;
  other[2] = 3;  // kty: RSA
  EXPECT_EQ(with_key(other), "form");
  other = right;
  other[4] ^= 1;  // alg
  EXPECT_EQ(with_key(other), "form");
  other = right;
  other[6] ^= 1;  // crv
  EXPECT_EQ(with_key(other), "form");
  other = right;
  other[0] += 1;
  append(other, cbor_number(4) + cbor_number(1));  // key_ops
  EXPECT_EQ(with_key(other), "form");
  other = right;
  other.push_back(0);
  EXPECT_EQ(with_key(other), "form");
  other = right;
  other.pop_back();
  EXPECT_EQ(with_key(other), "form");
  // A P-256 key is not taken for an Ed25519 one of the same x.
  EXPECT_EQ(with_key(cbor_head(5, 0)), "form");
}

TEST_P(EnrolmentTest, WhatStandsBehindAuthenticatorData) {
  const auto with = [&](uint8_t flags, const Bytes& behind) {
    return refused([&] {
      (void)verify_assertion(authenticator_.key(),
                             authenticator_.get(kChallenge, {.flags = flags, .extensions = behind}),
                             kChallenge, parties());
    });
  };
  EXPECT_EQ(with(0, {}), "ok");
  EXPECT_EQ(with(0, {0}), "form");
  EXPECT_EQ(with(AuthenticatorData::kExtensions, cbor_head(5, 0)), "ok");
  EXPECT_EQ(with(AuthenticatorData::kExtensions, {}), "form");
  EXPECT_EQ(with(AuthenticatorData::kExtensions, cbor_number(1)), "form");
  EXPECT_EQ(with(AuthenticatorData::kExtensions, cbor_head(5, 0) + Bytes{0}), "form");
  EXPECT_EQ(with(AuthenticatorData::kBackedUp, {}), "form") << "and not eligible";
  EXPECT_EQ(with(AuthenticatorData::kExtensions, Bytes(kMaxAuthenticatorData)), "form");
}

INSTANTIATE_TEST_SUITE_P(Kinds, EnrolmentTest, ::testing::Values(KeyKind::kEs256, KeyKind::kEdDsa),
                         [](const auto& kind) { return std::string(to_string(kind.param)); });

std::string client_refused(const std::string& json) {
  return refused([&] { (void)ClientData::parse(as_bytes(json)); });
}

TEST(ClientDataTest, IsParsedStrictly) {
  const std::string right = R"({"type":"t","challenge":"c","origin":"o")";
  EXPECT_EQ(client_refused(right + "}"), "ok");
  EXPECT_EQ(client_refused(right + R"(,"later":{"a":[1]},"crossOrigin":false})"), "ok");
  EXPECT_EQ(client_refused(right + R"(,"type":"t"})"), "form") << "a key twice";
  EXPECT_EQ(client_refused(right + R"(,"x":{"a":1,"a":1}})"), "form");
  EXPECT_EQ(client_refused("\xef\xbb\xbf" + right + "}"), "form");
  EXPECT_EQ(client_refused(right + "} x"), "form");
  EXPECT_EQ(client_refused(right + "}" + std::string(1, '\0') + "x"), "form");
  EXPECT_EQ(client_refused(R"(["type"])"), "form");
  EXPECT_EQ(client_refused(R"({"type":1,"challenge":"c","origin":"o"})"), "form");
  EXPECT_EQ(client_refused(R"({"type":"t","challenge":"c"})"), "form");
  EXPECT_EQ(client_refused(right + ",\"x\":\"\xff\"}"), "form");
  EXPECT_EQ(client_refused(""), "form");
  const auto padded = [&](size_t bytes) {
    std::string out = right + ",\"x\":\"";
    out += std::string(bytes - out.size() - 2, 'x') + "\"}";
    return out;
  };
  EXPECT_EQ(client_refused(padded(2048)), "ok");
  EXPECT_EQ(client_refused(padded(2049)), "form");
}

TEST(ClientDataTest, SaysWhetherItWasFramed) {
  const auto cross = [](const std::string& more) {
    return ClientData::parse(as_bytes(R"({"type":"t","challenge":"c","origin":"o")" + more + "}"))
        .cross_origin;
  };
  EXPECT_FALSE(cross(""));
  EXPECT_FALSE(cross(",\"crossOrigin\":false"));
  EXPECT_TRUE(cross(",\"crossOrigin\":true"));
  EXPECT_TRUE(cross(",\"crossOrigin\":\"false\""));
  EXPECT_TRUE(cross(",\"crossOrigin\":null"));
}

TEST(ClientDataTest, CrossOriginIsRefused) {
  VirtualAuthenticator key("framed");
  Assertion a = key.get(kChallenge);
  std::string json = to_text(a.client_data);
  json.replace(json.find("false"), 5, "true");
  a.client_data = to_bytes(json);
  Bytes message = a.authenticator_data;
  append(message, sha256(a.client_data));
  a.signature = key.sign(message);
  EXPECT_EQ(refused([&] { (void)verify_assertion(key.key(), a, kChallenge, parties()); }),
            "framed");
}

std::string cbor_refused(const Bytes& bytes) {
  return refused([&] { (void)Cbor::decode(bytes, "cbor"); }) == "ok" ? "ok" : "refused";
}

TEST(CborTest, TakesOnlyTheOneForm) {
  const std::vector<Bytes> right = {{0x00},
                                    {0x17},
                                    {0x18, 0x18},
                                    {0x19, 1, 0},
                                    {0x20},
                                    {0x41, 7},
                                    {0x61, 'a'},
                                    {0x80},
                                    {0x82, 1, 2},
                                    {0xa1, 1, 2},
                                    {0xf4},
                                    {0xf6},
                                    {0xa2, 0x61, 'a', 1, 0x61, 'b', 2}};
  for (const Bytes& one : right) EXPECT_EQ(cbor_refused(one), "ok") << to_hex(one);
  const std::vector<Bytes> wrong = {
      {},                                 // nothing
      {0x18, 0x17},                       // not the shortest form
      {0x19, 0, 0xff},                    //
      {0x1a, 0, 0, 0xff, 0xff},           //
      {0x1b, 0, 0, 0, 0, 0xff, 0, 0, 0},  //
      {0x1b, 0xff, 0, 0, 0, 0, 0, 0, 0},  // beyond 63 bits
      {0x5f, 0x41, 1, 0xff},              // indefinite
      {0x9f, 0xff},
      {0xbf, 0xff},
      {0x1c},              //
      {0xa2, 1, 1, 1, 2},  // a key twice
      {0xa1, 0x41, 1, 1},  // a key that is bytes
      {0xc0, 0x00},        // a tag
      {0xf9, 0, 0},
      {0xf7},
      {0xff},
      {0xf8, 0x20},  // float, undefined, break
      {0x42, 1},
      {0x82, 1},
      {0xa1, 1},                       // cut
      {0x00, 0x00},                    // something behind it
      {0x9a, 0xff, 0xff, 0xff, 0xff},  // four billion items
      {0x5a, 0xff, 0xff, 0xff, 0xff},  //
  };
  for (const Bytes& one : wrong) EXPECT_EQ(cbor_refused(one), "refused") << to_hex(one);
  Bytes deep(Cbor::kMaxDepth, 0x81);
  deep.push_back(0);
  EXPECT_EQ(cbor_refused(deep), "ok");
  deep.insert(deep.begin(), 0x81);
  EXPECT_EQ(cbor_refused(deep), "refused");
  EXPECT_EQ(cbor_refused(cbor_head(4, 300) + Bytes(300, 0)), "refused") << "too many";
}

TEST(PointTest, OnlyPointsOfPrimeOrderAreKeys) {
  VirtualAuthenticator p256("p"), ed("e", KeyKind::kEdDsa);
  EXPECT_TRUE(is_point(KeyKind::kEs256, p256.public_key()));
  EXPECT_TRUE(is_point(KeyKind::kEdDsa, ed.public_key()));
  EXPECT_FALSE(is_point(KeyKind::kEs256, ed.public_key()));
  EXPECT_FALSE(is_point(KeyKind::kEdDsa, p256.public_key()));
  Bytes compressed = p256.public_key();
  compressed.resize(33);
  compressed[0] = 2;
  EXPECT_FALSE(is_point(KeyKind::kEs256, compressed));
  Bytes identity(32);
  identity[0] = 1;
  EXPECT_FALSE(is_point(KeyKind::kEdDsa, identity));
  EXPECT_FALSE(is_point(KeyKind::kEdDsa, Bytes(32)));  // of order 4
}

}  // namespace
}  // namespace flexroom::people
