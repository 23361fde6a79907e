#include "call/shown_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "agreement/render.h"
#include "base/error.h"
#include "call/run_instances.h"

// What approvers see of a request is the request: every byte of it, with slots where values come
// later, and never a private value.

namespace flexroom {
namespace shown_request_test {

using agreement::Proposal;
using agreement::RequestPart;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kDate = "20260102T030405Z";
constexpr const char* kKey = "AKIAIOSFODNN7EXAMPLE";

std::string example(const std::string& name) {
  std::ifstream in(std::string(FLEXROOM_SOURCE_DIR) + "/examples/recipes/" + name);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

OpenCall call_of(const std::string& text, const std::map<std::string, std::string>& arguments = {},
                 const std::string& date = kDate) {
  const std::filesystem::path path =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("shown-") + ::testing::UnitTest::GetInstance()->current_test_info()->name() +
       ".toml");
  std::ofstream(path, std::ios::binary) << text;
  const OpenCall call = fill_recipe(Recipe::load(path), arguments, date);
  std::filesystem::remove(path);
  return call;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

PublicLinks links_of(size_t i, uint32_t path, bool carries) {
  PublicLinks out;
  out.member = "member-" + std::to_string(i);
  out.data = {"https://data.example/", path, "?X-Amz-Signature=", 64};
  out.result = out.data;
  if (carries) out.carrier = PublicLink{"https://l.example/", path, "", 0, 0};
  out.sealed = std::string(2 * 2 * (path + 64), 'a');
  return out;
}

OpenCall run_of(size_t members, uint32_t path, const std::string& date = kDate) {
  JobConfig job;
  job.name = "train";
  job.region = "us-east-1";
  job.image_id = "ami-0123456789abcdef0";
  job.instance_type = "t3.large";
  job.access_key_id = kKey;
  job.script_url = "https://scripts.example/train.py";
  job.script_sha256 = std::string(64, 'a');
  std::vector<PublicLinks> links;
  for (size_t i = 0; i < members; ++i) links.push_back(links_of(i, path, i == 0));
  return run_instances_call(job, links, "token", date);
}

std::vector<OpenCall> calls(const std::string& date = kDate) {
  std::vector<OpenCall> out;
  out.push_back(call_of(example("ask-model.toml"), {}, date));
  out.push_back(call_of(example("ask-model-privately.toml"), {}, date));
  out.push_back(call_of(example("who-am-i.toml"), {{"access-key-id", kKey}}, date));
  out.push_back(call_of(example("terminate-instance.toml"),
                        {{"access-key-id", kKey}, {"instance", "i-01"}}, date));
  for (const size_t members : {2u, 3u, 16u}) {
    for (const uint32_t path : {1u, 2u, 3u, 40u}) out.push_back(run_of(members, path, date));
  }
  return out;
}

Proposal proposal_of(const OpenCall& call) {
  Proposal out;
  add_request(out, call, {});
  return out;
}

/// The text without the breaks of long lines, which text form 3 makes.
std::string unbroken(Proposal proposal) {
  proposal.text_form = 2;
  return agreement::render(proposal);
}

// Joined, the parts are the request: its public bytes where they stand, slots of the right length.
TEST(ShownRequestTest, ThePartsTogetherAreTheRequestAsItLeaves) {
  for (const OpenCall& call : calls()) {
    const Bytes text = call.text();
    const std::vector<RequestPart> parts = request_as_it_leaves(call, {});
    std::set<std::string> seen;
    size_t at = 0;
    for (const RequestPart& part : parts) {
      const size_t size = part.slot.empty() ? part.text.size() : part.bytes;
      ASSERT_LE(at + size, text.size());
      if (part.slot.empty()) {
        EXPECT_TRUE(std::equal(part.text.begin(), part.text.end(),
                               text.begin() + static_cast<std::ptrdiff_t>(at)));
        // Nothing that is filled in later is passed off as public.
        EXPECT_EQ(std::count(part.text.begin(), part.text.end(), 0), 0);
      } else {
        seen.insert(part.slot);
      }
      at += size;
    }
    EXPECT_EQ(at, call.bytes);
    EXPECT_EQ(at, text.size());
    for (const CallSlot& slot : call.slots) {
      const bool named = seen.contains(slot.slot.name) ||
                         std::any_of(parts.begin(), parts.end(), [&](const RequestPart& part) {
                           return part.what.find("; also " + slot.slot.name) != std::string::npos;
                         });
      EXPECT_TRUE(named) << slot.slot.name;
    }
    EXPECT_EQ(seen.contains("signature"), call.signature_offset.has_value());
    EXPECT_EQ(seen.contains("amz-date"), call.signature_offset.has_value());
    EXPECT_EQ(seen.contains("amz-day"), call.signature_offset.has_value());
    EXPECT_NO_THROW((void)proposal_of(call).canonical());
  }
}

// The date of the call is no part of what is approved; everything else is.
TEST(ShownRequestTest, TheSameCallOnAnotherDayIsTheSameProposal) {
  const std::vector<OpenCall> today = calls(), tomorrow = calls("20270304T111213Z");
  std::set<Bytes> all;
  for (size_t k = 0; k < today.size(); ++k) {
    EXPECT_EQ(proposal_of(today[k]).canonical(), proposal_of(tomorrow[k]).canonical()) << k;
    all.insert(proposal_of(today[k]).canonical());
  }
  EXPECT_EQ(all.size(), today.size());
}

// Two requests that differ in any byte, slot, class, encoding or source are two proposals.
TEST(ShownRequestTest, AnotherRequestIsAnotherProposal) {
  const std::string text = example("ask-model-privately.toml");
  std::map<Bytes, std::string> seen = {{proposal_of(call_of(text)).canonical(), text}};
  size_t accepted = 0;
  const auto add = [&](const std::string& changed) {
    try {
      const Bytes bytes = proposal_of(call_of(changed)).canonical();
      EXPECT_TRUE(seen.emplace(bytes, changed).second) << changed << "\n---\n" << seen[bytes];
      ++accepted;
    } catch (const InputError&) {
      // no request
    }
  };
  const size_t begin = text.find("POST /v1"), end = text.find("\"\"\"", begin);
  for (size_t at = begin; at < end; ++at) {
    for (const char other : {'A', 'z', ' ', '7'}) {
      if (text[at] == other) continue;
      std::string changed = text;
      changed[at] = other;
      add(changed);
    }
  }
  add(replaced(text, "joint/model-token", "joint/other-token"));
  add(replaced(text, "class = \"json-safe\"", "class = \"urlsafe\""));
  add(replaced(text, "length = 200", "length = 201"));
  add(replaced(text, "length = 200", "length = 200\nencoding = \"hex\""));
  add(replaced(text, "length = 200", "length = 200\necho_ok = true"));
  add(replaced(text, "hospital-a\"\nclass", "hospital-b\"\nclass"));
  EXPECT_GT(accepted, 100u);
}

TEST(ShownRequestTest, TheTextOfACallWithSecretAndPrivateSlots) {
  CallSecrets secrets;
  store::RecordMeta token;
  token.name = "joint/model-token";
  token.version = 3;
  token.value_class = "urlsafe";
  token.bits = 8 * 48;
  token.entropy = 200;
  token.provider = "sandbox";
  token.purposes = {
      "POST https://llm.flexroom.example/v1/chat/completions header authorization: "
      "Bearer {{}}"};
  secrets.slots.emplace("token", token);
  Proposal proposal;
  add_request(proposal, call_of(example("ask-model-privately.toml")), secrets);
  const std::string text = unbroken(proposal);
  EXPECT_EQ(text.substr(0, text.find("  room id")),
            R"(Request
  method                POST
  host                  llm.flexroom.example
  path                  /v1/chat/completions
  bytes                 504
  as it leaves
    | POST /v1/chat/completions HTTP/1.1
    | Host: llm.flexroom.example
    | Authorization: Bearer {{token: 48 bytes, secret joint/model-token version 3, 48 bytes of class urlsafe}}
    | Content-Type: application/json
    | Accept-Encoding: identity
    | Connection: close
    | Content-Length: 267
    | )"
            R"(
    | {"model": "small-1", "messages": [{"role": "user", "content": "{{question: 200 bytes, private input of hospital-a, 200 bytes of class json-safe}}"}]}
Parameters
  json /messages/0/content
    | {{question: 200 bytes, private input of hospital-a, 200 bytes of class json-safe}}
  json /messages/0/role user
  json /model           small-1
Slots
  slot token            secret joint/model-token version 3, 48 bytes of class urlsafe, at header authorization: Bearer {{}}
  slot question         private input of hospital-a, 200 bytes of class json-safe, at json /messages/0/content={{}}
Secrets
  secret                joint/model-token version 3
  record                )" +
                to_hex(token.digest()) +
                R"(
  approved by           )" +
                std::string(64, '0') +
                R"(
  value                 48 bytes of class urlsafe, 200 bits of entropy, of provider sandbox
  purpose               POST https://llm.flexroom.example/v1/chat/completions header authorization: Bearer {{}}
)");
}

// The boot script is shown as it is, not only as base64.
TEST(ShownRequestTest, BootScriptIsDecodedWithItsSlotsMarked) {
  const std::string text = unbroken(proposal_of(run_of(2, 40)));
  EXPECT_THAT(text,
              HasSubstr("form UserData, decoded from base64\n    | #!/bin/bash\n    | m(){\n"));
  EXPECT_THAT(text, HasSubstr("m {{nonce: 22 bytes, 128-bit nonce that nobody knows"));
  EXPECT_THAT(text, HasSubstr("'{{private-0-1: 40 bytes, private input of member-0"));
  EXPECT_THAT(text, HasSubstr("{{private-1-1: 22 bytes, private input of member-1"));
  EXPECT_THAT(text, HasSubstr("form Action"));
  EXPECT_THAT(text, HasSubstr("RunInstances\n"));
}

// A recipe's own user data too: base64 hides nothing from who approves.
TEST(ShownRequestTest, ProgramOfARecipeIsDecoded) {
  const std::string recipe =
      "[recipe]\nname = \"r\"\nprovider = \"p\"\nhost = \"ec2.us-east-1.amazonaws.com\"\n"
      "open = \"everything to all\"\nrequest = \"\"\"\nPOST / HTTP/1.1\n"
      "Host: ec2.us-east-1.amazonaws.com\nContent-Type: application/x-www-form-urlencoded\n"
      "Connection: close\nContent-Length: {{content-length}}\n\n"
      "Action=RunInstances&UserData=IyEvYmluL3NoCnJtIC1yZiB%2FCg%3D%3D\"\"\"\n";
  const std::string text = agreement::render(proposal_of(call_of(recipe)));
  EXPECT_THAT(text, ContainsRegex("  form UserData +IyEvYmluL3NoCnJtIC1yZiB/Cg==\n"
                                  "  form UserData, decoded from base64\n"
                                  "    \\| #!/bin/sh\n    \\| rm -rf .u.7f.\n"));
}

// Text of a parameter cannot be taken for a slot, a line end, or another parameter.
TEST(ShownRequestTest, ParametersCannotPassForSomethingElse) {
  const std::string body = "a=%7B%7Btoken%3A+48+bytes%7D%7D&b=one%0Atwo%0D%0Athree&c%20d%C3%A9=e";
  const std::string recipe =
      "[recipe]\nname = \"r\"\nprovider = \"p\"\nhost = \"h.example\"\n"
      "open = \"everything to all\"\nrequest = \"\"\"\nPOST /x?q=1 HTTP/1.1\nHost: h.example\n"
      "Content-Type: application/x-www-form-urlencoded\nConnection: close\n"
      "Content-Length: {{content-length}}\n\n" +
      body + "\"\"\"\n";
  const std::string text = agreement::render(proposal_of(call_of(recipe)));
  EXPECT_THAT(text, HasSubstr("  form a\n    | \\u{7b}\\u{7b}token: 48 bytes}}\n"));
  EXPECT_THAT(text, HasSubstr("  form b\n    | one\n    | two\\u{d}\n    | three\n"));
  EXPECT_THAT(text, HasSubstr("  form parameter\n    | c%20d%C3%A9 = e\n"));
  EXPECT_THAT(text, HasSubstr("query q"));
  EXPECT_THAT(text, Not(HasSubstr("{{")));
}

// A name is chosen by whoever wrote the request: one word of it may be a field's name, anything
// else stands behind the bar, as one word.
TEST(ShownRequestTest, NamesOfParametersCannotForgeFields) {
  const std::string body =
      "Action%20%20%20%20TerminateInstances=1&X%20%20%7B%7Bkey%3A%2040%20bytes=2&"
      "UserData%2C%20decoded%20from%20base64=3&a%20b%20%3D%20c=4&" +
      std::string(65, 'n') + "=5&" + std::string(64, 'm') + "=6";
  const std::string recipe =
      "[recipe]\nname = \"r\"\nprovider = \"p\"\nhost = \"h.example\"\n"
      "open = \"everything to all\"\nrequest = \"\"\"\nPOST /x HTTP/1.1\nHost: h.example\n"
      "Content-Type: application/x-www-form-urlencoded\nConnection: close\n"
      "Content-Length: {{content-length}}\n\n" +
      body + "\"\"\"\n";
  const Proposal proposal = proposal_of(call_of(recipe));
  for (const Proposal::Field& field : proposal.fields) {
    EXPECT_THAT(field.name, Not(HasSubstr("  "))) << field.name;
    EXPECT_THAT(field.name, Not(HasSubstr("decoded"))) << field.name;
  }
  const std::string text = agreement::render(proposal);
  for (const char* line :
       {"Action%20%20%20%20TerminateInstances = 1", "X%20%20%7B%7Bkey%3A%2040%20bytes = 2",
        "UserData%2C%20decoded%20from%20base64 = 3", "a%20b%20%3D%20c = 4"}) {
    EXPECT_THAT(text, HasSubstr(std::string("  form parameter\n    | ") + line + "\n"));
  }
  EXPECT_THAT(text, HasSubstr("    | " + std::string(65, 'n') + " = 5\n"));
  EXPECT_THAT(text, HasSubstr("  form " + std::string(64, 'm') + " "));
}

// Of a plan: what is not known is not shown, whatever stands in its place.
TEST(ShownRequestTest, WhatIsNotKnownYetIsASlot) {
  const OpenCall call = run_of(2, 40);
  const std::vector<NotYet> unknown = {{"ClientToken", "drawn later"}, {"UserData", "met later"}};
  size_t bytes = 0;
  std::string shown;
  for (const RequestPart& part : request_as_it_leaves(call, {}, unknown)) {
    bytes += part.slot.empty() ? part.text.size() : part.bytes;
    shown += part.slot.empty() ? to_text(part.text) : "<" + part.slot + ">";
  }
  EXPECT_EQ(bytes, call.bytes);
  EXPECT_THAT(shown, HasSubstr("&ClientToken=<ClientToken>&UserData=<UserData>"));
  Proposal proposal;
  add_request(proposal, call, {}, unknown);
  EXPECT_THAT(unbroken(proposal), ContainsRegex("form UserData +.not known yet: met later.\n"));
}

}  // namespace shown_request_test
}  // namespace flexroom
