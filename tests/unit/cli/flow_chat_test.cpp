#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/sandbox_flows.h"
#include "support/sweeps.h"

// share/flows/chat-key.toml and ask-chat.toml, whole, against the sandbox's chat-completion
// service: a key that nobody knows, a question of one member, an answer that another one alone is
// told.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class FlowChatTest : public ::testing::TestWithParam<size_t>, protected support::SandboxFlows {
 protected:
  void SetUp() override { set_up(GetParam()); }
  /// At all members; `inputs` is the file of m1.
  std::vector<Ended> flow_with(const std::function<std::filesystem::path(PartyId)>& file,
                               const std::map<std::string, std::string>& arguments,
                               const json& inputs) {
    rig_->write(1, "mine.json", inputs.dump());
    const std::vector<Ended> ended =
        rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
          std::optional<std::filesystem::path> own;
          if (i == 1) own = rig_->dir(1) / "mine.json";
          common.knows = true;
          return cli::run_flow(out, common, file(i), arguments, "", "", {}, own);
        });
    std::filesystem::remove(rig_->dir(1) / "mine.json");
    return ended;
  }
};
INSTANTIATE_TEST_SUITE_P(Members, FlowChatTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowChatTest, ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(FlowChatTest, TheAnswerIsToldToOneMemberAlone) {
  const std::filesystem::path cloud = rig_->root() / "cloud";
  std::string admin;
  std::ifstream(cloud / "api-token") >> admin;
  const std::vector<Ended> made =
      flow_with([](PartyId) { return shipped_flow(FLEXROOM_SOURCE_DIR, "chat-key"); },
                {{"admin", "m1"}, {"project", "proj_1"}}, {{"admin-key", admin}});
  all_ok(made);
  const json accounts = json::parse(RoomRig::read(cloud / "service-accounts.json"));
  ASSERT_EQ(accounts.size(), 1u);
  const std::string key = accounts.begin()->at("key");
  expect_unknown(made, {key, admin});

  std::string text = RoomRig::read(shipped_flow(FLEXROOM_SOURCE_DIR, "ask-chat"));
  const std::string reader = "to = \"hospital-a\"";
  write_all("ask.toml", text.replace(text.find(reader), reader.size(), "to = \"m0\""));
  std::string question = "How many patients of ward nine have what m1 alone knows of?";
  question.resize(256, ' ');
  const std::vector<Ended> asked = flow_with([&](PartyId i) { return rig_->dir(i) / "ask.toml"; },
                                             {{"asker", "m1"}}, {{"question", question}});
  all_ok(asked);
  const std::string answer = "You sent 25 words.";  // those of the agreed prompt and the question
  for (PartyId i = 0; i < rig_->size(); ++i) {
    const json opened = asked[i].last()["opened"];
    EXPECT_EQ(opened, asked[0].last()["opened"]);
    EXPECT_FALSE(opened.contains("answer"));
    const std::vector<json> told = asked[i].events("opened");
    ASSERT_EQ(told.size(), i == 0 ? 1u : 0u) << asked[i].out;
    if (i == 0) {
      EXPECT_EQ(told[0]["name"], "answer");
      EXPECT_EQ(told[0]["value"], answer);
    } else {
      EXPECT_THAT(asked[i].out, Not(HasSubstr(answer)));
    }
    for (const std::string& line : log_of(i)) EXPECT_THAT(line, Not(HasSubstr(answer)));
  }
  expect_unknown(asked, {key, question.substr(0, 40)});
  // Of others' files too: only who reads the answer has been told it, and nobody has stored it.
  expect_unknown(std::vector<Ended>(rig_->size()), {answer});
}

}  // namespace
}  // namespace flexroom
