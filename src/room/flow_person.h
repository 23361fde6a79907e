#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "flexroom/decider.h"
#include "flow/executor.h"

namespace flexroom::room {

/// The questions of a flow (operations.md (c) `ask`) go to the member's Decider, as everything that
/// a member decides does. What is shown was opened to all before. A picture in a data URL lies in a
/// file (0600) of the run's folder as long as the question stands; its name is what is shown.
class FlowPerson : public flow::Person {
 public:
  /// The folder of the run that asks, made when it is needed.
  using Folder = std::function<std::filesystem::path()>;
  FlowPerson(Decider& decider, Folder folder) : decider_(decider), folder_(std::move(folder)) {}
  /// Nothing: the Decider said not now, or answered later than the question allows.
  std::optional<std::string> answer(const Question& question) override;

 private:
  Decider& decider_;
  const Folder folder_;
};

}  // namespace flexroom::room
