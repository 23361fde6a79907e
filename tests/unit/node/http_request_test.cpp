#include "node/http_request.h"

#include <gtest/gtest.h>

namespace flexroom::node {
namespace {

HttpRequest parsed(const std::string& text, size_t piece = SIZE_MAX) {
  HttpRequestParser parser(1000);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view now = rest.substr(0, piece);
    rest.remove_prefix(now.size());
    if (auto request = parser.take(now)) {
      EXPECT_TRUE(rest.empty());
      return *std::move(request);
    }
  }
  throw HttpError(0, "incomplete");
}

int status_of(const std::string& text) {
  try {
    (void)parsed(text);
    return 200;
  } catch (const HttpError& error) {
    return error.status();
  }
}

constexpr const char* kPost =
    "POST /v1/proposals?a=b%20c&d=+ HTTP/1.1\r\nHost: localhost\r\nContent-Type:  "
    "application/json \r\nContent-Length: 2\r\n\r\n{}";

TEST(HttpRequestTest, ReadsARequestInWhateverPieces) {
  for (const size_t piece : {size_t{1}, size_t{7}, SIZE_MAX}) {
    const HttpRequest request = parsed(kPost, piece);
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/v1/proposals");
    EXPECT_EQ(request.query.at("a"), "b c");
    EXPECT_EQ(request.query.at("d"), " ");
    EXPECT_EQ(request.header("content-type"), "application/json");
    EXPECT_EQ(request.body, "{}");
  }
}

TEST(HttpRequestTest, RefusesWhatIsNotExactlyThat) {
  const auto get = [](const std::string& headers) {
    return "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
  };
  EXPECT_EQ(status_of(get("")), 200);
  EXPECT_EQ(status_of(get("Host: localhost\r\n")), 400);          // twice
  EXPECT_EQ(status_of(get("A : b\r\n")), 400);                    // blank before the colon
  EXPECT_EQ(status_of(get("A: b\r\n c\r\n")), 400);               // folded
  EXPECT_EQ(status_of(get("A: b\nC: d\r\n")), 400);               // a bare LF
  EXPECT_EQ(status_of(get("A: \x01\r\n")), 400);                  // a control character
  EXPECT_EQ(status_of(get("Content-Length: 1\r\n") + "x"), 400);  // a GET with a body
  EXPECT_EQ(status_of(get("") + "x"), 400);                       // bytes behind it
  EXPECT_EQ(status_of(get("Content-Length: +0\r\n")), 400);
  EXPECT_EQ(status_of(get("Content-Length: 0x1\r\n")), 400);
  EXPECT_EQ(status_of(get("Transfer-Encoding: chunked\r\n")), 501);
  EXPECT_EQ(status_of("GET /a HTTP/1.0\r\n\r\n"), 505);
  EXPECT_EQ(status_of("PUT /a HTTP/1.1\r\n\r\n"), 405);
  EXPECT_EQ(status_of("GET a HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /%2e%2e HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /a?b=%zz HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /a?b=%4 HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /a?b=1&b=2 HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /a?b HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("\r\n\r\n"), 400);
}

TEST(HttpRequestTest, HoldsNoMoreThanItMay) {
  EXPECT_EQ(status_of("POST /a HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"), 413);
  EXPECT_EQ(status_of("GET /a HTTP/1.1\r\nA: " + std::string(17 << 10, 'a')), 431);
  std::string many = "GET /a HTTP/1.1\r\n";
  for (int i = 0; i < 65; ++i) many += "A" + std::to_string(i) + ": b\r\n";
  EXPECT_EQ(status_of(many + "\r\n"), 431);
}

// M46: what a browser sends in the name of another page, or of another host name.
TEST(HttpRequestTest, TakesNothingOfOtherPages) {
  const auto status = [](const std::string& headers, const std::string& origin) {
    const HttpRequest request =
        parsed("POST /v1/proposals HTTP/1.1\r\n" + headers + "Content-Length: 2\r\n\r\n{}");
    try {
      require_own_page(request, "localhost:7180", origin);
      return 200;
    } catch (const HttpError& error) {
      return error.status();
    }
  };
  const std::string json = "Content-Type: application/json\r\n";
  const std::string own = "http://localhost:7180";
  EXPECT_EQ(status("Host: localhost:7180\r\n" + json, ""), 200);
  EXPECT_EQ(status("Host: localhost:7180\r\nOrigin: " + own + "\r\n" + json, own), 200);
  EXPECT_EQ(status("Host: evil.example:7180\r\n" + json, own), 403);  // DNS rebinding
  EXPECT_EQ(status("Host: 127.0.0.1:7180\r\n" + json, own), 403);
  EXPECT_EQ(status(json, own), 403);
  EXPECT_EQ(status("Host: localhost:7180\r\nOrigin: http://localhost:8000\r\n" + json, own), 403);
  EXPECT_EQ(status("Host: localhost:7180\r\nOrigin: null\r\n" + json, own), 403);
  EXPECT_EQ(status("Host: localhost:7180\r\nOrigin: " + own + "\r\n" + json, ""), 403);
  EXPECT_EQ(status("Host: localhost:7180\r\nSec-Fetch-Site: cross-site\r\n" + json, own), 403);
  EXPECT_EQ(status("Host: localhost:7180\r\nContent-Type: text/plain\r\n", own), 415);  // a form
}

}  // namespace
}  // namespace flexroom::node
