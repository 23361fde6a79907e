#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ctime>

#include "support/jwe_vectors.h"
#include "support/sandbox_flows.h"
#include "support/sweeps.h"

// Computed slots of flows against the sandbox (operations.md (a) `{{NAME as FUNCTION}}`, (e)): the
// bucket holds what the service got, which is computed again in the clear, by OpenSSL alone.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;

const std::string kHead = R"(
[flow]
name = "slots"
provider = "sandbox"
prefix = "box"
hosts = ["signup.flexroom.example", "flexroom-slots.s3.us-east-1.amazonaws.com"]
key = "keys"

[born."seed"]
alphabet = "base32"
length = 26
purposes = ["PUT https://flexroom-slots.s3.us-east-1.amazonaws.com/codes json /seed={{}}",
            "PUT https://flexroom-slots.s3.us-east-1.amazonaws.com/codes json /code={{}} as totp",
            "PUT https://flexroom-slots.s3.us-east-1.amazonaws.com/codes json /next={{}} as totp next"]

[born."account/password"]
alphabet = "base64url"
length = 22
suffix = "Aa1!"
purposes = ["PUT https://flexroom-slots.s3.us-east-1.amazonaws.com/words json /plain={{}}",
            "PUT https://flexroom-slots.s3.us-east-1.amazonaws.com/words json /a={{}} as jwe RSA-OAEP-256 A256GCM key signup.flexroom.example",
            "PUT https://flexroom-slots.s3.us-east-1.amazonaws.com/words json /b={{}} as jwe RSA-OAEP A128GCM key signup.flexroom.example"]

[[step]]
name = "CreateBucket"
sign = "s3 us-east-1"
request = """
PUT / HTTP/1.1
Host: flexroom-slots.s3.us-east-1.amazonaws.com
"""
on.unknown = "again"
)";

const std::string kCodes = R"(
[[step]]
name = "PutCodes"
sign = "s3 us-east-1"
request = """
PUT /codes HTTP/1.1
Host: flexroom-slots.s3.us-east-1.amazonaws.com
Content-Type: application/json

{"seed": "{{seed}}", "code": "{{seed as totp}}", "next": "{{seed as totp next}}"}
"""
on.unknown = "again"
)";

/// The key is opened in this run; the same password in two ways.
const std::string kWords = R"(
[[step]]
name = "GetPageKey"
sealed = false
request = """
GET /key HTTP/1.1
Host: signup.flexroom.example
"""
open."run/page-key.n" = { at = "json /n", class = "base64url", max = 683 }
open."run/page-key.e" = { at = "json /e", class = "base64url", max = 4 }
open."run/page-key.kid" = { at = "json /kid", class = "urlsafe", max = 64 }

[[step]]
name = "PutWords"
sign = "s3 us-east-1"
request = """
PUT /words HTTP/1.1
Host: flexroom-slots.s3.us-east-1.amazonaws.com
Content-Type: application/json

{"plain": "{{account/password}}",
 "a": "{{account/password as jwe RSA-OAEP-256 A256GCM key run/page-key}}",
 "b": "{{account/password as jwe RSA-OAEP A128GCM key run/page-key}}"}
"""
on.unknown = "again"
)";

/// RFC 6238 with HMAC-SHA1, six digits.
std::string code_of(const std::string& key, uint64_t step) {
  uint8_t counter[8];
  for (int k = 0; k < 8; ++k) counter[k] = static_cast<uint8_t>(step >> (56 - 8 * k));
  uint8_t mac[20];
  unsigned size = sizeof mac;
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), counter, sizeof counter, mac, &size);
  const unsigned at = mac[19] & 15u;
  const uint32_t number =
      (mac[at] & 127u) << 24 | mac[at + 1] << 16 | mac[at + 2] << 8 | mac[at + 3];
  std::string digits = std::to_string(number % 1'000'000);
  return std::string(6 - digits.size(), '0') + digits;
}

class FlowSlotsTest : public ::testing::TestWithParam<size_t>, protected support::SandboxFlows {
 protected:
  void SetUp() override {
    set_up(GetParam());
    import_key({"sigv4 s3 us-east-1"});
  }
  std::vector<Ended> flow(const std::string& text, const Prepare& prepare = nullptr) {
    write_all("flow.toml", text);
    Given given{joint_key()};
    given.prepare = prepare;
    return run_own("flow.toml", given);
  }
  /// The object of the bucket that has this member.
  json object_with(const std::string& name) const {
    const std::filesystem::path folder = rig_->root() / "cloud" / "objects";
    if (!std::filesystem::exists(folder)) return {};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      const json one = json::parse(RoomRig::read(entry.path()), nullptr, false);
      if (one.is_object() && one.contains(name)) return one;
    }
    return {};
  }
};
INSTANTIATE_TEST_SUITE_P(Members, FlowSlotsTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowSlotsTest, ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(FlowSlotsTest, CodesOfASeedThatNobodyKnowsAreThoseOfNowAndNext) {
  const auto before = static_cast<uint64_t>(std::time(nullptr)) / 30;
  const std::vector<Ended> ended = flow(kHead + kCodes);
  all_ok(ended);
  const auto after = static_cast<uint64_t>(std::time(nullptr)) / 30;
  const json got = object_with("seed");
  ASSERT_TRUE(got.is_object());
  const std::string seed = got["seed"];
  std::optional<uint64_t> step;
  for (uint64_t k = before; k <= after; ++k) {
    if (code_of(seed, k) == got["code"]) step = k;
  }
  ASSERT_TRUE(step.has_value()) << got;
  EXPECT_EQ(got["next"], code_of(seed, *step + 1));
  expect_unknown(ended, {seed});
}

TEST_P(FlowSlotsTest, APasswordIsEncryptedUnderTheKeyThatThisRunOpened) {
  const std::vector<Ended> ended = flow(kHead + kWords);
  all_ok(ended);
  const json got = object_with("plain");
  ASSERT_TRUE(got.is_object());
  const support::JweService page(RoomRig::read(rig_->root() / "cloud" / "signup-key.pem"));
  const std::string password = got["plain"];
  EXPECT_EQ(password.size(), 26u);
  EXPECT_EQ(page.open(got["a"]), password);
  EXPECT_EQ(page.open(got["b"]), password);
  EXPECT_NE(got["a"], got["b"]);
  expect_unknown(ended, {password});
  // Neither ciphertext nor tag is in the open: what members print of a JWE ends with the IV.
  const std::string jwe = got["a"];
  expect_unknown(ended, {jwe.substr(jwe.size() - 40)});
}

class FlowSlotsPairTest : public FlowSlotsTest {};
INSTANTIATE_TEST_SUITE_P(Members, FlowSlotsPairTest, ::testing::Values(2));

// §5.9(7): what is encrypted, and under which key, is compared before anything is made.
TEST_P(FlowSlotsPairTest, AMemberThatEncryptsSomethingElseIsNamedAndNothingLeaves) {
  const std::vector<Ended> ended = flow(kHead + kWords, [](PartyId i, cli::Common& common) {
    common.connected = [i](net::Party& party) {
      if (i == 0) return;
      party.set_tamper([](const net::MessageId& id, Bytes& bytes) {
        if (id.label == "jwe/agreed") bytes[0] = static_cast<uint8_t>(bytes[0] ^ 1);
      });
    };
  });
  EXPECT_EQ(ended[0].code, cli::kRefused) << ended[0].out;
  EXPECT_FALSE(object_with("plain").is_object());
  // Nothing was released: the same command goes on with a fresh one.
  all_ok(flow(kHead + kWords));
  EXPECT_TRUE(object_with("plain").is_object());
}

// operations.md (a) `decode`: the number of a code is agreed; a member with another clock is named.
TEST_P(FlowSlotsPairTest, AMemberWithAnotherClockMakesNoCode) {
  const std::vector<Ended> ended = flow(kHead + kCodes, [](PartyId i, cli::Common& common) {
    common.connected = [i](net::Party& party) {
      if (i == 0) return;
      party.set_tamper([](const net::MessageId& id, Bytes& bytes) {
        if (id.label == "totp/step") bytes[3] ^= 1;
      });
    };
  });
  EXPECT_EQ(ended[0].code, cli::kRefused) << ended[0].out;
  EXPECT_FALSE(object_with("seed").is_object());
}

}  // namespace
}  // namespace flexroom
