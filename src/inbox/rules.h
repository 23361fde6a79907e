#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "inbox/schedule.h"
#include "inbox/terms.h"

namespace flexroom::inbox {

/// One [[approve]] of rules.toml (members.md §6.5): what may be approved without asking people.
/// There is no list of what is denied: what no rule names, people are asked about.
struct StandingRule {
  std::string name;            // `name`, or "rule 1", "rule 2", .. by its place
  std::string kind;            // "call", "run-script", "flow": by the key of `definition`
  Digest definition{};         // recipe, flow or script = "sha256:.."
  std::set<std::string> from;  // names of proposers
  std::map<std::string, std::set<std::string>> args;  // values, equal byte for byte
  std::set<std::string> free;                         // arguments that may have any value
  std::set<std::string> secrets;                      // names
  WeeklyHours hours;                                  // of the run
  uint32_t per_day = 0;                               // days at the offset of `hours`
  uint64_t until = 0;                                 // seconds since 1970; not part of it
};

/// What a rule approved.
struct RuleApproval {
  std::string rule;
  Window window;  // the proposal's, cut to the hours of the day in which it is given
  /// Whose count it is: (rule, day), and how many a day may have.
  int64_t day = 0;
  uint32_t per_day = 0;
};

/// The standing rules of one member. Judges proposals only: what counts of a day stands in once.db.
class StandingRules {
 public:
  static constexpr size_t kMaxRules = 256;

  StandingRules() = default;
  /// Strict: every key known, every list not empty, `until` at most a year after `now`. Throws
  /// InputError with line and column.
  static StandingRules parse(std::string_view text, std::string_view name, uint64_t now);

  /// What is asked about a proposal.
  struct Question {
    const agreement::Proposal& proposal;
    const Terms& terms;
    MemberId self{};   // whose rules these are
    std::string from;  // name of the proposer
    uint64_t now = 0;
    /// How many approvals a rule has given on a day.
    std::function<uint32_t(const std::string& rule, int64_t day)> given;
  };
  /// The first rule that covers it. Nothing: people are asked; `why` says what the nearest rule
  /// missed. Never for a change, a secret import, more than one run, or a proposal that wants a
  /// private input of another member (M50).
  std::optional<RuleApproval> judge(const Question& question, std::string* why = nullptr) const;

  const std::vector<StandingRule>& rules() const { return rules_; }

 private:
  std::vector<StandingRule> rules_;
};

}  // namespace flexroom::inbox
