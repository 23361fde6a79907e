#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "support/test_service.h"

// The shim of tests/bogo as BoringSSL's runner drives it, by the scripted servers of the project:
// what it must do is known here where no runner is at hand (tls-complete.md §10.1).

namespace flexroom {
namespace {

using support::TestService;
using ::testing::HasSubstr;
using tls::testing::hello_retry;

const std::string kFolder = FLEXROOM_SOURCE_DIR "/tests/bogo/";

struct Ran {
  int status = -1;
  std::string error;
  TestService::Seen seen;
  uint64_t shim_id = 0;
};

std::string command_of(const std::string& flags) {
  return std::string(FLEXROOM_BOGO_SHIM) + " " + flags;
}

int exit_of(const std::string& command, std::string* output = nullptr) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  FLEXROOM_ASSERT(pipe != nullptr);
  std::string text;
  char buffer[4096];
  while (const size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, got);
  if (output != nullptr) *output = text;
  const int status = ::pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// One socket that listens, as the runner's.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    FLEXROOM_ASSERT(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                    ::listen(socket_, 1) == 0 &&
                    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(socket_); }
  uint16_t port() const { return port_; }
  /// Serves one shim by a scripted server until both are through.
  void serve(TestService::Script script, Ran& ran) const {
    const int peer = ::accept(socket_, nullptr, nullptr);
    uint8_t id[8];
    FLEXROOM_ASSERT(peer >= 0 && ::recv(peer, id, sizeof id, MSG_WAITALL) == 8);
    for (int k = 7; k >= 0; --k) ran.shim_id = ran.shim_id << 8 | id[k];
    TestService service(std::move(script), ran.seen);
    uint8_t buffer[1 << 16];
    while (true) {
      const ssize_t got = ::recv(peer, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      service.write(ByteView(buffer, static_cast<size_t>(got)));
      while (true) {
        const Bytes piece = service.read_some(sizeof buffer);
        if (piece.empty()) break;
        if (::send(peer, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
      }
    }
    ::close(peer);
  }

 private:
  int socket_;
  uint16_t port_ = 0;
};

Ran run(const TestService::Script& script, const std::string& flags = "") {
  Ran ran;
  const Listener listener;
  std::thread server([&] { listener.serve(script, ran); });
  ran.status = exit_of(command_of("-port " + std::to_string(listener.port()) + " -shim-id 258 " +
                                  "-host-name api.example " + flags),
                       &ran.error);
  server.join();
  return ran;
}

nlohmann::json config() {
  std::ifstream in(kFolder + "config.json");
  return nlohmann::json::parse(in);
}

/// Whether the output is what `name` of the runner's expectations is mapped to.
bool is_error(const Ran& ran, const std::string& name) {
  const nlohmann::json texts = config()["ErrorMap"].at(name);
  for (const auto& text : texts) {
    if (ran.error.find(text.get<std::string>()) != std::string::npos) return true;
  }
  return false;
}

TEST(BogoShim, EchoesWhatTheServerSends) {
  const Ran hybrid = run({}, "-shim-writes-first -curves 4588 -curves 29 -expect-curve-id 4588");
  EXPECT_EQ(hybrid.status, 0) << hybrid.error;
  for (const NamedGroup group : all_curves()) {
    TestService::Script script;
    script.retry = group == NamedGroup::kP256 ? std::vector{hello_retry(0x0017)}
                                              : std::vector<tls::testing::ServerHelloFields>{};
    const Ran ran = run(
        script, "-shim-writes-first -curves 29 -curves 23 " +
                    std::string(group == NamedGroup::kP256 ? "-expect-hrr -expect-curve-id 23"
                                                           : "-expect-no-hrr -expect-curve-id 29"));
    EXPECT_EQ(ran.status, 0) << ran.error;
    EXPECT_EQ(ran.shim_id, 258u);
    EXPECT_TRUE(ran.seen.finished);
    ASSERT_EQ(ran.seen.requests.size(), 3u);  // the last is close_notify
    EXPECT_EQ(ran.seen.requests[0], "hello\x17");
    std::string echo = script.answer;
    for (char& c : echo) c = static_cast<char>(c ^ 0xff);
    EXPECT_EQ(ran.seen.requests[1], echo + "\x17");
    EXPECT_EQ(ran.seen.requests[2], std::string("\x01\x00\x15", 3));
  }
}

TEST(BogoShim, ReturnsACookie) {
  TestService::Script script;
  script.retry = {hello_retry({}, Bytes(100, 7))};
  const Ran ran = run(script, "-shim-writes-first -expect-hrr");
  EXPECT_EQ(ran.status, 0) << ran.error;
  EXPECT_TRUE(ran.seen.retried);
}

// Nothing of BoringSSL's runner makes the members' flight: the shim's is made as theirs.
TEST(BogoShim, AnswersARequestForACertificateWithNone) {
  TestService::Script script;
  script.server.asks_for_certificate = true;
  const Ran ran = run(script, "-shim-writes-first -expect-peer-signature-algorithm 1027");
  EXPECT_EQ(ran.status, 0) << ran.error;
  EXPECT_TRUE(ran.seen.finished);
  ASSERT_FALSE(ran.seen.requests.empty());
  EXPECT_EQ(ran.seen.requests[0], "hello\x17");
}

TEST(BogoShim, OffersTheSuiteItIsTold) {
  for (const tls::CipherSuite& suite : tls::cipher_suites()) {
    TestService::Script script;
    script.server.suite = &suite;
    script.server.hello.suite = suite.code;
    const Ran ran = run(script, "-shim-writes-first -suite " + std::string(suite.setting));
    EXPECT_EQ(ran.status, 0) << suite.setting << ": " << ran.error;
    EXPECT_TRUE(ran.seen.finished);
  }
}

// Expectations that do not hold, and what the shim does not do.
TEST(BogoShim, SaysWhatItDoesNotDo) {
  EXPECT_EQ(run({}, "-shim-writes-first -expect-hrr").status, 1);
  EXPECT_EQ(run({}, "-shim-writes-first -expect-curve-id 23").status, 1);
  EXPECT_EQ(run({}, "-shim-writes-first -expect-peer-signature-algorithm 2052").status, 1);
  EXPECT_EQ(run({}, "-shim-writes-first -verify-fail").status, 1);
  std::string text;
  EXPECT_EQ(exit_of(command_of("-is-handshaker-supported"), &text), 0);
  EXPECT_EQ(text, "No\n");
  for (const char* flags : {"-server", "-curves 24", "-max-version 771", "-resume-count 1",
                            "-verify-prefs 513", "-suite des"}) {
    EXPECT_EQ(exit_of(command_of(flags)), 89) << flags;
  }
}

// Each by a server that does exactly that; the name is the one that the runner waits for.
TEST(BogoShim, NamesWhatIsWrong) {
  const auto expect = [](const std::string& name, auto change) {
    TestService::Script script;
    change(script);
    const Ran ran = run(script, "-shim-writes-first");
    EXPECT_EQ(ran.status, 1) << name;
    EXPECT_TRUE(is_error(ran, name)) << name << ": " << ran.error;
    return ran.seen.alert.empty() ? 0 : ran.seen.alert.back();
  };
  EXPECT_EQ(expect(":DIGEST_CHECK_FAILED:", [](auto& s) { s.server.bad_finished = true; }), 51);
  EXPECT_EQ(
      expect(":BAD_SIGNATURE:", [](auto& s) { s.server.key = tls::testing::make_key("P-256"); }),
      51);
  EXPECT_EQ(expect(":WRONG_CIPHER_RETURNED:", [](auto& s) { s.server.hello.suite = 0x1302; }), 47);
  EXPECT_EQ(expect(":UNEXPECTED_EXTENSION:",
                   [](auto& s) { s.server.hello.more = tls::testing::extension(16, {}); }),
            110);
  EXPECT_EQ(expect(":DUPLICATE_EXTENSION:",
                   [](auto& s) {
                     s.server.hello.more = tls::testing::extension(43, Bytes{3, 4});
                   }),
            47);
  EXPECT_EQ(expect(":WRONG_CURVE:", [](auto& s) { s.retry = {hello_retry(0x11ec)}; }), 47);
  EXPECT_EQ(expect(":EMPTY_HELLO_RETRY_REQUEST:", [](auto& s) { s.retry = {hello_retry({})}; }),
            47);
  EXPECT_EQ(expect(":EXCESS_HANDSHAKE_DATA:",
                   [](auto& s) {
                     s.retry = {hello_retry(0x0017), hello_retry(0x0017)};
                   }),
            10);
  expect(":DECRYPTION_FAILED_OR_BAD_RECORD_MAC:", [](auto& s) { s.flip_in_answer = 9; });
  expect(":TOO_MANY_EMPTY_FRAGMENTS:", [](auto& s) {
    for (int k = 0; k < 33; ++k) s.before.emplace_back(tls::ContentType::kApplicationData, Bytes());
  });
  expect(":TOO_MANY_KEY_UPDATES:", [](auto& s) {
    for (int k = 0; k < 9; ++k) {
      s.before.emplace_back(tls::ContentType::kHandshake, TestService::key_update_message());
    }
  });
}

// A line of the list that is no line would judge nothing.
TEST(BogoShim, TheListNamesTestsOnceAndSaysWhyOneDiffers) {
  std::ifstream in(kFolder + "tests.tsv");
  std::set<std::string> names;
  std::map<std::string, int> classes;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) continue;
    std::vector<std::string> fields;
    std::istringstream of(line);
    for (std::string field; std::getline(of, field, '\t');) fields.push_back(field);
    ASSERT_GE(fields.size(), 2u) << line;
    EXPECT_TRUE(names.insert(fields[0]).second) << line;
    const std::string kind = fields[1].substr(0, fields[1].find(' '));
    ++classes[kind];
    EXPECT_EQ(fields.size(), kind == "differs" ? 4u : 2u) << line;
  }
  EXPECT_EQ(classes.size(), 4u);
  for (const char* kind : {"meaningful", "fail-only", "strict", "differs"}) {
    EXPECT_GT(classes[kind], 10) << kind;
  }
}

// A message that the product does not say any more would let the runner's tests fail for nothing.
TEST(BogoShim, EveryMappedMessageIsOneOfTheClient) {
  std::stringstream sources;
  for (const char* file : {"src/tls/handshake.cpp", "src/tls/messages.cpp", "src/tls/wire.cpp",
                           "src/tls/certificate.cpp", "src/tls/record_layer.cpp",
                           "src/tls/open_response.cpp", "tests/bogo/shim.cpp"}) {
    std::ifstream in(FLEXROOM_SOURCE_DIR "/" + std::string(file));
    ASSERT_TRUE(in) << file;
    sources << in.rdbuf();
  }
  const std::string text = sources.str();
  const auto map = config();
  EXPECT_GT(map["ErrorMap"].size(), 15u);
  for (const auto& [name, messages] : map["ErrorMap"].items()) {
    EXPECT_FALSE(messages.empty()) << name;
    for (const auto& message : messages) {
      EXPECT_THAT(text, HasSubstr(message.get<std::string>())) << name;
    }
  }
  for (const auto& [name, reason] : map["DisabledTests"].items()) {
    EXPECT_NE(reason, "") << name;
  }
}

}  // namespace
}  // namespace flexroom
