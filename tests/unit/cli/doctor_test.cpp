#include "flexroom/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "cloud/certificates.h"
#include "cloud/server.h"
#include "room/doctor_service.h"
#include "support/room_rig.h"

// `doctor` at one member (docs/command-line.md): what it looks at, by name, and that whatever is
// not ok says what to do about it.

namespace flexroom {
namespace {

using support::RoomRig;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using State = Check::State;

constexpr PartyId kOther = 0, kCourier = 1;  // of two members the second is the courier

class DoctorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    authority_ = std::make_unique<cloud::Certificates>(folder("authority"), "ec");
    tls_ = authority_->server_context("X25519", [](const std::string&) { return true; });
    cloud::ServerOptions options;
    options.tls = tls_.get();
    server_ = std::make_unique<cloud::Server>(
        options, [](const cloud::Request&, int) { return cloud::Response(); });
    port_ = server_->listen("127.0.0.1", 0);
    ASSERT_NE(port_, 0);
  }
  std::filesystem::path folder(const std::string& name) const {
    std::filesystem::create_directories(rig_.root() / name);
    return rig_.root() / name;
  }
  /// The entry of a provider of these hosts; where `to` is not empty, port 443 of any host is
  /// there.
  void provider(const std::string& hosts, const std::string& to, const std::string& more = "") {
    rig_.write_room("[provider.p]\nhosts = [" + hosts + "]\nca_file = \"" +
                    authority_->ca_file().string() + "\"\n" +
                    (to.empty() ? "" : "connect_to = [\"*:443=" + to + "\"]\n") + more);
  }
  std::string here() const { return "127.0.0.1:" + std::to_string(port_); }
  static std::string nobody() {
    const auto [fd, port] = support::listen_on_loopback();
    close(fd);
    return "127.0.0.1:" + std::to_string(port);
  }
  /// All checks of that member; each that is not ok has a remedy.
  std::vector<Check> look(PartyId i, const std::string& file = "", const std::string& links = "") {
    ExamineOptions options;
    options.member_file = rig_.dir(i) / "member.toml";
    if (!file.empty()) options.job_or_recipe = rig_.dir(i) / file;
    if (!links.empty()) options.links = rig_.dir(i) / links;
    std::vector<Check> out = examine(options);
    for (const Check& check : out) {
      EXPECT_FALSE(check.name.empty());
      EXPECT_FALSE(check.detail.empty()) << check.name;
      EXPECT_EQ(check.state == State::kOk, check.remedy.empty()) << check.name << check.remedy;
    }
    return out;
  }
  static std::multiset<std::string> names(const std::vector<Check>& checks) {
    std::multiset<std::string> out;
    for (const Check& check : checks) out.insert(check.name);
    return out;
  }
  static Check check(const std::vector<Check>& checks, const std::string& name) {
    for (const Check& one : checks) {
      if (one.name == name) return one;
    }
    ADD_FAILURE() << "no check " << name;
    return {};
  }
  Check service(PartyId i, const std::string& name = "api.example:443") {
    return check(look(i), "service " + name);
  }
  RoomRig rig_{2};
  std::unique_ptr<cloud::Certificates> authority_;
  cloud::Handle<SSL_CTX> tls_;
  std::unique_ptr<cloud::Server> server_;
  uint16_t port_ = 0;
};

TEST_F(DoctorTest, ItLooksAtAllOfThese) {
  provider("\"api.example\", \"*.amazonaws.com\"", here());
  std::multiset<std::string> expected = {"versions",      "processor",     "clock", "memory lock",
                                         "configuration", "identity",      "disk",  "port",
                                         "member m1",     "authority of p"};
  auto with = expected;
  with.insert("service api.example:443");
  EXPECT_EQ(names(look(kOther)), with);
  rig_.write(kOther, "job.toml",
             "[job]\nname=\"j\"\nprovider=\"p\"\nregion=\"us-east-1\"\nimage_id=\"ami-1\"\n"
             "instance_type=\"t\"\naccess_key_id=\"AK\"\nsecret=\"s\"\n[script]\n"
             "url=\"https://h/s.py\"\nsha256=\"" +
                 std::string(64, 'a') + "\"\n");
  rig_.write(kOther, "links.toml", "data_url = \"https://h/d\"\nresult_url = \"https://h/r\"\n");
  with = expected;
  with.insert({"file", "links", "provider", "service ec2.us-east-1.amazonaws.com:443"});
  const auto of_job = look(kOther, "job.toml", "links.toml");
  EXPECT_EQ(names(of_job), with);
  for (const char* name :
       {"file", "links", "provider", "service ec2.us-east-1.amazonaws.com:443"}) {
    EXPECT_EQ(check(of_job, name).state, State::kOk) << check(of_job, name).detail;
  }
  // Files that are none: the remedy is there also where the reader has none of its own.
  rig_.write(kOther, "links.toml", "no links");
  rig_.write(kOther, "none.toml", "[recipe]\n");
  EXPECT_EQ(check(look(kOther, "job.toml", "links.toml"), "links").state, State::kProblem);
  EXPECT_EQ(check(look(kOther, "none.toml"), "file").state, State::kProblem);
  provider("\"api.example\"", here());
  EXPECT_EQ(check(look(kOther, "job.toml"), "provider").state, State::kProblem);
}

TEST_F(DoctorTest, EveryHostThatIsNamedExactlyIsLookedAt) {
  provider("\"api.example\", \"*.below.example\"", here());
  for (const PartyId i : {kOther, kCourier}) {
    EXPECT_EQ(service(i).state, State::kOk) << service(i).detail;
    EXPECT_THAT(service(i).detail, HasSubstr("TLS 1.3"));
  }
  provider("\"api.invalid\"", "");
  EXPECT_EQ(service(kCourier, "api.invalid:443").state, State::kProblem);
}

TEST_F(DoctorTest, TheRemedyFitsWhatFailed) {
  // The name.
  provider("\"api.invalid\"", "");
  Check found = service(kCourier, "api.invalid:443");
  EXPECT_THAT(found.detail, HasSubstr("does not resolve"));
  EXPECT_THAT(found.remedy, AllOf(HasSubstr("`hosts`"), HasSubstr("resolver")));
  provider("\"api.example\"", "no-such-host.invalid:443");
  found = service(kCourier);
  EXPECT_THAT(found.detail, HasSubstr("no-such-host.invalid does not resolve"));
  EXPECT_THAT(found.remedy, AllOf(HasSubstr("connect_to"), Not(HasSubstr("resolver"))));
  // Who is there.
  provider("\"api.example\"", nobody());
  found = service(kCourier);
  EXPECT_THAT(found.detail, HasSubstr("cannot connect"));
  EXPECT_THAT(found.remedy, AllOf(HasSubstr("start what should answer"), HasSubstr("connect_to")));
  // What it speaks.
  provider("\"api.example\"", here(), "groups = [\"p256\"]\n");
  found = service(kCourier);
  EXPECT_EQ(found.state, State::kProblem) << found.detail;
  EXPECT_THAT(found.remedy, HasSubstr("`groups` (now p256)"));
  // Whom this member trusts: each checks that itself, courier or not.
  const cloud::Certificates another(folder("another"), "ec");
  std::filesystem::copy_file(another.ca_file(), authority_->ca_file(),
                             std::filesystem::copy_options::overwrite_existing);
  provider("\"api.example\"", here());
  for (const PartyId i : {kOther, kCourier}) {
    found = service(i);
    EXPECT_EQ(found.state, State::kProblem) << found.detail;
    EXPECT_THAT(found.remedy, HasSubstr("`ca_file` of provider p"));
  }
}

TEST_F(DoctorTest, WhatOnlyTheCourierNeedsIsAWarningElsewhere) {
  provider("\"api.example\"", nobody());
  EXPECT_EQ(service(kCourier).state, State::kProblem);
  const Check found = service(kOther);
  EXPECT_EQ(found.state, State::kWarning);
  EXPECT_THAT(found.remedy, AllOf(HasSubstr("only the courier, m1"), HasSubstr("connect_to")));
}

TEST_F(DoctorTest, WithoutAnIdentityOrRoomThereIsARemedyToo) {
  std::filesystem::remove_all(rig_.dir(kOther) / "identity");
  EXPECT_EQ(check(look(kOther), "identity").state, State::kProblem);
  rig_.write(kOther, "room.toml", "[room]\nname = \"x\"\ncourier = 7\n");
  const auto found = look(kOther);
  EXPECT_EQ(check(found, "configuration").state, State::kProblem);
  EXPECT_EQ(names(found).count("identity"), 0u) << "the rest hangs on it";
}

TEST(DoctorServices, ThePortsOfAHostAreThoseOfItsRules) {
  RoomConfig room;
  Provider provider;
  provider.name = "p";
  provider.hosts = {"b.example", "a.example", "*.below.example", "d.example"};
  provider.connect_to = {{"a.example", 8443, {"x", 1}},        {"a.example", 443, {"x", 2}},
                         {"c.below.example", 0, {"x", 3}},     {"*", 9443, {"x", 4}},
                         {"elsewhere.example", 443, {"x", 5}}, {"d.example", 0, {"x", 6}}};
  room.providers = {provider};
  std::vector<std::string> found;
  for (const Endpoint& one : room::named_services(room, provider)) {
    found.push_back(one.host + ":" + std::to_string(one.port));
  }
  EXPECT_THAT(found, ElementsAre("a.example:443", "a.example:8443", "b.example:443",
                                 "c.below.example:443", "d.example:443"));
  provider.hosts = {"*"};
  provider.connect_to.clear();
  room.providers = {provider};
  EXPECT_THAT(room::named_services(room, provider), IsEmpty());
}

TEST(DoctorServices, EveryFaultOfACertificateHasARemedyOfItsOwn) {
  Provider provider;
  provider.name = "p";
  std::set<std::string> remedies;
  const auto alerts = {tls::Alert::kCertificateExpired, tls::Alert::kUnknownCa,
                       tls::Alert::kBadCertificateStatusResponse, tls::Alert::kCertificateRevoked,
                       tls::Alert::kBadCertificate};
  for (const tls::Alert alert : alerts) {
    remedies.insert(room::certificate_remedy(alert, provider, "api.example"));
  }
  EXPECT_EQ(remedies.size(), alerts.size());
  EXPECT_EQ(remedies.count(""), 0u);
}

}  // namespace
}  // namespace flexroom
