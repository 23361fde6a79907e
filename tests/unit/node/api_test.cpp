#include "node/api.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "node/client.h"
#include "node/http_server.h"
#include "node/operator_voice.h"

namespace flexroom::node {
namespace {

using namespace std::chrono_literals;

// members.md §9.1
TEST(AuthorityTest, IsWhatTheKernelSaysOfTheCaller) {
  const passwd* const nobody = getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  const std::vector<NodeTerms::Person> persons = {{"ann", "nobody", {"see"}}};
  const auto of = [&](uid_t uid) { return authority_of({uid, 0, 0}, persons, 4242); };
  EXPECT_TRUE(of(0).propose);
  EXPECT_TRUE(of(4242).propose);
  EXPECT_EQ(of(nobody->pw_uid).name, "ann");
  EXPECT_TRUE(of(nobody->pw_uid).see);
  EXPECT_FALSE(of(nobody->pw_uid).propose);
  EXPECT_FALSE(of(77777).see);
}

class OperatorVoiceTest : public ::testing::Test {
 protected:
  OperatorVoiceTest() {
    statement_.what = Digest{5};
    statement_.reason = "why not";
    statement_.kind = agreement::StatementKind::kReject;
  }
  OperatorStatement statement_;
  OperatorTickets tickets_;
};

// M48: what makes a voice is the member's key, over exactly what was asked.
TEST_F(OperatorVoiceTest, IsASignatureOfTheMembersKey) {
  const net::Identity member = net::Identity::make("m"), other = net::Identity::make("x");
  const net::Signature signature = statement_.sign(member);
  EXPECT_TRUE(statement_.verify(member.signing_key(), signature));
  EXPECT_FALSE(statement_.verify(member.signing_key(), statement_.sign(other)));
  OperatorStatement changed = statement_;
  changed.kind = agreement::StatementKind::kApprove;
  EXPECT_FALSE(changed.verify(member.signing_key(), signature));
  changed = statement_;
  changed.window.last = 1;
  EXPECT_FALSE(changed.verify(member.signing_key(), signature));
}

// M42, of an operator: once, and not after ten minutes.
TEST_F(OperatorVoiceTest, IsTakenOnceAndInTime) {
  const auto start = OperatorTickets::Clock::time_point{};
  const Bytes first = tickets_.issue(statement_, start).encode();
  const Bytes second = tickets_.issue(statement_, start).encode();
  EXPECT_NE(first, second);
  EXPECT_FALSE(tickets_.take(statement_.encode(), start));  // without a ticket
  EXPECT_TRUE(tickets_.take(first, start));
  EXPECT_FALSE(tickets_.take(first, start));
  EXPECT_FALSE(tickets_.take(second, start + OperatorTickets::kLife));
  EXPECT_FALSE(OperatorTickets().take(second, start));  // a restart forgets
  for (size_t i = 0; i < OperatorTickets::kMostOpen; ++i) (void)tickets_.issue(statement_, start);
  EXPECT_THROW(tickets_.issue(statement_, start), HttpError);
}

TEST_F(OperatorVoiceTest, ReadsWhatItWritesAndNothingElse) {
  const Bytes good = statement_.encode();
  EXPECT_EQ(OperatorStatement::decode(good, "t").encode(), good);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THROW(OperatorStatement::decode(ByteView(good).first(size), "t"), InputError);
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THROW(OperatorStatement::decode(longer, "t"), InputError);
  statement_.kind = agreement::StatementKind::kRule;
  EXPECT_THROW(OperatorStatement::decode(statement_.encode(), "t"), InputError);
}

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    char name[] = "/tmp/flexroom-http-XXXXXX";
    root_ = mkdtemp(name);
    path_ = root_ / "s";
  }
  ~HttpServerTest() override { std::filesystem::remove_all(root_); }
  int connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  std::filesystem::path root_, path_;
};

TEST_F(HttpServerTest, AnswersObjectsErrorsAndEvents) {
  const HttpServer server(
      control_socket(path_), [](const HttpRequest& request, const Caller& caller) -> HttpAnswer {
        EXPECT_EQ(caller.uid, getuid());
        if (request.path == "/error") throw InputError("here", "it is wrong", "mend it");
        if (request.path == "/events") {
          HttpAnswer out;
          out.events = [n = 0]() mutable -> std::optional<std::string> {
            return n++ < 3 ? std::optional("data: {\"n\": " + std::to_string(n) + "}\n\n")
                           : std::nullopt;
          };
          return out;
        }
        return HttpAnswer::json({{"ok", true}, {"body", request.body}});
      });
  struct stat made {};
  ASSERT_EQ(::stat(path_.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0660u);
  const Client client(path_);
  EXPECT_EQ(client.get("/a").at("ok"), true);
  EXPECT_EQ(client.post("/a", {{"x", 1}, {"y", 2}}).at("body"), R"({"x":1,"y":2})");
  try {
    (void)client.get("/error");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("it is wrong"), std::string::npos);
    EXPECT_EQ(error.fields().remedy, "mend it");
    EXPECT_EQ(error.exit(), Exit::kBadInput);
  }
  std::vector<int> heard;
  client.follow("/events", [&](const nlohmann::json& event) {
    heard.push_back(event.at("n").get<int>());
    return true;
  });
  EXPECT_EQ(heard, (std::vector<int>{1, 2, 3}));
  EXPECT_THROW(control_socket(path_), InputError);  // somebody answers there
}

TEST_F(HttpServerTest, IsBoundedAndEndsWhileSomebodySaysNothing) {
  std::vector<Fd> silent;
  const auto start = std::chrono::steady_clock::now();
  {
    const HttpServer server(control_socket(path_),
                            [](const HttpRequest&, const Caller&) { return HttpAnswer{}; });
    for (size_t i = 0; i < HttpServer::kMost; ++i) silent.emplace_back(connect());
    std::this_thread::sleep_for(100ms);
    const Fd one_more(connect());
    char answer[12] = {};
    ASSERT_EQ(::recv(one_more.get(), answer, sizeof answer, MSG_WAITALL), 12);
    EXPECT_EQ(std::string(answer, 12), "HTTP/1.1 503");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  // What is left of a socket is replaced; what is no socket is not.
  { const Fd again = control_socket(path_); }
  std::filesystem::remove(path_);
  std::ofstream(path_) << "mine";
  EXPECT_THROW(control_socket(path_), InputError);
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

// The description has exactly the routes that are there.
TEST(OpenApiTest, DescribesEveryRoute) {
  std::ifstream file(std::string(FLEXROOM_SOURCE_DIR) + "/docs/api/openapi.json");
  const nlohmann::json described = nlohmann::json::parse(file);
  std::set<std::string> there, wanted;
  for (const auto& [method, path] : Api::routes()) there.insert(method + " " + path);
  for (const auto& [path, methods] : described.at("paths").items()) {
    for (const auto& [method, what] : methods.items()) {
      wanted.insert((method == "get" ? "GET " : "POST ") + path);
    }
  }
  EXPECT_EQ(there, wanted);
}

}  // namespace
}  // namespace flexroom::node
