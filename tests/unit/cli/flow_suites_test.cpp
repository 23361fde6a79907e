#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <openssl/ssl.h>

#include "cloud/certificates.h"
#include "cloud/server.h"
#include "room/doctor_service.h"
#include "room/flow_cost.h"
#include "support/sandbox_flows.h"

// Hosts of one provider under different suites in one flow (tls-complete.md 1.1), and what `plan`
// says that their steps take against what a run garbles.

namespace flexroom {
namespace {

using support::RoomRig;
using ::testing::HasSubstr;

const std::string kTwoHosts = R"(
[flow]
name = "two-hosts"
provider = "sandbox"
prefix = "two"
hosts = ["signup.flexroom.example", "console.flexroom.example", "signin.flexroom.example"]

[[step]]
name = "Start"
request = """
GET /start HTTP/1.1
Host: signup.flexroom.example
"""
header_max = 768
keep."run/session" = { at = "cookie session", class = "cookie", length = [16, 128], entropy = 128 }

[[step]]
name = "Console"
request = """
GET /console HTTP/1.1
Host: console.flexroom.example
"""
status = [302]

[[step]]
name = "PageKey"
sealed = false
request = """
GET /key HTTP/1.1
Host: signin.flexroom.example
"""
open."exponent" = { at = "json /e", class = "base64url", max = 4 }
)";

class FlowSuitesTest : public ::testing::Test, protected support::SandboxFlows {};

TEST_F(FlowSuitesTest, EachHostIsOfferedItsOwnAndTakesWhatThePlanSays) {
  set_up(2);
  write_all("flow.toml", kTwoHosts);
  write_all("room.toml", RoomRig::read(rig_->dir(0) / "room.toml") +
                             "[provider.sandbox.host.\"signup.flexroom.example\"]\n"
                             "suite = \"chacha20\"\n"
                             "[provider.sandbox.host.\"console.flexroom.example\"]\n"
                             "suite = \"aes256\"\n");
  const std::vector<Ended> ended = run_own("flow.toml", {});
  all_ok(ended);

  const RoomConfig room = RoomConfig::load(rig_->dir(0) / "room.toml");
  flow::RoomView view;
  view.providers = room.providers;
  const flow::Flow flow = flow::load_flow(rig_->dir(0) / "flow.toml", view);
  const auto planned = [&](const std::string& step) {
    return room::step_costs(room, flow, *flow.step(step), {}).front();
  };
  for (const Ended& e : ended) {
    EXPECT_EQ(e.last()["opened"]["exponent"], "AQAB");
    EXPECT_THAT(e.out, HasSubstr("suite    signup.flexroom.example: chacha20 is offered"));
    EXPECT_THAT(e.out, HasSubstr("suite    console.flexroom.example: aes256 is offered"));
    EXPECT_THAT(e.out, HasSubstr("suite    signin.flexroom.example: aes128 is offered"));
    std::map<std::string, uint64_t> garbled;
    const nlohmann::json timeline = e.events("timeline").back();
    for (const auto& phase : timeline["phases"]) {
      garbled[phase["phase"]] = phase["ands"].get<uint64_t>();
    }
    // The tag's circuit, 643 gates, is garbled with its masks; constant counters fold a little.
    const flow::StepCost start = planned("Start");
    EXPECT_EQ(start.suite, "chacha20");
    EXPECT_LE(garbled["Start: ok"], start.total());
    EXPECT_GE(garbled["Start: ok"] + 643 + 20, start.total());
    for (const auto& [step, suite] :
         std::map<std::string, std::string>{{"Console", "aes256"}, {"PageKey", "aes128"}}) {
      EXPECT_EQ(planned(step).suite, suite);
      EXPECT_EQ(garbled[step + ": ok"], planned(step).total()) << step;
    }
  }
}

// IAM and STS, signed, their XML read sealed: a key that nobody sees, and whose it is.
const std::string kKeyAndOwner = R"(
[flow]
name = "key-and-owner"
provider = "sandbox"
prefix = "owner"
hosts = ["iam.amazonaws.com", "sts.us-east-1.amazonaws.com"]
key = "issuer"

[[step]]
name = "CreateAccessKey"
leaves = "an access key"
sign = "iam us-east-1"
request = """
POST / HTTP/1.1
Host: iam.amazonaws.com
Content-Type: application/x-www-form-urlencoded

Action=CreateAccessKey&Version=2010-05-08
"""
type = "text/xml"
open."keys/id" = { at = "xml /CreateAccessKeyResponse/CreateAccessKeyResult/AccessKey/AccessKeyId", class = "urlsafe", max = 32 }
on.unknown = "stop"

[step.keep."keys/secret"]
at = "xml /CreateAccessKeyResponse/CreateAccessKeyResult/AccessKey/SecretAccessKey"
class = "base64"
length = 40
entropy = 240
purposes = ["sigv4 sts,ec2,iam us-east-1"]

[[step]]
name = "WhoAmI"
sign = "sts us-east-1"
request = """
POST / HTTP/1.1
Host: sts.us-east-1.amazonaws.com
Content-Type: application/x-www-form-urlencoded

Action=GetCallerIdentity&Version=2011-06-15
"""
type = "text/xml"
open."account-id" = { at = "xml /GetCallerIdentityResponse/GetCallerIdentityResult/Account", class = "digits", max = 12 }
on.unknown = "again"
)";

TEST_F(FlowSuitesTest, SignedStepsAndTheirSealedAnswersUnderAes256) {
  set_up(2);
  import_key({"sigv4 iam us-east-1", "sigv4 sts us-east-1"});
  write_all("flow.toml", kKeyAndOwner);
  write_all("room.toml", RoomRig::read(rig_->dir(0) / "room.toml") +
                             "[provider.sandbox.host.\"amazonaws.com\"]\n"
                             "suite = \"aes256\"\n");
  const std::vector<Ended> ended = run_own("flow.toml", {joint_key()});
  all_ok(ended);
  for (const Ended& e : ended) {
    EXPECT_THAT(e.out, HasSubstr("suite    iam.amazonaws.com: aes256 is offered"));
    EXPECT_EQ(e.last()["opened"]["account-id"].get<std::string>().size(), 12u) << e.out;
  }
}

/// A service of the test's own, under [provider.own], that says hello to whoever its TLS lets in.
class HostSuites : public ::testing::Test {
 protected:
  /// `alter`: its TLS.
  void serve(const std::function<void(SSL_CTX*)>& alter) {
    certificates_ = std::make_unique<cloud::Certificates>(rig_.root(), "ec");
    tls_ = certificates_->server_context("X25519", [](const std::string&) { return true; });
    alter(tls_.get());
    cloud::ServerOptions options;
    options.tls = tls_.get();
    server_ = std::make_unique<cloud::Server>(options, [](const cloud::Request&, int) {
      cloud::Response out;
      out.body = "hello";
      return out;
    });
    port_ = std::to_string(server_->listen("127.0.0.1", 0));
    entry_is("");
    for (const auto& e : rig_.init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  ~HostSuites() override {
    if (server_ != nullptr) server_->stop();
  }
  /// `of_host`: a line of the host's own entry.
  void entry_is(const std::string& of_host) {
    rig_.write_room(
        "[provider.own]\nhosts = [\"*.own.example\"]\nca_file = \"" +
        certificates_->ca_file().string() + "\"\nconnect_to = [\"*:443=127.0.0.1:" + port_ +
        "\"]\n" +
        (of_host.empty() ? "" : "[provider.own.host.\"a.own.example\"]\n" + of_host + "\n"));
  }
  std::vector<RoomRig::Ended> get() {
    return rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::get_url(out, common, "https://a.own.example/", "");
    });
  }
  Check examined() {
    const RoomConfig room = RoomConfig::load(rig_.dir(1) / "room.toml");
    return room::examine_service(room, 1, room.provider("own"), {"a.own.example", 443});
  }
  void expect_hello() {
    for (const auto& e : get()) {
      EXPECT_EQ(e.code, cli::kOk) << e.out;
      EXPECT_EQ(e.last()["body"], "hello");
    }
    EXPECT_EQ(examined().state, Check::State::kOk) << examined().detail;
  }

  RoomRig rig_{2};

 private:
  std::unique_ptr<cloud::Certificates> certificates_;
  cloud::Handle<SSL_CTX> tls_;
  std::unique_ptr<cloud::Server> server_;
  std::string port_;
};

// The look before a call and the doctor's, and the call itself.
TEST_F(HostSuites, AServiceThatTakesOneSuiteAloneIsOfferedIt) {
  serve([](SSL_CTX* tls) {
    ASSERT_EQ(SSL_CTX_set_ciphersuites(tls, "TLS_CHACHA20_POLY1305_SHA256"), 1);
  });
  for (const auto& e : get()) EXPECT_NE(e.code, cli::kOk) << e.out;
  EXPECT_EQ(examined().state, Check::State::kProblem);
  EXPECT_THAT(examined().remedy,
              HasSubstr("set `suite` (now aes128) or `groups` (now x25519mlkem768"));
  EXPECT_THAT(examined().remedy, HasSubstr("of [provider.own.host.\"a.own"));
  entry_is("suite = \"chacha20\"");
  expect_hello();
}

// tls-complete.md §4.2: a service whose request is refused is known before anything is prepared.
TEST_F(HostSuites, AServiceThatAsksForACertificateIsKnownBeforeThePreparation) {
  serve([](SSL_CTX* tls) {
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  });
  for (const auto& e : get()) {
    EXPECT_NE(e.code, cli::kOk) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("look at the service"));
    EXPECT_THAT(e.out, HasSubstr("asks for a client certificate"));
    EXPECT_THAT(e.out, HasSubstr("client_auth"));
  }
  EXPECT_EQ(examined().state, Check::State::kProblem);
  EXPECT_THAT(examined().detail, HasSubstr("asks for a client certificate"));
  EXPECT_THAT(examined().remedy, HasSubstr("client_auth"));
  entry_is("client_auth = \"none\"");
  expect_hello();
}

}  // namespace
}  // namespace flexroom
