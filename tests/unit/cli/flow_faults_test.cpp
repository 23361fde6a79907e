#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/sandbox_admin.h"
#include "support/sandbox_flows.h"
#include "support/sandbox_reader.h"
#include "support/shared_clock.h"
#include "support/sweeps.h"

// What services, mails and people do wrong to a flow, through the product (operations.md (c), its
// last table): how the command ends, in which words, what is kept, and that the same command goes
// on from there.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

/// The steps of create-account.toml as shipped before that one, with fewer polls of a smaller box.
std::string sign_up(const std::string& until = "CompleteSignup") {
  const std::string shipped =
      RoomRig::read(std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows/create-account.toml");
  std::string out = R"([flow]
name = "sign-up"
provider = "sandbox"
prefix = "box"
hosts = ["mail.flexroom.example", "signup.flexroom.example"]

)" + std::string(until == "RequestCaptcha" ? "" : "[argument.person]\n") +
                    R"(
[born."mail/address"]
alphabet = "base32"
length = 26
suffix = "@example-mail.test"
identifies = true
purposes = ["POST https://mail.flexroom.example/accounts json /address={{}}",
            "POST https://mail.flexroom.example/token json /address={{}}",
            "POST https://signup.flexroom.example/email form email={{}}",
            "POST https://signup.flexroom.example/access-code form email={{}}",
            "POST https://signup.flexroom.example/verify form email={{}}"]

[born."mail/password"]
alphabet = "base32"
length = 26
purposes = ["POST https://mail.flexroom.example/accounts json /password={{}}",
            "POST https://mail.flexroom.example/token json /password={{}}"]

)";
  const size_t begin = shipped.find("[[step]]\nname = \"CreateEmail\"");
  out += shipped.substr(begin, shipped.find("[[step]]\nname = \"" + until + "\"") - begin);
  for (const auto& [text, other] : std::vector<std::pair<std::string, std::string>>{
           {"on.409 = \"branch SignIn\" ", "on.409 = \"stop\" "},
           {"body_max = 8192", "body_max = 2560"},
           {"again x24", "again x1"}}) {
    const size_t at = out.find(text);
    if (at != std::string::npos) out.replace(at, text.size(), other);
  }
  return out;
}

/// What goes wrong in one run, and how the command is to end.
struct Misfortune {
  std::string name, step;  // where the run stands then
  std::vector<std::string> faults = {};
  json settings = json::object();
  int code = cli::kServiceRefused;
  std::string words = {};             // of the refusal, behind the step's name
  std::vector<std::string> log = {};  // lines that both members' logs then have
  bool always = true;                 // not in long runs alone
  support::SandboxReader::Types types = nullptr;
  std::function<void()> beside = nullptr;
};

class FlowFaults : public ::testing::TestWithParam<size_t>, protected support::SandboxFlows {
 protected:
  void SetUp() override {
    set_up(GetParam(), [this] { return std::vector<std::string>{"--record", record().string()}; });
    seen_.emplace(record());
    admin_.emplace(rig_->root() / "cloud");
  }
  std::filesystem::path record() const { return rig_->root() / "seen"; }
  using Mine = std::function<std::optional<std::filesystem::path>(PartyId)>;
  std::vector<Ended> run(const Misfortune& what, const std::string& file,
                         const std::map<std::string, std::string>& arguments,
                         const Mine& mine = nullptr, const std::string& abandon = "") {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      common.clock = clock_.looks();
      const support::SandboxReader person(*seen_, what.types, i == 0 ? what.beside : nullptr);
      return cli::run_flow(out, common, rig_->dir(i) / file, arguments, "", abandon, {},
                           mine ? mine(i) : std::nullopt);
    });
  }
  json cloud(const std::string& file) const {
    const auto path = rig_->root() / "cloud" / file;
    return std::filesystem::exists(path) ? json::parse(RoomRig::read(path)) : json::object();
  }
  static json defaults() {
    return {{"blank_cookie", ""},   {"delete_cookie", ""},       {"lost_mails", 0},
            {"planted_codes", 0},   {"captcha_lifetime_s", 300}, {"otp_lifetime_s", 600},
            {"taken_addresses", 0}, {"refused_cards", 0}};
  }
  /// One run with it, which begins at the step where the one before stopped: it ends as is said,
  /// alike at all members.
  void suffer(const Misfortune& what) {
    SCOPED_TRACE(what.name);
    admin_->settings(what.settings);
    admin_->faults(what.faults);
    std::vector<size_t> lines;
    for (PartyId i = 0; i < rig_->size(); ++i) lines.push_back(log_of(i).size());
    const std::vector<Ended> ended = run(what, "flow.toml", arguments_);
    for (PartyId i = 0; i < rig_->size(); ++i) {
      ASSERT_EQ(ended[i].code, what.code) << ended[i].out;
      std::vector<std::string> log = log_of(i);
      log.erase(log.begin(), log.begin() + static_cast<ptrdiff_t>(lines[i]));
      expect_log(what, log);
      if (what.code == cli::kOk) continue;
      const std::string words = what.step + ": " + what.words;
      EXPECT_THAT(ended[i].error(), AllOf(HasSubstr("flow sign-up stopped: " + words),
                                          HasSubstr("is lost. The same command goes on from there"),
                                          HasSubstr("--continue "), HasSubstr("--abandon ")));
      EXPECT_THAT(log.back(), HasSubstr("stopped, " + words));
    }
    stands_ = what.step;
    admin_->settings(defaults());
    admin_->faults({});
  }
  void expect_log(const Misfortune& what, const std::vector<std::string>& log) {
    for (const std::string& line : what.log) EXPECT_THAT(log, Contains(HasSubstr(line)));
    const auto first = std::find_if(log.begin(), log.end(), [](const std::string& line) {
      return line.find(" bytes between members") != std::string::npos;
    });
    ASSERT_NE(first, log.end());
    EXPECT_THAT(*first, HasSubstr(": " + stands_));
    if (what.code == cli::kOk) return;
    // Nothing is kept of the answer: the file's names of that step come with an `ok` alone.
    for (const std::string& line : log) {
      const bool kept = line.find(": " + what.step + ": ") != std::string::npos &&
                        line.find("; kept ") != std::string::npos;
      const bool whole = line.find(": " + what.step + ": ok") != std::string::npos;
      EXPECT_TRUE(!kept || whole) << line;
    }
  }
  std::vector<Misfortune> misfortunes() const;
  Misfortune late_ones() const;
  std::map<std::string, std::string> arguments_ = {{"person", "m0"}};
  std::string stands_ = "begin";  // the step that the next run begins with

  support::SharedClock clock_;
  std::optional<support::Sightings> seen_;
  std::optional<support::SandboxAdmin> admin_;
};

INSTANTIATE_TEST_SUITE_P(Members, FlowFaults, ::testing::Values(2));

/// Along the steps of one sign-up: each hits where the run then stands, and the same command goes
/// on to the next one.
std::vector<Misfortune> FlowFaults::misfortunes() const {
  const std::string unknown = "the outcome is unknown; running it again follows the rule for that";
  const json same = json::object();
  return {
      {"a redirect",
       "CreateEmail",
       {"POST mail.flexroom.example/accounts 302 x1"},
       same,
       cli::kServiceRefused,
       "302 (the service leads elsewhere",
       {"CreateEmail: 302; "}},
      {"compressed",
       "GetMailToken",
       {"POST mail.flexroom.example/token gzip x1"},
       same,
       cli::kUnknown,
       "content encoding (the service compressed",
       {"CreateEmail: ok"}},
      {"truncated",
       "GetMailToken",
       {"POST mail.flexroom.example/token truncate x2"},
       same,
       cli::kUnknown,
       "unknown (exhausted): " + unknown,
       {"GetMailToken: no answer", "GetMailToken: unknown; "},
       false},
      {"a body that is too long",
       "GetMailToken",
       {"POST mail.flexroom.example/token long=4000 x1"},
       same,
       cli::kUnknown,
       "too long (the answer",
       {"GetMailToken: unknown; "},
       false},
      {"a header that is too long",
       "InitialRequest",
       {"GET signup.flexroom.example/start header=4000 x1"},
       same,
       cli::kUnknown,
       "header too long (the answer's header",
       {"GetMailToken: ok; kept run/mail-token v1"},
       false},
      {"throttled",
       "InitialRequest",
       {"GET signup.flexroom.example/start 429 x6"},
       same,
       cli::kServiceRefused,
       "429 (the service wants fewer requests",
       {"InitialRequest: 429; "},
       false},
      {"5xx",
       "SubmitEmail",
       {"POST signup.flexroom.example/email 503 x3"},
       same,
       cli::kUnknown,
       "503 (exhausted): " + unknown,
       {"SubmitEmail: 503; "},
       false},
      {"5xx, then a cookie that is blanked",
       "SubmitEmail",
       {"POST signup.flexroom.example/email 503 x1"},
       {{"blank_cookie", "session"}},
       cli::kUnknown,
       "deleted (the service ended that cookie",
       {"SubmitEmail: 503; "}},
      {"a cookie that is deleted",
       "SubmitEmail",
       {},
       {{"delete_cookie", "session"}},
       cli::kUnknown,
       "deleted (the service ended that cookie",
       {"SubmitEmail: unknown; "},
       false},
      {"wrong captchas",
       "VerifyCaptcha",
       {},
       same,
       cli::kServiceRefused,
       "400 (exhausted)",
       {"SolveCaptcha: ok", "VerifyCaptcha: 400; "},
       false,
       [](const std::string&, size_t, const std::string&) { return std::string("WRONG1"); }},
  };
}

/// A captcha that is answered too late for the site; a code that is over by the time it comes back;
/// then a mail that never comes, so that a new session begins; then a newer false code.
Misfortune FlowFaults::late_ones() const {
  Misfortune out{"late answers, a lost mail, a false code", ""};
  out.settings = {{"otp_lifetime_s", 0}};
  out.code = cli::kOk;
  out.log = {"VerifyCaptcha: 400; ", "VerifyOTP: 400; ", "GetOTP: none; ", "InitialRequest: ok",
             "VerifyOTP: ok"};
  out.types = [admin = &*admin_](const std::string&, size_t k, const std::string& answer) {
    if (k == 1) admin->settings({{"captcha_lifetime_s", 0}});
    return answer;
  };
  // By what the site was sent: the next captcha and the next code are in time.
  out.beside = [seen = &*seen_, admin = &*admin_, typed = seen_->values("captcha answer").size(),
                answers = seen_->values("answer").size(), late = true, early = true]() mutable {
    const bool asked = seen->values("captcha answer").size() > typed;
    if (!asked) answers = seen->values("answer").size();
    if (late && asked && seen->values("answer").size() > answers) {
      admin->settings({{"captcha_lifetime_s", 300}});
      late = false;
    }
    if (early && !seen->values("otp").empty()) {
      admin->settings({{"otp_lifetime_s", 600}, {"planted_codes", 1}});
      early = false;
    }
  };
  return out;
}

// The first steps alone; all of them, and what people and mails do, in long runs below. Wrong and
// late answers are asked for again in flow_people_test.cpp, false codes cost an attempt in
// flow_story_test.cpp.
TEST_P(FlowFaults, EachEndsAsIsSaidAndTheSameCommandGoesOnFromThere) {
  write_all("flow.toml", sign_up("RequestCaptcha"));
  arguments_.clear();
  for (const Misfortune& one : misfortunes()) {
    if (one.always) suffer(one);
    if (HasFatalFailure()) return;
  }
  Misfortune none{"nothing more", ""};
  none.code = cli::kOk;
  none.log = {"SubmitEmail: unknown; ", "InitialRequest: ok", "SubmitEmail: ok"};
  suffer(none);
  // All of it was one run of one identity.
  EXPECT_EQ(cloud("mailboxes.json").size(), 1u);
  const std::vector<std::string> addresses = seen_->values("email");
  EXPECT_EQ(std::set<std::string>(addresses.begin(), addresses.end()).size(), 1u);
}

class FlowFaultsLong : public FlowFaults {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FlowFaultsLong);
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowFaultsLong,
                         ::testing::ValuesIn(support::in_long_runs({2, 3})));

TEST_P(FlowFaultsLong, EachEndsAsIsSaidAndTheSameCommandGoesOnFromThere) {
  write_all("flow.toml", sign_up());
  for (const Misfortune& one : misfortunes()) {
    suffer(one);
    if (HasFatalFailure()) return;
  }
  suffer(late_ones());
  EXPECT_EQ(cloud("mailboxes.json").size(), 1u);
  EXPECT_EQ(seen_->values("one-time code").size(), 2u);
  EXPECT_EQ(seen_->values("otp").size(), 3u);
  EXPECT_EQ(seen_->values("otp").back(), seen_->values("one-time code").back());
}

// operations.md (f): a refused card ends the run; the next one asks again, under another key.
TEST_P(FlowFaultsLong, ARefusedCardIsAskedForAgainUnderAnotherKeyAndChargedOnce) {
  const std::string card = "4111111111111111";
  write_all("flow.toml", RoomRig::read(shipped_flow(FLEXROOM_SOURCE_DIR, "buy-card")));
  const Mine mine = [&](PartyId i) -> std::optional<std::filesystem::path> {
    if (i != 1) return std::nullopt;
    return rig_->write(1, "mine.json", json{{"payer-card", card}}.dump());
  };
  admin_->settings({{"refused_cards", 1}});
  for (const Ended& e : run({}, "flow.toml", {{"payer", "m1"}}, mine)) {
    EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;
    EXPECT_THAT(e.error(),
                AllOf(HasSubstr("flow buy-card stopped: Order: 402"),
                      HasSubstr("The same command goes on from there"), Not(HasSubstr(card))));
  }
  EXPECT_TRUE(seen_->values("charge").empty());
  all_ok(run({}, "flow.toml", {{"payer", "m1"}}, mine));
  EXPECT_EQ(seen_->values("charge"), std::vector<std::string>{card});
  const std::vector<std::string> keys = seen_->values("idempotency key");
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_NE(keys[0], keys[1]);
  EXPECT_EQ(cloud("mailboxes.json").size(), 1u);
}

// A mailbox of that address is somebody else's: 130 bits say that it is not, so the run stops, and
// `--abandon` says what it may have left.
TEST_P(FlowFaultsLong, AnAddressOfSomebodyElseStopsTheRun) {
  write_all("flow.toml", sign_up());
  admin_->settings({{"taken_addresses", 1}});
  std::vector<Ended> ended = run({}, "flow.toml", {{"person", "m0"}});
  for (const Ended& e : ended) {
    EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("GetMailToken: 401 (exhausted)"));
  }
  const std::string text = ended[0].error(), word = "--abandon ";
  const std::string id = text.substr(text.find(word) + word.size(), 26);
  ended = run({}, "flow.toml", {{"person", "m0"}}, nullptr, id);
  all_ok(ended);
  EXPECT_EQ(ended[0].last()["left"], json::array({"a mailbox"}));
}

}  // namespace
}  // namespace flexroom
