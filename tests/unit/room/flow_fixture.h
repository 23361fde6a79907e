#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "room/flow_answer.h"
#include "room/flow_request.h"

namespace flexroom::room {

inline const std::string kFlow = R"(
[flow]
name = "pages"
provider = "sandbox"
prefix = "box"
hosts = ["site.flexroom.example"]

[argument.who]

[[step]]
name = "Open"
request = """
GET /a/b/page HTTP/1.1
Host: site.flexroom.example
"""
open."run/count" = { at = "json-number /list/0/count", class = "digits", max = 4 }

[step.keep."run/session"]
at = "cookie session"
class = "cookie"
length = [16, 64]

[[step]]
name = "Pick"
request = """
GET /a/b/page?n={{run/count}} HTTP/1.1
Host: site.flexroom.example
"""
header_max = 1024
body_max = 20000
item = '/list/[who="{{who}}"][ready=true]'
pick = "first"
assert.1 = { at = "json item/who", equals = "{{who}}" }
assert.2 = { at = "json /kind", equals = "page {{run/count}}" }
code = { at = "json /code", one_of = ["Expired", "Late"] }

[step.keep."run/session"]
at = "cookie session"
class = "cookie"
length = [16, 64]
missing = "same"

[step.keep."run/otp"]
at = 'json item/text after "code is "'
class = "digits"
length = 6
purposes = ["POST https://site.flexroom.example/go form otp={{}}"]
)";

inline flow::RoomView view() {
  Provider provider;
  provider.name = "sandbox";
  provider.hosts = {"*"};
  flow::RoomView out;
  out.providers = std::vector<Provider>{provider};
  return out;
}
inline flow::Flow load(const std::string& text) {
  return flow::parse_flow(text, "pages.toml", view());
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

inline AnswerTerms terms() {
  AnswerTerms out;
  out.host = "site.flexroom.example";
  out.path = "/a/b/page";
  out.time = 1'700'000'000;
  out.fill = [](std::string_view text) {
    return replaced(std::string(text), std::string(text.substr(text.find("{{"))), "X");
  };
  out.member = [](const std::string& name) { return name == "m1" ? PartyId{1} : PartyId{0}; };
  return out;
}

inline RoomConfig room() {
  RoomConfig out;
  out.name = "rig";
  out.providers = *view().providers;
  out.members.resize(2);
  out.members[0].name = "m0";
  out.members[1].name = "m1";
  return out;
}

inline std::string refusal(const std::string& text, const std::string& who = "x") {
  try {
    require_bound(room(), load(text), {{"who", who}});
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace flexroom::room
