#include "room/flow_answer.h"

#include <fmt/core.h>

#include <algorithm>

namespace flexroom::room {
namespace {

using agent::SealedItem;
using agent::SealedPlan;
using agent::SealedValue;
using flow::Selector;

/// Names of members, or places in an array where a step is a number.
void add_path(const std::vector<std::string>& steps, std::vector<http::JsonStep>& out) {
  for (const std::string& step : steps) {
    const bool number = step.find_first_not_of("0123456789") == std::string::npos &&
                        (step == "0" || step[0] != '0') && step.size() <= 6;
    if (number) {
      out.emplace_back(static_cast<size_t>(std::stoul(step)));
    } else {
      out.emplace_back(step);
    }
  }
}

/// Of `!=`: the member has to be there, a string without escape, also where nothing is excluded yet
/// (operations.md (a) `item`). A quote alone is the text of no such string.
std::vector<std::string> excluded_texts(const flow::Filter& filter, const AnswerTerms& terms) {
  const auto names = flow::names_in(filter.value);
  FLEXROOM_ASSERT(names && names->size() == 1);
  std::vector<std::string> out = terms.excluded(names->front());
  if (out.empty()) out.emplace_back("\"");
  return out;
}

http::JsonItem item_of(const flow::Step& step, const AnswerTerms& terms) {
  http::JsonItem out;
  out.first = step.pick_first;
  for (const flow::Filter& filter : step.item->filters) {
    if (!filter.equal) {
      for (std::string& text : excluded_texts(filter, terms)) {
        out.filters.push_back({filter.path, std::move(text), http::JsonNode::Kind::kString, false});
      }
      continue;
    }
    out.filters.push_back(
        {filter.path, terms.fill(filter.value),
         filter.is_text ? http::JsonNode::Kind::kString : http::JsonNode::Kind::kToken, true});
  }
  return out;
}

/// RFC 6265 §5.1.4: up to the last '/', without it.
std::string default_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (path.empty() || path[0] != '/' || slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

agent::SealedPlace place_of(const flow::Step& step, const Selector& at, bool missing_same,
                            const AnswerTerms& terms) {
  switch (at.kind) {
    case Selector::Kind::kCookie: {
      agent::SealedCookie out;
      out.query.name = at.name;
      if (!at.path.empty()) out.query.path = at.path;
      out.query.host = terms.host;
      out.query.domain = at.domain;
      out.query.default_path = default_path(terms.path);
      out.query.now = terms.time;
      out.missing_same = missing_same;
      return out;
    }
    case Selector::Kind::kHeader:
      return agent::SealedHeader{at.name, at.before, at.behind};
    case Selector::Kind::kXml:
      return agent::SealedXml{at.steps};
    case Selector::Kind::kPattern: {
      agent::SealedPattern out;
      out.literal = at.literal.value();
      if (at.run_class) out.run_class = flow::set_of(*at.run_class);
      out.terminator = http::CharSet::of(at.terminator);
      return out;
    }
    default:
      FLEXROOM_ASSERT(at.is_json());
      return agent::SealedJson{json_path(step, at, terms), at.kind == Selector::Kind::kJsonNumber};
  }
}

/// `after "LIT"`; a pattern has its literal itself.
std::optional<std::string> literal_behind(const Selector& at) {
  return at.kind == Selector::Kind::kPattern ? std::nullopt : at.literal;
}

/// `digits-and-spaces`: a blank behind each four digits of a value of up to that length, as cards
/// are printed, none behind the last; where it is not there, the class bit of the value fails
/// (operations.md (a)).
void drop_blanks(const Selector& at, uint32_t length, agent::SealedPlace& place) {
  if (at.run_class != flow::ValueClass::kDigitsAndSpaces) return;
  constexpr size_t kGroup = 4;
  std::vector<size_t>& blanks = std::get<agent::SealedPattern>(place).blanks;
  for (size_t group = 1; group * kGroup < length; ++group) {
    blanks.push_back(group * (kGroup + 1) - 1);
  }
}

/// Anything of the `item` is kept, opened or tested; else it only has to be there.
bool takes_of_item(const flow::Step& step) {
  const auto of_item = [](const auto& one) { return one.at.in_item; };
  return std::any_of(step.keeps.begin(), step.keeps.end(), of_item) ||
         std::any_of(step.asserts.begin(), step.asserts.end(), of_item) ||
         std::any_of(step.opens.begin(), step.opens.end(),
                     [](const flow::Open& one) { return one.at && one.at->in_item; });
}

/// The number in "assert 3", as the plan counts its items from 1; 0: another failure.
size_t failed_test(std::string_view failure) {
  constexpr std::string_view kAssert = "assert ";
  if (!failure.starts_with(kAssert)) return 0;
  return std::stoul(std::string(failure.substr(kAssert.size())));
}

flow::StepAnswer void_answer() {
  flow::StepAnswer out;
  out.reason = "not all members confirmed it, so nothing of it is kept";
  return out;
}

}  // namespace

std::vector<http::JsonStep> item_path(const flow::Step& step, const AnswerTerms& terms) {
  std::vector<http::JsonStep> out;
  add_path(step.item->array, out);
  out.emplace_back(item_of(step, terms));
  return out;
}

std::vector<http::JsonStep> json_path(const flow::Step& step, const Selector& at,
                                      const AnswerTerms& terms) {
  std::vector<http::JsonStep> out;
  if (at.in_item) out = item_path(step, terms);
  add_path(at.steps, out);
  return out;
}

namespace {

/// Of the step alone.
SealedPlan bounds_of(const flow::Step& step) {
  SealedPlan out;
  out.header_max = step.header_max;
  out.body_max = step.body_max;
  // Tickets and padding beside what is read.
  out.record_bytes = std::max(out.record_bytes, out.header_max + 2 * out.body_max + size_t{16'384});
  return out;
}

}  // namespace

agent::RequestsToCome answers_to(const std::vector<const flow::Step*>& steps) {
  agent::RequestsToCome out;
  out.count = steps.size();
  for (const flow::Step* const step : steps) {
    const SealedPlan bounds = bounds_of(*step);
    out.records += bounds.records;
    out.record_bytes += bounds.record_bytes;
  }
  return out;
}

SealedPlan sealed_plan(const flow::Step& step, const AnswerTerms& terms) {
  SealedPlan out = bounds_of(step);
  out.statuses = step.status;
  out.content_type = step.type;
  for (const flow::Keep& keep : step.keeps) {
    SealedItem item;
    item.at = place_of(step, keep.at, keep.missing_same, terms);
    drop_blanks(keep.at, keep.max, item.at);
    item.behind = literal_behind(keep.at);
    item.char_class = flow::set_of(keep.value_class);
    item.min_bytes = keep.min;
    item.max_bytes = keep.max;
    out.items.push_back(std::move(item));
  }
  for (const flow::Open& open : step.opens) {
    FLEXROOM_ASSERT(open.at.has_value());
    SealedItem item;
    item.at = place_of(step, *open.at, false, terms);
    drop_blanks(*open.at, open.max, item.at);
    item.behind = literal_behind(*open.at);
    item.fate = SealedItem::Fate::kOpen;
    if (!open.to_all()) item.to = terms.member(open.to);
    item.char_class = flow::set_of(open.value_class);
    item.max_bytes = open.max;
    out.items.push_back(std::move(item));
  }
  for (const flow::Assertion& one : step.asserts) {
    SealedItem item;
    item.at = place_of(step, one.at, false, terms);
    item.behind = literal_behind(one.at);
    item.fate = one.equals ? SealedItem::Fate::kTest : SealedItem::Fate::kAbsent;
    if (one.equals) item.equals = terms.fill(*one.equals);
    out.items.push_back(std::move(item));
  }
  if (step.item && !takes_of_item(step)) {
    SealedItem item;
    item.at = agent::SealedJson{item_path(step, terms), false};
    item.fate = SealedItem::Fate::kTest;  // without a text: it has to be there
    out.items.push_back(std::move(item));
  }
  if (step.code) {
    const agent::SealedPlace at = place_of(step, step.code->at, false, terms);
    agent::SealedCodes codes;
    if (const auto* const json = std::get_if<agent::SealedJson>(&at)) codes.at = *json;
    if (const auto* const xml = std::get_if<agent::SealedXml>(&at)) codes.at = *xml;
    codes.one_of = step.code->one_of;
    out.codes = std::move(codes);
  }
  return out;
}

flow::StepAnswer sealed_answer(const flow::Step& step, agent::SealedReply&& reply,
                               const StoreValues& store, const TellAlone& tell,
                               const DecodeValues& decode) {
  flow::StepAnswer out;
  if (reply.unknown) {
    out.reason = reply.failure.value_or("");
    return out;
  }
  out.status = reply.status;
  out.none = reply.none;
  out.code = reply.code.value_or("");
  if (reply.failure) {
    out.failure = *reply.failure;
    const size_t test = failed_test(*reply.failure);
    const size_t before = step.keeps.size() + step.opens.size();
    if (test > before && test - before <= step.asserts.size()) {
      out.failure = "assert " + step.asserts[test - before - 1].name;
    }
  }
  if (out.none || !out.failure.empty() || !step.is_ok(out.status)) return out;
  std::map<std::string, prep::AuthBits> kept;
  for (size_t k = 0; k < step.keeps.size(); ++k) {
    SealedValue& value = reply.values[k];
    const flow::Keep& keep = step.keeps[k];
    if (value.state == SealedValue::State::kSame && keep.missing_same) continue;
    // Without the others' last word nothing of the answer may be stored (boolean-engine.md §7.5).
    if (value.state != SealedValue::State::kKept) return void_answer();
    kept[keep.name] = std::move(value.bits);
  }
  for (size_t k = 0; k < step.opens.size(); ++k) {
    const SealedValue& value = reply.values[step.keeps.size() + k];
    const flow::Open& open = step.opens[k];
    const bool elsewhere = value.state == SealedValue::State::kElsewhere && !open.to_all();
    if (value.state != SealedValue::State::kOpened && !elsewhere) return void_answer();
    if (open.to_all()) out.opened[open.name] = value.text;
  }
  for (size_t k = step.keeps.size() + step.opens.size(); k < reply.values.size(); ++k) {
    if (reply.values[k].state != SealedValue::State::kTested) return void_answer();
  }
  if (decode && !decode(step, kept)) {
    out.failure = "outside class";
    out.opened.clear();
    return out;
  }
  for (size_t k = 0; k < step.opens.size(); ++k) {
    const SealedValue& value = reply.values[step.keeps.size() + k];
    const bool ours = value.state == SealedValue::State::kOpened && !step.opens[k].to_all();
    if (ours) tell(step.opens[k].name, value.secret.reveal());
  }
  out.kept = store(std::move(kept));
  return out;
}

}  // namespace flexroom::room
