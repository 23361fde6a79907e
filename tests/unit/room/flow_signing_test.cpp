#include "room/flow_signing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// The key that operators name with a run (operations.md (a) `sign`): what is no key of this flow's
// provider, or may not sign what the flow signs, is refused before anybody is joined.

namespace flexroom::room {
namespace {

using ::testing::HasSubstr;

flow::Flow flow_with(const std::string& key) {
  Provider provider;
  provider.name = "sandbox";
  provider.hosts = {"*"};
  flow::RoomView view;
  view.providers = std::vector<Provider>{provider};
  return flow::parse_flow(
      "[flow]\nname = \"who\"\nprovider = \"sandbox\"\nprefix = \"box\"\n"
      "hosts = [\"sts.amazonaws.com\", \"site.flexroom.example\"]\n" +
          key + "[[step]]\nname = \"Get\"\n" +
          (key.empty() ? "request = \"\"\"\nGET / HTTP/1.1\nHost: site.flexroom.example\n\"\"\"\n"
                       : "sign = \"sts us-east-1\"\nrequest = \"\"\"\nGET /?Action="
                         "GetCallerIdentity&Version=2011-06-15 HTTP/1.1\nHost: "
                         "sts.amazonaws.com\n\"\"\"\n"),
      "who.toml", view);
}

store::RecordMeta secret() {
  store::RecordMeta out;
  out.name = "joint/key";
  out.value_class = "b64";
  out.bits = 320;
  out.entropy = 240;
  out.provider = "sandbox";
  out.purposes = {"sigv4 sts us-east-1"};
  out.version = 3;
  return out;
}

std::string problem(const flow::Flow& flow, const FlowKey& key, const store::RecordMeta& meta) {
  try {
    (void)GivenKey(flow, key, meta);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

const FlowKey kKey = {"joint/key", "AKIAEXAMPLE"};

TEST(GivenKey, StandsInThePlaceOfTheFlowsOwn) {
  const GivenKey key(flow_with("key = \"keys\"\n"), kKey, secret());
  EXPECT_EQ(key.text(), "AKIAEXAMPLE (secret joint/key v3)");
  const auto id = key.value("keys/id"), value = key.value("keys/secret");
  ASSERT_TRUE(id && value);
  EXPECT_TRUE(id->meta.is_public);
  EXPECT_EQ(as_text(id->bytes.reveal()), "AKIAEXAMPLE");
  EXPECT_FALSE(value->meta.is_public);
  EXPECT_EQ(value->meta.tag, secret().origin());
  EXPECT_EQ(value->meta.version, 3u);
  EXPECT_EQ(value->meta.max, 40u);
  EXPECT_FALSE(key.value("keys/token"));
}

TEST(GivenKey, WhatIsNoKeyOfTheFlowIsRefused) {
  const flow::Flow flow = flow_with("key = \"keys\"\n");
  EXPECT_EQ(problem(flow, kKey, secret()), "");
  EXPECT_THAT(problem(flow_with(""), kKey, secret()), HasSubstr("it names no `key`"));
  for (const char* const id : {"", "AKIA EXAMPLE", "AKIA/EXAMPLE", "AKIA\r\nX: y"}) {
    EXPECT_THAT(problem(flow, {"joint/key", id}, secret()), HasSubstr("is no access key id"));
  }
  EXPECT_THAT(problem(flow, {"joint/key", std::string(129, 'A')}, secret()),
              HasSubstr("is no access key id"));
  store::RecordMeta other = secret();
  other.provider = "elsewhere";
  EXPECT_THAT(problem(flow, kKey, other), HasSubstr("belongs to provider 'elsewhere'"));
  other = secret();
  other.purposes = {"sigv4 ec2 us-east-1"};
  EXPECT_THAT(problem(flow, kKey, other), HasSubstr("is none of its purposes"));
  other = secret();
  other.entropy = 127;
  EXPECT_THAT(problem(flow, kKey, other), HasSubstr("claims 127 bits of entropy"));
}

}  // namespace
}  // namespace flexroom::room
