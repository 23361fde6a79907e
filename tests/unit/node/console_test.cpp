#include "node/console.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "node/console_files.h"
#include "node/listener.h"
#include "node/page_tokens.h"

namespace flexroom::node {
namespace {

using namespace std::chrono_literals;

constexpr uint16_t kPort = 7180;
const Caller kAnn = {1000, 1000, 1};

// members.md §9.1: a link is good once, and for a minute.
TEST(PageTokensTest, OpensOnceAndInTime) {
  PageTokens tokens;
  const auto start = PageTokens::Clock::time_point{};
  const std::string link = tokens.make_link(kAnn, start);
  EXPECT_EQ(link.size(), 64u);
  EXPECT_NE(link, tokens.make_link(kAnn, start));
  const auto page = tokens.open(link, start + 59s);
  ASSERT_TRUE(page);
  EXPECT_NE(*page, link);
  EXPECT_FALSE(tokens.open(link, start + 59s));  // once
  const std::string late = tokens.make_link(kAnn, start);
  EXPECT_FALSE(tokens.open(late, start + PageTokens::kLinkLife));
  EXPECT_FALSE(tokens.open("", start));
  EXPECT_FALSE(tokens.open(std::string(64, '0'), start));
}

TEST(PageTokensTest, ArePagesOfWhoAskedForTwelveHours) {
  PageTokens tokens;
  const auto start = PageTokens::Clock::time_point{};
  const std::string link = tokens.make_link(kAnn, start);
  EXPECT_FALSE(tokens.holder(link, start));  // a link is no page
  const std::string page = tokens.open(link, start).value();
  EXPECT_FALSE(tokens.open(page, start));  // nor a page a link
  ASSERT_TRUE(tokens.holder(page, start + 12h - 1s));
  EXPECT_EQ(tokens.holder(page, start)->uid, kAnn.uid);
  EXPECT_FALSE(tokens.holder(page.substr(1), start));
  EXPECT_FALSE(PageTokens().holder(page, start));  // a restart forgets
  EXPECT_FALSE(tokens.holder(page, start + PageTokens::kPageLife));
  const std::string other = tokens.open(tokens.make_link(kAnn)).value();
  EXPECT_TRUE(tokens.holder(other));
  tokens.forget(other);
  EXPECT_FALSE(tokens.holder(other));
}

TEST(PageTokensTest, KeepNoMoreThanTheyMay) {
  PageTokens tokens;
  const std::string first = tokens.make_link(kAnn);
  for (size_t i = 0; i < PageTokens::kMostLinks; ++i) (void)tokens.make_link(kAnn);
  EXPECT_FALSE(tokens.open(first));
  const std::string page = tokens.open(tokens.make_link(kAnn)).value();
  for (size_t i = 0; i < PageTokens::kMostPages; ++i) (void)tokens.open(tokens.make_link(kAnn));
  EXPECT_FALSE(tokens.holder(page));
}

HttpRequest request_of(const std::string& path, std::map<std::string, std::string> headers) {
  HttpRequest out;
  out.method = "GET";
  out.path = path;
  headers.try_emplace("host", "localhost:7180");
  out.headers = std::move(headers);
  return out;
}

int status_of(const HttpRequest& request) {
  try {
    return Console::answer(request, kPort, nullptr).status;
  } catch (const HttpError& error) {
    return error.status();
  }
}

// M46 and members.md §9.2, of the page itself and of what it asks (503: it would be asked now).
TEST(ConsoleTest, AnswersItsOwnPageAlone) {
  for (const auto& [path, good] : {std::pair("/", 200), {"/approve", 200}, {"/v1/status", 503}}) {
    const auto with = [&, at = path](const char* name, const char* value) {
      return status_of(request_of(at, {{name, value}}));
    };
    EXPECT_EQ(status_of(request_of(path, {})), good);
    EXPECT_EQ(with("origin", "http://localhost:7180"), good);
    EXPECT_EQ(with("sec-fetch-site", "same-origin"), good);
    EXPECT_EQ(with("host", "evil.example:7180"), 403);
    EXPECT_EQ(with("host", "localhost"), 403);
    EXPECT_EQ(with("host", "localhost:7181"), 403);
    EXPECT_EQ(with("host", "LOCALHOST:7180"), 403);
    EXPECT_EQ(with("origin", "http://localhost:7181"), 403);
    EXPECT_EQ(with("origin", "null"), 403);
    EXPECT_EQ(with("sec-fetch-site", "cross-site"), 403);
    EXPECT_EQ(with("sec-fetch-site", "same-site"), 403);
  }
  // Typed, or clicked in a terminal: that is the page, never what it asks.
  EXPECT_EQ(status_of(request_of("/", {{"sec-fetch-site", "none"}})), 200);
  EXPECT_EQ(status_of(request_of("/v1/status", {{"sec-fetch-site", "none"}})), 403);
}

TEST(ConsoleTest, SendsAnAddressOnToTheNameThatPasskeysHave) {
  for (const char* host : {"127.0.0.1:7180", "[::1]:7180"}) {
    const HttpAnswer answer = Console::answer(request_of("/", {{"host", host}}), kPort, nullptr);
    EXPECT_EQ(answer.status, 303);
    EXPECT_EQ(answer.location, "http://localhost:7180/");
    EXPECT_EQ(status_of(request_of("/app.js", {{"host", host}})), 403);
    EXPECT_EQ(status_of(request_of("/v1/status", {{"host", host}})), 403);
  }
}

TEST(ConsoleTest, HasItsFilesCompiledIn) {
  std::set<std::string> paths, types;
  for (const ConsoleFile& file : console_files()) {
    paths.insert(std::string(file.path));
    types.insert(std::string(file.type));
    const HttpAnswer answer =
        Console::answer(request_of(std::string(file.path), {}), kPort, nullptr);
    EXPECT_EQ(answer.body, file.body);
    EXPECT_EQ(answer.type, file.type);
    EXPECT_EQ(answer.cache, "no-cache");
    EXPECT_TRUE(answer.policy.starts_with("default-src 'self'; frame-ancestors 'none'"));
    EXPECT_EQ(answer.policy.find("unsafe"), std::string::npos);
    const HttpAnswer kept = Console::answer(
        request_of(std::string(file.path), {{"if-none-match", std::string(file.tag)}}), kPort,
        nullptr);
    EXPECT_EQ(kept.status, 304);
    EXPECT_TRUE(kept.body.empty());
  }
  for (const char* path : {"/", "/approve", "/app.js", "/style.css", "/mark.svg"}) {
    EXPECT_TRUE(paths.contains(path)) << path;
  }
  EXPECT_EQ(types.size(), 4u);
  EXPECT_EQ(status_of(request_of("/index.html", {})), 404);
  EXPECT_EQ(status_of(request_of("/../member.toml", {})), 404);
}

/// Sends these bytes over TCP and reads to the end.
std::string told(uint16_t port, const std::string& bytes) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return "";
  (void)!::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  std::string out(4096, '\0');
  size_t got = 0;
  for (ssize_t n = 1; n > 0 && got < out.size();
       got += static_cast<size_t>(std::max<ssize_t>(n, 0))) {
    n = ::recv(fd.get(), out.data() + got, out.size() - got, 0);
  }
  out.resize(got);
  return out;
}

// Nobody is known by a TCP connection, whoever runs the program at its other end.
TEST(ConsoleTest, KnowsNobodyByTheConnectionAndRefusesWhatIsNoRequest) {
  Fd socket = listen_on("127.0.0.1", 0);
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  ASSERT_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size), 0);
  const uint16_t port = ntohs(bound.sin_port);
  const HttpServer server(std::move(socket), [](const HttpRequest&, const Caller& caller) {
    EXPECT_EQ(caller.uid, static_cast<uid_t>(-1));
    return HttpAnswer::json({{"ok", true}});
  });
  const auto starts = [&](const std::string& bytes, const char* with) {
    const std::string answer = told(port, bytes);
    EXPECT_TRUE(answer.starts_with(with)) << answer.substr(0, 60);
  };
  starts("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ");
  starts("GET / HTTP/1.1\r\nA: " + std::string(20000, 'a') + "\r\n\r\n", "HTTP/1.1 431 ");
  starts("POST / HTTP/1.1\r\nContent-Length: 4194305\r\n\r\n", "HTTP/1.1 413 ");
  starts("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 501 ");
  starts("\x16\x03\x01 https here\r\n\r\n", "HTTP/1.1 505 ");
  starts("GET /\xff HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
}

}  // namespace
}  // namespace flexroom::node
