#include "http/script_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(ScriptRule, AQuotedUrlBehindAPublicHostInALineOfItsOwn) {
  EXPECT_EQ(refusal(kHead + "d='https://h.example/{{s}}'\n"), "");
  EXPECT_EQ(refusal(kHead + "d='https://h.example/{{s}}'"), "");
  EXPECT_EQ(refusal("#!/bin/sh -e\n\n# don't `\nlink_2='https://h.example/a?b={{s}}&c=d'  \n"
                    "curl -o d \"$link_2\"; echo 'it'\\''s' <<E\nE\n"),
            "");
}

TEST(ScriptRule, NoLineWithASlotHangsOnAnother) {
  const char* bad[] = {
      // From the findings: an escaped quote counts for parity, not for the shell.
      "echo '\\''x'https://h.example/{{s}}'y'\n",
      "echo \\''x'https://h.example/{{s}}'y'\n",
      "echo \"'\"https://h.example/{{s}}\"'\"\n",
      "# don't\necho https://h.example/{{s}}' '\n",
      "echo ''https://h.example/{{s}}''\n",
      "eval '\nd='https://h.example/{{s}}'\n'\n",
      "echo $'\\'https://h.example/{{s}}'\n",
      "cat <<E\nd='https://h.example/{{s}}'\nE\n",
      "cat <<'E'\nd='https://h.example/{{s}}'\nE\n",
      "echo \"$(echo 'https://h.example/{{s}}\n",
      "echo \"\nd='https://h.example/{{s}}'\n\"\n",
      "x=${y#'https://h.example/{{s}}'}\n",
      "echo \"$(case a in a) echo \"'\" ;; esac)\"\nd='https://h.example/{{s}}'\n",
      "alias d=\"'\"\nd='https://h.example/{{s}}'\n",
      "echo `echo \\`\nd='https://h.example/{{s}}'\n",
      // What begins a comment for one reader and a word for another.
      "echo \\;#'\nd='https://h.example/{{s}}' #'\n",
      "echo a\\\n#'\nd='https://h.example/{{s}}' #'\n",
      "echo $(true)#'\nd='https://h.example/{{s}}' #'\n",
      // Lines that a backslash joins.
      "cat <\\\n<E\nd='https://h.example/{{s}}'\nE\n",
      "echo $\\\n'..\\'\nd='https://h.example/{{s}}'\n",
      "\\alias d=\"echo '\"\nd='https://h.example/{{s}}'\n",
      "true\nd='https://h.example/{{s}}'\n",
      "\t\nd='https://h.example/{{s}}'\n",
      " d='https://h.example/{{s}}'\n",
      "d='https://h.example/{{s}}' e=f\n",
      "d='https://h.example/{{s}}'; ls\n",
      "d='https://h.example/{{s}}'#\n",
      "d='https://h.example/{{s}}'''\n",
      "d='https://h.example/{{s}}'\t\n",
      "d='https://h.example/{{s}}'\\\nls\n",
      "d='https://h.example/{{s}}\n",
      "d=\"https://h.example/{{s}}\"\n",
      "d=https://h.example/{{s}}\n",
      "d+='https://h.example/{{s}}'\n",
      "d[0]='https://h.example/{{s}}'\n",
      "export d='https://h.example/{{s}}'\n",
      "='https://h.example/{{s}}'\n",
      "1='https://h.example/{{s}}'\n",
      // Names that mean something to the shell or to what it starts.
      "PATH='https://h.example/{{s}}'\n",
      "IFS='https://h.example/{{s}}'\n",
      "dEV='https://h.example/{{s}}'\n",
      "{{s}}='https://h.example/'\n",
      "{{s}}\n",
      "# {{s}}\n",
      "d='https://{{s}}'\n",
      "d='https://{{s}}/'\n",
      "d='http://h.example/{{s}}'\n",
      "d='x https://h.example/{{s}}'\n",
      "d='https://h.example/{{s}} ; x'\n",
      "d='{{s}}'\n",
  };
  for (const char* script : bad) EXPECT_NE(refusal(kHead + script), "") << script;
  EXPECT_THAT(refusal("#!/usr/bin/python3\nx='https://h.example/{{s}}'\n"),
              HasSubstr("first line"));
  EXPECT_THAT(refusal("d='https://h.example/{{s}}'\n"), HasSubstr("first line"));
  EXPECT_THAT(refusal("#!/bin/sh {{s}}\n"), HasSubstr("first line"));
  EXPECT_THAT(
      refusal(kHead + "d='https://h.example/{{s}}'\n", member(Encoding::kNone, CharClass::kRaw)),
      HasSubstr("wider than shell-url"));
}

TEST(ScriptRule, ANonceIsHexInACommentOrInQuotes) {
  Slot nonce = member(Encoding::kNone, CharClass::kHex, 32);
  nonce.source = SlotSource::kRandom;
  EXPECT_EQ(refusal(kHead + "#{{s}}\n", nonce), "");
  EXPECT_EQ(refusal(kHead + "x='{{s}}'\n", nonce), "");
  EXPECT_NE(refusal(kHead + "x={{s}}\n", nonce), "");
  EXPECT_NE(refusal(kHead + "echo '\n#{{s}}\n'\n", nonce), "");
  nonce.char_class = CharClass::kB64;
  EXPECT_NE(refusal(kHead + "#{{s}}\n", nonce), "");
}

/// The boot loader's own rule: {{n}} is the nonce, {{s}} what is private; or the other way round.
std::string own_refusal(const std::string& text, bool nonce_first = true) {
  Slot nonce = member(Encoding::kNone, CharClass::kHex, 32);
  nonce.source = SlotSource::kRandom;
  const Slot slot = member(Encoding::kNone);
  RequestText script;
  for (size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = std::string_view(text).substr(at);
    const bool is_nonce = rest.starts_with("{{n}}");
    if (is_nonce || rest.starts_with("{{s}}")) {
      script.add(is_nonce == nonce_first ? nonce : slot, Encoding::kNone);
      at += 4;
    } else {
      script.add(text[at]);
    }
  }
  try {
    check_script(script, "user data", ScriptSource::kOwnScript);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(ScriptRule, TheBootLoaderHasItsSlotsInItsLastLine) {
  const std::string loader = "#!/bin/bash\nm(){\nls\n}\n";
  EXPECT_EQ(own_refusal(loader + "m {{n}} '{{s}}' '{{s}}{{s}}'\n\n"), "");
  EXPECT_NE(own_refusal(loader + "m {{n}} '{{s}}' '{{s}}{{s}}'\n\n", false), "");
  for (const char* call :
       {"m {{n}} {{s}}\n", "m {{n}} '{{s}}'{{s}}\n", "m {{n}} '{{s}} '\n", "m {{n}} '{{s}}' ls\n",
        "m {{n}} '{{s}}\n", "m '{{s}}' {{n}}\n", "m {{n}} '{{s}}';'{{s}}'\n",
        "x='{{s}}'\nm {{n}} '{{s}}'\n", "m {{n}} '{{s}}'\nls\n", "m {{n}} \"{{s}}\"\n"}) {
    EXPECT_NE(own_refusal(loader + call), "") << call;
  }
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
  const std::string front = "#!/bin/sh\n#.\ndata='https://bucket.s3.example/";
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
  // What a machine boots, and what runs elsewhere.
  for (const char* name : {"ImageId", "KernelId", "RamdiskId", "LaunchTemplate.LaunchTemplateId",
                           "BlockDeviceMapping.1.Ebs.SnapshotId"}) {
    EXPECT_THAT(
        request_refusal(kEc2, kForm, "Action=RunInstances&" + std::string(name) + "={{s}}", slot),
        HasSubstr("carries code"))
        << name;
  }
  EXPECT_THAT(request_refusal(ssm, amz, R"({"DocumentName": "{{s}}"})", json),
              HasSubstr("carries code"));
  EXPECT_THAT(
      request_refusal("api.sagemaker.us-east-1.amazonaws.com", amz,
                      R"({"DebugRuleConfigurations": [{"RuleEvaluatorImage": "{{s}}"}]})", json),
      HasSubstr("carries code"));
  EXPECT_EQ(request_refusal("api.example.com", "text/xml", "<r><Name>{{s}}</Name></r>", slot), "");
  EXPECT_EQ(request_refusal("api.example.com", "application/json", R"({"content": "{{s}}"})", slot),
            "");
}

// {"key": "startup-script", "value": ..}: the name is the value beside it.
TEST(CodeParameters, AValueIsNamedByTheValueBesideIt) {
  const Slot json = member(Encoding::kJsonU, CharClass::kUrlSafe);
  const Slot slot = member(Encoding::kNone, CharClass::kUrlSafe);
  const auto in_json = [&](const std::string& item) {
    return request_refusal("compute.example.com", "application/json",
                           R"({"metadata": {"items": [{"key": "x", "value": "y"}, )" + item + "]}}",
                           json);
  };
  EXPECT_THAT(in_json(R"({"key": "startup-script", "value": "{{s}}"})"), HasSubstr("carries code"));
  EXPECT_THAT(in_json(R"({"value": "{{s}}", "key": "user-data"})"), HasSubstr("carries code"));
  EXPECT_THAT(in_json(R"({"name": "user_data", "content": "{{s}}"})"), HasSubstr("carries code"));
  EXPECT_EQ(in_json(R"({"key": "label", "value": "{{s}}"})"), "");
  EXPECT_THAT(request_refusal("compute.example.com", kForm,
                              "Item.1.Name=startup-script&Item.1.Value={{s}}", slot),
              HasSubstr("carries code"));
  EXPECT_EQ(request_refusal("compute.example.com", kForm,
                            "Item.1.Name=startup-script&Item.2.Value={{s}}", slot),
            "");
}

TEST(CodeParameters, APrivateNameOfAPrivateValueIsRefused) {
  const Slot json = member(Encoding::kJsonU, CharClass::kUrlSafe);
  Slot other = json;
  other.name = "t";
  const auto refused = [&](const std::string& body) {
    try {
      validate(template_from_text("api.example.com", 443,
                                  "POST / HTTP/1.1\nHost: api.example.com\nContent-Type: "
                                  "application/json\nContent-Length: {{content-length}}\n\n" +
                                      body,
                                  {json, other}));
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refused(R"({"key": "{{t}}", "value": "{{s}}"})"), HasSubstr("private name"));
  EXPECT_EQ(refused(R"({"name": "{{t}}", "mail": "{{s}}"})"), "");
}

// Positions are written NAME=TEXT (purposes, open_calls).
TEST(CodeParameters, ANameWithAnEqualsSignTakesNoSlot) {
  const Slot slot = member(Encoding::kNone, CharClass::kUrlSafe);
  EXPECT_THAT(request_refusal("api.example.com", kForm, "a%3Db={{s}}", slot),
              HasSubstr("holds '='"));
  EXPECT_EQ(request_refusal("api.example.com", kForm, "a%3Db=c&a={{s}}", slot), "");
}

}  // namespace
}  // namespace flexroom::http
