#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <mutex>

#include "cloud/certificates.h"
#include "cloud/server.h"
#include "support/room_rig.h"
#include "support/sweeps.h"

// Steps of a flow that share a connection (tls-in-mpc.md §4.9, operations.md (c)): against a
// service that counts its connections, and ends them when the test says so.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kThreeSteps = R"(
[flow]
name = "three-steps"
provider = "own"
prefix = "three"
hosts = ["one.own.example"]

[[step]]
name = "First"
request = """
GET /first HTTP/1.1
Host: one.own.example
"""
header_max = 512
body_max = 256
on.unknown = "again"

[step.keep."run/token"]
at = "json /token"
class = "urlsafe"
length = [8, 64]
entropy = 128
purposes = ["https://one.own.example header authorization: Bearer {{}}"]

[[step]]
name = "Second"
request = """
POST /second HTTP/1.1
Host: one.own.example
Authorization: Bearer {{run/token}}

"""
header_max = 512
status = [204]
on.unknown = "again"

[[step]]
name = "Third"
request = """
GET /third HTTP/1.1
Host: one.own.example
Authorization: Bearer {{run/token}}
"""
header_max = 512
body_max = 256
open."said" = { at = "json /said", class = "urlsafe", max = 16 }
on.unknown = "again"
)";

/// Between the first and the second one.
std::string with_an_open_step() {
  const std::string second = "[[step]]\nname = \"Second\"";
  std::string out = kThreeSteps;
  out.insert(out.find(second), R"([[step]]
name = "Between"
sealed = false
request = """
GET /between HTTP/1.1
Host: one.own.example
"""
open."word" = { at = "json /said", class = "urlsafe", max = 16 }
on.unknown = "again"

)");
  return out;
}

/// What the service saw of one request.
struct Seen {
  unsigned connection = 0;
  std::string path, token, connection_header;
};

class FlowConnectionsTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    rig_ = std::make_unique<RoomRig>(GetParam());
    certificates_ = std::make_unique<cloud::Certificates>(rig_->root(), "ec");
    tls_ = certificates_->server_context("X25519", [](const std::string&) { return true; });
    serve(std::chrono::seconds(60));
    for (const Ended& e : rig_->init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
    write_flow(kThreeSteps);
  }
  void write_flow(const std::string& text) {
    for (PartyId i = 0; i < rig_->size(); ++i) rig_->write(i, "flow.toml", text);
  }
  void TearDown() override { server_->stop(); }

  /// A service of its own from now on, which ends what is silent for so long.
  void serve(std::chrono::seconds idle) {
    if (server_) server_->stop();
    cloud::ServerOptions options;
    options.tls = tls_.get();
    options.idle_timeout = idle;
    server_ = std::make_unique<cloud::Server>(
        options, [this](const cloud::Request& request, int) { return answer(request); });
    rig_->write_room("[provider.own]\nhosts = [\"*.own.example\"]\nca_file = \"" +
                     certificates_->ca_file().string() + "\"\nconnect_to = [\"*:443=127.0.0.1:" +
                     std::to_string(server_->listen("127.0.0.1", 0)) + "\"]\n");
  }
  /// One thread a connection.
  cloud::Response answer(const cloud::Request& request) {
    thread_local unsigned connection = 0;
    if (connection == 0) connection = ++connections_;
    const std::lock_guard lock(mutex_);
    seen_.push_back({connection, request.path, request.header("authorization").value_or(""),
                     request.header("connection").value_or("")});
    cloud::Response out;
    out.close = closes_;
    if (request.path == "/between" && throttles_.exchange(false)) {
      out.status = 429;
      return out;
    }
    if (request.path == "/second") {
      out.status = 204;
      return out;
    }
    out.headers.emplace_back("Content-Type", "application/json");
    out.body = request.path == "/first" ? R"({"token":"a-token-of-the-service"})"
                                        : R"({"said":"welcome"})";
    return out;
  }
  using Prepare = std::function<void(PartyId, cli::Common&)>;
  std::vector<Ended> flow(const Prepare& prepare = nullptr) {
    {
      const std::lock_guard lock(mutex_);
      seen_.clear();
    }
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      // Each look at the clock is some seconds later: nobody waits minutes in a test.
      common.clock = [ahead = int64_t{0}]() mutable { return std::time(nullptr) + (ahead += 3); };
      if (prepare) prepare(i, common);
      return cli::run_flow(out, common, rig_->dir(i) / "flow.toml", {}, "", "");
    });
  }
  void expect_done(const std::vector<Ended>& ended, bool without_waiting = true) {
    for (const Ended& e : ended) {
      ASSERT_EQ(e.code, cli::kOk) << e.out;
      // Else something was sent to a service that had ended the connection.
      if (without_waiting) {
        EXPECT_THAT(e.out, Not(HasSubstr(" waits up to ")));
      }
      EXPECT_EQ(e.last()["opened"]["said"], "welcome");
    }
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> out;
    for (const Seen& one : seen_) out.push_back(one.path);
    return out;
  }
  /// Of each request, counted from the first of this run.
  std::vector<unsigned> connections() const {
    std::vector<unsigned> out;
    for (const Seen& one : seen_) out.push_back(one.connection - seen_.front().connection);
    return out;
  }

  std::unique_ptr<RoomRig> rig_;
  std::unique_ptr<cloud::Certificates> certificates_;
  cloud::Handle<SSL_CTX> tls_;
  std::unique_ptr<cloud::Server> server_;
  std::atomic<unsigned> connections_{0};
  std::atomic<bool> closes_{false}, throttles_{false};
  std::mutex mutex_;
  std::vector<Seen> seen_;
};
INSTANTIATE_TEST_SUITE_P(Members, FlowConnectionsTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowConnectionsTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(FlowConnectionsTest, StepsShareOneUnlessTheServiceEndsIt) {
  const std::vector<Ended> ended = flow();
  expect_done(ended);
  EXPECT_THAT(paths(), ElementsAre("/first", "/second", "/third"));
  EXPECT_THAT(connections(), ElementsAre(0, 0, 0));
  EXPECT_EQ(seen_[1].token, "Bearer a-token-of-the-service");
  EXPECT_EQ(seen_[0].connection_header, "");
  EXPECT_EQ(seen_[1].connection_header, "");
  EXPECT_EQ(seen_[2].connection_header, "close");
  for (const Ended& e : ended) {  // what was approved says so
    EXPECT_THAT(e.out, HasSubstr("shares   the connection of First"));
    EXPECT_THAT(e.out, HasSubstr("shares   the connection of Second"));
    EXPECT_THAT(e.out, Not(HasSubstr("the connection of Third")));
  }

  // The answers say that it ends: nothing waits, and nothing is made twice. Behind the second end
  // the service is asked to close it.
  closes_ = true;
  expect_done(flow());
  EXPECT_THAT(paths(), ElementsAre("/first", "/second", "/third"));
  EXPECT_THAT(connections(), ElementsAre(0, 1, 2));
  EXPECT_EQ(seen_[1].connection_header, "");
  closes_ = false;

  // It ends behind the answer, while the members store what they kept of it.
  serve(std::chrono::seconds(1));
  expect_done(flow([](PartyId, cli::Common& common) {
    common.fault = [left = 3](std::string_view reached) mutable {  // begin, First, Second
      if (reached == "flow/committed" && left-- > 0) {
        std::this_thread::sleep_for(std::chrono::seconds(2));
      }
    };
  }));
  EXPECT_THAT(paths(), ElementsAre("/first", "/second", "/third"));
  EXPECT_THAT(connections(), ElementsAre(0, 1, 2));
}

// Behind the first look the members prepare the request: what ends meanwhile is seen by the last
// one, and the request is made on a new connection, with nothing released before.
TEST_P(FlowConnectionsTest, AConnectionThatEndsWhileTheNextRequestIsPrepared) {
  serve(std::chrono::seconds(2));
  expect_done(flow([](PartyId i, cli::Common& common) {
    if (i != 1) return;  // the courier
    common.connected = [](net::Party& party) {
      party.set_tamper([looks = 0](const net::MessageId& id, Bytes&) mutable {
        if (id.label != "tls/idle" || id.receiver != 0 || ++looks > 1) return;
        std::this_thread::sleep_for(std::chrono::seconds(4));  // it has looked: nothing was there
      });
    };
  }));
  EXPECT_THAT(paths(), ElementsAre("/first", "/second", "/third"));
  EXPECT_NE(connections()[1], 0u);
}

// An open step to the host, on its own connection, leaves that of the others alone; a pause does
// not: what follows has a new one.
TEST_P(FlowConnectionsTest, AnOpenStepBetweenAndAPause) {
  write_flow(with_an_open_step());
  expect_done(flow());
  EXPECT_THAT(paths(), ElementsAre("/first", "/between", "/second", "/third"));
  EXPECT_THAT(connections(), ElementsAre(0, 1, 0, 0));

  throttles_ = true;
  const std::vector<Ended> ended = flow();
  expect_done(ended, false);
  for (const Ended& e : ended) EXPECT_THAT(e.out, HasSubstr("Between waits up to "));
  EXPECT_THAT(paths(), ElementsAre("/first", "/between", "/between", "/second", "/third"));
  EXPECT_THAT(connections(), ElementsAre(0, 1, 2, 3, 3));
}

// A crash on the way is what it is on connections of their own: a released request without a
// committed answer is its rule's `unknown`, and the next session has a connection of its own.
TEST_P(FlowConnectionsTest, AKilledMemberAndALiar) {
  const std::vector<Ended> first = flow([](PartyId i, cli::Common& common) {
    if (i != 1) return;
    common.fault = [left = 2](std::string_view reached) mutable {
      if (reached == "flow/answered" && --left == 0) kill(getpid(), SIGKILL);
    };
  });
  EXPECT_TRUE(first[1].killed);
  EXPECT_EQ(first[0].code, cli::kUnknown) << first[0].out;
  EXPECT_THAT(first[0].error(), HasSubstr("The request of Second had been released"));
  EXPECT_THAT(paths(), ElementsAre("/first", "/second"));
  EXPECT_THAT(connections(), ElementsAre(0, 0));
  const std::vector<Ended> again = flow();
  expect_done(again, false);
  for (const Ended& e : again) EXPECT_THAT(e.out, HasSubstr("Second waits up to "));
  EXPECT_THAT(paths(), ElementsAre("/second", "/third"));
  EXPECT_THAT(connections(), ElementsAre(0, 0));

  // A member that says it stands elsewhere: nothing is laid out, marked or released for the step.
  const PartyId liar = static_cast<PartyId>(rig_->size() - 1);
  const std::vector<Ended> lied = flow([liar](PartyId i, cli::Common& common) {
    if (i != liar) return;
    common.connected = [](net::Party& party) {
      party.set_tamper([](const net::MessageId& id, Bytes& bytes) {
        if (id.label == "flow/connection" && id.receiver == 0) bytes[0] ^= 1;
      });
    };
  });
  EXPECT_EQ(lied[0].code, cli::kRefused) << lied[0].out;
  EXPECT_THAT(lied[0].error(), HasSubstr("holds another connection, or none, for Second"));
  EXPECT_THAT(paths(), ElementsAre("/first"));
  expect_done(flow());
  EXPECT_THAT(paths(), ElementsAre("/second", "/third"));
}

}  // namespace
}  // namespace flexroom
