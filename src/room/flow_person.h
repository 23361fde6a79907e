#pragma once

#include "flexroom/decider.h"
#include "flow/executor.h"

namespace flexroom::room {

/// The questions of a flow (operations.md (c) `ask`) go to the member's Decider, as everything that
/// a member decides does. What is shown was opened to all before.
class FlowPerson : public flow::Person {
 public:
  explicit FlowPerson(Decider& decider) : decider_(decider) {}
  /// Nothing: the Decider said not now, or answered later than the question allows.
  std::optional<std::string> answer(const Question& question) override;

 private:
  Decider& decider_;
};

}  // namespace flexroom::room
