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

/// §4.9(4): what a kept connection asks of this answer against the handshake of another one.
bool is_worth_keeping(const Step& step) {
  return answer_cost(step, true) - answer_cost(step, false) < Gates::kHandshake;
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
    if (!step.sealed || step.host.find("{{") != std::string::npos) continue;
    Step*& before = last[step.host];
    if (before != nullptr && is_worth_keeping(*before)) {
      before->next_on_connection = step.name;
      step.previous_on_connection = before->name;
    }
    before = &step;
  }
}

}  // namespace

void share_connections(Flow& flow) {
  for (Line& line : flow.lines) share_in(line);
}

}  // namespace flexroom::flow
