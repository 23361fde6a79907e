#include "room/flow_person.h"

#include <fmt/core.h>

#include <chrono>

#include "base/display.h"

namespace flexroom::room {

std::optional<std::string> FlowPerson::answer(const Question& question) {
  flexroom::Question out;
  out.kind = flexroom::Question::Kind::kText;
  out.text = fmt::format("{}, step {}: all members will see the answer. Within {} s.\n",
                         display(question.flow), display(question.step), question.within_seconds);
  // Whatever a service sent: as one line that moves no cursor.
  for (const auto& [name, value] : question.shown) {
    out.text += fmt::format("  {}: {}\n", display(name), display_text(value, 65'536));
  }
  const auto asked = std::chrono::steady_clock::now();
  out.within = std::chrono::seconds(question.within_seconds);
  auto said = decider_.human_input(out);
  // The step's `none`, also where a Decider knows no hurry.
  if (std::chrono::steady_clock::now() - asked > *out.within) return std::nullopt;
  return said;
}

}  // namespace flexroom::room
