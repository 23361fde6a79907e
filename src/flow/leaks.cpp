#include <fmt/core.h>

#include <algorithm>

#include "flow/loader.h"

// The ledger's side of a flow file: which tests show bits of which secrets, and how many one run
// can show at most (tls-in-mpc.md §5.6).

namespace flexroom::flow {
namespace {

/// Tests of this step's sealed answer whose text is chosen at run time.
unsigned texts(const Step& step) {
  if (step.asks() || !step.sealed) return 0;
  unsigned out = 0;
  for (const Assertion& one : step.asserts) {
    out += one.equals && one.equals->find("{{") != std::string::npos ? 1 : 0;
  }
  for (const Filter& filter : step.item ? step.item->filters : std::vector<Filter>()) {
    // `!=` compares with the current value and with the unproved one.
    if (filter.at_run_time()) out += filter.equal ? 1 : 2;
  }
  return out;
}

std::set<std::string> short_secrets(const Flow& flow, const Step& step, const KnownValues& room) {
  std::set<std::string> out;
  for (const SlotUse& use : step.slots) {
    if (flow.entropy_of(use.name, room).value_or(kFullEntropy) < kFullEntropy) out.insert(use.name);
  }
  return out;
}

bool searches(const Step& step) {
  return std::any_of(step.keeps.begin(), step.keeps.end(),
                     [](const Keep& k) { return k.at.searches(); }) ||
         std::any_of(step.opens.begin(), step.opens.end(),
                     [](const Open& o) { return o.at && o.at->searches(); }) ||
         std::any_of(step.asserts.begin(), step.asserts.end(),
                     [](const Assertion& a) { return a.at.searches(); });
}

/// How often one confirmed run can release the step: once, once more for each time a rule may lead
/// back to it or before it, and the pauses behind 429.
unsigned most_releases(const Flow& flow, const Step& step) {
  unsigned out = 1 + kThrottleTries;
  flow.each_step([&](const Step& other) {
    for (const auto& [event, rule] : other.on) {
      const bool again = rule.kind == Rule::Kind::kAgain && &other == &step;
      const bool back =
          rule.kind == Rule::Kind::kBack && (rule.line != step.line || rule.index <= step.index);
      if (again || back || rule.kind == Rule::Kind::kBranch) out += rule.times;
    }
  });
  return out;
}

}  // namespace

std::map<std::string, unsigned> bits_of_release(const Flow& flow, const Step& step,
                                                const KnownValues& room) {
  std::map<std::string, unsigned> out;
  const unsigned bits = texts(step);
  if (bits == 0) return out;
  for (const std::string& name : short_secrets(flow, step, room)) out[name] = bits;
  return out;
}

std::map<std::string, unsigned> leaks_unless_long(const Flow& flow, const KnownValues& room) {
  std::map<std::string, unsigned> out;
  flow.each_step([&](const Step& step) {
    const unsigned bits = texts(step) * (step.asks() ? 0 : most_releases(flow, step));
    std::set<std::string> names;
    for (const SlotUse& use : step.slots) {
      if (flow.is_used(use.name) && !room.contains(use.name)) names.insert(use.name);
    }
    for (const std::string& name : names) {
      if (bits != 0 && !flow.is_secret(name)) out[name] += bits;
    }
  });
  return out;
}

std::map<std::string, unsigned> leaks_of(const Flow& flow, const KnownValues& room) {
  std::map<std::string, unsigned> out;
  Place first;
  flow.each_step([&](const Step& step) {
    if (step.asks()) return;
    const std::set<std::string> low = short_secrets(flow, step, room);
    if (!low.empty() && step.sealed && searches(step)) {
      std::string names;
      for (const std::string& name : low) names += (names.empty() ? "" : ", ") + name;
      refuse(step.place, fmt::format("{}: `after` or `pattern` in the answer to a request that "
                                     "carries {}, below 128 bits",
                                     step.name, names));
    }
    const auto need = bits_of_release(flow, step, room);
    if (need.empty()) return;
    if (first.empty()) first = step.place;
    const unsigned times = most_releases(flow, step);
    for (const auto& [name, bits] : need) out[name] += bits * times;
  });
  for (const auto& [name, bits] : out) {
    if (bits > kLifeBits) {
      refuse(
          first,
          fmt::format("one run could show {} bits of {}; {} are its life's", bits, name, kLifeBits),
          "put the test into a file of its own, in no loop");
    }
  }
  return out;
}

}  // namespace flexroom::flow
