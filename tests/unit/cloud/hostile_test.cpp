// Clients that hold no key and mean harm: the sandbox refuses them and goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>

#include "cloud/object_store.h"
#include "cloud/server.h"
#include "unit/cloud/client.h"

namespace flexroom::cloud::test {
namespace hostile_test {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kSts = "sts.amazonaws.com";
constexpr const char* kHosts[] = {kEc2, kIam, kSts, "ssm.us-east-1.amazonaws.com",
                                  "s3.us-east-1.amazonaws.com"};

void expect_alive(const Fixture& fixture) {
  const AccountKey key = fixture.sandbox->account("joint");
  EXPECT_THAT(query_call(*fixture.sandbox, key, Service::kSts, kSts, "Action=GetCallerIdentity"),
              StartsWith("HTTP/1.1 200 OK"));
}

int connect_to(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval timeout{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  return fd;
}

std::string read_all(int fd) {
  std::string out;
  char buffer[4096];
  for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
    out.append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);
  return out;
}

std::string plain_exchange(uint16_t port, const std::string& bytes) {
  const int fd = connect_to(port);
  EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
  return read_all(fd);
}

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

TEST(Hostile, BytesThatAreNotUtf8AreRefusedByEveryService) {
  Fixture fixture;
  const char* kServices[] = {"ec2", "iam", "sts", "ssm", "s3"};
  for (size_t i = 0; i < std::size(kHosts); ++i) {
    for (const char* date : {"\xff\xfe", "\xc3(", "\xed\xa0\x80"}) {
      const std::string answer = exchange(
          *fixture.sandbox, kHosts[i],
          std::string("POST / HTTP/1.1\r\nHost: ") + kHosts[i] + "\r\nX-Amz-Date: " + date +
              "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=A\xff/" + date + "/us-east-1/" +
              kServices[i] +
              "/aws4_request, SignedHeaders=host\xff, "
              "Signature=\xfe\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 40")) << kHosts[i];
    }
  }
  expect_alive(fixture);
}

TEST(Hostile, ParametersThatAreNotUtf8AreRefused) {
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  EXPECT_EQ(element(query_call(*fixture.sandbox, key, Service::kIam, kIam,
                               "Action=CreateRole&RoleName=r&Description=%ff&"
                               "AssumeRolePolicyDocument=%7B%7D"),
                    "Code"),
            "MalformedQueryString");
  EXPECT_EQ(element(s3_call(*fixture.sandbox, key, "PUT", "s3.us-east-1.amazonaws.com", "/utf-box"),
                    "Code"),
            "");
  EXPECT_EQ(element(s3_call(*fixture.sandbox, key, "PUT", "s3.us-east-1.amazonaws.com",
                            "/utf-box/%ff", "x"),
                    "Code"),
            "InvalidURI");
  expect_alive(fixture);
}

// The name goes into a certificate: what OpenSSL would read as something else must not get there.
TEST(Hostile, ServerNamesThatAreNoHostNamesEndTheHandshake) {
  Fixture fixture;
  for (const char* name : {"127.83.,x", "127.83.1.1,DNS:sts.amazonaws.com", "127.83.\xff",
                           "127.83.0000000000000000", "a_b.s3.amazonaws.com"}) {
    EXPECT_EQ(exchange(*fixture.sandbox, name, "GET / HTTP/1.1\r\n\r\n"), "TLS failed") << name;
  }
  expect_alive(fixture);
}

TEST(Hostile, NobodyWithoutAKeySendsALargeBody) {
  Fixture fixture;
  const std::string host = "box-1.s3.us-east-1.amazonaws.com";
  const auto put = [&](const std::string& authorization) {
    return exchange(*fixture.sandbox, host,
                    "PUT /x HTTP/1.1\r\nHost: " + host + "\r\n" + authorization +
                        "Connection: close\r\nContent-Length: 2000000\r\n\r\n" +
                        std::string(2000000, 'x'));
  };
  EXPECT_THAT(put(""), StartsWith("HTTP/1.1 413"));
  const std::string claim =
      "/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";
  EXPECT_THAT(put("Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE" + claim),
              StartsWith("HTTP/1.1 413"));
  const std::string id = fixture.sandbox->account("joint").access_key_id;
  EXPECT_THAT(put("Authorization: AWS4-HMAC-SHA256 Credential=" + id + claim),
              StartsWith("HTTP/1.1 403"));
}

TEST(Hostile, TheObjectStoreHasAnEnd) {
  const Fixture fixture;  // for its folder
  ObjectStore store(fixture.dir / "store", {100, 3});
  store.create({"full-box", "1", 0, false, "", {}});
  Bucket& bucket = *store.find("full-box");
  const auto put = [&](const std::string& key, size_t size) {
    ObjectInfo info;
    info.key = key;
    info.size = size;
    try {
      store.put(bucket, info, std::string(size, 'x'));
      return 200;
    } catch (const ApiError& error) {
      return error.status();
    }
  };
  EXPECT_EQ(put("a", 60), 200);
  EXPECT_EQ(put("b", 41), 503);
  EXPECT_EQ(put("a", 100), 200);  // what it replaces does not count
  EXPECT_EQ(put("a", 1), 200);
  EXPECT_EQ(put("b", 1), 200);
  EXPECT_EQ(put("c", 1), 200);
  EXPECT_EQ(put("d", 1), 503);
  store.erase(bucket, "b");
  EXPECT_EQ(put("d", 1), 200);
}

TEST(Hostile, AHandlerThatThrowsAnswers500AndTheServerGoesOn) {
  bool throws = true;
  Server server({}, [&](const Request&, int) -> std::optional<Response> {
    if (throws) throw std::runtime_error("unforeseen");
    return Response{};
  });
  const uint16_t port = server.listen("127.0.0.1", 0);
  const std::string answer =
      plain_exchange(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 Internal Server Error\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos);
  throws = false;
  EXPECT_THAT(plain_exchange(port, kGet), StartsWith("HTTP/1.1 200"));
}

TEST(Hostile, BodiesOfAllConnectionsTogetherAreBounded) {
  ServerOptions options;
  options.max_body_bytes = 100000;
  Server server(options, [](const Request& request, int) {
    Response response;
    response.body.assign(request.query.empty() ? 1 : 200000, 'x');
    return std::optional(response);
  });
  const uint16_t port = server.listen("127.0.0.1", 0);
  const auto post = [](size_t size) {
    return "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
           std::string(size, 'x');
  };
  // Its own limit holds: no request at all would be answered once something leaks from the count.
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(plain_exchange(port, post(60000) + kGet), StartsWith("HTTP/1.1 200"));
  }
  const int holder = connect_to(port);
  const std::string most = post(60000);
  ::send(holder, most.data(), most.size() - 1, MSG_NOSIGNAL);
  // Until the holder's bytes have arrived there, others may still fit.
  std::string answer;
  for (int i = 0; i < 200 && !answer.starts_with("HTTP/1.1 503"); ++i) {
    if (i != 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    answer = plain_exchange(port, post(60000) + kGet);
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  ::close(holder);
  EXPECT_THAT(plain_exchange(port, "GET /?large HTTP/1.1\r\nHost: h\r\n\r\n"),
              StartsWith("HTTP/1.1 503"));
}

TEST(Hostile, ATrickledHandshakeEnds) {
  Fixture fixture;  // for its certificates
  Certificates certificates(fixture.dir, "ec");
  const auto tls = certificates.server_context("X25519", [](const std::string&) { return true; });
  ServerOptions options;
  options.tls = tls.get();
  options.handshake_timeout = std::chrono::seconds(1);
  Server server(options, [](const Request&, int) { return std::optional(Response{}); });
  const int fd = connect_to(server.listen("127.0.0.1", 0));
  // A record that never is complete, one byte at a time, faster than any timeout of a read.
  const std::string header("\x16\x03\x01\x40\x00", 5);
  bool ended = false;
  for (size_t i = 0; i < 300 && !ended; ++i) {
    const char byte = i < header.size() ? header[i] : '\0';
    ended = ::send(fd, &byte, 1, MSG_NOSIGNAL) != 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(ended);
  ::close(fd);
}

TEST(Hostile, ATrickledRequestEnds) {
  ServerOptions options;
  options.request_timeout = std::chrono::seconds(1);
  Server server(options, [](const Request&, int) { return std::optional(Response{}); });
  const int fd = connect_to(server.listen("127.0.0.1", 0));
  const std::string head = "GET /";
  bool ended = false;
  for (size_t i = 0; i < 300 && !ended; ++i) {
    const char byte = i < head.size() ? head[i] : 'a';
    ended = ::send(fd, &byte, 1, MSG_NOSIGNAL) != 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(ended);
  ::close(fd);
}

TEST(Hostile, WithoutDescriptorsTheServerWaitsInsteadOfSpinning) {
  Server server({}, [](const Request&, int) { return std::optional(Response{}); });
  const uint16_t port = server.listen("127.0.0.1", 0);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{static_cast<rlim_t>(fd) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  const auto cpu_ms = [] {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
  };
  const auto start = cpu_ms();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_LT(cpu_ms() - start, 200);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ::send(fd, kGet, std::strlen(kGet), MSG_NOSIGNAL);
  EXPECT_THAT(read_all(fd), StartsWith("HTTP/1.1 200"));
}

}  // namespace hostile_test
}  // namespace flexroom::cloud::test
