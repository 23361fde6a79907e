#include "flow/connections.h"

#include <algorithm>
#include <map>

#include "flow/plan.h"

namespace flexroom::flow {
namespace {

/// The file lets it be made again after a pause, as polls are.
bool may_wait(const Step& step) {
  return std::any_of(step.on.begin(), step.on.end(), [](const auto& on) {
    return on.first != "unknown" && on.second.kind == Rule::Kind::kAgain;
  });
}

/// What follows it in the file does not follow it in the run.
bool leads_elsewhere(const Step& step) {
  const Rule* const rule = step.rule("ok");
  return rule != nullptr && rule->kind != Rule::Kind::kNext;
}

/// It is used once a key and soon over: where the connection ends behind it, before the release,
/// there is none for a new one (§4.9).
bool has_one_time_code(const Step& step) {
  return std::any_of(step.slots.begin(), step.slots.end(),
                     [](const SlotUse& use) { return use.function.starts_with("totp"); });
}

/// §4.9(4): what a kept connection asks of this answer against the handshake of another one.
bool is_worth_keeping(const Step& step) {
  return answer_cost(step, true) - answer_cost(step, false) + Gates::kAnswerToCome <
         Gates::kHandshake;
}

/// `before`: the step whose connection the next one may go on, or null.
void share(Step*& before, Step& step) {
  if (before != nullptr && is_worth_keeping(*before) && !has_one_time_code(step)) {
    before->next_on_connection = step.name;
    step.previous_on_connection = before->name;
  }
  // What a poll would pay for it each time is more than what it saves once.
  before = may_wait(step) ? nullptr : &step;
}

void share_in(Line& line) {
  std::map<std::string, Step*> last;  // by host
  for (Step& step : line.steps) {
    if (step.asks()) {
      last.clear();
      continue;
    }
    if (may_wait(step)) {
      std::erase_if(last, [&](const auto& one) { return one.first != step.host; });
    }
    // A host of a value may be another one each time.
    if (step.sealed && step.host.find("{{") == std::string::npos) share(last[step.host], step);
    if (leads_elsewhere(step)) last.clear();
  }
}

}  // namespace

void share_connections(Flow& flow) {
  for (Line& line : flow.lines) share_in(line);
}

}  // namespace flexroom::flow
