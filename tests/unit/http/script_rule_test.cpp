#include "http/script_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/error.h"

// B3 of the findings: a member's private slot ran as root code in the machine.

namespace flexroom::http {
namespace {

using ::testing::HasSubstr;

Slot member(Encoding encoding, CharClass c = CharClass::kShellUrl, uint32_t length = 30) {
  return {"s", SlotSource::kMember, "m", encoding, c, length};
}

/// Why a script is refused; {{s}} in it is the slot.
std::string refusal(const std::string& text, const Slot& slot = member(Encoding::kNone)) {
  RequestText script;
  const size_t hole = text.find("{{s}}");
  EXPECT_NE(hole, std::string::npos) << text;
  for (const char c : text.substr(0, hole)) script.add(c);
  script.add(slot, Encoding::kNone);
  for (const char c : text.substr(hole + 5)) script.add(c);
  try {
    check_script(script, "user data");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}
const std::string kHead = "#!/bin/bash\n";

TEST(ScriptRule, AQuotedUrlBehindAPublicHost) {
  EXPECT_EQ(refusal(kHead + "D='https://h.example/{{s}}'\n"), "");
  EXPECT_EQ(refusal("#!/bin/sh\ncurl -o d 'https://h.example/a?b={{s}}&c=d'\n"), "");
  EXPECT_EQ(
      refusal(kHead + "cd \"$(mktemp -d)\"\necho \"it's\" # don't\nx='https://h.example/{{s}}'"),
      "");
  EXPECT_EQ(refusal(kHead + "case $1 in a) echo 'x';; esac\nx='https://h.example/{{s}}'"), "");
}

TEST(ScriptRule, QuotesAreReadAsAShellReadsThem) {
  const char* bad[] = {
      // From the findings: an escaped quote counts for parity, not for the shell.
      "echo '\\''x'https://h.example/{{s}}'y'\n",
      "echo \\''x'https://h.example/{{s}}'y'\n",
      "echo \"'\"https://h.example/{{s}}\"'\"\n",
      "# don't\necho https://h.example/{{s}}' '\n",
      "echo ''https://h.example/{{s}}''\n",
      "eval '\nD='https://h.example/{{s}}'\n'\n",
      "echo $'\\'https://h.example/{{s}}'\n",
      "cat <<E\n'https://h.example/{{s}}'\nE\n",
      "cat <<'E'\n'https://h.example/{{s}}'\nE\n",
      "echo \"$(echo 'https://h.example/{{s}}\n",
      "echo \"'https://h.example/{{s}}'\"\n",
      "x=${y#'https://h.example/{{s}}'}\n",
      "echo \"$(case a in a) echo \"'\" ;; esac)\" 'https://h.example/{{s}}'\n",
      "alias x=\"'\"\nx 'https://h.example/{{s}}'\n",
      "echo `echo \\`'https://h.example/{{s}}'\n",
      "echo {{s}}\n",
      "{{s}}\n",
      "# {{s}}\n",
      "echo 'https://{{s}}'\n",
      "echo 'http://h.example/{{s}}'\n",
      "echo 'x https://h.example/{{s}}'\n",
      "echo 'https://h.example/{{s}} ; x'\n",
      "echo 'https://h.example/{{s}}\n",
      "sh -c '{{s}}'\n",
  };
  for (const char* script : bad) EXPECT_NE(refusal(kHead + script), "") << script;
  EXPECT_THAT(refusal("#!/usr/bin/python3\nx = 'https://h.example/{{s}}'\n"),
              HasSubstr("first line"));
  EXPECT_THAT(refusal("D='https://h.example/{{s}}'\n"), HasSubstr("first line"));
  EXPECT_THAT(
      refusal(kHead + "D='https://h.example/{{s}}'\n", member(Encoding::kNone, CharClass::kRaw)),
      HasSubstr("wider than shell-url"));
}

TEST(ScriptRule, ANonceIsHexInACommentOrInQuotes) {
  Slot nonce = member(Encoding::kNone, CharClass::kHex, 32);
  nonce.source = SlotSource::kRandom;
  EXPECT_EQ(refusal(kHead + "#{{s}}\n", nonce), "");
  EXPECT_EQ(refusal(kHead + "x='{{s}}'\n", nonce), "");
  EXPECT_NE(refusal(kHead + "x={{s}}\n", nonce), "");
  nonce.char_class = CharClass::kB64;
  EXPECT_NE(refusal(kHead + "#{{s}}\n", nonce), "");
}

// ------------------------------------------------------------------ whatever stands around it

std::string request_refusal(const std::string& host, const std::string& type,
                            const std::string& body, const Slot& slot) {
  try {
    validate(template_from_text(host, 443,
                                "POST / HTTP/1.1\nHost: " + host + "\nContent-Type: " + type +
                                    "\nContent-Length: {{content-length}}\n\n" + body,
                                {slot}));
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}
const std::string kEc2 = "ec2.us-east-1.amazonaws.com";
const std::string kForm = "application/x-www-form-urlencoded";

TEST(CodeParameters, UserDataHoldsScriptsUnderAnyEncoding) {
  const std::string front = "#!/bin/sh\ncurl -o data  'https://bucket.s3.example/";
  ASSERT_EQ(front.size() % 3, 0u);
  const auto user_data = [&](const std::string& name, const std::string& before, const Slot& slot,
                             const std::string& after) {
    return request_refusal(kEc2, kForm,
                           "Action=RunInstances&" + name + "=" +
                               percent_encode(base64_encode(as_bytes(before))) + "{{s}}" +
                               percent_encode(base64_encode(as_bytes(after))),
                           slot);
  };
  const Slot good = member(Encoding::kBase64InForm);
  EXPECT_EQ(user_data("UserData", front, good, "'\n\n"), "");
  // The attacks: the private bytes are base64 text themselves, one encoding further out.
  for (const auto& [encoding, char_class] :
       {std::pair(Encoding::kPercent, CharClass::kB64),
        std::pair(Encoding::kNone, CharClass::kUrlSafe),
        std::pair(Encoding::kNone, CharClass::kHex), std::pair(Encoding::kHex, CharClass::kRaw)}) {
    for (const char* name :
         {"UserData", "LaunchSpecification.UserData", "LaunchTemplateData.UserData", "userdata",
          "UserData.Value", "User-Data"}) {
      EXPECT_NE(user_data(name, front, member(encoding, char_class), ""), "") << name;
      EXPECT_NE(user_data(name, "", member(encoding, char_class), ""), "") << name;
    }
  }
  // Whole blobs, a member's or a stored secret.
  EXPECT_NE(user_data("UserData", "", member(Encoding::kBase64InForm, CharClass::kRaw), ""), "");
  Slot secret = member(Encoding::kBase64InForm, CharClass::kRaw);
  secret.source = SlotSource::kSecret;
  EXPECT_NE(user_data("UserData", "", secret, ""), "");
  // Behind text that is public and base64.
  EXPECT_NE(user_data("UserData", "#!/bin/sh\n#.", good, "\nls"), "");
}

TEST(CodeParameters, ServicesThatRunWhatTheyGet) {
  const Slot slot = member(Encoding::kNone, CharClass::kUrlSafe);
  const Slot json = member(Encoding::kJsonU, CharClass::kUrlSafe);
  const std::string ssm = "ssm.us-east-1.amazonaws.com", amz = "application/x-amz-json-1.1";
  EXPECT_THAT(request_refusal(ssm, amz, R"({"Parameters": {"commands": ["ls {{s}}"]}})", json),
              HasSubstr("carries code"));
  EXPECT_THAT(request_refusal(ssm, amz, R"({"Content": "{\"x\": \"{{s}}\"}"})", json),
              HasSubstr("carries code"));
  EXPECT_THAT(request_refusal("cloudformation.us-east-1.amazonaws.com", kForm,
                              "Action=CreateStack&TemplateBody={{s}}", slot),
              HasSubstr("carries code"));
  EXPECT_THAT(request_refusal("lambda.us-east-1.amazonaws.com", "application/json",
                              R"({"Code": {"ZipFile": "{{s}}"}})", slot),
              HasSubstr("carries code"));
  // JSON nested in a string of JSON, or in a field of a form.
  EXPECT_NE(request_refusal("api.example.com", "application/json",
                            R"({"body": "{\"UserData\": \"{{s}}\"}"})", slot),
            "");
  EXPECT_NE(
      request_refusal("api.example.com", kForm, "body=%7B%22user_data%22:%22{{s}}%22%7D", slot),
      "");
  EXPECT_NE(
      request_refusal("api.example.com", "text/xml", "<r><UserData>{{s}}</UserData></r>", slot),
      "");
  EXPECT_EQ(request_refusal("api.example.com", "text/xml", "<r><Name>{{s}}</Name></r>", slot), "");
  EXPECT_EQ(request_refusal("api.example.com", "application/json", R"({"content": "{{s}}"})", slot),
            "");
}

}  // namespace
}  // namespace flexroom::http
