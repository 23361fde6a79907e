#include "http/code_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/error.h"

// B3 of the findings, around scripts: what carries code under any name and encoding.

namespace flexroom::http {
namespace code_parameters_test {

using ::testing::HasSubstr;

Slot member(Encoding encoding, CharClass c = CharClass::kShellUrl, uint32_t length = 30) {
  return {"s", SlotSource::kMember, "m", encoding, c, length};
}

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
                           "BlockDeviceMapping.1.Ebs.SnapshotId", "Kernel.Value",
                           "LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateId",
                           "SourceImageId", "DiskContainer.1.Url"}) {
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

// At every host: who runs what it gets is not known by its name.
TEST(CodeParameters, CommandsAndScriptsAreCodeAtEveryHost) {
  const Slot slot = member(Encoding::kNone, CharClass::kUrlSafe);
  const Slot json = member(Encoding::kJsonU, CharClass::kUrlSafe);
  for (const char* body :
       {// Azure: runCommand, runCommands, extensions
        R"({"commandId": "RunShellScript", "script": ["ls {{s}}"]})",
        R"({"commandId": "RunShellScript", "parameters": [{"name": "a", "value": "{{s}}"}]})",
        R"({"properties": {"source": {"scriptUri": "{{s}}"}}})",
        R"({"properties": {"protectedSettings": {"script": "{{s}}"}}})",
        R"({"storageProfile": {"imageReference": {"id": "{{s}}"}}})",
        // a pod, its hooks, a container
        R"({"spec": {"containers": [{"command": ["sh", "-c", "{{s}}"]}]}})",
        R"({"spec": {"containers": [{"args": ["{{s}}"]}]}})",
        R"({"spec": {"containers": [{"image": "{{s}}"}]}})",
        R"({"lifecycle": {"postStart": {"exec": {"what": "{{s}}"}}}})",
        R"({"Entrypoint": ["{{s}}"]})", R"({"Cmd": ["{{s}}"]})", R"({"entry_point": "{{s}}"})",
        // Linode, Vultr, Databricks, jobs
        R"({"stackscript_id": 1, "stackscript_data": {"x": "{{s}}"}})", R"({"script_id": "{{s}}"})",
        R"({"init_scripts": [{"s3": {"destination": "{{s}}"}}]})", R"({"commands": ["{{s}}"]})",
        R"({"arguments": "{{s}}"})", R"({"postInstallScript": "{{s}}"})",
        R"({"POST_INSTALL_SCRIPT": "{{s}}"})", R"({"job": "{\"HTTPCommand\": \"{{s}}\"}"})"}) {
    EXPECT_THAT(request_refusal("api.example.com", "application/json", body, json),
                HasSubstr("carries code"))
        << body;
  }
  for (const char* body : {"script={{s}}", "command=sh&command2={{s}}", "x.script={{s}}",
                           "name=entrypoint&value={{s}}"}) {
    EXPECT_THAT(request_refusal("ci.example.com", kForm, body, slot), HasSubstr("carries code"))
        << body;
  }
  EXPECT_NE(request_refusal("api.example.com", "text/xml", "<r><script>{{s}}</script></r>", slot),
            "");
  // Words that only look like it.
  for (const char* name : {"description", "subscription", "transcriptId", "commandant", "imageUrl",
                           "recommended", "executive", "pargs"}) {
    EXPECT_EQ(request_refusal("api.example.com", "application/json",
                              "{\"" + std::string(name) + "\": \"{{s}}\"}", json),
              "")
        << name;
  }
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
  EXPECT_THAT(in_json(R"({"key": "windows-startup-script-ps1", "value": "{{s}}"})"),
              HasSubstr("carries code"));
  // Beside what it is in.
  EXPECT_THAT(in_json(R"({"key": "startup-script", "value": {"text": "{{s}}"}})"),
              HasSubstr("carries code"));
  EXPECT_THAT(in_json(R"({"key": "startup-script", "values": ["{{s}}"]})"),
              HasSubstr("carries code"));
  EXPECT_EQ(in_json(R"({"key": "a sentence on user data", "value": "{{s}}"})"), "");
  for (const char* body :
       {"Item.1.Name=startup-script&Item.1.Value={{s}}",
        "items[0][key]=startup-script&items[0][value]={{s}}", "key=startup-script&value={{s}}"}) {
    std::string form = body;
    for (size_t at = 0; (at = form.find_first_of("[]", at)) != std::string::npos;) {
      form.replace(at, 1, form[at] == '[' ? "%5B" : "%5D");
    }
    EXPECT_THAT(request_refusal("compute.example.com", kForm, form, slot),
                HasSubstr("carries code"))
        << form;
  }
  for (const char* attribute : {"userData", "kernel", "ramdisk"}) {
    EXPECT_THAT(request_refusal(kEc2, kForm,
                                "Action=ModifyInstanceAttribute&InstanceId=i-1&Attribute=" +
                                    std::string(attribute) + "&Value={{s}}",
                                member(Encoding::kBase64InForm, CharClass::kRaw)),
                HasSubstr("carries code"))
        << attribute;
  }
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
  EXPECT_THAT(refused(R"([{"key": "{{t}}", "content": "{{s}}"}])"), HasSubstr("private name"));
  EXPECT_EQ(refused(R"({"name": "{{t}}", "mail": "{{s}}"})"), "");
}

// Other spellings that some reader takes for the same name.
TEST(CodeParameters, NamesHaveOneSpelling) {
  const Slot slot = member(Encoding::kNone, CharClass::kUrlSafe);
  const Slot json = member(Encoding::kJsonU, CharClass::kUrlSafe);
  for (const char* body : {"user.data={{s}}", "user%20data={{s}}", "user_data={{s}}"}) {
    EXPECT_NE(request_refusal("api.example.com", kForm, body, slot), "") << body;
  }
  EXPECT_THAT(request_refusal("api.example.com", kForm, "a_b=c&a.b={{s}}", slot),
              HasSubstr("occurs twice"));
  EXPECT_THAT(request_refusal("api.example.com", kForm, "u%C5%BFerData={{s}}", slot),
              HasSubstr("printable ASCII"));
  EXPECT_THAT(
      request_refusal("api.example.com", "application/json", R"({"u\u017ferData": "{{s}}"})", json),
      HasSubstr("printable ASCII"));
  EXPECT_THAT(request_refusal("api.example.com", "text/xml",
                              "<r><key>user&#100;ata</key><value>{{s}}</value></r>", slot),
              HasSubstr("&#"));
}

// Positions are written NAME=TEXT (purposes, open_calls).
TEST(CodeParameters, ANameWithAnEqualsSignTakesNoSlot) {
  const Slot slot = member(Encoding::kNone, CharClass::kUrlSafe);
  EXPECT_THAT(request_refusal("api.example.com", kForm, "a%3Db={{s}}", slot),
              HasSubstr("holds '='"));
  EXPECT_EQ(request_refusal("api.example.com", kForm, "a%3Db=c&a={{s}}", slot), "");
}

}  // namespace code_parameters_test
}  // namespace flexroom::http
