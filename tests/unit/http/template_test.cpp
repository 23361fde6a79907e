#include "http/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/error.h"
#include "http/url.h"

namespace flexroom::http {
namespace template_test {

using ::testing::HasSubstr;

Slot make_slot(CharClass char_class, Encoding encoding = Encoding::kNone, uint32_t length = 12,
               SlotSource source = SlotSource::kSecret) {
  return {"s", source, "x", encoding, char_class, length};
}

// Why the request is refused, or "".
std::string refusal(std::string_view text, const std::vector<Slot>& slots = {}) {
  try {
    const Template request = template_from_text("api.example", 443, text, slots);
    validate(request);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string get(std::string_view more, std::string_view line = "GET /v1?a=b HTTP/1.1") {
  return std::string(line) + "\nHost: api.example\n" + std::string(more) + "\n";
}
std::string post(std::string_view type, std::string_view body) {
  return "POST / HTTP/1.1\nHost: api.example\nContent-Type: " + std::string(type) +
         "\nContent-Length: {{content-length}}\n\n" + std::string(body);
}
const std::string kForm = "application/x-www-form-urlencoded";

TEST(Validate, AcceptsPlainRequestsAndRefusesBadFraming) {
  EXPECT_EQ(refusal(get("")), "");
  EXPECT_EQ(refusal(get("Connection: close\nAccept-Encoding: identity\n")), "");
  EXPECT_EQ(refusal(post(kForm, "a=b")), "");
  EXPECT_THAT(refusal(get("host: api.example\n")), HasSubstr("twice"));
  EXPECT_THAT(refusal("GET / HTTP/1.1\nHost: other.example\n\n"), HasSubstr("Host"));
  EXPECT_THAT(refusal("GET / HTTP/1.1\nA: b\n\n"), HasSubstr("Host"));
  for (const char* line :
       {"TRACE / HTTP/1.1", "CONNECT / HTTP/1.1", "GET http://x/ HTTP/1.1", "GET / HTTP/1.0",
        "GET  / HTTP/1.1", "GET /a b HTTP/1.1", "get / HTTP/1.1", "GET /# HTTP/1.1"}) {
    EXPECT_NE(refusal(get("", line)), "") << line;
  }
  for (const char* header :
       {"Transfer-Encoding: chunked\n", "Expect: 100-continue\n", "Upgrade: h2c\n", "TE: x\n",
        "Accept-Encoding: gzip\n", "Connection: upgrade\n", "Bad Name: x\n", "Name : x\n",
        " folded\n", "X: \x80\n", "X: a\rb\n", "Content-Length: 1\n", "Content-Length: 00\n"}) {
    EXPECT_NE(refusal(get(header)), "") << header;
  }
  EXPECT_THAT(refusal("POST / HTTP/1.1\nHost: api.example\n\nx"),
              HasSubstr("Content-Length is missing"));
  EXPECT_THAT(refusal("POST / HTTP/1.1\nHost: api.example\nContent-Length: 2\n\nx"),
              HasSubstr("is not 1"));
  EXPECT_THAT(refusal(post(kForm, std::string(66000, 'a'))), HasSubstr("65,536"));
  Template bent = template_from_text("api.example", 443, get(""), {});
  bent.target = "/other";
  EXPECT_THROW(validate(bent), InputError);
  bent = template_from_text("10.0.0.1", 443, "GET / HTTP/1.1\nHost: 10.0.0.1\n\n", {});
  EXPECT_THROW(validate(bent), InputError);
}

// §5.2's table: for each context every class and encoding, allowed exactly where listed.
TEST(Validate, SlotContextsTakeExactlyTheirClassesAndEncodings) {
  using C = CharClass;
  using E = Encoding;
  struct Context {
    std::string name, text;
    std::vector<C> raw;
    std::vector<E> escapes;
  };
  const std::vector<Context> contexts = {
      {"header",
       get("Cookie: a={{s}}\n"),
       {C::kHex, C::kB64, C::kUrlSafe, C::kCookie, C::kDigits, C::kShellUrl, C::kShellPath,
        C::kBase32, C::kBase64Url},
       {E::kBase64, E::kHex, E::kBase64Url}},
      {"query",
       get("", "GET /?q={{s}} HTTP/1.1"),
       {C::kHex, C::kUrlSafe, C::kDigits, C::kBase32, C::kBase64Url},
       {E::kPercent, E::kBase64InForm, E::kHex, E::kBase64Url}},
      {"form",
       post(kForm, "a=b&c={{s}}&d=e"),
       {C::kHex, C::kUrlSafe, C::kDigits, C::kBase32, C::kBase64Url},
       {E::kPercent, E::kBase64InForm, E::kHex, E::kBase64Url}},
      {"json",
       post("application/json", "{\"k\": \"a{{s}}b\"}"),
       {C::kHex, C::kB64, C::kUrlSafe, C::kCookie, C::kJsonSafe, C::kDigits, C::kShellUrl,
        C::kShellPath, C::kBase32, C::kBase64Url},
       {E::kJsonU, E::kBase64, E::kHex, E::kBase64Url}},
      {"xml",
       post("text/xml", "<a>{{s}}</a>"),
       {C::kHex, C::kB64, C::kXmlText, C::kUrlSafe, C::kDigits, C::kBase32, C::kBase64Url},
       {E::kXml, E::kBase64, E::kHex, E::kBase64Url}},
  };
  for (const Context& context : contexts) {
    for (int c = 0; c <= static_cast<int>(kLastCharClass); ++c) {
      const C char_class = static_cast<C>(c);
      const bool allowed = std::count(context.raw.begin(), context.raw.end(), char_class) != 0;
      EXPECT_EQ(refusal(context.text, {make_slot(char_class)}).empty(), allowed)
          << context.name << " " << to_string(char_class);
    }
    for (const E encoding :
         {E::kBase64, E::kBase64InForm, E::kHex, E::kPercent, E::kJsonU, E::kBase64Url, E::kXml}) {
      const bool allowed =
          std::count(context.escapes.begin(), context.escapes.end(), encoding) != 0;
      EXPECT_EQ(refusal(context.text, {make_slot(C::kRaw, encoding)}).empty(), allowed)
          << context.name << " " << to_string(encoding);
    }
  }
}

TEST(Validate, SlotsStandInValuesOnly) {
  const std::vector<Slot> hex = {make_slot(CharClass::kHex)};
  for (const std::string& text :
       {get("{{s}}: x\n"), get("Host2: x\nContent-Type: {{s}}\n"), get("", "GET /{{s}} HTTP/1.1"),
        get("", "GET /?{{s}}=1 HTTP/1.1"), get("", "{{s}} / HTTP/1.1"), post(kForm, "{{s}}=1"),
        post(kForm, "a=b&{{s}}"), post("application/json", "{\"{{s}}\": 1}"),
        post("application/json", "{\"a\": {{s}}}"),
        post("application/json", "{\"a\": \"\\{{s}}\"}"),
        post("application/json", "{\"a\": \"\\u00{{s}}\"}"),
        post("application/json", "{\"a\": \"{{s}}"), post("text/xml", "<a b='{{s}}'/>"),
        post("text/xml", "<{{s}}/>"), post("text/xml", "<a><!-- {{s}} --></a>"),
        post("text/xml", "<a>&{{s}};</a>"), post("text/plain", "{{s}}")}) {
    EXPECT_NE(refusal(text, hex), "") << text;
  }
  EXPECT_EQ(refusal(post("application/octet-stream", "{{s}}"), {make_slot(CharClass::kRaw)}), "");
  EXPECT_THAT(refusal(get("A: {{s}}\nB: {{s}}\n"), hex), HasSubstr("occurs twice"));
  EXPECT_THAT(refusal(get("A: {{t}}\n"), hex), HasSubstr("not declared"));
  EXPECT_THAT(refusal(get(""), hex), HasSubstr("does not occur"));
  EXPECT_NE(refusal(get("A: {{s}}\n"), {make_slot(CharClass::kHex, Encoding::kNone, 0)}), "");
}

TEST(Validate, ASignatureStandsOnlyInTheFixedAuthorizationLine) {
  const Slot signature{"s", SlotSource::kComputed, "sigv4", Encoding::kNone, CharClass::kHex, 64};
  const std::string good =
      "Authorization: AWS4-HMAC-SHA256 Credential=A/1/r/s/aws4_request, SignedHeaders=host, ";
  EXPECT_EQ(refusal(get(good + "Signature={{s}}\n"), {signature}), "");
  EXPECT_NE(refusal(get(good + "signature={{s}}\n"), {signature}), "");
  EXPECT_NE(refusal(get(good + "Signature={{s}}, x\n"), {signature}), "");
  EXPECT_NE(refusal(get("Authorization: AWS4-HMAC-SHA256 SignedHeaders=host, Signature={{s}}\n"),
                    {signature}),
            "");
  EXPECT_NE(refusal(get("X-Copy: {{s}}\n"), {signature}), "");
  EXPECT_NE(refusal(post(kForm, "a={{s}}"), {signature}), "");
  Slot shorter = signature;
  shorter.length = 32;
  EXPECT_NE(refusal(get(good + "Signature={{s}}\n"), {shorter}), "");
}

// Public text in front and behind, base64 as a form value needs it.
std::string script_body(std::string_view before, std::string_view after) {
  return "Action=RunInstances&UserData=" + percent_encode(base64_encode(as_bytes(before))) +
         "{{s}}" + percent_encode(base64_encode(as_bytes(after)));
}

TEST(Validate, PrivateScriptTextIsAQuotedUrlBehindAPublicHost) {
  using S = SlotSource;
  const Slot url = make_slot(CharClass::kShellUrl, Encoding::kBase64InForm, 30, S::kMember);
  const auto script = [&](std::string_view before, std::string_view after, const Slot& slot) {
    return refusal(post(kForm, script_body(before, after)), {slot});
  };
  const std::string good = "#!/bin/sh\n#.\ndata='https://bucket.s3.example/";
  ASSERT_EQ(good.size() % 3, 0u) << good.size() % 3;
  EXPECT_EQ(script(good, "' \n", url), "");
  EXPECT_EQ(
      script(good, "' \n", make_slot(CharClass::kShellPath, Encoding::kBase64, 30, S::kMember)),
      "");
  EXPECT_NE(
      script(good, "' \n", make_slot(CharClass::kShellUrl, Encoding::kBase64, 30, S::kMember)), "");
  EXPECT_THAT(
      script(good, "' \n", make_slot(CharClass::kRaw, Encoding::kBase64InForm, 30, S::kMember)),
      HasSubstr("wider than shell-url"));
  EXPECT_NE(script(good, "; sh \n", url), "");                                      // not closed
  EXPECT_NE(script("#!/bin/sh\ncurl https://bucket.example/ ", "'\n ", url), "");   // not quoted
  EXPECT_NE(script("#!/bin/sh\ncurl 'http://bucket.example/  ", "'\n ", url), "");  // not https
  EXPECT_NE(script("#!/bin/sh\ncurl 'https://bucket.example ", "'\n ", url), "");  // host not ended
  EXPECT_NE(script("echo 'https://a.example/' https://b.c/", "'  ", url), "");     // between quotes
  EXPECT_NE(script("x" + good, "' \n", url), "");                                  // not aligned
  EXPECT_NE(script(good, "' \n",
                   make_slot(CharClass::kShellUrl, Encoding::kBase64InForm, 31, S::kMember)),
            "");
  // A member's whole script, and code as a "secret".
  EXPECT_THAT(refusal(post(kForm, "UserData={{s}}"),
                      {make_slot(CharClass::kRaw, Encoding::kBase64InForm, 30, S::kMember)}),
              HasSubstr("first line"));
  // The nonce of §6.2.
  EXPECT_EQ(script("#!/bin/sh\n#.", "\nls",
                   make_slot(CharClass::kHex, Encoding::kBase64InForm, 33, S::kRandom)),
            "");
}

TEST(Template, DigestCoversEveryField) {
  const Template t =
      template_from_text("api.example", 443, get("A: {{s}}\n"), {make_slot(CharClass::kHex)});
  std::vector<Template> variants(6, t);
  variants[0].host = "api2.example";
  variants[1].port = 444;
  variants[2].method = "HEAD";
  variants[3].target = "/";
  std::get<Slot>(variants[4].parts[1]).char_class = CharClass::kB64;
  std::get<Slot>(variants[5].parts[1]).from = "y";
  for (const Template& other : variants) EXPECT_NE(other.digest(), t.digest());
}

// Base64 text with slots: the whole value of a form field, letters and digits around every slot.
TEST(Base64Text, StandsInAFormFieldAndMakesNoOtherCharacters) {
  const auto refused = [](const std::vector<std::variant<Bytes, Slot>>& parts,
                          const std::string& type = kForm,
                          const std::string& before = "a=", const std::string& after = "&b=c") {
    Template request;
    request.host = "api.example";
    request.method = "POST";
    request.target = "/";
    const Base64Text base64{parts};
    const size_t size = before.size() + base64.encoded('A').text.size() + after.size();
    request.parts = {to_bytes("POST / HTTP/1.1\r\nHost: api.example\r\nContent-Type: " + type +
                              "\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + before),
                     base64, to_bytes(after)};
    try {
      validate(request);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const Slot slot = make_slot(CharClass::kShellPath, Encoding::kNone, 4, SlotSource::kMember);
  const std::string front = "#!/bin/sh\nx='https://h.example/";
  const auto script = [&](const Slot& one, const std::string& more = "'\n\n\n\n\n") {
    std::string end = more;
    while ((front.size() + 4 + end.size()) % 3 != 0) end += "\n";
    return std::vector<std::variant<Bytes, Slot>>{to_bytes(front), one, to_bytes(end)};
  };
  EXPECT_EQ(refused(script(slot)), "");
  for (const CharClass wide : {CharClass::kRaw, CharClass::kShellUrl, CharClass::kCookie}) {
    EXPECT_THAT(refused(script(make_slot(wide, Encoding::kNone, 4, SlotSource::kMember))),
                HasSubstr("may hold more"));
  }
  EXPECT_THAT(refused(script(make_slot(CharClass::kShellPath, Encoding::kHex, 4))),
              HasSubstr("may hold more"));
  EXPECT_THAT(refused({to_bytes("abc"), slot}), HasSubstr("incomplete group"));
  for (const char* bad : {"x?", "x>", "x~", "\x7fy", "\xc3y"}) {
    EXPECT_THAT(refused({to_bytes("abc"), slot, to_bytes(bad)}), HasSubstr("would make a"));
  }
  EXPECT_THAT(refused(script(slot), "application/json"), HasSubstr("form body only"));
  EXPECT_THAT(refused(script(slot), kForm, "a=x"), HasSubstr("whole value"));
  EXPECT_THAT(refused(script(slot), kForm, "a=", "x&b=c"), HasSubstr("whole value"));
  EXPECT_THAT(refused(script(slot), kForm, "", "=x"), HasSubstr("only as a value"));
  // A script like any other: whatever the field is called.
  EXPECT_THAT(refused(script(slot, ";ls\n\n")), HasSubstr("slot 's'"));
}

TEST(EncodeSlot, OutputsHaveTheDeclaredLengthAndAlphabet) {
  for (const Encoding encoding :
       {Encoding::kNone, Encoding::kBase64, Encoding::kBase64InForm, Encoding::kHex,
        Encoding::kPercent, Encoding::kJsonU, Encoding::kBase64Url, Encoding::kXml}) {
    for (int c = 0; c <= static_cast<int>(kLastCharClass); ++c) {
      for (uint32_t length = 1; length < 30; ++length) {
        const Slot slot = make_slot(static_cast<CharClass>(c), encoding, length);
        const CharSet in = slot.checked_set(), out = slot.encoded_set();
        Bytes value;
        for (unsigned b = length * 7; value.size() < length; ++b) {
          if (in.contains(static_cast<uint8_t>(b))) value.push_back(static_cast<uint8_t>(b));
        }
        const Bytes encoded = encode_slot(slot, value);
        ASSERT_EQ(encoded.size(), slot.encoded_length());
        for (const uint8_t byte : encoded)
          ASSERT_TRUE(out.contains(byte)) << to_string(encoding) << byte;
      }
    }
  }
  EXPECT_EQ(
      as_text(encode_slot(make_slot(CharClass::kRaw, Encoding::kBase64InForm, 1), Bytes{'a'})),
      "%59%51%3D%3D");
  EXPECT_EQ(
      as_text(encode_slot(make_slot(CharClass::kRaw, Encoding::kBase64Url, 2), Bytes{0xfb, 0xff})),
      "-_8");
  EXPECT_EQ(as_text(encode_slot(make_slot(CharClass::kRaw, Encoding::kXml, 2), to_bytes("<z"))),
            "&#x3C;&#x7A;");
}

// A code has six digits, and its key is one of HMAC-SHA1; the key's length is in the digest.
TEST(Validate, AOneTimeCodeHasItsShape) {
  Slot code = make_slot(CharClass::kDigits, Encoding::kNone, 6, SlotSource::kTotp);
  code.key_length = 20;
  const std::string text = post("application/json", "{\"code\": \"{{s}}\"}");
  EXPECT_EQ(refusal(text, {code}), "");
  const Template request = template_from_text("api.example", 443, text, {code});
  Slot other = code;
  other.key_length = 32;
  EXPECT_NE(template_from_text("api.example", 443, text, {other}).digest(), request.digest());
  for (const auto& change : std::vector<std::function<void(Slot&)>>{
           [](Slot& s) { s.length = 8; }, [](Slot& s) { s.char_class = CharClass::kHex; },
           [](Slot& s) { s.key_length = 0; }, [](Slot& s) { s.key_length = 65; }}) {
    Slot bent = code;
    change(bent);
    EXPECT_THAT(refusal(text, {bent}), HasSubstr("one-time code"));
  }
}

TEST(Text, EncodersAndTheirInverses) {
  EXPECT_EQ(percent_encode("a b/\xc3\xa9~"), "a%20b%2F%C3%A9~");
  EXPECT_EQ(percent_encode("a/b", true), "a/b");
  EXPECT_EQ(percent_decode("%4"), std::nullopt);
  EXPECT_EQ(percent_decode("%zz"), std::nullopt);
  EXPECT_EQ(percent_decode("%41+"), "A+");
  for (size_t size = 0; size < 40; ++size) {
    Bytes bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 71 + size);
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
  EXPECT_EQ(base64_encode(as_bytes("fooba")), "Zm9vYmE=");
  for (const char* bad : {"Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9v\n"}) {
    EXPECT_EQ(base64_decode(bad), std::nullopt) << bad;
  }
  for (int c = 0; c <= static_cast<int>(CharClass::kRaw); ++c) {
    EXPECT_EQ(char_class_of(to_string(static_cast<CharClass>(c))), static_cast<CharClass>(c));
  }
}

TEST(ParseUrl, IsStrict) {
  const Url url = parse_url("https://api.example:8443/a%20b?x=1&y", "test");
  EXPECT_EQ(url.host + " " + url.path + " " + url.query + " " + url.authority(),
            "api.example /a%20b x=1&y api.example:8443");
  EXPECT_EQ(parse_url("https://a.example", "test").target(), "/");
  EXPECT_EQ(parse_url("https://a.example?q", "test").target(), "/?q");
  for (const char* bad :
       {"http://a.example/", "https://", "https://A.example/", "https://u@a.example/",
        "https://1.2.3.4/", "https://[::1]/", "https://a.example:0/", "https://a.example:65536/",
        "https://a.example:/", "https://a.example:08/", "https://a.example/#f",
        "https://a.example/a b", "https://a.example/%4", "https://a.example/\xc3",
        "https://a.example/\"", "https://a..example/", "https://-a.example/"}) {
    EXPECT_THROW(parse_url(bad, "test"), InputError) << bad;
  }
}

}  // namespace template_test
}  // namespace flexroom::http
