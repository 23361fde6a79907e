#include <fstream>
#include <nlohmann/json.hpp>

#include "flow_fixture.h"
#include "http/text.h"
#include "support/sealed_rig.h"

// Answers as services send them, read by the steps of the shipped files: sealed ones by the
// circuits, over whole connections, open ones by the reader in the clear.

namespace flexroom::room {
namespace {

using support::answer_with;
using support::ConnectionRig;
using support::make_rig;
using Report = ConnectionRig::Report;

const std::map<std::string, std::string>& answers_as_sent() {
  static const std::map<std::string, std::string> all = [] {
    std::map<std::string, std::string> out;
    std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/sealed-answers.json");
    for (const auto& row : nlohmann::json::parse(in)) out[row[0]] = row[1];
    return out;
  }();
  return all;
}

const flow::Flow& shipped_file(const std::string& name) {
  static std::map<std::string, flow::Flow> loaded;
  const auto it = loaded.find(name);
  if (it != loaded.end()) return it->second;
  const std::filesystem::path file =
      std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows" / (name + ".toml");
  flow::RoomView room = view();
  room.providers->front().host_mailbox["mail.flexroom.example"] = true;
  return loaded.emplace(name, flow::load_flow(file, room)).first->second;
}

/// EC2's 400 as it comes, without a Content-Type, with that code.
std::string ec2_refusal(const std::string& code) {
  const std::string& sent = answers_as_sent().at("06-ec2-DescribeKeyPairs");
  const std::string old_code = "InvalidKeyPair.NotFound";
  std::string out = replaced(sent, old_code, code);
  const size_t at = sent.find("\r\n\r\n") + 4;
  const size_t size = std::stoul(sent.substr(at), nullptr, 16) + code.size() - old_code.size();
  return out.replace(at, sent.find("\r\n", at) - at, fmt::format("{:x}", size));
}

class ShippedAnswers : public ::testing::TestWithParam<size_t> {
 protected:
  /// The connection of that step, prepared once.
  ConnectionRig& members(const std::string& file, const std::string& step) {
    static std::map<std::tuple<size_t, std::string, std::string>, std::unique_ptr<ConnectionRig>>
        made;
    auto& rig = made[{GetParam(), file, step}];
    if (!rig) {
      rig = make_rig(GetParam(), sealed_plan(*shipped_file(file).step(step), terms()));
    }
    return *rig;
  }
  /// What all members say of a refusal; its text is opened to none.
  static std::pair<int, std::string> refused(const Report& report) {
    EXPECT_TRUE(report.ended);
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.sealed) << member.where << ": " << member.detail;
      EXPECT_EQ(member.failure, "");
      EXPECT_EQ(member.leak.opened_bytes, 0u);
      EXPECT_EQ(member.listed_code, report.members[0].listed_code);
      EXPECT_EQ(member.sealed_status, report.members[0].sealed_status);
    }
    return {report.members[0].sealed_status, report.members[0].listed_code};
  }
};
INSTANTIATE_TEST_SUITE_P(Members, ShippedAnswers, ::testing::Values(2, 3));

// EC2 refuses without a Content-Type (tls-in-mpc.md §5.6): the code is found all the same, or the
// machine that runs already would be nobody's.
TEST_P(ShippedAnswers, ACodeIsFoundWhereTheServiceSaysNoType) {
  using Said = std::pair<int, std::string>;
  ConnectionRig& pair = members("run-script-classic", "CreateKeyPair");
  EXPECT_EQ(refused(answer_with(pair, ec2_refusal("InvalidKeyPair.Duplicate"))),
            Said(400, "InvalidKeyPair.Duplicate"));
  EXPECT_EQ(refused(answer_with(pair, answers_as_sent().at("09e-ec2-error-VcpuLimitExceeded"))),
            Said(400, "other"));
  // One that is there must be the right one, and the only one.
  const std::string typed = ec2_refusal("InvalidKeyPair.Duplicate");
  const auto with_lines = [&](const std::string& lines) {
    return refused(answer_with(pair, replaced(typed, "Connection: close\r\n", lines)));
  };
  EXPECT_EQ(with_lines("Content-Type: text/xml;charset=UTF-8\r\n"),
            Said(400, "InvalidKeyPair.Duplicate"));
  EXPECT_EQ(with_lines("Content-Type: text/html\r\n"), Said(400, "other"));
  if (GetParam() == 2) {
    EXPECT_EQ(with_lines("Content-Type: text/xml\r\nContent-Type: text/xml\r\n"),
              Said(400, "other"));
  }
}

TEST(ShippedOpenAnswers, ACodeIsFoundWhereTheServiceSaysNoType) {
  const flow::Step& start = *shipped_file("run-script-classic").step("StartEC2Instance");
  const auto code = [&](const std::string& answer) {
    return open_answer(start, http::parse_response(as_bytes(answer)), terms()).code;
  };
  EXPECT_EQ(code(ec2_refusal("IdempotentParameterMismatch")), "IdempotentParameterMismatch");
  EXPECT_EQ(code(ec2_refusal("IdempotentInstanceTerminated")), "IdempotentInstanceTerminated");
  EXPECT_EQ(code(answers_as_sent().at("09e-ec2-error-VcpuLimitExceeded")), "other");
  // An answer that is taken says its type.
  const std::string& started = answers_as_sent().at("09-ec2-RunInstances");
  const auto read = [&](const std::string& answer) {
    return open_answer(start, http::parse_response(as_bytes(answer)), terms());
  };
  EXPECT_EQ(read(started).opened.at("instance-id"), "i-0123456789abcdef0");
  EXPECT_EQ(read(replaced(started, "Content-Type: text/xml;charset=UTF-8\r\n", "")).failure,
            "other type");
}

}  // namespace
}  // namespace flexroom::room
