#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

#include "base/codec.h"
#include "call/boot_loader.h"
#include "call/run_script.h"
#include "cloud/certificates.h"
#include "cloud/server.h"
#include "flexroom/session.h"
#include "runs/history.h"
#include "session/member_session.h"
#include "support/room_rig.h"

// What the library says of a run whose machine was started, whatever fails at this member.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using How = RunResult::How;
using ::testing::HasSubstr;

class Silent final : public Decider {
 public:
  Answer approve(const Summary&) override { return Answer::kNo; }
  std::optional<std::string> human_input(const Question&) override { return std::nullopt; }
  void progress(const Progress& progress) override {
    last = progress.phase;
    if (says_what) throw std::runtime_error("no screen");
    throw 7;
  }
  bool says_what = true;
  std::string last;
};

/// One member, a run of its, and a store that answers as each test says.
class RunsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const Ended& e : rig_.init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
    certificates_ = std::make_unique<cloud::Certificates>(rig_.root(), "ec");
    tls_ = certificates_->server_context("X25519", [](const std::string&) { return true; });
    cloud::ServerOptions options;
    options.tls = tls_.get();
    server_ = std::make_unique<cloud::Server>(
        options, [this](const cloud::Request&, int) -> std::optional<cloud::Response> {
          cloud::Response out;
          out.status = status_;
          out.body = body_;
          return out;
        });
    rig_.write_room("[provider.store]\nhosts = [\"store.example\"]\nca_file = \"" +
                    certificates_->ca_file().string() + "\"\nconnect_to = [\"*:443=127.0.0.1:" +
                    std::to_string(server_->listen("127.0.0.1", 0)) + "\"]\n");
    RoomOptions options_of_room;
    options_of_room.member_file = rig_.dir(0) / "member.toml";
    options_of_room.cancel = &cancel_;
    room_ = std::make_unique<Room>(options_of_room);
    session::MemberState state(RoomConfig::load(rig_.dir(0) / "room.toml"),
                               MemberConfig::load(rig_.dir(0) / "member.toml"), nullptr,
                               store::SealedDb::Access::kLook);
    history_ = std::make_unique<runs::RunHistory>(rig_.dir(0) / "state", state.rid());
    run_.id = std::string(64, 'a');
    run_.job = "count";
    run_.proposal = std::string(64, 'b');
    run_.client_token = "token";
    run_.started = std::time(nullptr);
    run_.result_name = "result.csv";
    history_->begin(run_, "https://store.example/r?X-Amz-Signature=secret");
    started_.run = run_.id;
    started_.instance_id = "i-0123456789abcdef0";
    started_.client_token = run_.client_token;
  }
  void TearDown() override { server_->stop(); }
  RunResult follow() { return room_->follow(started_, decider_); }
  void expect_goes_on(const RunResult& got) {
    EXPECT_EQ(got.exit(), Exit::kGoesOn);
    for (const std::string word : {"i-0123456789abcdef0", "flexroom show aaaaaaaaaaaa",
                                   "flexroom result aaaaaaaaaaaa", "flexroom stop aaaaaaaaaaaa"}) {
      EXPECT_THAT(got.text, HasSubstr(word));
    }
    EXPECT_THAT(got.text, ::testing::Not(HasSubstr("secret")));
  }

  RoomRig rig_{2};
  std::unique_ptr<cloud::Certificates> certificates_;
  cloud::Handle<SSL_CTX> tls_;
  std::unique_ptr<cloud::Server> server_;
  std::atomic<int> status_{404};
  std::string body_ = "<Error><Code>NoSuchKey</Code></Error>";
  std::atomic<bool> cancel_{false};
  std::unique_ptr<Room> room_;
  std::unique_ptr<runs::RunHistory> history_;
  runs::Run run_;
  RunStarted started_;
  Silent decider_;
};

TEST_F(RunsTest, TheDeadlineEndsTheWaitAndNotTheRun) {
  const RunResult got = follow();
  EXPECT_EQ(got.how, How::kNotYet);
  EXPECT_THAT(got.text, HasSubstr("no result came before the deadline (last answer of "
                                  "result_get_url: 404 NoSuchKey)"));
  expect_goes_on(got);
  const RunInfo run = room_->run("last");
  EXPECT_EQ(run.state, "no result");
  // An answer of later is taken all the same.
  status_ = 200;
  body_ = "a,b\n";
  const RunResult later = room_->collect_result("last", decider_);
  EXPECT_EQ(later.exit(), Exit::kOk);
  EXPECT_EQ(RoomRig::read(later.file), "a,b\n");
  EXPECT_EQ(room_->run("aaaa").state, "succeeded");
  EXPECT_EQ(room_->collect_result("last", decider_).body, "a,b\n");
}

TEST_F(RunsTest, WhatIsLeftOfEachOwnLinkIsTold) {
  const int64_t now = std::time(nullptr);
  run_.link_ends = {
      {"data_url", now - 1}, {"result_url", now + 6330}, {"result_get_url", now + 7230}};
  history_->update(run_);
  (void)follow();
  EXPECT_THAT(decider_.last,
              HasSubstr("404 NoSuchKey; data_url has ended, result_url ends in 105 min, "
                        "result_get_url ends in 120 min)"));
}

// The machine's first step has no link to report by: whose link it needs for that is said.
TEST_F(RunsTest, WhoseLinkCarriesTheLoaderIsNamedWhereNothingCame) {
  status_ = 200;
  body_ = "FLEXROOM-WAITING\n";
  run_.carrier = "m1";
  history_->update(run_);
  EXPECT_THAT(room_->collect_result("last", decider_).text, ::testing::Not(HasSubstr("loader")));
  const RunResult got = follow();
  EXPECT_EQ(got.how, How::kNotYet);
  EXPECT_THAT(got.text, HasSubstr("did not get the loader behind m1's link"));
  expect_goes_on(got);
  EXPECT_THAT(room_->run("last").detail, HasSubstr("the loader behind m1's link"));
  status_ = 404;  // something is wrong with this member's own link, then
  EXPECT_THAT(follow().text, ::testing::Not(HasSubstr("loader")));
}

// It tries a hundred times; when these are over, whoever waits is told, and not at the deadline.
TEST_F(RunsTest, ALoaderThatCannotBeFetchedAnyMoreEndsTheWait) {
  status_ = 200;
  body_ = "FLEXROOM-WAITING\n";
  run_.carrier = "m1";
  run_.deadline_minutes = 600;
  run_.machine_since = std::time(nullptr) - 600 - kLoaderWindow.count() - 1;
  history_->update(run_);
  const RunResult got = follow();
  EXPECT_EQ(got.how, How::kNotYet);
  EXPECT_THAT(got.text, HasSubstr("no result will come, the machine asks for its loader no more"));
  EXPECT_THAT(got.text, HasSubstr("did not get the loader behind m1's link"));
  EXPECT_THAT(got.text, HasSubstr("could not write to result_url of m0"));
  EXPECT_EQ(room_->run("last").state, "no result");
  EXPECT_THAT(decider_.last, HasSubstr("the machine has said nothing for 115 min: it may not get "
                                       "the loader behind m1's link, waiting for the result"));
  expect_goes_on(got);
}

TEST_F(RunsTest, WhatIsToldOfTheMachineIsWhatIsKnown) {
  status_ = 200;
  body_ = "FLEXROOM-WAITING\n";
  run_.carrier = "m1";
  run_.machine_since = std::time(nullptr);
  history_->update(run_);
  (void)follow();
  EXPECT_THAT(decider_.last, HasSubstr("the machine was started, waiting for the result"));
  body_ = "FLEXROOM-BEGUN\n";
  const RunResult got = follow();
  EXPECT_THAT(decider_.last, HasSubstr("the script runs, waiting for the result"));
  EXPECT_THAT(got.text, ::testing::Not(HasSubstr("loader")));
}

// Links that nobody asks while the machine runs: what they answered before its start, and when.
TEST_F(RunsTest, WhatEachLinkAnsweredBeforeTheStartIsTold) {
  const int64_t now = std::time(nullptr);
  run_.link_ends = {{"result_url", now + 6330}};
  run_.link_answers = {{"result_url", "200"}, {"loader_url", "206 \x1b[2J"}};
  run_.links_tried = now - 190;
  history_->update(run_);
  (void)follow();
  EXPECT_THAT(decider_.last,
              HasSubstr("404 NoSuchKey; data_url is the machine's to ask, result_url answered 200 "
                        "3 min ago and ends in 105 min, loader_url answered 206 ?[2J 3 min ago)"));
}

TEST_F(RunsTest, AProgramThatThrowsAnythingLosesNoResult) {
  decider_.says_what = false;
  expect_goes_on(follow());
  status_ = 200;
  body_ = "a,b\n";
  const RunResult got = follow();
  EXPECT_EQ(got.exit(), Exit::kOk);
  EXPECT_EQ(RoomRig::read(got.file), "a,b\n");
}

TEST_F(RunsTest, ADeadLinkEndsTheWaitAndNotTheRun) {
  status_ = 403;
  body_ = "<Error><Code>AccessDenied</Code></Error>";
  const RunResult got = follow();
  EXPECT_EQ(got.how, How::kDeadLink);
  EXPECT_THAT(got.text, HasSubstr("result_get_url of m0 is of no use any more (403 AccessDenied)"));
  expect_goes_on(got);
}

TEST_F(RunsTest, WhoStopsTheWaitDoesNotStopTheRun) {
  run_.deadline_minutes = 60;
  history_->update(run_);
  cancel_ = true;
  const RunResult got = follow();
  EXPECT_EQ(got.how, How::kInterrupted);
  expect_goes_on(got);
  EXPECT_EQ(room_->run("last").state, "unknown");  // no run of once.db
}

TEST_F(RunsTest, AfterTheStartNothingIsWrongInput) {
  // The record is gone, or damaged: that was so before the result was looked for, and is told.
  std::ofstream(history_->folder(run_) / "run.json") << "no JSON";
  const RunResult damaged = follow();
  EXPECT_THAT(damaged.text, HasSubstr("could not be looked for"));
  EXPECT_THAT(damaged.text, HasSubstr("run.json"));
  expect_goes_on(damaged);
  EXPECT_THROW((void)room_->collect_result("last", decider_), Error);
  std::filesystem::remove_all(history_->folder(run_));
  expect_goes_on(follow());
}

// A result that cannot be saved is given, entered nowhere, and fetched again.
TEST_F(RunsTest, AResultThatCannotBeSavedIsGivenAndTheLinkStays) {
  status_ = 200;
  body_ = "a,b\n";
  runs::Run unusual = run_;
  unusual.result_name = std::string(300, 'r');  // no file system takes it
  history_->update(unusual);
  const size_t entries = room_->log().size();
  const RunResult got = follow();
  EXPECT_EQ(got.how, How::kResult);
  EXPECT_EQ(got.exit(), Exit::kOutputLost);
  EXPECT_EQ(got.body, "a,b\n");
  EXPECT_TRUE(got.file.empty());
  EXPECT_THAT(got.text, HasSubstr("flexroom result aaaaaaaaaaaa"));
  EXPECT_EQ(room_->log().size(), entries);
  history_->update(run_);
  EXPECT_EQ(room_->collect_result("last", decider_).exit(), Exit::kOk);
  EXPECT_EQ(room_->log().size(), entries + 1);
}

TEST_F(RunsTest, ARecordThatCannotBeWrittenIsToldBesideTheResult) {
  status_ = 200;
  body_ = "a,b\n";
  // Where the next record would be written before it is renamed.
  const auto in_the_way = history_->folder(run_) / ("run.json." + std::to_string(getpid()));
  std::filesystem::create_directory(in_the_way);
  const RunResult got = follow();
  EXPECT_EQ(got.exit(), Exit::kOutputLost);
  EXPECT_EQ(RoomRig::read(got.file), "a,b\n");
  EXPECT_THAT(got.not_written, HasSubstr("run.json"));
  std::filesystem::remove(in_the_way);
  EXPECT_EQ(room_->run("last").state, "unknown");
  EXPECT_EQ(room_->collect_result("last", decider_).exit(), Exit::kOk);
}

// The machine ran: a log that another process holds is no reason to start a second one.
TEST_F(RunsTest, ALogThatCannotBeWrittenLeadsToNoSecondMachine) {
  status_ = 200;
  body_ = "a,b\n";
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((rig_.dir(0) / "state/state.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const RunResult got = follow();
  EXPECT_EQ(got.exit(), Exit::kOutputLost);
  EXPECT_EQ(RoomRig::read(got.file), "a,b\n");
  EXPECT_THAT(got.not_written, HasSubstr("is in use by another"));
  EXPECT_THAT(got.text, HasSubstr("`flexroom result aaaaaaaaaaaa` fetches it again"));
  for (const std::string wrong : {"nothing was changed", "same command again"}) {
    EXPECT_THAT(got.text + got.not_written, ::testing::Not(HasSubstr(wrong)));
  }
  sqlite3_close(other);
  EXPECT_EQ(room_->collect_result("last", decider_).exit(), Exit::kOk);
}

TEST_F(RunsTest, ARoomThatOnlyLooksCollectsNothing) {
  RoomOptions options;
  options.member_file = rig_.dir(0) / "member.toml";
  options.only_looks = true;
  Room looking(options);
  EXPECT_EQ(looking.runs().size(), 1u);
  try {
    (void)looking.collect_result("last", decider_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::kBadInput);
  }
}

TEST(InstanceIdTest, OnlyAWholeIdIsFoundInAPartOfAnAnswer) {
  EXPECT_EQ(instance_id_in("..<instanceId>i-0123456789abcdef0</instan"), "i-0123456789abcdef0");
  EXPECT_EQ(instance_id_in("<instanceId>i-01234567<"), "i-01234567");
  for (const std::string text :
       {"", "<instanceId>", "<instanceId>i-0123456789abcdef0", "<instanceId>i-<",
        "<instanceId>i-0123456<", "<instanceId>i-0123456789ABCDEF0<", "<instanceId>i-01234567 <",
        "<instanceId>x-0123456789abcdef0<", "i-0123456789abcdef0<",
        "<instanceId>i-0123456789abcdef0123456789abcdef0<"}) {
    EXPECT_EQ(instance_id_in(text), "") << text;
  }
}

TEST_F(RunsTest, AnOutcomeHasOneCodeWhateverElseFailed) {
  RunResult got;
  for (const auto& [how, exit] : {std::pair{How::kResult, Exit::kOk},
                                  {How::kNoLink, Exit::kOk},
                                  {How::kFailed, Exit::kServiceRefused},
                                  {How::kTooLarge, Exit::kResultElsewhere},
                                  {How::kDeadLink, Exit::kGoesOn},
                                  {How::kNotYet, Exit::kGoesOn},
                                  {How::kInterrupted, Exit::kGoesOn}}) {
    got.how = how;
    got.not_written = "";
    EXPECT_EQ(got.exit(), exit);
    got.not_written = "why";
    EXPECT_EQ(got.exit(), exit == Exit::kOk ? Exit::kOutputLost : exit);
  }
  RunStopped stopped;
  stopped.status = 200;
  EXPECT_EQ(stopped.exit(), Exit::kOk);
  stopped.not_written = "why";
  EXPECT_EQ(stopped.exit(), Exit::kOutputLost);
  stopped.status = 302;  // only 200 says that the machine ends
  EXPECT_EQ(stopped.exit(), Exit::kServiceRefused);
}

}  // namespace
}  // namespace flexroom
