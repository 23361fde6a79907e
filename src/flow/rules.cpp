#include "flow/rules.h"

#include <algorithm>

namespace flexroom::flow {
namespace {

/// The status that an event begins with, or 0.
int status_of(const std::string& event) {
  if (event.size() < 3 || event[0] < '1' || event[0] > '9') return 0;
  int out = 0;
  for (size_t k = 0; k < 3; ++k) {
    if (event[k] < '0' || event[k] > '9') return 0;
    out = 10 * out + (event[k] - '0');
  }
  return out;
}

const Rule& stop_rule() {
  static const Rule rule;
  return rule;
}

const Rule& next_rule() {
  static const Rule rule = [] {
    Rule out;
    out.kind = Rule::Kind::kNext;
    return out;
  }();
  return rule;
}

struct Chosen {
  const Rule* rule = nullptr;
  std::string event;
};

/// The first of "409 CODE", 409, 4xx that has a rule.
Chosen choose(const Step& step, const std::string& event) {
  if (const Rule* const rule = step.rule(event)) return {rule, event};
  const int status = status_of(event);
  if (status != 0) {
    const std::string plain = event.substr(0, 3);
    if (const Rule* const rule = step.rule(plain)) return {rule, plain};
    if (status >= 400 && status <= 499) {
      if (const Rule* const rule = step.rule("4xx")) return {rule, "4xx"};
    }
  }
  return {event == "ok" ? &next_rule() : &stop_rule(), event};
}

}  // namespace

Decision decide(const Flow& flow, const Step& step, const std::string& event, Fired& fired) {
  (void)flow;
  Decision out;
  std::string what = event;
  const int status = status_of(event);
  if (status == 429 || status >= 500) {
    const unsigned times = ++fired[{step.name, "throttle"}];
    out.rule = event;
    out.pause_seconds = std::min<int64_t>(300, int64_t{30} << std::min(times - 1, 8u));
    if (times > kThrottleTries) {
      out.undecided = status != 429;
      return out;
    }
    if (status == 429) {
      out.kind = Decision::Kind::kHold;
      out.at = {step.line, static_cast<uint32_t>(step.index)};
      return out;
    }
    what = "unknown";
    out.settle = true;
  }
  Chosen chosen = choose(step, what);
  const auto counts = [](const Rule& rule) {
    return rule.leads() || rule.kind == Rule::Kind::kAgain;
  };
  if (counts(*chosen.rule) && ++fired[{step.name, chosen.event}] > chosen.rule->times) {
    const Rule* const rule = step.rule("exhausted");
    chosen = {rule == nullptr ? &stop_rule() : rule, "exhausted"};
    if (++fired[{step.name, "exhausted"}] > chosen.rule->times) chosen.rule = &stop_rule();
  }
  out.rule = chosen.event;
  out.at = {step.line, static_cast<uint32_t>(step.index)};
  out.kind = Decision::Kind::kGo;
  switch (chosen.rule->kind) {
    case Rule::Kind::kStop:
      out.kind = Decision::Kind::kStop;
      out.undecided = what == "unknown" && chosen.rule != step.rule("unknown");
      break;
    case Rule::Kind::kNext:
      ++out.at.index;
      break;
    case Rule::Kind::kAgain:
      out.pause_seconds += step.every_seconds;
      break;
    case Rule::Kind::kBack:
      out.pause_seconds += step.every_seconds;
      [[fallthrough]];
    case Rule::Kind::kAfter:
    case Rule::Kind::kBranch:
      out.at = {chosen.rule->line, static_cast<uint32_t>(chosen.rule->index)};
      break;
  }
  return out;
}

}  // namespace flexroom::flow
