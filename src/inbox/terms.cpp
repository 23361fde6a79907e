#include "inbox/terms.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/display.h"
#include "base/error.h"
#include "http/url.h"

namespace flexroom::inbox {
namespace {

using agreement::Proposal;
using Form = Proposal::Form;

constexpr std::string_view kHeading = "what waits", kArgument = "argument ";
/// Of fields that no other part of a proposal has.
constexpr std::string_view kOwnNames[] = {kHeading,       "proposer",       "definition sha256",
                                          "not before",   "not after",      "runs at most",
                                          "once in each", "unknown outcome"};
constexpr size_t kMaxSlot = 64, kMaxCouriers = 16, kMaxPattern = 4096;
constexpr size_t kMaxArgumentName = 100;

[[noreturn]] void refuse(std::string_view place, std::string_view problem) {
  throw InputError(place, problem, "it cannot wait as a proposal; propose it anew");
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool is_name(std::string_view text, size_t most) {
  return !text.empty() && text.size() <= most && is_printable(text);
}

void check_input(const WantedInput& input, std::string_view place) {
  if (!is_name(input.slot, kMaxSlot)) refuse(place, "wants an input without a name");
  if (input.value_class.size() > kMaxSlot || !is_printable(input.value_class)) {
    refuse(place, "wants an input of a class that is no name");
  }
  if (input.pattern.size() > kMaxPattern || !is_printable(input.pattern)) {
    refuse(place, "wants an input by a pattern that is not printable");
  }
  if (input.pattern.empty() && input.value_class.empty()) {
    refuse(place, "wants an input with neither a public nor a private part");
  }
  if (input.renewable.size() > kMaxSlot || (input.pattern.empty() && !input.renewable.empty())) {
    refuse(place, "wants an input whose public part is renewable and not there");
  }
  for (size_t i = 0; i < input.renewable.size(); ++i) {
    if (!is_name(input.renewable[i], kMaxSlot)) refuse(place, "names no renewable parameter");
    if (i > 0 && input.renewable[i - 1] >= input.renewable[i]) {
      refuse(place, "lists renewable parameters unsorted or twice");
    }
  }
}

void check(const Terms& t, std::string_view place) {
  if (t.arguments.size() > Terms::kMaxArguments || t.secrets.size() > Terms::kMaxSecrets ||
      t.inputs.size() > Terms::kMaxInputs || t.couriers.size() > kMaxCouriers) {
    refuse(place, "lists too many arguments, secrets, inputs or couriers");
  }
  for (const auto& [name, value] : t.arguments) {
    if (!is_name(name, kMaxArgumentName)) refuse(place, "has an argument without a name");
  }
  for (size_t i = 0; i < t.secrets.size(); ++i) {
    const NamedSecret& s = t.secrets[i];
    if (!is_name(s.name, 512) || s.version == agreement::SecretVersion::kNewest) {
      refuse(place, "names a secret without a name or version");
    }
    if (i > 0 && t.secrets[i - 1].name >= s.name) refuse(place, "lists secrets unsorted or twice");
  }
  std::set<std::array<uint8_t, 16>> records;
  for (const NamedSecret& s : t.secrets) {
    if (!records.insert(s.record).second) refuse(place, "names one secret under two names");
  }
  std::set<std::pair<MemberId, std::string>> slots;
  for (const WantedInput& input : t.inputs) {
    check_input(input, place);
    if (!slots.emplace(input.member, input.slot).second) refuse(place, "wants an input twice");
  }
  const std::set<MemberId> couriers(t.couriers.begin(), t.couriers.end());
  if (couriers.size() != t.couriers.size()) refuse(place, "lists a courier twice");
  if (t.window.first > t.window.last || t.window.last - t.window.first > Terms::kMaxWindow) {
    refuse(place, "has a window that is empty or longer than a year");
  }
  const Repetition& r = t.repetition;
  if (r.times == 0 || r.times > Repetition::kMaxRuns) refuse(place, "does not run 1 to 1000 times");
  if (r.every && r.every->first_day != r.every->last_day) {
    refuse(place, "has slots of more than one day of the week");
  }
}

/// The fields in order; what is not the expected one is none of ours.
class Fields {
 public:
  Fields(const Proposal& proposal, std::string_view place) : in_(proposal.fields), place_(place) {}
  bool next_is(std::string_view name) const { return at_ < in_.size() && in_[at_].name == name; }
  bool next_begins(std::string_view prefix) const {
    return at_ < in_.size() && in_[at_].name.starts_with(prefix);
  }
  const Proposal::Field& take(Form form) {
    if (at_ == in_.size() || in_[at_].form != form || in_[at_].secret) {
      refuse(place_, "does not begin with what makes it a proposal that waits");
    }
    return in_[at_++];
  }
  std::string text() { return to_text(take(Form::kText).value); }
  template <size_t N>
  std::array<uint8_t, N> bytes() {
    const Bytes& value = take(Form::kBytes).value;
    if (value.size() != N) refuse(place_, "has an id of another length");
    std::array<uint8_t, N> out;
    std::copy(value.begin(), value.end(), out.begin());
    return out;
  }
  uint32_t number(uint32_t most) {
    const std::string digits = text();
    uint64_t out = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9' || out > most) refuse(place_, "has a number that is none");
      out = 10 * out + static_cast<uint64_t>(c - '0');
    }
    if (out > most) refuse(place_, "has a number that is too large");
    return static_cast<uint32_t>(out);  // leading zeros: the comparison in read()
  }
  size_t read() const { return at_; }

 private:
  const std::vector<Proposal::Field>& in_;
  std::string_view place_;
  size_t at_ = 0;
};

NamedSecret read_secret(Fields& in) {
  NamedSecret s;
  s.name = in.text();
  s.record = in.bytes<16>();
  s.version = in.number(agreement::SecretVersion::kNewest - 1);
  s.provenance = in.bytes<32>();
  const std::string use = in.text();
  s.newest = use.starts_with("newest");
  s.replaces = use.ends_with("replaced");
  return s;
}

WantedInput read_input(Fields& in) {
  WantedInput w;
  w.member = in.bytes<16>();
  w.slot = in.text();
  w.value_class = in.text();
  w.pattern = in.text();
  while (in.next_begins("input renewable")) w.renewable.push_back(in.text());
  return w;
}

}  // namespace

void Terms::add_to(Proposal& proposal) const {
  check(*this, "proposal");
  FLEXROOM_ASSERT(proposal.fields.empty());
  proposal.section(std::string(kHeading));
  proposal.bytes("proposer", proposer).bytes("definition sha256", definition);
  for (const auto& [name, value] : arguments) proposal.text("argument " + name, value);
  for (const NamedSecret& s : secrets) {
    proposal.text("secret", s.name).bytes("secret record", s.record);
    proposal.text("secret version", std::to_string(s.version));
    proposal.bytes("secret made by", s.provenance);
    proposal.text("secret use", std::string(s.newest ? "newest" : "this version") +
                                    (s.replaces ? ", replaced" : ", read"));
  }
  for (const WantedInput& w : inputs) {
    proposal.bytes("input of", w.member).text("input", w.slot);
    proposal.text("input private class", w.value_class).text("input public part", w.pattern);
    for (const std::string& name : w.renewable) proposal.text("input renewable", name);
  }
  for (const MemberId& courier : couriers) proposal.bytes("courier", courier);
  proposal.text("not before", utc_text(window.first)).text("not after", utc_text(window.last));
  proposal.text("runs at most", std::to_string(repetition.times));
  if (repetition.every) proposal.text("once in each", repetition.every->text());
  proposal.text("unknown outcome", again ? "again" : "people decide");
}

Terms Terms::read(const Proposal& proposal, std::string_view place) {
  Fields in(proposal, place);
  Terms out;
  if (!in.next_is(kHeading)) {
    refuse(place, "does not begin with what makes it a proposal that waits");
  }
  (void)in.take(Form::kSection);
  out.proposer = in.bytes<16>();
  out.definition = in.bytes<32>();
  while (in.next_begins(kArgument)) {
    const Proposal::Field& field = in.take(Form::kText);
    out.arguments.emplace(field.name.substr(kArgument.size()), to_text(field.value));
  }
  while (in.next_is("secret") && out.secrets.size() <= kMaxSecrets) {
    out.secrets.push_back(read_secret(in));
  }
  while (in.next_is("input of") && out.inputs.size() <= kMaxInputs) {
    out.inputs.push_back(read_input(in));
  }
  while (in.next_is("courier") && out.couriers.size() <= kMaxCouriers) {
    out.couriers.push_back(in.bytes<16>());
  }
  out.window.first = parse_utc(in.text(), place);
  out.window.last = parse_utc(in.text(), place);
  out.repetition.times = in.number(Repetition::kMaxRuns);
  if (in.next_is("once in each")) out.repetition.every = WeeklyHours::parse(in.text(), place);
  out.again = in.text() == "again";
  check(out, place);
  // One way to write each: names, order and texts are those of add_to().
  Proposal again;
  out.add_to(again);
  if (again.fields.size() != in.read() ||
      !std::equal(again.fields.begin(), again.fields.end(), proposal.fields.begin())) {
    refuse(place, "says what waits in another way than it is written");
  }
  // Nothing behind it may look like it to who reads the text.
  for (size_t i = in.read(); i < proposal.fields.size(); ++i) {
    const std::string& name = proposal.fields[i].name;
    if (name.starts_with(kArgument) ||
        std::find(std::begin(kOwnNames), std::end(kOwnNames), name) != std::end(kOwnNames)) {
      refuse(place, "says twice what waits");
    }
  }
  return out;
}

Digest Terms::versions() const {
  std::vector<agreement::SecretVersion> out;
  for (const NamedSecret& s : secrets) {
    out.push_back(
        {s.record, s.newest ? agreement::SecretVersion::kNewest : s.version, s.provenance});
  }
  return agreement::versions_digest(std::move(out));
}

bool fits_pattern(std::string_view pattern, std::string_view text) {
  if (!is_printable(text)) return false;
  size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

namespace {

std::vector<std::pair<std::string, std::string>> parameters(const std::string& query) {
  std::vector<std::pair<std::string, std::string>> out;
  size_t at = 0;
  while (at <= query.size()) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string one = query.substr(at, end - at);
    const size_t equals = std::min(one.find('='), one.size());
    out.emplace_back(one.substr(0, equals), one.substr(equals));
    at = end + 1;
  }
  return out;
}

}  // namespace

void check_renewed(std::string_view before, std::string_view now,
                   const std::vector<std::string>& renewable, std::string_view place) {
  const http::Url a = http::parse_url(before, place), b = http::parse_url(now, place);
  const auto fail = [&](std::string_view what) {
    throw InputError(place, fmt::format("is given anew with another {} than was approved", what),
                     "what is not renewable is another proposal");
  };
  if (a.host != b.host || a.port != b.port) fail("host");
  if (a.path != b.path) fail("path");
  const auto old = parameters(a.query), given = parameters(b.query);
  if (a.has_query != b.has_query || old.size() != given.size()) fail("query");
  for (size_t i = 0; i < old.size(); ++i) {
    if (old[i].first != given[i].first) fail("query");
    const bool may = std::find(renewable.begin(), renewable.end(), old[i].first) != renewable.end();
    if (!may && old[i].second != given[i].second) fail("parameter " + display(old[i].first));
    if (old[i].second.size() != given[i].second.size()) {
      fail("length of the parameter " + display(old[i].first));
    }
  }
}

}  // namespace flexroom::inbox
