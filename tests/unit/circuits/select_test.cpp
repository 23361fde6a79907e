#include "http/select.h"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "circuits/header_outline.h"
#include "circuits/json_outline.h"
#include "circuits/xml_outline.h"
#include "http/response.h"
#include "outline_texts.h"
#include "support/code_search.h"
#include "support/sweeps.h"

// Selections on the marks of the circuits, against readers written from the standards.

namespace flexroom::circuits {
namespace {

using http::JsonItem;
using http::JsonNode;
using http::JsonStep;
using http::NoCookie;
using http::OutlineFault;
using http::Span;
using Path = std::vector<JsonStep>;

/// A sealed answer with ideal zero tests: counts them, and books what is opened.
class SealedBytes : public http::ClearBytes {
 public:
  explicit SealedBytes(std::string_view text, std::vector<bool> escapes = {})
      : ClearBytes(text), text_(text), escapes_(std::move(escapes)) {}

  bool equal(Span span, std::string_view text, bool any_case) override {
    ++tests;
    EXPECT_EQ(span.size(), text.size());  // a length is never asked of a zero test
    EXPECT_LE(span.end, text_.size());
    return ClearBytes::equal(span, text, any_case);
  }
  bool have_escape(const std::vector<Span>& strings) override {
    return std::any_of(strings.begin(), strings.end(),
                       [&](Span string) { return escapes_.at(string.end); });
  }
  std::string open_marks(const std::vector<size_t>& at) override {
    for (const size_t place : at) {
      EXPECT_NE(std::string_view(";= \t").find(text_[place]), std::string_view::npos);
    }
    return ClearBytes::open_marks(at);
  }
  // What is asked together is asked anyway, but for what the answers to one question say about
  // another.
  void ask_together(const std::vector<Question>& questions) override {
    for (const Question& question : questions) {
      EXPECT_EQ(question.span.size(), question.text.size());
      EXPECT_LE(question.span.end, text_.size());
    }
  }
  std::string open_date(Span span) override {
    return dates.emplace_back(ClearBytes::open_date(span));
  }

  size_t tests = 0;
  std::vector<std::string> dates;

 private:
  std::string_view text_;
  std::vector<bool> escapes_;
};

http::HeaderLines lines_of(const Instance& instance, size_t lane, size_t size) {
  http::HeaderMarks marks;
  marks.line_ends = instance.marks(lane, "line_ends", size);
  marks.colons = instance.marks(lane, "colons", size);
  marks.details = instance.marks(lane, "details", size);
  marks.ends = instance.marks(lane, "ends", size);
  marks.bad = instance.marks(lane, "bad", size).back();
  return http::read_header_outline(marks);
}

/// One text through a circuit of its size.
Instance run_alone(const mpc::Circuit& circuit, const std::string& text) {
  Instance instance(circuit, text.size());
  RandomText random(1);
  std::vector<std::string> one = {text};
  instance.run(one, random);
  return instance;
}

/// The name of a failure, or what `select` returns.
template <typename Select>
std::string outcome(Select select) {
  try {
    return select();
  } catch (const http::OutlineError& error) {
    return std::string("! ").append(to_string(error.fault()));
  }
}

std::string said(std::string_view text, const std::variant<Span, NoCookie>& cookie) {
  if (const auto* none = std::get_if<NoCookie>(&cookie)) {
    return *none == NoCookie::kMissing ? "! missing" : "! deleted";
  }
  return std::string(at(text, std::get<Span>(cookie)));
}

std::string cookie_of(const std::string& text, const http::CookieQuery& query, SealedBytes& bytes) {
  const mpc::Circuit circuit = header_outline_circuit(text.size());
  return outcome([&] {
    return said(text, http::select_cookie(lines_of(run_alone(circuit, text), 0, text.size()), query,
                                          bytes));
  });
}
std::string cookie_of(const std::string& text, const http::CookieQuery& query) {
  SealedBytes bytes(text);
  return cookie_of(text, query, bytes);
}

constexpr int64_t kNow = 1756810000;
http::CookieQuery query_of(std::string name, std::string path = "/") {
  http::CookieQuery out;
  out.name = std::move(name);
  out.path = std::move(path);
  out.host = "h.test";
  out.now = kNow;
  return out;
}

std::string answer_with(const std::vector<std::string>& cookies) {
  std::string out = "HTTP/1.1 200 OK\r\n";
  for (const std::string& cookie : cookies) out += "Set-Cookie: " + cookie + "\r\n";
  return out + "\r\n";
}

// --- cookies against RFC 6265 ---

/// RFC 6265 §5.1.1. Dates of the sweep have their parts in the usual order; nothing if it is none.
std::optional<int64_t> rfc_date(const std::string& text) {
  std::vector<std::string> tokens(1);
  for (const char c : text) {
    const auto b = static_cast<uint8_t>(c);
    const bool delimiter = b == 9 || (b >= 0x20 && b <= 0x2f) || (b >= 0x3b && b <= 0x40) ||
                           (b >= 0x5b && b <= 0x60) || (b >= 0x7b && b <= 0x7e);
    if (!delimiter) {
      tokens.back().push_back(c);
    } else if (!tokens.back().empty()) {
      tokens.emplace_back();
    }
  }
  // Digits at the start, `low` to `high` of them, and no digit behind.
  const auto number = [](const std::string& token, size_t low, size_t high) -> std::optional<int> {
    size_t digits = 0;
    while (digits < token.size() && std::isdigit(static_cast<unsigned char>(token[digits])) != 0)
      ++digits;
    if (digits < low || digits > high) return std::nullopt;
    return std::stoi(token.substr(0, digits));
  };
  std::optional<int> day, year;
  std::optional<size_t> month;
  std::optional<std::array<int, 3>> time;
  for (const std::string& token : tokens) {
    const size_t c1 = token.find(':'), c2 = c1 == std::string::npos ? c1 : token.find(':', c1 + 1);
    if (!time && c2 != std::string::npos) {
      const auto h = number(token.substr(0, c1), 1, 2),
                 m = number(token.substr(c1 + 1, c2 - c1 - 1), 1, 2),
                 s = number(token.substr(c2 + 1), 1, 2);
      if (h && m && s) {
        time = {*h, *m, *s};
        continue;
      }
    }
    if (!day && (day = number(token, 1, 2))) continue;
    const size_t at = std::string("janfebmaraprmayjunjulaugsepoctnovdec")
                          .find(http::to_lower(token.substr(0, 3)));
    if (!month && token.size() >= 3 && at != std::string::npos && at % 3 == 0) {
      month = at / 3;
      continue;
    }
    if (!year) year = number(token, 2, 4);
  }
  if (!day || !month || !year || !time) return std::nullopt;
  if (*year >= 70 && *year <= 99) *year += 1900;
  if (*year <= 69) *year += 2000;
  if (*day < 1 || *day > 31 || *year < 1601 || (*time)[0] > 23 || (*time)[1] > 59 ||
      (*time)[2] > 59)
    return std::nullopt;
  std::tm tm{};
  tm.tm_year = *year - 1900;
  tm.tm_mon = static_cast<int>(*month);
  tm.tm_mday = *day;
  tm.tm_hour = (*time)[0];
  tm.tm_min = (*time)[1];
  tm.tm_sec = (*time)[2];
  const int64_t seconds = timegm(&tm);
  if (tm.tm_mday != *day) return std::nullopt;  // 31 February
  return seconds;
}

std::string trimmed(std::string_view text) { return std::string(http::trim_blanks(text)); }

/// RFC 6265 §5.2, §5.3 with the prefixes of its successor, for one name, path and domain.
std::string rfc_cookie(const http::Response& response, const http::CookieQuery& query) {
  const std::string domain = query.domain.empty() ? query.host : query.domain;
  std::string jar = "! missing";
  for (const auto& [header, text] : response.headers) {
    if (http::to_lower(header) != "set-cookie") continue;
    std::vector<std::string> parts(1);
    for (const char c : text) c == ';' ? (void)parts.emplace_back() : parts.back().push_back(c);
    const size_t equals = parts[0].find('=');
    if (equals == std::string::npos || trimmed(parts[0].substr(0, equals)) != query.name) continue;
    const std::string value = trimmed(parts[0].substr(equals + 1));
    std::optional<int64_t> expires, age;
    std::optional<std::string> for_domain;
    std::string path = query.default_path;
    bool secure = false;
    for (size_t k = 1; k < parts.size(); ++k) {
      const size_t e = parts[k].find('=');
      const std::string name = http::to_lower(trimmed(parts[k].substr(0, e)));
      const std::string v = e == std::string::npos ? "" : trimmed(parts[k].substr(e + 1));
      if (name == "expires") {
        if (const auto date = rfc_date(v)) expires = date;
      } else if (name == "max-age") {
        const bool form = !v.empty() &&
                          (v[0] == '-' || std::isdigit(static_cast<unsigned char>(v[0])) != 0) &&
                          v.find_first_not_of("0123456789", 1) == std::string::npos && v != "-";
        if (form) age = v[0] == '-' ? -1 : v.find_first_not_of('0') == std::string::npos ? 0 : 1;
      } else if (name == "domain") {
        if (!v.empty()) for_domain = http::to_lower(v[0] == '.' ? v.substr(1) : v);
      } else if (name == "path") {
        path = v.starts_with('/') ? v : query.default_path;
      } else if (name == "secure") {
        secure = true;
      }
    }
    if (for_domain && query.host != *for_domain && !query.host.ends_with("." + *for_domain))
      continue;
    if (for_domain.value_or(query.host) != domain || path != query.path) continue;
    const std::string lower = http::to_lower(query.name);
    const bool host_only = lower.starts_with("__host-");
    if ((host_only || lower.starts_with("__secure-")) && !secure) continue;
    if (host_only && (for_domain || path != "/")) continue;
    const bool gone = age ? *age <= 0 : expires && *expires <= query.now;
    jar = gone || value.empty() ? "! deleted" : value;
  }
  return jar;
}

std::string random_attribute(RandomText& random) {
  const std::string blank = random.once_in(12) ? random.one_of({" ", "\t"}) : "";
  const std::string lead = random.one_of({" ", " ", "", "\t"});
  if (random.once_in(2)) {
    return lead + random.one_of({"Path=/", "path=/", "Secure", "HttpOnly", "Domain=h.test"});
  }
  return lead + random.one_of({"Path=" + blank + "/",
                               "Path=/",
                               "Path=/x",
                               "Path=/x/",
                               "Path=",
                               "Path=x",
                               "Path=/" + blank,
                               "Domain=h.test",
                               "Domain=.h.test",
                               "Domain=H.TEST",
                               "domain=..h.test",
                               "Domain=evil.test",
                               "Domain=",
                               "Domain=test",
                               "Max-Age=0",
                               "Max-Age=00",
                               "Max-Age=9",
                               "Max-Age=3600",
                               "Max-Age=-1",
                               "Max-Age=-",
                               "Max-Age=x",
                               "Max-Age=1x",
                               "Max-Age=",
                               "Max-Age=99999999999",
                               "max-age" + blank + "=0",
                               "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                               "Expires=Thu, 01-Jan-1970 00:00:10 GMT",
                               "Expires=Fri, 01 Jan 2038 00:00:00 GMT",
                               "Expires=Tue, 02 Sep 2025 10:46:40 GMT",
                               "Expires=Tue, 02 Sep 2025 10:46:41 GMT",
                               "Expires=Thursday, 01-Jan-70 00:00:00 GMT",
                               "Expires=0",
                               "Expires=",
                               "Expires=Wed, 31 Feb 2024 00:00:00 GMT",
                               "Expires=Thu, 01 jan 2040 23:59:60 GMT",
                               "Expires=Thu, 01 Jan 1500 00:00:00 GMT",
                               "Secure",
                               "Secure" + blank,
                               "HttpOnly",
                               "SameSite=Lax",
                               "Pat=/x",
                               "Paths=/x",
                               "X-Path=/x",
                               "x=\"q;q\"",
                               "",
                               "=",
                               "Domain2=evil.test"});
}

std::string random_cookie(RandomText& random, const std::string& name) {
  std::string out = random.once_in(12) ? " \t" : "";
  out += random.once_in(4) ? random.one_of({name + "x", "x" + name, "x", name + "=",
                                            "\"" + name + "\"", name + " " + name})
                           : name;
  out +=
      random.one_of({"=", "=", "=", "=", "=", "=", " =", "= ", ""}) + random.of("abcXYZ09=/+-.", 6);
  if (random.once_in(10)) out += random.one_of({"\"", ",b", " b", "\xc3\xa9", "{\"a\":1}"});
  for (size_t count = random.below(5); count > 0; --count) out += ";" + random_attribute(random);
  if (random.once_in(20)) out += ", " + name + "=joined; Path=/";
  return random.one_of({"Set-Cookie", "Set-Cookie", "set-cookie", "SET-COOKIE", "Set-Cookie2",
                        "X-Set-Cookie"}) +
         ":" + random.one_of({" ", " ", "", "\t", "  "}) + out + "\r\n";
}

// Never another value, never a line overlooked: where the two differ, ours is a named failure.
TEST(SelectCookie, IsTheCookieOfRfc6265Sweep) {
  constexpr size_t kSize = 384;
  const mpc::Circuit circuit = header_outline_circuit(kSize);
  Instance instance(circuit, kSize);
  RandomText random(41);
  size_t equal = 0, values = 0, refused = 0;
  for (size_t done = 0; done < support::tries(10000); done += support::CircuitBatch::kLanes) {
    std::vector<std::string> texts(support::CircuitBatch::kLanes);
    std::vector<http::CookieQuery> queries;
    for (std::string& text : texts) {
      http::CookieQuery query =
          query_of(random.one_of({"s", "s", "sid", "__Host-s", "__Secure-s", "__host-s"}),
                   random.one_of({"/", "/", "/x"}));
      if (random.once_in(3)) query.default_path = "/x";
      if (random.once_in(3)) {
        query.host = "a.h.test";
        query.domain = random.one_of({"h.test", "a.h.test"});
      }
      text = "HTTP/1.1 302 Found\r\n";
      for (size_t count = 1 + random.below(3); count > 0; --count)
        text += random_cookie(random, query.name);
      text += "Location: https://x/?s=zz\r\nContent-Length: 0\r\n\r\n";
      queries.push_back(query);
    }
    instance.run(texts, random);
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      const std::string& text = texts[lane];
      if (!text.ends_with("\r\n\r\n")) continue;  // longer than the window
      SealedBytes bytes(text);
      const std::string ours = outcome([&] {
        return said(
            text, http::select_cookie(lines_of(instance, lane, text.size()), queries[lane], bytes));
      });
      const std::string theirs = rfc_cookie(http::parse_response(as_bytes(text)), queries[lane]);
      if (ours == "! bad header" || ours == "! outside class") {
        ++refused;
      } else {
        // Blanks behind a value belong to it here, and class cookie refuses them.
        ASSERT_EQ(trimmed(ours), theirs) << text << queries[lane].name << " " << queries[lane].path;
        ++equal;
        values += ours[0] != '!';
      }
      ASSERT_LE(bytes.dates.size(), 1u);
    }
  }
  EXPECT_GT(equal, 6000u);
  EXPECT_GT(values, 800u);
  EXPECT_GT(refused, 200u);
}

// What attributes hold beside the one date is nobody's.
TEST(SelectCookie, NoAttributeIsOpenedButOneDate) {
  for (const std::string line :
       {"s=v; Path=/, session=SECRET2; Path=/", "s=\"a;SECRET2HALF\"; Path=/",
        "s=v; Path=/; refresh=SECRET2", "s=v; Expires=042917SECRET2, Jan 19 GMT",
        "s=v; Expires=123, 45678901234567890123 GMT"}) {
    const std::string text = answer_with({line});
    SealedBytes bytes(text);
    cookie_of(text, query_of("s"), bytes);
    EXPECT_TRUE(bytes.dates.empty()) << line;
  }
}

TEST(SelectCookie, NamedAnswers) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"s=a", "s=b"}, "b"},
      {{"s=a", "s=b; Path=/other"}, "a"},
      {{"s=old; Max-Age=0; Path=/x", "s=new; Path=/"}, "new"},
      {{"s=new", "s=; Max-Age=0"}, "! deleted"},
      {{"s="}, "! deleted"},
      {{" \t s=new"}, "new"},
      {{"s=live; Max-Age=-"}, "! bad header"},
      {{"s=live; Max-Age=9; Max-Age=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, "live"},
      {{"s=live; Max-Age=9x"}, "! outside class"},
      {{"s =new"}, "! bad header"},
      {{"s=new; Path=/ x"}, "! bad header"},
      {{"s=new; Expires=soon"}, "! bad header"},
      {{"s=v; Domain=evil.test"}, "! missing"},
      {{"s=v; Path=/x"}, "! missing"},
      {{"t=1"}, "! missing"},
      {{"xs=1", "a=s=2", "\"s\"=3"}, "! missing"},
  };
  for (const auto& [lines, want] : cases)
    EXPECT_EQ(cookie_of(answer_with(lines), query_of("s")), want) << lines.back();
  EXPECT_EQ(cookie_of(answer_with({"__Host-s=a; Path=/; Secure",
                                   "__Host-s=b; Domain=h.test; Path=/; Secure"}),
                      query_of("__Host-s")),
            "a");
  EXPECT_EQ(cookie_of(answer_with({"__Secure-s=a"}), query_of("__Secure-s")), "! missing");
  http::CookieQuery query = query_of("s");
  query.default_path = "/x";
  EXPECT_EQ(cookie_of(answer_with({"s=a"}), query), "! missing");
  query = query_of("s");
  query.host = "a.h.test";
  query.domain = "h.test";  // a line without Domain is the host's own
  EXPECT_EQ(cookie_of(answer_with({"s=right; Domain=h.test", "s=other"}), query), "right");
}

TEST(SelectCookie, FourteenCookiesFitTheTestsThatArePrepared) {
  std::vector<std::string> lines;
  for (const char* name :
       {"session-id", "session-id-time", "ubid-main", "x-main", "at-main", "sess-at-main",
        "sst-main", "aws-creds", "aws-userInfo", "aws-userInfo-signed", "aws-target-visitor",
        "noflush_locale", "regStatus", "seance"}) {
    lines.push_back(std::string(name) + "=" + std::string(40, 'x') +
                    "; Domain=.h.test; Path=/; Expires=Fri, 01 Jan 2038 00:00:00 GMT; Secure; "
                    "HttpOnly; SameSite=None");
  }
  const std::string text = answer_with(lines);
  SealedBytes bytes(text);
  EXPECT_EQ(cookie_of(text, query_of("aws-creds"), bytes), std::string(40, 'x'));
  EXPECT_EQ(bytes.tests, 45u);  // tls-in-mpc.md §5.4
}

// --- other header lines ---

TEST(SelectHeader, LocationAndContentType) {
  const auto header = [](const std::string& lines, auto select) {
    const std::string text = "HTTP/1.1 302 Found\r\n" + lines + "\r\n";
    const mpc::Circuit circuit = header_outline_circuit(text.size());
    return outcome([&] {
      SealedBytes bytes(text);
      return select(lines_of(run_alone(circuit, text), 0, text.size()), bytes, text);
    });
  };
  const auto location = [&](const std::string& lines) {
    return header(lines, [](const auto& h, auto& bytes, const auto& text) {
      return std::string(
          at(text, http::select_header(h, "location", "https://h/cb?code=", "&s=1", bytes)));
    });
  };
  EXPECT_EQ(location("Location: https://h/cb?code=abc&s=1\r\n"), "abc");
  EXPECT_EQ(location("LOCATION: \t https://h/cb?code=a;b=c&s=1\r\n"), "a;b=c");
  EXPECT_EQ(location("Location: https://h/cb?code=&s=1\r\n"), "! not found");
  EXPECT_EQ(location("Location: https://h/cb?Code=abc&s=1\r\n"), "! not found");
  EXPECT_EQ(location("Location: https://h/cb?code=abc&s=2\r\n"), "! not found");
  EXPECT_EQ(location("Location: https://h/cb?code=abc&s=1 \r\n"), "! not found");
  EXPECT_EQ(location("X-Location: https://h/cb?code=abc&s=1\r\n"), "! not found");
  EXPECT_EQ(location("Location: https://h/cb?code=abc&s=1\r\nlocation: x\r\n"), "! twice");
  const auto type = [&](const std::string& lines) {
    return header(lines, [](const auto& h, auto& bytes, const auto&) {
      http::require_content_type(h, "application/json", bytes);
      return std::string("yes");
    });
  };
  EXPECT_EQ(type("Content-Type: application/json\r\n"), "yes");
  EXPECT_EQ(type("content-type:Application/JSON; charset=SECRET\r\n"), "yes");
  EXPECT_EQ(type("Content-Type: application/jsonx\r\n"), "! other type");
  EXPECT_EQ(type("Content-Type: application/json=x\r\n"), "! other type");
  EXPECT_EQ(type("Content-Type: text/html; application/json\r\n"), "! other type");
  EXPECT_EQ(type("Content-Type: application/json ; a\r\n"), "! bad header");
  EXPECT_EQ(type("Content-Type: application/json\r\nContent-Type: application/json\r\n"),
            "! twice");
  EXPECT_EQ(type(""), "! other type");
}

// --- JSON ---

std::string json_at(const std::string& text, const Path& path, bool number = false) {
  const mpc::Circuit circuit = json_outline_circuit(text.size());
  return outcome([&] {
    const Instance instance = run_alone(circuit, text);
    const JsonNode tree =
        http::read_json_outline(text.size(), opened(text, instance.marks(0, "marks", text.size())));
    SealedBytes bytes(text, instance.marks(0, "escapes", text.size()));
    return std::string(at(text, number ? http::select_json_number(tree, path, bytes)
                                       : http::select_json_string(tree, path, bytes)));
  });
}

JsonItem item_of(std::vector<http::JsonFilter> filters, bool first = true) {
  return {std::move(filters), first};
}

// Each of these was taken for the one match by a pattern (§5.4, why not patterns).
TEST(SelectJson, DecoysEndInTheNamedFailure) {
  EXPECT_EQ(json_at("{\"code\":123456,\"p\":{\"code\":\"999999\"}}", {"code"}), "! other type");
  EXPECT_EQ(json_at("{\"error\":{\"tags\":{\"S\":\"ATT\"}}}", {"S"}), "! not found");
  EXPECT_EQ(json_at("{\"C\":{\"S\":\"ATT\"},\"C\":{}}", {"C", "S"}), "! twice");
  EXPECT_EQ(json_at("{\"\\u0053\":\"REAL\",\"a\":{\"S\":\"ATT\"}}", {"S"}), "! escaped key");
  EXPECT_EQ(json_at("{\"S\":\"abc\",\"x\":\"", {"S"}), "! not well formed");
  EXPECT_EQ(json_at("<p>{\"S\":\"ATT\"}</p>", {"S"}), "! not well formed");
  EXPECT_EQ(json_at("{\"S\"\x0b:\"REAL\",\"a\":{\"S\":\"ATT\"}}", {"S"}), "! not well formed");
  EXPECT_EQ(json_at("{\"S\":\"a\\nb\"}", {"S"}), "! escaped text");
  EXPECT_EQ(json_at("{\"S\":\"ok\"}", {"S"}), "ok");
  EXPECT_EQ(json_at("[\"a\",\"b\"]", {size_t{1}}), "b");
  EXPECT_EQ(json_at("[\"a\",\"b\"]", {size_t{2}}), "! not found");
  EXPECT_EQ(json_at("{\"n\":7}", {"n"}, true), "7");
  EXPECT_EQ(json_at("{\"n\":\"7\"}", {"n"}, true), "! other type");
  EXPECT_EQ(json_at("{\"n\":true}", {"n"}, true), "! outside class");
  EXPECT_EQ(json_at("{\"n\":null}", {"n"}, true), "! outside class");
}

// --- JSON against a parser of others ---

/// A value with its names decoded, doubled ones kept: what nlohmann's parser reports.
struct Decoded {
  char kind = 't';  // o a s t
  std::string text;
  std::vector<std::pair<std::string, Decoded>> children;
};

class Collect : public nlohmann::json_sax<nlohmann::json> {
 public:
  Decoded root;
  bool null() override { return add({'t', "null", {}}); }
  bool boolean(bool value) override { return add({'t', value ? "true" : "false", {}}); }
  bool number_integer(number_integer_t value) override {
    return add({'t', std::to_string(value), {}});
  }
  bool number_unsigned(number_unsigned_t value) override {
    return add({'t', std::to_string(value), {}});
  }
  bool number_float(number_float_t, const string_t& text) override { return add({'t', text, {}}); }
  bool string(string_t& value) override { return add({'s', value, {}}); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open('o'); }
  bool start_array(size_t) override { return open('a'); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    key_ = value;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  bool add(Decoded value) {
    if (open_.empty()) {
      root = std::move(value);
    } else {
      open_.back().children.emplace_back(names_.back() ? key_ : "", std::move(value));
    }
    return true;
  }
  bool open(char kind) {
    keys_.push_back(key_);
    names_.push_back(kind == 'o');
    open_.push_back({kind, "", {}});
    return true;
  }
  bool close() {
    Decoded value = std::move(open_.back());
    open_.pop_back();
    names_.pop_back();
    key_ = keys_.back();
    keys_.pop_back();
    return add(std::move(value));
  }
  std::vector<Decoded> open_;
  std::vector<bool> names_;
  std::vector<std::string> keys_;
  std::string key_;
};

const Decoded* the_member(const Decoded* node, const std::string& key) {
  if (node == nullptr || node->kind != 'o') return nullptr;
  const Decoded* found = nullptr;
  for (const auto& [name, child] : node->children) {
    if (name != key) continue;
    if (found != nullptr) return nullptr;
    found = &child;
  }
  return found;
}

/// The first (or only) element whose `from` is the text; or the member or element of a plain path.
const Decoded* pick(const Decoded* node, const Path& path) {
  for (const JsonStep& step : path) {
    if (node == nullptr) return nullptr;
    if (const auto* key = std::get_if<std::string>(&step)) {
      node = the_member(node, *key);
      continue;
    }
    if (node->kind != 'a') return nullptr;
    if (const auto* index = std::get_if<size_t>(&step)) {
      node = *index < node->children.size() ? &node->children[*index].second : nullptr;
      continue;
    }
    const JsonItem& item = std::get<JsonItem>(step);
    const Decoded* found = nullptr;
    for (const auto& [name, element] : node->children) {
      const Decoded* text = the_member(&element, item.filters[0].path[0]);
      if (text == nullptr || text->kind != 's' || text->text != item.filters[0].text) continue;
      if (found != nullptr && !item.first) return nullptr;
      if (found == nullptr) found = &element;
    }
    node = found;
  }
  return node;
}

std::string random_member(RandomText& random, size_t depth) {
  const auto text = [&] {
    return "\"" + random.one_of({"k", "a", "x y", "\\u006b", "\\\"", "{}", "a:b,", ""}) + "\"";
  };
  if (depth > 2 || random.once_in(2))
    return random.once_in(4) ? random.one_of({"1", "true", "null", "{}", "[]"}) : text();
  const bool object = random.once_in(2);
  std::string out;
  for (size_t count = 1 + random.below(3); count > 0; --count) {
    if (!out.empty()) out += random.one_of({",", ", "});
    if (object)
      out += random.one_of({"\"k\":", "\"k\":", "\"a\" : ", "\"b\":", "\"\\u006b\":", "\"kk\":"});
    out += random_member(random, depth + 1);
  }
  return (object ? "{" : "[") + out + (object ? "}" : "]");
}

// Never another value, and never one where that parser has none: what it refuses as a whole is
// selected from only if its fault lies elsewhere, in strings or tokens.
TEST(SelectJson, IsTheValueOfAParserOfOthersSweep) {
  constexpr size_t kSize = 160;
  const mpc::Circuit circuit = json_outline_circuit(kSize);
  Instance instance(circuit, kSize);
  RandomText random(51);
  const std::vector<Path> paths = {{"k"},
                                   {"k", "a"},
                                   {"k", size_t{0}},
                                   {size_t{1}, "k"},
                                   {item_of({{{"k"}, "a"}}), "a"},
                                   {"k", item_of({{{"k"}, "k"}}, false), "a"},
                                   {item_of({{{"a"}, "k"}}, false), "k"}};
  size_t equal = 0, both_refuse = 0, ours_only = 0;
  for (size_t done = 0; done < support::tries(20000); done += support::CircuitBatch::kLanes) {
    std::vector<std::string> texts(support::CircuitBatch::kLanes);
    for (std::string& text : texts) {
      text = random.once_in(2)
                 ? "{\"k\":" + random_member(random, 0) + "}"
                 : "[" + random_member(random, 0) + "," + random_member(random, 0) + "]";
      if (random.once_in(4))
        random.edit(text, {"\"", "\\", "{", "}", "[", "]", ",", ":", " ", "0", ",\"k\":\"a\""});
    }
    instance.run(texts, random);
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      const std::string& text = texts[lane];
      const Path& path = paths[random.below(paths.size())];
      SealedBytes bytes(text, instance.marks(lane, "escapes", text.size()));
      const std::string ours = outcome([&] {
        const JsonNode tree = http::read_json_outline(
            text.size(), opened(text, instance.marks(lane, "marks", text.size())));
        return std::string(at(text, http::select_json_string(tree, path, bytes)));
      });
      Collect theirs;
      if (!nlohmann::json::sax_parse(text, &theirs)) continue;  // the outline sweeps see to these
      const Decoded* value = pick(&theirs.root, path);
      if (value == nullptr || value->kind != 's') {
        ASSERT_EQ(ours.substr(0, 2), "! ") << text;
        ++both_refuse;
      } else if (ours.starts_with("! ")) {
        // Texts of filters are compared as sent, and an element with two readings stops them.
        const bool filters = std::any_of(path.begin(), path.end(), [](const JsonStep& step) {
          return std::holds_alternative<JsonItem>(step);
        });
        ASSERT_TRUE(ours.starts_with("! escaped") ||
                    (filters && (ours == "! twice" || ours == "! not found" || ours == "! none")))
            << ours << text;
        ++ours_only;
      } else {
        ASSERT_EQ(ours, value->text) << text;
        ++equal;
      }
    }
  }
  EXPECT_GT(equal, 300u);
  EXPECT_GT(both_refuse, 3000u);
  EXPECT_GT(ours_only, 100u);
}

// Objects of strangers in a list: passed over, never taken for the wanted one.
TEST(SelectJson, FiltersPassOverStrangers) {
  const auto mail = [](const std::string& from, const std::string& code,
                       const std::string& subject = "Verification code") {
    return "{\"from\":{\"address\":\"" + from + "\"},\"subject\":\"" + subject +
           "\",\"intro\":\"code is " + code + "\"}";
  };
  const Path intro = {
      "member",
      item_of({{{"from", "address"}, "no-reply@s.test"}, {{"subject"}, "Verification code"}}),
      "intro"};
  const auto box = [&](const std::string& mails) {
    return json_at("{\"member\":[" + mails + "]}", intro);
  };
  EXPECT_EQ(box(mail("\\\"a b\\\"@evil.test", "999999") + "," + mail("no-reply@s.test", "123456")),
            "code is 123456");
  EXPECT_EQ(box(mail("no-reply\\u0040s.test", "1")), "! none");
  EXPECT_EQ(box(mail("no-reply@s.test", "1", "Your bill")), "! none");
  EXPECT_EQ(box("{\"from\":7}," + mail("no-reply@s.test", "2")), "code is 2");
  EXPECT_EQ(box("{\"from\":{\"address\":\"x\"},\"from\":{\"address\":\"no-reply@s.test\"}}"),
            "! twice");
  EXPECT_EQ(box("{\"fr\\u006fm\":{\"address\":\"no-reply@s.test\"}}"), "! escaped key");
  EXPECT_EQ(box(mail("no-reply@s.test", "1") + "," + mail("no-reply@s.test", "2")), "code is 1");

  http::JsonFilter not_ours{{"id"}, "AKIA1"};
  not_ours.equal = false;
  const auto other = [&](const std::string& keys) {
    return json_at("{\"member\":[" + keys + "]}", {"member", item_of({not_ours}, false), "id"});
  };
  EXPECT_EQ(other("{\"id\":\"AKIA1\"},{\"id\":\"AKIA2\"}"), "AKIA2");
  EXPECT_EQ(other("{\"id\":\"AKIA1\"}"), "! none");
  EXPECT_EQ(other("{\"id\":\"AKIA1\"},{\"id\":\"\\u0041KIA1\"}"), "! escaped text");
  EXPECT_EQ(other("{\"intro\":\"x\"}"), "! not found");
  EXPECT_EQ(other("{\"id\":\"AKIA2\"},{\"id\":\"AKIA3\"}"), "! twice");
}

// --- XML ---

std::string xml_at(const std::string& text, const std::vector<std::string>& path) {
  const mpc::Circuit circuit = xml_outline_circuit(text.size());
  return outcome([&] {
    const Instance instance = run_alone(circuit, text);
    SealedBytes bytes(text);
    return std::string(
        at(text,
           http::select_xml(http::read_xml_outline(
                                text.size(), opened(text, instance.marks(0, "marks", text.size()))),
                            path, bytes)));
  });
}

TEST(SelectXml, DecoysEndInTheNamedFailure) {
  const auto with = [](const std::string& value) { return "<R><S><K>" + value + "</K></S></R>"; };
  const auto k = [](const std::string& text) { return xml_at(text, {"R", "S", "K"}); };
  EXPECT_EQ(k(with("x")), "x");
  EXPECT_EQ(k("<?xml version=\"1.0\"?>\n" + with("x") + "\n"), "x");
  EXPECT_EQ(k(with("a&amp;b")), "a&amp;b");
  EXPECT_EQ(k("<R><S><K a=\"x>y\">z</K><L><K>ATT</K></L></S></R>"), "z");
  EXPECT_EQ(k("<?n >" + with("ATT") + " ?><E><C>x</C></E>"), "! markup");
  EXPECT_EQ(k("<ok/>" + with("ATT")), "! not well formed");
  EXPECT_EQ(k("x" + with("ATT")), "! not well formed");
  EXPECT_EQ(k(with("X") + "x"), "! not well formed");
  EXPECT_EQ(k("<R><S><K>X</K></T></R>"), "! not well formed");
  EXPECT_EQ(k("<R><S><K>X</L></S></R>"), "! not well formed");
  EXPECT_EQ(k("<R><S><K>X</K></S><S/></R>"), "! twice");
  EXPECT_EQ(k("<R><S><K>X</K><K/></S></R>"), "! twice");
  EXPECT_EQ(k(with("a<b>c</b>")), "! other type");
  EXPECT_EQ(k("<R><S><!-- <K>A</K> --><K>X</K></S></R>"), "! markup");
  EXPECT_EQ(k("<Q><S><K>X</K></S></Q>"), "! not found");
  EXPECT_EQ(k("<R><S><Ks>X</Ks></S></R>"), "! not found");
}

// --- recorded answers and cases of issues ---

std::map<std::string, std::string> recorded() {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/sealed-answers.json");
  std::map<std::string, std::string> out;
  for (const auto& row : nlohmann::json::parse(in)) out[row[0]] = row[1];
  return out;
}
std::string body_of(const std::string& answer) {
  return to_text(http::parse_response(as_bytes(answer)).body);
}

TEST(SelectRecorded, FindsWhatTheFlowsAskFor) {
  auto answers = recorded();
  const std::string key = body_of(answers.at("20-iam-CreateAccessKey"));
  const std::vector<std::string> secret = {"CreateAccessKeyResponse", "CreateAccessKeyResult",
                                           "AccessKey", "SecretAccessKey"};
  EXPECT_EQ(xml_at(key, secret), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  const auto replaced = [&](const std::string& what, const std::string& by) {
    std::string out = key;
    return out.replace(out.find(what), what.size(), by);
  };
  EXPECT_EQ(
      xml_at(replaced("<AccessKey>", "<AccessKey><!-- <SecretAccessKey>A</SecretAccessKey> -->"),
             secret),
      "! markup");
  EXPECT_EQ(xml_at(replaced("<Status>", "<SecretAccessKey>A</SecretAccessKey><Status>"), secret),
            "! twice");
  EXPECT_EQ(xml_at(key.substr(0, key.size() - 30), secret), "! not well formed");
  EXPECT_EQ(xml_at(body_of(answers.at("01e-iam-error-EntityAlreadyExists")),
                   {"ErrorResponse", "Error", "Code"}),
            "EntityAlreadyExists");
  EXPECT_EQ(xml_at(body_of(answers.at("06e-ec2-error-AuthFailure")),
                   {"Response", "Errors", "Error", "Code"}),
            "AuthFailure");
  const Path id = {"hydra:member", item_of({{{"from", "address"}, "no-reply@cloud.test"}}), "id"};
  std::string mails = body_of(answers.at("53-mailtm-messages"));
  const std::string right = json_at(mails, id);
  EXPECT_EQ(right.size(), 24u);
  mails.insert(mails.find("[{") + 1,
               "{\"id\":\"ffffffffffffffffffffffff\",\"from\":{\"address\":\"x@evil.test\"},"
               "\"subject\":\"Verification code\",\"intro\":\"code is 999999\"},");
  EXPECT_EQ(json_at(mails, id), right);
  const std::string mail = body_of(answers.at("mail/otp-escaped-text"));
  const JsonNode tree = http::read_json(mail);
  http::ClearBytes bytes(mail);
  Span text = http::select_json(tree, {"text"}, bytes).text;
  const std::string with_quote = mail.substr(text.begin, text.size() + 1);
  const auto code =
      support::find_code(with_quote, "code: \\\"", http::char_set(http::CharClass::kDigits));
  ASSERT_TRUE(code);
  EXPECT_EQ(at(with_quote, *code), "042917");
}

TEST(SelectRecorded, CookiesOfIssues) {
  auto answers = recorded();
  const auto kept = [&](const std::string& name, const std::string& cookie) {
    const std::string& text = answers.at("cookie/" + name);
    const std::string value = cookie_of(text, query_of(cookie));
    const auto fits = [](char c) { return http::char_set(http::CharClass::kCookie).contains(c); };
    return std::all_of(value.begin(), value.end(), fits) ? value : "! outside class";
  };
  EXPECT_EQ(kept("expires-comma", "id"), "a3fWa");
  EXPECT_EQ(kept("delete-then-set", "id"), "N3wV4lue");
  EXPECT_EQ(kept("suffix-prefix-decoys", "sid"), "Right1");
  EXPECT_EQ(kept("case-and-blanks", "sid"), "abc123");
  EXPECT_EQ(kept("base64-value", "sid"), "QUJD+/8==");
  EXPECT_EQ(kept("decoy-in-body-and-location", "sid"), "S3cret99");
  EXPECT_EQ(kept("json-value", "sid"), "! outside class");
  EXPECT_EQ(kept("quoted", "sid"), "! outside class");
  EXPECT_EQ(kept("half-quoted", "sid"), "! outside class");
}

}  // namespace
}  // namespace flexroom::circuits
