#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "agent/timeline.h"
#include "room/flow_engine.h"
#include "support/sandbox_flows.h"
#include "support/sweeps.h"

// Flows that need a member's person (operations.md (c)): an answer in time, late or wrong, and the
// private values that one member gives.

namespace flexroom {
namespace flow_people_test {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

/// The first steps of create-account, up to where a person has shown to be one.
const std::string kCaptcha = R"([flow]
name = "be-a-person"
provider = "sandbox"
prefix = "person"
hosts = ["signup.flexroom.example"]

[argument.person]

[born."mail/address"]
alphabet = "base32"
length = 26
suffix = "@example-mail.test"
identifies = true
purposes = ["POST https://signup.flexroom.example/email form email={{}}"]

[[step]]
name = "InitialRequest"
request = """
GET /start HTTP/1.1
Host: signup.flexroom.example
"""
keep."run/session" = { at = "cookie session", class = "cookie", length = [16, 128], entropy = 128 }
keep."run/csrf"    = { at = "cookie csrf", class = "cookie", length = [16, 64], entropy = 128 }

[[step]]
name = "RequestCaptcha"
request = """
POST /captcha HTTP/1.1
Host: signup.flexroom.example
Cookie: session={{run/session}}; csrf={{run/csrf}}

"""
open."run/captcha" = { at = "json /id", class = "urlsafe", max = 64 }
on.401 = "back InitialRequest"
on.unknown = "again"

[[step]]
name = "GetCaptchaImage"
sealed = false
request = """
GET /captcha/{{run/captcha}} HTTP/1.1
Host: signup.flexroom.example
"""
open."run/image" = { at = "json /image", class = "raw", max = 65536 }
on.404 = "back RequestCaptcha"

[[step]]
name = "SolveCaptcha"
ask = "{{person}}"
show = ["run/image"]
open."run/answer" = { class = "urlsafe", max = 16 }
within_seconds = WITHIN
on.none = "back RequestCaptcha"

[[step]]
name = "VerifyCaptcha"
request = """
POST /captcha/verify HTTP/1.1
Host: signup.flexroom.example
Cookie: session={{run/session}}; csrf={{run/csrf}}
Content-Type: application/x-www-form-urlencoded

id={{run/captcha}}&answer={{run/answer}}
"""
on.400 = "back RequestCaptcha"
on.401 = "back InitialRequest"
on.unknown = "back RequestCaptcha"
)";

std::string captcha(const std::string& within_seconds) {
  std::string out = kCaptcha;
  return out.replace(out.find("WITHIN"), 6, within_seconds);
}

/// A member's person, or what stands in its place.
class Person final : public Decider {
 public:
  using Answers = std::function<std::optional<std::string>(size_t question)>;
  explicit Person(Answers answers) : answers_(std::move(answers)) {}
  Answer approve(const Summary& summary) override {
    seen = summary.text;
    return Answer::kYes;
  }
  std::optional<std::string> human_input(const Question& question) override {
    questions.push_back(question.text);
    if (const auto image = question.shown.find("run/image"); image != question.shown.end()) {
      EXPECT_TRUE(image->second.starts_with("data:image/png;base64,"));
    }
    EXPECT_TRUE(question.within.has_value());
    return answers_(questions.size());
  }
  void note(std::string_view text) override { notes.emplace_back(text); }
  std::string seen;
  std::vector<std::string> questions, notes;

 private:
  const Answers answers_;
};

class FlowPeopleTest : public ::testing::TestWithParam<size_t>, protected support::SandboxFlows {
 protected:
  void SetUp() override {
    set_up(GetParam(), [this] { return sandbox(); });
  }
  virtual std::vector<std::string> sandbox() const { return {"--record", seen_file().string()}; }
  std::filesystem::path seen_file() const { return rig_->root() / "seen"; }
  /// What the sandbox saw or gave of that kind, oldest first.
  std::vector<std::string> seen(const std::string& what) const {
    std::vector<std::string> out;
    std::istringstream lines(RoomRig::read(seen_file()));
    for (std::string line; std::getline(lines, line);) {
      const json one = json::parse(line);
      if (one["what"] == what) out.push_back(one["value"]);
    }
    return out;
  }
  /// The flow at all members, each with a person of its own.
  std::vector<Ended> flow_with(const std::function<Person::Answers(PartyId)>& answers) {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      RoomOptions options;
      options.member_file = common.member_file;
      Room room(options);
      Person person(answers(i));
      Session session(room, person);
      try {
        const FlowEnd end =
            session.flow({rig_->dir(i) / "flow.toml", {{"person", "m1"}}, "", "", {}, {}});
        out.result({{"ok", true},
                    {"questions", person.questions},
                    {"notes", person.notes},
                    {"opened", end.opened},
                    {"approved", person.seen}});
        return int{cli::kOk};
      } catch (const Error& error) {
        return cli::report(out, error, false);
      }
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Members, FlowPeopleTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowPeopleTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(FlowPeopleTest, AWrongAnswerIsAskedForAgainAndStandsInNoLog) {
  write_all("flow.toml", captcha("300"));
  const std::vector<Ended> ended = flow_with([&](PartyId) -> Person::Answers {
    return [&](size_t question) -> std::optional<std::string> {
      return question == 1 ? "WRONG1" : seen("captcha answer").back();
    };
  });
  all_ok(ended);
  EXPECT_EQ(seen("captcha answer").size(), 2u);
  for (PartyId i = 0; i < rig_->size(); ++i) {
    const json last = ended[i].last();
    EXPECT_EQ(last["questions"].size(), i == 1 ? 2u : 0u);
    EXPECT_FALSE(last["opened"].contains("run/answer"));
    if (i == 1) {
      EXPECT_THAT(last["questions"][0].get<std::string>(),
                  AllOf(HasSubstr("be-a-person, step SolveCaptcha: all members will see"),
                        HasSubstr("run/image: a picture, "), HasSubstr(".png\n")));
    } else {
      EXPECT_THAT(last["notes"].dump(), HasSubstr("waits up to 300 s: m1 asks its person"));
    }
    const std::vector<std::string> log = log_of(i);
    EXPECT_THAT(log, Contains(HasSubstr("SolveCaptcha: ok")));
    EXPECT_THAT(log, Contains(HasSubstr("VerifyCaptcha: 400")));
    EXPECT_THAT(log, Contains(HasSubstr("VerifyCaptcha: ok")));
    for (const std::string& line : log) {
      EXPECT_THAT(line, AllOf(Not(HasSubstr("WRONG1")), Not(HasSubstr("opened run/answer"))));
    }
  }
}

class FlowPersonPairTest : public FlowPeopleTest {};
INSTANTIATE_TEST_SUITE_P(Members, FlowPersonPairTest, ::testing::Values(2));

TEST_P(FlowPersonPairTest, ALateAnswerIsNoneAndNobodyThereStopsTheRunWithoutLoss) {
  write_all("flow.toml", captcha("2"));
  const auto late = [](PartyId) -> Person::Answers {
    return [](size_t) -> std::optional<std::string> {
      std::this_thread::sleep_for(std::chrono::milliseconds(2300));
      return "WRONG1";
    };
  };
  for (const Ended& e : flow_with(late)) {
    EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;
    EXPECT_THAT(e.error(), AllOf(HasSubstr("SolveCaptcha: none (exhausted)"),
                                 HasSubstr("The same command goes on from there")));
  }
  EXPECT_THAT(log_of(0), Contains(HasSubstr("SolveCaptcha: none")));
  const std::vector<Ended> ended = flow_with([&](PartyId) -> Person::Answers {
    return [&](size_t) -> std::optional<std::string> { return seen("captcha answer").back(); };
  });
  all_ok(ended);
}

TEST_P(FlowPersonPairTest, WhoIsNoMemberIsNotAsked) {
  std::string text = captcha("300");
  text.replace(text.find("\"{{person}}\""), 12, "\"nobody\"");
  text.erase(text.find("[argument.person]\n"), 18);
  write_all("flow.toml", text);
  const Ended e = rig_->run_one(0, [&](PartyId, cli::Output& out, cli::Common& common) {
    return cli::run_flow(out, common, rig_->dir(0) / "flow.toml", {}, "", "");
  });
  EXPECT_EQ(e.code, cli::kBadInput) << e.out;
  EXPECT_THAT(e.error(), HasSubstr("step SolveCaptcha: asks nobody, who is no member"));
}

// ------------------------------------------------------------------ answers at standard input

/// Standard input from a pipe while it lives.
class Typed {
 public:
  explicit Typed(const std::string& text, bool open = false) : before_(dup(STDIN_FILENO)) {
    int ends[2];
    FLEXROOM_ASSERT(before_ >= 0 && pipe(ends) == 0);
    FLEXROOM_ASSERT(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    FLEXROOM_ASSERT(dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    if (open) {
      writer_ = ends[1];
    } else {
      close(ends[1]);
    }
  }
  ~Typed() {
    if (writer_ >= 0) close(writer_);
    dup2(before_, STDIN_FILENO);
    close(before_);
  }
  Typed(const Typed&) = delete;
  Typed& operator=(const Typed&) = delete;

 private:
  int before_, writer_ = -1;
};

TEST(FlowScreen, AnAnswerIsALineThatCameInTime) {
  cli::Output out(true);
  cli::Screen screen(out, true);
  Question question;
  question.kind = Question::Kind::kText;
  question.text = "what is it?";
  question.within = std::chrono::seconds(60);
  {
    const Typed typed("ACEF37\nanother\n");
    EXPECT_EQ(screen.human_input(question), "ACEF37");
    EXPECT_EQ(screen.human_input(question), "another");
    EXPECT_EQ(screen.human_input(question), std::nullopt);  // its end
  }
  const Typed typed("late", true);
  question.within = std::chrono::seconds(1);
  EXPECT_EQ(screen.human_input(question), std::nullopt);
  question.is_secret = true;  // never from what is no terminal
  EXPECT_EQ(screen.human_input(question), std::nullopt);
}

// ------------------------------------------------------------------ inputs of members

const std::string kCard = "4000007102938468";

class FlowInputTest : public FlowPeopleTest {
 protected:
  std::vector<Ended> buy(const std::string& payer = "m1") {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      std::optional<std::filesystem::path> inputs;
      if (i == 1) inputs = rig_->dir(1) / "mine.json";
      return cli::run_flow(out, common, shipped_flow(FLEXROOM_SOURCE_DIR, "buy-card"),
                           {{"payer", payer}}, "", "", {}, inputs);
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Members, FlowInputTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowInputTest, ::testing::ValuesIn(support::in_long_runs({3})));

// share/flows/buy-card.toml as it is shipped.
TEST_P(FlowInputTest, ACardIsBoughtWithANumberThatOneMemberKnows) {
  rig_->write(1, "mine.json", json{{"payer-card", kCard}}.dump());
  const std::vector<Ended> ended = buy();
  all_ok(ended);
  EXPECT_THAT(seen("charge"), Contains(HasSubstr(kCard)));
  const std::string bought = seen("card number").back();
  for (PartyId i = 0; i < rig_->size(); ++i) {
    std::filesystem::remove(rig_->dir(i) / "mine.json");
    std::string all = ended[i].out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(rig_->dir(i))) {
      if (entry.is_regular_file()) all += RoomRig::read(entry.path());
    }
    EXPECT_EQ(all.find(kCard), std::string::npos) << i;
    EXPECT_EQ(all.find(bought), std::string::npos) << i;
    EXPECT_THAT(ended[i].out, HasSubstr("which only the giver knows: m1"));
    EXPECT_THAT(log_of(i), Contains(HasSubstr("GetCard: ok; kept card-number v1")));
  }
}

class FlowInputPairTest : public FlowInputTest {};
INSTANTIATE_TEST_SUITE_P(Members, FlowInputPairTest, ::testing::Values(2));

TEST_P(FlowInputPairTest, WhatIsWrongWithAnInputIsSaidBeforeAnybodyIsJoined) {
  const auto alone = [&](const std::string& text, const std::string& payer = "m1") {
    if (!text.empty()) rig_->write(1, "mine.json", text);
    return rig_->run_one(1, [&](PartyId, cli::Output& out, cli::Common& common) {
      const Typed nobody("");
      std::optional<std::filesystem::path> inputs;
      if (!text.empty()) inputs = rig_->dir(1) / "mine.json";
      return cli::run_flow(out, common, shipped_flow(FLEXROOM_SOURCE_DIR, "buy-card"),
                           {{"payer", payer}}, "", "", {}, inputs);
    });
  };
  const std::vector<std::tuple<std::string, std::string, std::string>> cases = {
      {"", "m1", "asks m1 for `payer-card`"},
      {"{}", "m1", "asks m1 for `payer-card`"},
      {R"({"payer-card": "400000710293846"})", "m1", "`payer-card` has 15 bytes, the flow says 16"},
      {R"({"payer-card": "400000710293846x"})", "m1", "has a byte outside class digits"},
      {R"({"payer-card": 4000007102938468})", "m1", "is no text"},
      {R"({"payer-car": "4000007102938468"})", "m1", "the flow does not ask m1 for `payer-car`"},
      {R"({"payer-card": "4000007102938468"})", "m0", "the flow does not ask m1"},
      {R"({"payer-card": "4000007102938468"})", "nobody",
       "payer-card is given by nobody, who is no member"},
  };
  for (const auto& [text, payer, words] : cases) {
    const Ended e = alone(text, payer);
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), AllOf(HasSubstr(words), Not(HasSubstr("400000710293846"))));
    EXPECT_EQ(e.out.find("waiting for"), std::string::npos) << e.out;
  }
}

TEST_P(FlowInputPairTest, AllOfTheAccountIsLookedAtBeforeACardIsBought) {
  rig_->write(1, "mine.json", R"({"postal-address": "x"})");
  const Ended e = rig_->run_one(1, [&](PartyId, cli::Output& out, cli::Common& common) {
    const cli::ShippedFlow given = {
        "create-account",
        {{"person", "m0"}, {"phone", "m0"}, {"payer", "m1"}, {"postal", "m1"}},
        "",
        "",
        rig_->dir(1) / "mine.json"};
    return cli::create_account(out, common, given, cli::CardPurchase());
  });
  EXPECT_EQ(e.code, cli::kBadInput) << e.out;
  EXPECT_THAT(e.error(), HasSubstr("`postal-address` has 1 bytes, the flow says 96"));
  EXPECT_EQ(e.out.find("waiting for"), std::string::npos) << e.out;
}

/// The shop's order with the number of another flow's class: what a member that looks at nothing of
/// its own would send.
TEST_P(FlowInputPairTest, ANumberOutsideItsClassIsFoundInsideAndNothingIsSent) {
  std::string text = RoomRig::read(shipped_flow(FLEXROOM_SOURCE_DIR, "buy-card"));
  write_all("flow.toml", text);
  const auto ended = rig_->run([&](PartyId, cli::Output& out, cli::Common& common) {
    support::Inside inside(out, common);
    inside.session().start();
    flow::RoomView view;
    view.providers = inside.state().room().providers;
    flow::Flow file = flow::load_flow(rig_->dir(0) / "flow.toml", view);
    flow::Step& step = *std::find_if(file.lines[0].steps.begin(), file.lines[0].steps.end(),
                                     [](const auto& one) { return one.name == "Order"; });
    // The receiver is anybody's.
    std::erase_if(step.slots, [](const auto& use) { return use.name == "address"; });
    const std::string hole = "{{address}}";
    step.request.replace(step.request.find(hole), hole.size(), "a@example-mail.test");
    std::map<std::string, SecretBytes> own;
    own.emplace("payer-card", SecretBytes::copy_of(as_bytes("400000710293846x")));
    agent::Timeline timeline(inside.session().party());
    room::FlowEngine engine(inside.joined(), timeline, std::move(own));
    bool released = false;
    const std::map<std::string, std::string> arguments = {{"payer", "m1"}};
    const flow::StepCall call{file,
                              step,
                              flow::RunId(26, 'a'),
                              1,
                              std::string(32, '0'),
                              std::string(26, 'b'),
                              arguments,
                              0,
                              [](std::string_view) { return std::nullopt; },
                              [](std::string_view) { return std::vector<std::string>(); },
                              [&] { released = true; }};
    try {
      (void)engine.make(call);
      ADD_FAILURE() << "it was sent";
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.code(), AbortCode::kRefusedByRule);
      EXPECT_EQ(abort.peer(), PartyId{1});
      EXPECT_THAT(abort.what(), HasSubstr("outside class digits"));
    }
    EXPECT_FALSE(released);
    return int{cli::kOk};
  });
  all_ok(ended);
  EXPECT_TRUE(seen("idempotency key").empty());
}

// ------------------------------------------------------------------ values of one member, `!=`

/// A box with mails of strangers: two ids, the second another one than the first, and how many
/// there are, for one member alone.
const std::string kOther = R"([flow]
name = "read-two"
provider = "sandbox"
prefix = "two"
hosts = ["mail.flexroom.example"]

[born.address]
alphabet = "base32"
length = 26
suffix = "@example-mail.test"
identifies = true
purposes = ["POST https://mail.flexroom.example/accounts json /address={{}}",
            "POST https://mail.flexroom.example/token json /address={{}}"]

[born.password]
alphabet = "base32"
length = 26
purposes = ["POST https://mail.flexroom.example/accounts json /password={{}}",
            "POST https://mail.flexroom.example/token json /password={{}}"]

[[step]]
name = "CreateEmail"
request = """
POST /accounts HTTP/1.1
Host: mail.flexroom.example
X-Client: {{client-metadata}}
Content-Type: application/json

{"address": "{{address}}", "password": "{{password}}"}
"""
status = [201]
on.unknown = "again"

[[step]]
name = "GetMailToken"
request = """
POST /token HTTP/1.1
Host: mail.flexroom.example
Content-Type: application/json

{"address": "{{address}}", "password": "{{password}}"}
"""
on.unknown = "again"
keep."run/token" = { at = "json /token", class = "cookie", length = [16, 512], entropy = 128, purposes = ["https://mail.flexroom.example header authorization: Bearer {{}}"] }

[[step]]
name = "OneMail"
request = """
GET /messages HTTP/1.1
Host: mail.flexroom.example
Authorization: Bearer {{run/token}}
"""
type = "application/ld+json"
body_max = 8192
item = '/hydra:member/[seen=false]'
pick = "first"
open."first" = { at = "json item/id", class = "urlsafe", max = 64 }
open."run/count" = { at = "json-number /hydra:totalItems", class = "digits", max = 4, to = "m1" }

[[step]]
name = "AnotherMail"
request = """
GET /messages HTTP/1.1
Host: mail.flexroom.example
Authorization: Bearer {{run/token}}
"""
type = "application/ld+json"
body_max = 8192
item = '/hydra:member/[id!="{{first}}"]'
pick = "first"
open."second" = { at = "json item/id", class = "urlsafe", max = 64 }
)";

class FlowOtherTest : public FlowPeopleTest {
 protected:
  std::vector<std::string> sandbox() const override {
    return {"--record", seen_file().string(), "--set", "strangers=2"};
  }
};
INSTANTIATE_TEST_SUITE_P(Members, FlowOtherTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowOtherTest, ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(FlowOtherTest, AnotherElementIsFoundAndACountIsToldToOneMember) {
  write_all("flow.toml", kOther);
  const std::vector<Ended> ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    return cli::run_flow(out, common, rig_->dir(i) / "flow.toml", {}, "", "");
  });
  all_ok(ended);
  for (PartyId i = 0; i < rig_->size(); ++i) {
    const json opened = ended[i].last()["opened"];
    ASSERT_EQ(opened.size(), 2u) << opened;
    EXPECT_NE(opened["first"], opened["second"]);
    EXPECT_EQ(opened, ended[0].last()["opened"]);
    const std::vector<json> told = ended[i].events("opened");
    ASSERT_EQ(told.size(), i == 1 ? 1u : 0u);
    if (i == 1) {
      EXPECT_EQ(told[0]["name"], "run/count");
      EXPECT_EQ(told[0]["value"], "2");
    }
    for (const std::string& line : log_of(i)) EXPECT_THAT(line, Not(HasSubstr("run/count")));
  }
}

class FlowOtherPairTest : public FlowOtherTest {};
INSTANTIATE_TEST_SUITE_P(Members, FlowOtherPairTest, ::testing::Values(2));

// tls-in-mpc.md §5.8: what `!=` excludes is no part of an open request; it is of its id.
TEST_P(FlowOtherPairTest, MembersThatExcludeOtherTextsReleaseNothing) {
  write_all("flow.toml", R"([flow]
name = "pick"
provider = "sandbox"
prefix = "pick"
hosts = ["mail.flexroom.example"]
uses = ["old"]
[[step]]
name = "GetDomains"
sealed = false
request = """
GET /domains HTTP/1.1
Host: mail.flexroom.example
"""
item = '/hydra:member/[domain!="{{old}}"]'
open."new" = { at = "json item/domain", class = "urlsafe", max = 64 }
)");
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    support::Inside inside(out, common);
    inside.session().start();
    flow::RoomView view;
    view.providers = inside.state().room().providers;
    const flow::Flow file = flow::load_flow(rig_->dir(i) / "flow.toml", view);
    agent::Timeline timeline(inside.session().party());
    room::FlowEngine engine(inside.joined(), timeline, {});
    bool released = false;
    const std::map<std::string, std::string> arguments;
    const flow::StepCall call{
        file,
        file.lines[0].steps[0],
        flow::RunId(26, 'a'),
        1,
        std::string(32, '0'),
        std::string(26, 'b'),
        arguments,
        0,
        [](std::string_view) { return std::nullopt; },
        [i](std::string_view) { return std::vector<std::string>(1, i == 0 ? "a" : "b"); },
        [&] { released = true; }};
    EXPECT_THROW((void)engine.make(call), ProtocolAbort);
    EXPECT_FALSE(released);
    return int{cli::kOk};
  });
  all_ok(ended);
}

}  // namespace flow_people_test
}  // namespace flexroom
