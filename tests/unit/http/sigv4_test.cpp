#include "http/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "support/clear_sigv4.h"

namespace flexroom::http {
namespace {

nlohmann::json vectors(const std::string& name) {
  std::ifstream in(std::string(FLEXROOM_SOURCE_DIR "/tests/vectors/") + name);
  return nlohmann::json::parse(in);
}

AwsCredential credential_of(const nlohmann::json& c, const char* id, const char* secret,
                            const char* token) {
  AwsCredential out;
  out.access_key_id = c[id];
  out.secret_access_key = SecretBytes(to_bytes(c[secret].get<std::string>()));
  if (c.contains(token) && !c[token].is_null()) out.session_token = c[token];
  return out;
}

// The suite writes requests without CR; headers may be folded.
struct SuiteRequest {
  std::string method, path, query, body;
  Headers headers;
  explicit SuiteRequest(const std::string& text) {
    const size_t end = std::min(text.find("\n\n"), text.size());
    std::stringstream head(text.substr(0, end));
    if (end + 2 <= text.size()) body = text.substr(end + 2);
    std::string line;
    std::getline(head, line);
    method = line.substr(0, line.find(' '));
    std::string target = line.substr(method.size() + 1, line.rfind(' ') - method.size() - 1);
    path = target.substr(0, target.find('?'));
    if (target.size() > path.size()) query = target.substr(path.size() + 1);
    while (std::getline(head, line)) {
      if (line.starts_with(' ') || line.starts_with('\t')) {
        headers.back().second += line;
      } else {
        headers.emplace_back(line.substr(0, line.find(':')), line.substr(line.find(':') + 1));
      }
    }
  }
};

// What signers of others got wrong.
TEST(SigV4, RequestsFromIssuesOfOtherSigners) {
  size_t count = 0;
  for (const auto& entry : vectors("sigv4-cases.json")) {
    Headers headers;
    for (const auto& header : entry["headers"]) headers.emplace_back(header[0], header[1]);
    const std::string target = entry["target"];
    const size_t mark = std::min(target.find('?'), target.size());
    const std::string service = entry["service"];
    EXPECT_EQ(canonical_request_head(entry["method"].get<std::string>(), target.substr(0, mark),
                                     target.substr(std::min(mark + 1, target.size())), headers,
                                     PathRules::of(service)),
              entry["canonical_request_head"].get<std::string>())
        << entry["case"];
    ++count;
  }
  EXPECT_EQ(count, 25u);
}

TEST(SigV4, TheAwsSuite) {
  size_t count = 0;
  for (const auto& entry : vectors("sigv4-suite.json")) {
    const auto& context = entry["context"];
    const SuiteRequest request(entry["request"]);
    AwsCredential credential =
        credential_of(context["credentials"], "access_key_id", "secret_access_key", "token");
    const bool late_token = context.value("omit_session_token", false);
    if (late_token) credential.session_token.clear();
    SigV4Scope scope{"20150830T123600Z", context["region"], context["service"]};
    const PathRules rules{context["normalize"], true};
    Headers headers = request.headers;
    const std::string hash = to_hex(sha256(as_bytes(request.body)));
    if (context["sign_body"]) headers.emplace_back("x-amz-content-sha256", hash);
    const std::string target = request.path + (request.query.empty() ? "" : "?" + request.query);
    const Headers done =
        sign_headers(request.method, target, headers, hash, credential, scope, rules);
    EXPECT_THAT(done.back().second,
                ::testing::EndsWith("Signature=" + entry["signature"].get<std::string>()))
        << entry["name"];
    Headers canonical(done.begin(), done.end() - 1);
    EXPECT_EQ(
        canonical_request_head(request.method, request.path, request.query, canonical, rules) +
            hash,
        entry["canonical"].get<std::string>());
    ++count;
  }
  EXPECT_EQ(count, 38u);
}

TEST(SigV4, IndependentSignaturesAndPresignedUrls) {
  for (const auto& v : vectors("sigv4-signers.json")) {
    const AwsCredential credential = credential_of(v, "access_key", "secret_key", "absent");
    const SigV4Scope scope{v["timestamp"], v["region"], v["service"]};
    const Url url = parse_url(v["url"].get<std::string>(), "url");
    Headers headers = {{"host", v["host"]}};
    for (const auto& [name, value] : v["headers"].items()) headers.emplace_back(name, value);
    const std::string canonical =
        canonical_request_head(v["method"].get<std::string>(), url.path, url.query, headers,
                               PathRules::of(scope.service)) +
        v["payload_hash"].get<std::string>();
    EXPECT_EQ(canonical, v["canonical_request"].get<std::string>()) << v["id"];
    const std::string to_sign = string_to_sign_head(scope) + to_hex(sha256(as_bytes(canonical)));
    EXPECT_EQ(to_sign, v["string_to_sign"].get<std::string>());
    EXPECT_EQ(sign_string(credential, scope, to_sign), v["signature"].get<std::string>());
  }
  for (const auto& v : vectors("sigv4-presigned.json")) {
    const AwsCredential credential = credential_of(v, "access_key", "secret_key", "session_token");
    const SigV4Scope scope{v["timestamp"], v["region"], v["service"]};
    EXPECT_EQ(presign(v["method"].get<std::string>(),
                      parse_url(v["unsigned_url"].get<std::string>(), "url"), credential, scope,
                      std::chrono::seconds(v["expires"])),
              v["presigned_url"].get<std::string>());
  }
}

Slot slot(std::string name, SlotSource source, std::string from, uint32_t length,
          CharClass char_class, Encoding encoding = Encoding::kNone) {
  return {std::move(name), source, std::move(from), encoding, char_class, length};
}

const Slot kSignature = slot("signature", SlotSource::kComputed, "sigv4", 64, CharClass::kHex);

std::string ec2(std::string_view body, std::string_view more_names = "", std::string_view more = "",
                std::string_view date = "20250902T100000Z") {
  return "POST / HTTP/1.1\nHost: ec2.us-east-1.amazonaws.com\nContent-Type: "
         "application/x-www-form-urlencoded; charset=utf-8\nX-Amz-Date: " +
         std::string(date) + "\n" + std::string(more) +
         "Authorization: AWS4-HMAC-SHA256 "
         "Credential=AKIDEXAMPLE/20250902/us-east-1/ec2/aws4_request, "
         "SignedHeaders=content-type;host;x-amz-date" +
         std::string(more_names) +
         ", Signature={{signature}}\nConnection: close\nContent-Length: {{content-length}}\n\n" +
         std::string(body);
}

Template ec2_template(std::string_view text, std::vector<Slot> slots = {}) {
  slots.push_back(kSignature);
  return template_from_text("ec2.us-east-1.amazonaws.com", 443, text, slots);
}

AwsCredential test_credential() {
  AwsCredential out;
  out.access_key_id = "AKIDEXAMPLE";
  out.secret_access_key = SecretBytes(to_bytes("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"));
  return out;
}

// What the plan leads to equals what the clear signer signs.
TEST(PlanSigV4, AgreesWithTheClearSigner) {
  const std::string body = "Action=DescribeRegions&Version=2016-11-15";
  const Template request = ec2_template(ec2(body));
  validate(request);
  const SigV4Plan plan = plan_sigv4(request);
  ASSERT_TRUE(plan.body.is_public && plan.canonical_head_is_public());
  const auto signed_headers = sign_headers(
      "POST", "/",
      {{"Host", "ec2.us-east-1.amazonaws.com"},
       {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
      to_hex(sha256(as_bytes(body))), test_credential(), plan.scope, PathRules::of("ec2"));
  const std::string signature =
      sign_string(test_credential(), plan.scope, plan.string_to_sign(plan.body.digest));
  EXPECT_THAT(signed_headers.back().second, ::testing::EndsWith(signature));
  const Bytes text = render(request, {{"signature", to_bytes(signature)}});
  EXPECT_THAT(std::string(as_text(text)), ::testing::HasSubstr(signed_headers.back().second));
}

TEST(PlanSigV4, ASignedTokenIsASlotOfTheCanonicalRequest) {
  const Template request =
      ec2_template(ec2("Action=X", ";x-amz-security-token", "X-Amz-Security-Token: {{token}}\n"),
                   {slot("token", SlotSource::kSecret, "token", 30, CharClass::kB64)});
  validate(request);
  const SigV4Plan plan = plan_sigv4(request);
  EXPECT_FALSE(plan.canonical_head_is_public());
  ASSERT_EQ(plan.canonical_head.size(), 3u);
  EXPECT_EQ(std::get<Slot>(plan.canonical_head[1]).name, "token");
  EXPECT_THAT(std::string(as_text(std::get<Bytes>(plan.canonical_head[0]))),
              ::testing::EndsWith("\nx-amz-security-token:"));
}

TEST(PlanSigV4, RefusesScopesAndHeadersThatDoNotFit) {
  EXPECT_THROW(plan_sigv4(ec2_template(ec2("A=b", "", "", "20250903T100000Z"))), InputError);
  EXPECT_THROW(plan_sigv4(ec2_template(ec2("A=b", "", "", "2025-09-02"))), InputError);
  EXPECT_THROW(plan_sigv4(ec2_template(ec2("A=b", ";x-absent"))), InputError);
  EXPECT_THROW(plan_sigv4(ec2_template(ec2("A=b", "", "X-Amz-Target: y\n"))), InputError);
  EXPECT_THROW(
      plan_sigv4(ec2_template(ec2("A=b", ";x-amz-content-sha256",
                                  "X-Amz-Content-SHA256: " + std::string(64, '0') + "\n"))),
      InputError);
  const SigV4Plan plan = plan_sigv4(ec2_template(ec2("A=b")));
  const SystemTime then = parse_amz_date("20250902T100000Z", "test");
  EXPECT_NO_THROW(check_scope(plan, "us-east-1", "ec2", then + std::chrono::minutes(5)));
  EXPECT_THROW(check_scope(plan, "us-east-1", "ec2", then + std::chrono::minutes(6)),
               ProtocolAbort);
  EXPECT_THROW(check_scope(plan, "us-east-1", "ec2", then - std::chrono::minutes(6)),
               ProtocolAbort);
  EXPECT_THROW(check_scope(plan, "us-west-2", "ec2", then), ProtocolAbort);
  EXPECT_THROW(check_scope(plan, "us-east-1", "iam", then), ProtocolAbort);
}

}  // namespace
}  // namespace flexroom::http
