#include "http/request_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

// What a server reads is what every rule judges: requests that two servers could read in two ways
// are refused as soon as something depends on it.

namespace flexroom::http {
namespace {

using ::testing::HasSubstr;

const Slot kToken{"token", SlotSource::kSecret, "x", Encoding::kNone, CharClass::kUrlSafe, 12};

/// The request with a token in its header: judged strictly.
std::string with_token(const std::string& line, const std::string& more = "") {
  return line + " HTTP/1.1\nHost: api.example\nAuthorization: Bearer {{token}}\n" + more + "\n";
}
std::string post(const std::string& target, const std::string& type, const std::string& body) {
  return with_token("POST " + target,
                    "Content-Type: " + type + "\nContent-Length: {{content-length}}\n") +
         body;
}
RequestModel model_of(const std::string& text, const std::vector<Slot>& more = {}) {
  std::vector<Slot> slots = more;
  if (text.find("{{token}}") != std::string::npos) slots.push_back(kToken);
  const Template request = template_from_text("api.example", 443, text, slots);
  validate(request);
  return RequestModel::of(request);
}
std::string refusal(const std::string& text, const std::vector<Slot>& more = {}) {
  try {
    (void)model_of(text, more);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}
const std::string kForm = "application/x-www-form-urlencoded";
const std::string kJson = "application/json";

TEST(RequestModel, NamesAndValuesAreDecoded) {
  const RequestModel form =
      model_of(post("/v1/a%20b", kForm + "; charset=UTF-8", "Name%5B0%5D=a+b%26c&E="), {});
  EXPECT_EQ(form.path, (std::vector<std::string>{"v1", "a b"}));
  EXPECT_EQ(form.path_text(), "/v1/a%20b");
  EXPECT_EQ(form.body_value("Name[0]")->shown(), "a b&c");
  EXPECT_EQ(form.body_value("E")->shown(), "");
  EXPECT_EQ(form.media_type, kForm);
}

TEST(RequestModel, EncodingsOfThePlaceComeOffAndOthersStay) {
  const auto slot = [](const char* name, Encoding encoding, CharClass c = CharClass::kRaw) {
    return Slot{name, SlotSource::kMember, "m", encoding, c, 12};
  };
  const RequestModel form =
      model_of("POST / HTTP/1.1\nHost: api.example\nContent-Type: " + kForm +
                   "\nContent-Length: {{content-length}}\n\na={{a}}&b={{b}}&c={{c}}&d={{d}}",
               {slot("a", Encoding::kPercent), slot("b", Encoding::kBase64InForm),
                slot("c", Encoding::kHex), slot("d", Encoding::kNone, CharClass::kUrlSafe)});
  const auto encoding = [&](const char* name) {
    return form.body_value(name)->pieces.at(0).encoding;
  };
  EXPECT_EQ(encoding("a"), Encoding::kNone);
  EXPECT_EQ(encoding("b"), Encoding::kBase64);
  EXPECT_EQ(encoding("c"), Encoding::kHex);
  EXPECT_EQ(encoding("d"), Encoding::kNone);
  EXPECT_TRUE(base64_decoded(*form.body_value("b")).has_value());
  EXPECT_FALSE(base64_decoded(*form.body_value("d")).has_value());
}

TEST(RequestModel, JsonIsReadToItsScalars) {
  const RequestModel json =
      model_of(post("/", kJson, R"({"a/b": ["\u0078", {"c=d": {"e>f": 1}}]})"));
  EXPECT_EQ(json.body_value("/a~1b/0")->shown(), "x");
  EXPECT_EQ(json.body_value("/a~1b/1/c~2d/e~3f")->shown(), "1");
}

TEST(RequestModel, JsonInAStringIsReadToo) {
  const Slot note{"note", SlotSource::kMember, "m", Encoding::kJsonU, CharClass::kJsonSafe, 9};
  const std::string body = R"({"payload": "{\"x\": {\"y\": \"a {{note}}\"}}"})";
  const RequestModel json = model_of(post("/", kJson, body), {note});
  ASSERT_EQ(json.nested.size(), 1u);
  EXPECT_EQ(json.nested[0].name, "/payload>/x/y");
  EXPECT_EQ(json.nested[0].value.shown(), "a {{note}}");
  Slot wide = note;
  wide.char_class = CharClass::kXmlText;  // may hold quotes: it could end the inner string
  EXPECT_THAT(refusal(post("/", kJson, body), {wide}), HasSubstr("inside a string"));
  EXPECT_THAT(refusal(post("/", kJson, R"({"payload": "{\"x\": {{note}} }"})"), {note}),
              HasSubstr("not JSON"));
  EXPECT_THAT(refusal(post("/", kJson, R"({"p": "{\"x\": \"{{note}}\", \"X\": 1}"})"), {note}),
              HasSubstr("twice"));
}

TEST(RequestModel, WhatTwoServersReadInTwoWaysIsRefused) {
  const std::pair<std::string, std::string> cases[] = {
      {post("/", kForm, "a=1&a=2"), "twice"},
      {post("/", kForm, "a=1&A=2"), "twice"},
      {post("/", kForm, "%61=1"), "needs no escape"},
      {post("/", kForm, "a=%41"), "needs no escape"},
      {post("/", kForm, "a+b=1"), "holds '.'"},
      {post("/", kForm, "a=1&&b=2"), "no name"},
      {post("/", kForm, "a"), "no '='"},
      {post("/", kForm, "a=1;b=2"), "not a form"},
      {post("/", kForm, "a=1\nb=2"), "not a form"},
      {post("/", kForm, "{\"a\": 1}"), "not a form|no '='"},
      {post("/", kForm, "a=%4"), "two hex digits"},
      {post("/", kForm, "a=%zz"), "two hex digits"},
      {post("/", kForm + "; charset=utf-16", "a=1"), "charset"},
      {post("/", kForm + "; boundary=x", "a=1"), "charset"},
      {post("/", kJson, "a=1"), "not JSON"},
      {post("/", kJson, "{\"a\": 1, \"a\": 2}"), "twice"},
      {post("/", kJson, "{\"a\": 1, \"A\": 2}"), "twice"},
      {post("/", kJson, "{\"a\": 1} {}"), "not JSON"},
      {post("/", kJson, "{\"a\": \"\\u007f0;\"}"), "DEL"},
      {post("/", kJson, std::string(100, '[') + std::string(100, ']')), "deep"},
      {with_token("GET /?a=1&a=2"), "twice"},
      {with_token("GET /?a=b+c"), "holds '.'"},
      {with_token("GET /?%41=1"), "needs no escape"},
      {with_token("GET /a/../b"), "'..'"},
      {with_token("GET /a/%2e%2e/b"), "'..'"},
      {with_token("GET /a/./b"), "'.'"},
      {with_token("GET /a//b"), "empty segment"},
      {with_token("GET /a%2fb"), "escaped '/'"},
      {with_token("GET /a%5cb"), "escaped '/'"},
      {with_token("GET /a%00b"), "escaped '/'"},
      {with_token("GET /a%4"), "two hex digits"},
      {with_token("GET /", "Content-Type: " + kForm + "\nContent-Length: 3\n") + "a=1",
       "GET request has a body"},
      {with_token("POST /", "Content-Length: 3\n") + "a=1", "no Content-Type"},
      {with_token("POST /", "Content-Length: 0\nX-HTTP-Method-Override: DELETE\n"), "not allowed"},
      {with_token("GET /", "X-Original-URL: /admin\n"), "not allowed"},
  };
  for (const auto& [text, why] : cases) {
    EXPECT_THAT(refusal(text), ::testing::ContainsRegex(why)) << text;
  }
  // With nothing to judge they are the caller's own business.
  for (const char* line : {"GET /?a=1&a=2", "GET /a//b?x+y", "GET /a%2Fb"}) {
    EXPECT_EQ(refusal(std::string(line) + " HTTP/1.1\nHost: api.example\n\n"), "") << line;
  }
}

TEST(RequestModel, OneSpellingForAPath) {
  EXPECT_EQ(spell_path("/"), "/");
  EXPECT_EQ(spell_path("/v1/"), "/v1/");
  EXPECT_EQ(spell_path("/%76%31/a%2fb:c"), "/v1/a%2Fb:c");
  EXPECT_EQ(spell_path("v1"), std::nullopt);
  EXPECT_EQ(spell_path("/%4"), std::nullopt);
}

}  // namespace
}  // namespace flexroom::http
