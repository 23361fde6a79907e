#include "call/run_instances.h"
#include "flow_fixture.h"

// The boot script of a job in an argument of the shipped flow (operations.md (d), classic):
// members' private bytes go where no answer repeats them, once, and nowhere else.

namespace flexroom::room {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kClassic =
    std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows/run-script-classic.toml";

std::string shipped() {
  std::ifstream in(kClassic, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<PublicLinks> boot_links() {
  std::vector<PublicLinks> out;
  for (size_t i = 0; i < 2; ++i) {
    Prg prg(Block(7, i));
    const PrivateUrl url = split_private_url(
        "https://s3.example/member-" + std::to_string(i) + "?X-Amz-Signature=abcdef", "test");
    out.push_back(OwnLinks(url, url, url, prg).public_part("m" + std::to_string(i)));
  }
  return out;
}

BootScript boot_script() {
  JobConfig job;
  job.script_url = "https://scripts.example/s.py";
  job.script_sha256 = std::string(64, 'a');
  return {"user-data", user_data(job, boot_links())};
}

/// Why the file is refused with the script in its place; empty: it is not.
std::string refusal_of(const std::string& text, const BootScript& script,
                       std::string user_data = "") {
  if (user_data.empty()) user_data = script.text();
  try {
    const flow::Flow file = flow::parse_flow(text, kClassic, view());
    const auto arguments =
        flow::check_arguments(file, {{"user-data", user_data}, {"training-image", "image"}});
    require_bound(room(), file, arguments, &script);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

OpenCall start_of(const std::string& text, const BootScript& script) {
  const flow::Flow file = flow::parse_flow(text, kClassic, view());
  flow::Filling filling;
  filling.secret = [](const flow::SlotUse&) { return std::nullopt; };
  filling.public_text = [&](const flow::SlotUse& use) {
    return use.name == "user-data" ? script.text() : std::string("x");
  };
  filling.script = script.filling();
  filling.access_key_id = "AKIAEXAMPLE";
  filling.date_time = "20260101T000000Z";
  return step_call(room(), file, *file.step("StartEC2Instance"), filling);
}

TEST(BootScript, ItsPrivateBytesAreSlotsOfTheOneRequest) {
  const BootScript script = boot_script();
  EXPECT_EQ(refusal_of(shipped(), script), "");
  const OpenCall call = start_of(shipped(), script);
  ASSERT_EQ(call.base64.size(), 1u);
  EXPECT_TRUE(call.hidden_body_at.has_value());
  std::set<std::string> givers;
  for (const CallSlot& slot : call.slots) {
    EXPECT_TRUE(slot.in_base64);
    EXPECT_EQ(slot.position.name, "form UserData");
    if (slot.slot.source == http::SlotSource::kMember) givers.insert(slot.slot.from);
  }
  EXPECT_EQ(givers, (std::set<std::string>{"m0", "m1"}));
  // Where they stand is of the length that was agreed as text.
  flow::Filling plain;
  plain.secret = [](const flow::SlotUse&) { return std::nullopt; };
  plain.public_text = [&](const flow::SlotUse& use) {
    return use.name == "user-data" ? script.text() : std::string("x");
  };
  plain.access_key_id = "AKIAEXAMPLE";
  plain.date_time = "20260101T000000Z";
  const flow::Flow file = flow::parse_flow(shipped(), kClassic, view());
  const OpenCall as_text = step_call(room(), file, *file.step("StartEC2Instance"), plain);
  EXPECT_EQ(as_text.bytes, call.bytes);
  EXPECT_TRUE(as_text.slots.empty());
}

TEST(BootScript, NoAnswerThatAllReadMayRepeatThem) {
  const BootScript script = boot_script();
  // Tags are told by every DescribeInstances.
  const std::string elsewhere = replaced(shipped(), "&UserData={{user-data}}",
                                         "&TagSpecification.1.Tag.1.Value={{user-data}}");
  EXPECT_THAT(refusal_of(elsewhere, script), HasSubstr("does not list"));
  // Another action's answer may.
  const std::string other =
      replaced(shipped(), "Action=DescribeKeyPairs&", "Action=DescribeKeyPairs&X={{user-data}}&");
  EXPECT_THAT(refusal_of(other, script), HasSubstr("ec2:DescribeKeyPairs form X"));
}

TEST(BootScript, ItStandsThereOnceAndAsItIs) {
  const BootScript script = boot_script();
  const std::string twice =
      replaced(shipped(), "&UserData={{user-data}}", "&UserData={{user-data}}&X={{user-data}}");
  EXPECT_THAT(refusal_of(twice, script), HasSubstr("does not hold the boot script once"));
  EXPECT_THAT(refusal_of(shipped(), script, "AAAA"),
              HasSubstr("does not hold the boot script once"));
}

}  // namespace
}  // namespace flexroom::room
