#include "room/flow_inputs.h"

#include <fmt/core.h>

#include "base/display.h"
#include "call/call_inputs.h"
#include "flow/accounts.h"

namespace flexroom::room {
namespace {

SecretBytes ask_for(const flow::Flow& flow, const AskedValue& asked, const Asking& asking,
                    Decider& decider) {
  const std::string place = flow.inputs.at(asked.name).place;
  Question question;
  question.kind = Question::Kind::kText;
  question.text = fmt::format("{}: {} ({} bytes of class {}; seen by no other member)",
                              display(flow.name), asked.name, asked.length, asked.class_name);
  question.is_secret = true;
  std::optional<std::string> said = decider.human_input(question);
  if (!said) {
    throw InputError(place, fmt::format("asks {} for `{}`", asking.member, asked.name),
                     "pass --inputs FILE with this member's private values");
  }
  struct Wipe {
    std::string& text;
    ~Wipe() { wipe(text.data(), text.size()); }
  } const wiped{*said};
  return private_value(asked, *said, place, asking);
}

}  // namespace

std::map<std::string, SecretBytes> flow_inputs(const flow::Flow& flow,
                                               const std::map<std::string, std::string>& arguments,
                                               const std::string& member,
                                               const std::filesystem::path& file,
                                               Decider& decider) {
  std::vector<AskedValue> mine;
  for (const std::string& name : flow.input_order) {
    const flow::Input& input = flow.inputs.at(name);
    if (flow::member_of(input.from, arguments) != member) continue;
    mine.push_back({name, flow::set_of(input.value_class),
                    std::string(flow::to_string(input.value_class)), input.length});
  }
  const Asking asking{"flow", member};
  std::map<std::string, SecretBytes> out;
  if (!file.empty()) out = read_private_values(mine, file, asking);
  for (const AskedValue& one : mine) {
    if (!out.contains(one.name)) out.emplace(one.name, ask_for(flow, one, asking, decider));
  }
  return out;
}

}  // namespace flexroom::room
