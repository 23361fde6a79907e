#include "flow/flow.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace flexroom::flow {

bool is_built_in(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"run", "room", "idempotency",
                                                      "client-metadata"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

uint32_t Birth::bytes() const {
  if (alphabet) return length + static_cast<uint32_t>(suffix.size());
  return static_cast<uint32_t>(entries.empty() ? 0 : entries.front().size() + suffix.size());
}

ValueClass Birth::value_class() const {
  for (const ValueClass one :
       {alphabet.value_or(ValueClass::kUrlSafe), ValueClass::kUrlSafe, ValueClass::kCookie}) {
    const auto in_class = [&](const std::string& text) {
      return std::all_of(text.begin(), text.end(), [&](char c) { return set_of(one).contains(c); });
    };
    const bool drawn = alphabet ? set_of(*alphabet).subset_of(set_of(one))
                                : std::all_of(entries.begin(), entries.end(), in_class);
    if (drawn && in_class(suffix)) return one;
  }
  return ValueClass::kJsonSafe;
}

uint32_t Keep::stored_min() const {
  if (!decode) return min;
  // Of base64 two characters may be padding.
  const uint32_t least = most_decoded_bytes(*decode, min);
  return decode == TextCode::kBase64 ? std::max(least, 3u) - 2 : least;
}

uint32_t Keep::stored_max() const { return decode ? most_decoded_bytes(*decode, max) : max; }

std::string Keep::signature() const {
  std::string out = fmt::format("{} {}-{} {} {}", to_string(value_class), min, max,
                                decode ? to_string(*decode) : "", entropy);
  for (const std::string& purpose : purposes) out += "\n" + purpose;
  return out;
}

std::string Rule::text() const {
  constexpr std::array<std::string_view, 6> kWords = {"next", "stop",  "again",
                                                      "back", "after", "branch"};
  std::string out(kWords[static_cast<size_t>(kind)]);
  if (!to.empty()) out += " " + to;
  if (counted) out += fmt::format(" x{}", times);
  return out;
}

std::string_view to_string(SlotUse::Where where) {
  constexpr std::array<std::string_view, 8> kNames = {"path",   "host", "query", "header",
                                                      "cookie", "form", "json",  "number"};
  return kNames[static_cast<size_t>(where)];
}

bool Step::is_ok(int code_of_answer) const {
  return std::find(status.begin(), status.end(), code_of_answer) != status.end();
}

bool Step::reads_header() const {
  return reads_body() || code.has_value() || !keeps.empty() || !opens.empty() || !asserts.empty();
}
bool Step::reads_body() const {
  if (item) return true;
  return std::any_of(keeps.begin(), keeps.end(), [](const Keep& k) { return k.at.in_body(); }) ||
         std::any_of(opens.begin(), opens.end(),
                     [](const Open& o) { return o.at && o.at->in_body(); }) ||
         std::any_of(asserts.begin(), asserts.end(),
                     [](const Assertion& a) { return a.at.in_body(); });
}

const Rule* Step::rule(std::string_view event) const {
  for (const auto& [name_of_event, rule] : on) {
    if (name_of_event == event) return &rule;
  }
  return nullptr;
}

const Open* Step::open(std::string_view name_of_value) const {
  for (const Open& one : opens) {
    if (one.name == name_of_value) return &one;
  }
  return nullptr;
}

const Keep* Step::keep(std::string_view name_of_value) const {
  for (const Keep& one : keeps) {
    if (one.name == name_of_value) return &one;
  }
  return nullptr;
}

const Line* Flow::line(std::string_view line_name) const {
  for (const Line& one : lines) {
    if (one.name == line_name) return &one;
  }
  return nullptr;
}

void Flow::each_step(const std::function<void(const Step&)>& visit) const {
  for (const Line& one : lines) {
    for (const Step& step : one.steps) visit(step);
  }
}

const Step* Flow::step(std::string_view step_name) const {
  for (const Line& one : lines) {
    for (const Step& step : one.steps) {
      if (step.name == step_name) return &step;
    }
  }
  return nullptr;
}

const Keep* Flow::kept(std::string_view value) const {
  for (const Line& one : lines) {
    for (const Step& step : one.steps) {
      if (const Keep* const keep = step.keep(value)) return keep;
    }
  }
  return nullptr;
}

const std::vector<std::string>* Flow::purposes_of(std::string_view value) const {
  const std::string key_of(value);
  if (const auto it = born.find(key_of); it != born.end()) return &it->second.purposes;
  if (const auto it = inputs.find(key_of); it != inputs.end()) return &it->second.purposes;
  const Keep* const keep = kept(value);
  return keep == nullptr ? nullptr : &keep->purposes;
}

bool Flow::is_opened(std::string_view value) const {
  bool found = false;
  each_step([&](const Step& step) {
    const Open* const open = step.open(value);
    found |= open != nullptr && open->to_all();
  });
  return found;
}

bool Flow::is_used(std::string_view value) const {
  return std::find(uses.begin(), uses.end(), value) != uses.end() ||
         std::find(may_use.begin(), may_use.end(), value) != may_use.end();
}

const Step* Flow::proof_of(std::string_view value) const {
  if (is_of_run(value)) return nullptr;
  const std::string_view first = value.substr(0, value.find('/'));
  for (const Line& one : lines) {
    for (const Step& step : one.steps) {
      if (!step.proves.empty() && step.proves == first) return &step;
    }
  }
  return nullptr;
}

std::optional<uint32_t> Flow::entropy_of(std::string_view value, const KnownValues& room) const {
  const std::string name_of(value);
  if (const auto it = born.find(name_of); it != born.end()) {
    return static_cast<uint32_t>(it->second.bits);
  }
  if (const Keep* const keep = kept(value)) return keep->entropy;
  if (inputs.contains(name_of)) return 0;
  const auto it = room.find(value);
  if (it == room.end() || it->second.is_public) return std::nullopt;
  return it->second.entropy;
}

int64_t Flow::settle_of(const Step& step) const {
  return std::max(settle_seconds, step.leaves.empty() ? kSettleSeconds : kSettleLeavesSeconds);
}

}  // namespace flexroom::flow
