#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <optional>

#include "http/response.h"
#include "select_rig.h"
#include "support/sweeps.h"

// Cookies that are selected on the marks of the circuits, against a reader written from RFC 6265.

namespace flexroom::circuits {
namespace {

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

}  // namespace
}  // namespace flexroom::circuits
