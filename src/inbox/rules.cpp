#include "inbox/rules.h"

#include <fmt/core.h>

#include <algorithm>

#include "agreement/member_statements.h"
#include "base/error.h"
#include "base/hex_digest.h"
#include "config/checked_text.h"
#include "config/toml.h"

namespace flexroom::inbox {
namespace {

constexpr uint64_t kYear = uint64_t{366} * 86400;
constexpr int64_t kMaxPerDay = 1000;

struct DefinitionKey {
  std::string_view key, kind;
};
constexpr DefinitionKey kDefinitions[] = {
    {"recipe", "call"}, {"flow", "flow"}, {"script", "run-script"}};

void read_definition(const TomlTable& table, StandingRule& rule) {
  std::string_view found;
  for (const auto& [key, kind] : kDefinitions) {
    if (!table.has(key)) continue;
    if (!found.empty()) table.fail(key, "stands beside another definition", "write one rule each");
    found = key;
    rule.kind = kind;
  }
  if (found.empty()) table.fail("recipe", "is missing", "name one recipe, flow or script");
  const std::string text = table.text(found);
  constexpr std::string_view kPrefix = "sha256:";
  const bool fits = text.starts_with(kPrefix) && is_hex(text.substr(kPrefix.size()), 64);
  if (!fits) {
    table.fail(found, "is not \"sha256:\" and 64 lower-case hex digits",
               "`flexroom recipe check FILE` prints it");
  }
  rule.definition = *digest_of_hex(text.substr(kPrefix.size()));
  if (rule.definition == Digest{}) table.fail(found, "is the digest of nothing");
}

std::set<std::string> read_set(const TomlTable& table, std::string_view key, bool required) {
  std::set<std::string> out;
  for (std::string& text : table.texts_or_empty(key)) {
    if (!out.insert(std::move(text)).second) table.fail(key, "lists a text twice");
  }
  if (required && out.empty()) {
    table.fail(key, "lists nothing", "list what is allowed, byte for byte; there is no \"any\"");
  }
  return out;
}

StandingRule read_rule(const TomlTable& table, size_t number, uint64_t now) {
  StandingRule rule;
  rule.name = table.text_or("name", fmt::format("rule {}", number));
  if (rule.name.empty() || rule.name.size() > agreement::ApproveBody::kMaxRuleName) {
    table.fail("name", "is not 1 to 64 bytes long");
  }
  read_definition(table, rule);
  rule.from = read_set(table, "from", true);
  if (table.has("args")) {
    const TomlTable args = table.table("args");
    for (const std::string& name : args.keys()) rule.args[name] = read_set(args, name, true);
    args.finish();
  }
  rule.free = read_set(table, "free", false);
  for (const std::string& name : rule.free) {
    if (rule.args.contains(name)) table.fail("free", "names an argument that stands in `args`");
  }
  rule.secrets = read_set(table, "secrets", false);
  rule.hours = WeeklyHours::parse(table.text("hours"), table.place("hours"));
  rule.per_day = static_cast<uint32_t>(table.integer("per_day", 1, kMaxPerDay));
  rule.until = parse_date(table.date("until"), table.place("until"));
  if (rule.until > now + kYear) table.fail("until", "is more than a year away");
  table.finish();
  return rule;
}

/// What keeps a proposal from any rule at all.
std::string_view never(const StandingRules::Question& q) {
  if (q.proposal.kind == "change") return "changes of the room are never approved by a rule";
  if (q.proposal.kind == "secret") return "secrets are never imported by a rule";
  if (q.terms.repetition.times != 1 || q.terms.repetition.every) {
    return "more than one run is never approved by a rule";
  }
  for (const WantedInput& input : q.terms.inputs) {
    // Neither are public inputs of others: they are in the request, and no line of a rule is
    // about them.
    if (input.member != q.self) return "it holds an input of another member";
  }
  return {};
}

std::string arguments_problem(const StandingRule& rule, const Terms& terms) {
  for (const auto& [name, value] : terms.arguments) {
    if (rule.free.contains(name)) continue;
    const auto allowed = rule.args.find(name);
    if (allowed == rule.args.end()) return fmt::format("argument {} is not named", name);
    if (!allowed->second.contains(value)) return fmt::format("value of argument {}", name);
  }
  for (const auto& [name, values] : rule.args) {
    if (!terms.arguments.contains(name)) return fmt::format("argument {} is not given", name);
  }
  for (const NamedSecret& secret : terms.secrets) {
    if (!rule.secrets.contains(secret.name)) return fmt::format("secret {}", secret.name);
  }
  return {};
}

/// What this rule misses; the approval where it misses nothing.
std::string problem_of(const StandingRule& rule, const StandingRules::Question& q,
                       RuleApproval& out) {
  if (rule.kind != q.proposal.kind || rule.definition != q.terms.definition) return "definition";
  if (!rule.from.contains(q.from)) return "proposer";
  if (std::string problem = arguments_problem(rule, q.terms); !problem.empty()) return problem;
  if (q.now >= rule.until) return "the rule has ended";
  const auto hours = rule.hours.around(q.now);
  if (!hours) return "hours";
  // Not beyond the hours of this day: what was approved on Friday does not run on Sunday.
  out.window.first = std::max(hours->first, q.terms.window.first);
  out.window.last = std::min({hours->last, q.terms.window.last, rule.until - 1});
  if (out.window.first > out.window.last || out.window.last < q.now) return "window";
  out.rule = rule.name;
  out.day = rule.hours.day_of(q.now);
  out.per_day = rule.per_day;
  if (!q.given || q.given(rule.name, out.day) >= rule.per_day) return "per_day";
  return {};
}

}  // namespace

StandingRules StandingRules::parse(std::string_view text, std::string_view name, uint64_t now) {
  const TomlTable file = TomlTable::parse(text, name);
  StandingRules out;
  const std::vector<TomlTable> tables = file.tables("approve");
  file.finish();
  if (tables.size() > kMaxRules) file.fail("approve", "stands there more than 256 times");
  std::set<std::string> names;
  for (const TomlTable& table : tables) {
    out.rules_.push_back(read_rule(table, out.rules_.size() + 1, now));
    if (!names.insert(out.rules_.back().name).second) {
      table.fail("name", "is that of another rule", "the day's count goes by it");
    }
  }
  return out;
}

std::optional<RuleApproval> StandingRules::judge(const Question& q, std::string* why) const {
  std::string problem(never(q));
  if (problem.empty()) {
    problem = "no rule is about it";
    for (const StandingRule& rule : rules_) {
      RuleApproval out;
      const std::string missed = problem_of(rule, q, out);
      if (missed.empty()) return out;
      if (missed != "definition") problem = rule.name + " does not cover it: " + missed;
    }
  }
  if (why != nullptr) *why = problem;
  return std::nullopt;
}

}  // namespace flexroom::inbox
