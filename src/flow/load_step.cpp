#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/codec.h"
#include "base/display.h"
#include "flow/keys.h"
#include "flow/loader.h"
#include "http/select.h"

namespace flexroom::flow {
namespace {

constexpr size_t kMaxParts = 32;
constexpr uint32_t kMaxKept = 4096, kMaxOpened = 65536;

bool is_step_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text[0] >= 'A' && text[0] <= 'Z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

/// Keys of a request do not belong to a question, and the other way round.
void check_kind(const TomlTable& table, const Step& step) {
  constexpr std::array<std::string_view, 7> kOfQuestion = {
      "name", "ask", "show", "open", "within_seconds", "every_seconds", "on"};
  for (const std::string& key : table.keys()) {
    const bool question =
        std::find(kOfQuestion.begin(), kOfQuestion.end(), key) != kOfQuestion.end();
    const bool wrong = (step.asks() && !question) ||
                       (!step.asks() && (key == "show" || key == "within_seconds")) ||
                       (key == "pick" && !table.has("item"));
    if (wrong) refuse(table.place(key), fmt::format("`{}` does not belong here", key));
  }
}

int64_t at_least_one(const TomlTable& table, const Step& step, std::string_view key,
                     int64_t fallback, int64_t most) {
  if (!table.has(key)) return fallback;
  const int64_t value = table.integer(key, INT64_MIN, INT64_MAX);
  if (value < 1) refuse(step.place, "seconds and lengths are at least 1");
  if (value > most) refuse(table.place(key), fmt::format("`{}` is at most {}", key, most));
  return value;
}

void load_status(const TomlTable& table, Step& step) {
  if (!table.has("status")) return;
  step.status.clear();
  bool good = true;
  for (const int64_t code : table.integers("status")) {
    good &= code >= 200 && code <= 499 && code != 408 && code != 429;
    step.status.push_back(static_cast<int>(code));
  }
  if (!good || step.status.empty() || step.status.size() > kMaxParts) {
    refuse(table.place("status"), "status: 200 to 499 without 408 and 429");
  }
}

/// A sub-table of [key.NAME]s, in the order of the file.
template <typename Take>
void each_part(const TomlTable& table, std::string_view key, Take take) {
  if (!table.has(key)) return;
  const TomlTable all = table.table(key);
  const std::vector<std::string> there = all.keys();
  if (there.size() > kMaxParts)
    refuse(table.place(key), fmt::format("more than {} of `{}`", kMaxParts, key));
  for (const std::string& name : there) {
    if (all.type_of(name) != TomlTable::Type::kTable) {
      refuse(all.place(name), fmt::format("`{}` has another type", display_short(name)),
             fmt::format("write {}.\"NAME\" = {{ .. }}", key));
    }
    if (!is_value_name(name)) {
      refuse(all.place(name), fmt::format("'{}' is no name of a value", display_short(name)),
             "use letters, digits, '.', '_', '/' and '-', at most 64");
    }
    require_no_page_key(all.place(name), name);
    take(name, all.table(name), all.place(name));
  }
}

void load_length(const TomlTable& table, Keep& keep) {
  const std::vector<int64_t> length = table.integers("length");
  const bool good = !length.empty() && length.size() <= 2 && length.front() >= 1 &&
                    length.front() <= length.back() && length.back() <= kMaxKept;
  if (!good) {
    refuse(table.place("length"),
           fmt::format("length is n or [min, max], from 1 to {} bytes", kMaxKept));
  }
  keep.min = static_cast<uint32_t>(length.front());
  keep.max = static_cast<uint32_t>(length.back());
}

/// The host of a request as far as a kept cookie's own purpose needs it.
std::vector<std::string> own_purpose(const TomlTable& table, const Keep& keep) {
  if (keep.at.kind != Selector::Kind::kCookie || !table.has("request")) return {};
  const std::string request = table.text("request");
  for (size_t at = 0; at < request.size();) {
    const size_t end = std::min(request.find('\n', at), request.size());
    const std::string_view line = std::string_view(request).substr(at, end - at);
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && http::same_name(line.substr(0, colon), "host")) {
      const std::string host(http::trim_blanks(line.substr(colon + 1)));
      return {fmt::format("https://{} cookie {}={{{{}}}}", host, keep.at.name)};
    }
    at = end + 1;
  }
  return {};
}

Selector load_selector(const TomlTable& table, const Place& place) {
  const std::string text = table.text("at");
  auto out = parse_selector(text);
  if (!out) {
    refuse(place, fmt::format("not a selector: `{}`", display_short(text)),
           "operations.md (a) has the forms: cookie, header, json, json-number, xml, pattern");
  }
  return std::move(*out);
}

ValueClass load_class(const TomlTable& table, const Place& place) {
  const std::string name = table.text("class");
  const auto out = value_class_of(name);
  if (!out) refuse(place, fmt::format("no class `{}`", display_short(name)));
  return *out;
}

/// The class that is checked inside is that of the code, and the text stands for something.
TextCode decode_of(const Keep& keep, std::string_view name, const Place& place) {
  const std::optional<TextCode> code = text_code_of(name);
  if (!code) refuse(place, "decode is base32, base64 or hex");
  if (to_string(keep.value_class) != name) {
    refuse(
        place,
        fmt::format("decode = \"{0}\" of a value of class {1}", name, to_string(keep.value_class)),
        fmt::format("write class = \"{}\"", name));
  }
  if (most_decoded_bytes(*code, keep.min) == 0) {
    refuse(place, fmt::format("{} characters of {} stand for no byte", keep.min, name));
  }
  if (keep.min == keep.max && !decoded_bytes(*code, keep.max)) {
    refuse(place, fmt::format("no {} has {} characters", name, keep.max));
  }
  return *code;
}

/// Whether text of the class is always a text of the code: no padding, no bits left over.
bool always_decodes(const Keep& keep) {
  if (keep.min != keep.max) return false;
  return keep.decode == TextCode::kHex || (keep.decode == TextCode::kBase32 && keep.max % 8 == 0);
}

void check_keep_name(const Loading& in, const Step& step, const Keep& keep) {
  const Flow& flow = in.flow;
  if (!step.sealed) refuse(keep.place, "an open answer keeps nothing");
  if (flow.is_opened(keep.name) || in.private_names.contains(keep.name)) {
    refuse(keep.place, fmt::format("{} is opened elsewhere", keep.name));
  }
  if (flow.born.contains(keep.name) || flow.inputs.contains(keep.name) ||
      flow.arguments.contains(keep.name) || is_built_in(keep.name)) {
    refuse(keep.place, fmt::format("{} is born, an input or an argument", keep.name));
  }
}

void load_keep(Loading& in, const TomlTable& step_table, const TomlTable& table, Step& step,
               Keep keep) {
  const Place& place = keep.place;
  check_keys(table, Table::kKeep);
  keep.value_class = load_class(table, place);
  load_length(table, keep);
  if (table.has("decode")) {
    keep.decode = decode_of(keep, table.text_or("decode", ""), table.place("decode"));
  }
  const std::string missing = table.text_or("missing", "fail");
  if (missing != "fail" && missing != "same") refuse(place, "missing is fail or same");
  keep.missing_same = missing == "same";
  if (keep.missing_same && !table.text("at").starts_with("cookie ")) {
    refuse(place, "missing = \"same\" is for a cookie only");
  }
  check_keep_name(in, step, keep);
  if (table.text("at").find("{{") != std::string::npos && names_in(table.text("at")).has_value()) {
    refuse(place, "no slot in a selector of keep");
  }
  keep.at = load_selector(table, place);
  keep.entropy = static_cast<uint32_t>(table.integer_or("entropy", 0, 0, 65536));
  const double most = keep.decode ? 8.0 * static_cast<double>(keep.stored_max())
                                  : most_bits(keep.value_class, keep.max);
  if (keep.entropy > most) {
    refuse(place, fmt::format("{} bits of entropy in {} of {}: at most {:.0f}", keep.entropy,
                              to_string(keep.value_class), keep.max, std::floor(most)));
  }
  keep.replace = table.flag_or("replace", false);
  keep.purposes = load_purposes(in, table, own_purpose(step_table, keep));
  const bool signs = std::any_of(keep.purposes.begin(), keep.purposes.end(),
                                 [](const std::string& p) { return p.starts_with("sigv4"); });
  if (signs && keep.entropy < kFullEntropy) {
    refuse(place, fmt::format("signs with {} bits of entropy, needs 128", keep.entropy),
           "a key that can be guessed is found from what signing opens (tls-in-mpc.md §3.4)");
  }
  check_code_key(place, keep.name, keep.purposes, keep.entropy, keep.stored_max());
  const Keep* const other = in.flow.kept(keep.name);
  if (other != nullptr && other->signature() != keep.signature()) {
    refuse(place,
           fmt::format("{} is kept elsewhere with another class, length, entropy or purposes: "
                       "another secret",
                       keep.name));
  }
  step.keeps.push_back(std::move(keep));
}

void load_open(Loading& in, const TomlTable& table, Step& step, Open open) {
  const Place& place = open.place;
  check_keys(table, Table::kOpen);
  if (step.asks() == table.has("at") || (step.asks() && table.has("to"))) {
    refuse(place,
           "`at`, `class` and `max` are needed (`class` and `max` for an answer of a person)");
  }
  open.value_class = load_class(table, place);
  open.max = static_cast<uint32_t>(table.integer("max", 1, kMaxOpened));
  open.to = table.text_or("to", "all");
  if (!is_name(open.to)) refuse(table.place("to"), "to is all, or a member");
  if (table.has("at")) {
    if (table.text("at").starts_with("cookie ")) refuse(place, "a cookie is never opened");
  }
  const Flow& flow = in.flow;
  if (flow.kept(open.name) != nullptr || step.keep(open.name) != nullptr ||
      flow.born.contains(open.name)) {
    refuse(place, fmt::format("{} is a secret", open.name));
  }
  if (flow.inputs.contains(open.name) || flow.arguments.contains(open.name) ||
      is_built_in(open.name)) {
    refuse(place, fmt::format("{} is an input, an argument or built in", open.name));
  }
  if (table.has("at")) open.at = load_selector(table, place);
  if (!open.to_all()) in.private_names.insert(open.name);
  step.opens.push_back(std::move(open));
}

void load_assert(const TomlTable& table, Step& step, Assertion assertion) {
  const Place& place = assertion.place;
  check_keys(table, Table::kAssert);
  const bool absent = table.has("absent");
  if (table.has("equals") == absent || (absent && !table.flag_or("absent", false))) {
    refuse(place, "`at` and one of equals, absent = true");
  }
  if (!absent) {
    assertion.equals = table.text("equals");
    if (assertion.equals->size() > 1024 || !names_in(*assertion.equals)) {
      refuse(place, "equals is a literal of at most 1,024 bytes with {{NAME}}s of public values");
    }
  }
  assertion.at = load_selector(table, place);
  step.asserts.push_back(std::move(assertion));
}

void load_code(const TomlTable& table, Step& step) {
  if (!table.has("code")) return;
  const TomlTable in = table.table("code");
  const Place place = step.code_place = table.place("code");
  check_keys(in, Table::kCode);
  Code code;
  const std::string at = in.text("at");
  const auto selector = parse_selector(at);
  const bool good =
      selector && !selector->in_item && !selector->literal &&
      (selector->kind == Selector::Kind::kJson || selector->kind == Selector::Kind::kXml);
  if (!good) {
    refuse(place, fmt::format("the selector of a code is json or xml: `{}`", display_short(at)));
  }
  code.at = *selector;
  code.one_of = in.texts_or_empty("one_of");
  std::vector<std::string> sorted = code.one_of;
  std::sort(sorted.begin(), sorted.end());
  if (code.one_of.empty() || code.one_of.size() > 32 ||
      std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    refuse(place, "1 to 32 different codes");
  }
  for (const std::string& one : code.one_of) {
    if (one == "other") refuse(place, "other is every code that is not listed");
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const bool word =
        !one.empty() && one.size() <= 64 && letter(one[0]) &&
        std::all_of(one.begin(), one.end(), [&](char c) {
          return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        });
    if (!word) refuse(place, fmt::format("a code begins with a letter: `{}`", display_short(one)));
  }
  step.code = std::move(code);
}

/// What is looked for in JSON strings is whole characters, as they are sent (tls-in-mpc.md §5.5).
void check_literal(const Selector& at, const Place& place) {
  if (!at.literal || !at.is_json() || http::is_json_literal(*at.literal)) return;
  refuse(place,
         fmt::format("`after` with a literal that no JSON string holds in one way: {}",
                     display_short(*at.literal)),
         "write whole characters as the service sends them, \\\" for a quote, without \\u and with "
         "all slashes alike");
}

/// A run behind a literal ends at the end of the text, which is no byte of its class
/// (tls-in-mpc.md §5.4).
void check_run(const Selector& at, ValueClass value_class, const Place& place) {
  check_literal(at, place);
  if (!at.literal || (!at.is_json() && at.kind != Selector::Kind::kXml)) return;
  const http::CharSet& run = set_of(value_class);
  if (!run.contains(at.is_json() ? '"' : '<') && !run.contains('\0')) return;
  refuse(
      place,
      fmt::format("`after` with class {}, which holds the end of the text", to_string(value_class)),
      "use a narrower class");
}

/// Of every selector: its kind fits the answer's type and the step's item.
void check_kinds(const Step& step) {
  const auto check = [&](const Selector& at, const Place& place, bool is_absent) {
    const bool json = step.type.find("json") != std::string::npos;
    const bool xml = step.type.find("xml") != std::string::npos;
    if (at.in_item && !step.item) refuse(place, "a selector says item, the step has none");
    if (at.kind == Selector::Kind::kPattern) {
      if (!at.run_class && !is_absent) {
        refuse(place, "a pattern has CLASS and TERM, or is asserted absent");
      }
      if (json || xml) refuse(place, "no pattern on JSON or XML");
    }
    if ((at.is_json() && !json) || (at.kind == Selector::Kind::kXml && !xml)) {
      const std::string_view kind = std::string_view(at.text).substr(0, at.text.find(' '));
      refuse(place, fmt::format("{} in an answer of type {}", kind, step.type));
    }
  };
  for (const Keep& keep : step.keeps) {
    check(keep.at, keep.place, false);
    check_run(keep.at, keep.value_class, keep.place);
    if (keep.decode && !step.opens.empty() && !always_decodes(keep)) {
      refuse(
          keep.place,
          fmt::format("{} is decoded only after `open` has shown its values, and may turn out to "
                      "be no {}",
                      keep.name, to_string(*keep.decode)),
          "give it one length without padding, or open in another step");
    }
  }
  for (const Open& open : step.opens) {
    if (!open.at) continue;
    if (!step.sealed && !open.to_all()) {
      refuse(open.place, fmt::format("{} of an open answer is not {}'s alone", open.name, open.to),
             "all members read the whole of an open answer; leave `to` out, or `sealed = false`");
    }
    check(*open.at, open.place, false);
    check_run(*open.at, open.value_class, open.place);
  }
  for (const Assertion& one : step.asserts) {
    check(one.at, one.place, !one.equals);
    check_literal(one.at, one.place);
  }
}

// ------------------------------------------------------------------ rules

bool is_status(std::string_view text) {
  return text.size() == 3 && text[0] >= '2' && text[0] <= '4' && text[1] >= '0' && text[1] <= '9' &&
         text[2] >= '0' && text[2] <= '9';
}

void check_event(const Step& step, const std::string& event, const Place& place) {
  if (event.starts_with("408") || event.starts_with("429") || event.starts_with("5")) {
    refuse(place, fmt::format("{} has no rule of its own: 408 is unknown, 429 and 5xx are built in",
                              display_short(event)));
  }
  const size_t blank = event.find(' ');
  const std::string status = event.substr(0, std::min<size_t>(3, event.size()));
  const std::string code = blank == std::string::npos ? "" : event.substr(blank + 1);
  const bool word = event == "4xx" || event == "ok" || event == "none" || event == "unknown" ||
                    event == "exhausted";
  const bool answer =
      is_status(status) &&
      (event.size() == 3 || (blank == 3 && !code.empty() && code.find(' ') == std::string::npos));
  if (!word && !answer) refuse(place, fmt::format("no event `{}`", display_short(event)));
  if (answer && step.is_ok(std::stoi(status))) refuse(place, fmt::format("{} is `ok` here", event));
  const bool looks = step.item || step.asks() || (!step.sealed && !step.opens.empty());
  if (event == "none" && !looks) refuse(place, "no item: `none` never comes");
  if (code.empty()) return;
  const bool listed =
      step.code && (code == "other" || std::find(step.code->one_of.begin(), step.code->one_of.end(),
                                                 code) != step.code->one_of.end());
  if (!listed) refuse(place, fmt::format("`{}`: code does not list it", display_short(event)));
}

std::optional<Rule> parse_rule(std::string_view text) {
  Rule out;
  std::vector<std::string_view> words;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  constexpr std::array<std::string_view, 6> kKinds = {"next", "stop",  "again",
                                                      "back", "after", "branch"};
  const auto kind = std::find(kKinds.begin(), kKinds.end(), words[0]);
  if (kind == kKinds.end()) return std::nullopt;
  out.kind = static_cast<Rule::Kind>(kind - kKinds.begin());
  size_t next = 1;
  if (out.leads()) {
    if (words.size() < 2 || !is_step_name(words[1])) return std::nullopt;
    out.to = words[1];
    next = 2;
  }
  if (words.size() == next) return out;
  const std::string_view times = words[next];
  if (words.size() != next + 1 || times.size() < 2 || times.size() > 4 || times[0] != 'x' ||
      times[1] < '1' || times[1] > '9') {
    return std::nullopt;
  }
  out.times = 0;
  for (const char c : times.substr(1)) {
    if (c < '0' || c > '9') return std::nullopt;
    out.times = 10 * out.times + static_cast<unsigned>(c - '0');
  }
  out.counted = true;
  return out;
}

void load_rules(const TomlTable& table, Step& step) {
  if (!table.has("on")) return;
  const TomlTable on = table.table("on");
  const std::vector<std::string> events = on.keys();
  if (events.size() > kMaxParts)
    refuse(table.place("on"), fmt::format("more than {} rules", kMaxParts));
  for (const std::string& event : events) {
    const Place place = on.place(event);
    check_event(step, event, place);
    const bool text = on.type_of(event) == TomlTable::Type::kText;
    auto rule = text ? parse_rule(on.text(event)) : std::nullopt;
    if (!rule) {
      refuse(place, fmt::format("not a rule: `{}`", text ? display_short(on.text(event)) : event),
             "write next, stop, again, back STEP, branch NAME or after STEP, with xN from x1 to "
             "x999 if wanted");
    }
    rule->place = place;
    if (event == "ok" && !rule->counted &&
        (rule->kind == Rule::Kind::kBack || rule->kind == Rule::Kind::kAgain)) {
      refuse(place, "a loop without tries: write xN");
    }
    step.on.emplace_back(event, std::move(*rule));
  }
}

void load_parts(Loading& in, const TomlTable& table, Step& step) {
  each_part(table, "keep", [&](const std::string& name, const TomlTable& part, const Place& place) {
    Keep keep;
    keep.name = name;
    keep.place = place;
    load_keep(in, table, part, step, std::move(keep));
  });
  each_part(table, "open", [&](const std::string& name, const TomlTable& part, const Place& place) {
    Open open;
    open.name = name;
    open.place = place;
    load_open(in, part, step, std::move(open));
  });
  each_part(table, "assert",
            [&](const std::string& name, const TomlTable& part, const Place& place) {
              Assertion assertion;
              assertion.name = name;
              assertion.place = place;
              load_assert(part, step, std::move(assertion));
            });
  load_code(table, step);
  check_kinds(step);
}

void load_sign(const TomlTable& table, Step& step) {
  if (!table.has("sign")) return;
  const std::string sign = table.text("sign");
  step.sign_place = table.place("sign");
  const size_t blank = sign.find(' ');
  const auto plain = [](std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
  };
  if (blank == std::string::npos || !plain(sign.substr(0, blank)) ||
      !plain(sign.substr(blank + 1))) {
    refuse(step.sign_place, "sign is \"SERVICE REGION\"");
  }
  step.sign_service = sign.substr(0, blank);
  step.sign_region = sign.substr(blank + 1);
}

void load_item(const TomlTable& table, Step& step) {
  if (!table.has("item")) return;
  step.item_place = table.place("item");
  if (step.type.find("json") == std::string::npos) {
    refuse(step.item_place, "an item is an element of a JSON array");
  }
  step.item = parse_item(table.text("item"));
  if (!step.item) {
    refuse(step.item_place, fmt::format("not an item: {}", display_short(table.text("item"))),
           "write /PATH/[member=\"text\"], with more filters in brackets behind it");
  }
}

std::string words(const TomlTable& table, std::string_view key) {
  const std::string out = table.text_or(key, "");
  if (out.size() > 256 || out != display(out)) {
    refuse(table.place(key), fmt::format("`{}` is one line of at most 256 bytes", key));
  }
  return out;
}

}  // namespace

void load_step(Loading& in, const TomlTable& table, Step& step) {
  check_keys(table, Table::kStep);
  step.name = table.text("name");
  if (in.flow.step(step.name) != nullptr) {
    refuse(table.place("name"), fmt::format("two steps are called {}", step.name));
  }
  if (!is_step_name(step.name)) {
    refuse(table.place("name"),
           fmt::format("a name begins with a capital: `{}`", display_short(step.name)));
  }
  step.ask = words(table, "ask");
  load_sign(table, step);
  step.type = table.text_or("type", step.type);
  if (step.type.empty() || step.type.size() > 128 ||
      step.type.find_first_of("; \t") != std::string::npos) {
    refuse(table.place("type"), "type is TYPE/SUBTYPE, without parameters");
  }
  load_item(table, step);
  if (step.asks() == table.has("request"))
    refuse(step.place, "a step has either `request` or `ask`");
  check_kind(table, step);
  step.leaves = words(table, "leaves");
  step.every_seconds = at_least_one(table, step, "every_seconds", 5, 3600);
  step.within_seconds = at_least_one(table, step, "within_seconds", 300, 3600);
  step.header_max = static_cast<uint32_t>(at_least_one(table, step, "header_max", 2048, 65536));
  step.body_max = static_cast<uint32_t>(at_least_one(table, step, "body_max", 4096, 1 << 20));
  step.show = table.texts_or_empty("show");
  step.sealed = table.flag_or("sealed", true);
  step.sealed_place = table.place("sealed");
  const std::string pick = table.text_or("pick", "only");
  if (pick != "only" && pick != "first") refuse(table.place("pick"), "pick is only or first");
  step.pick_first = pick == "first";
  load_status(table, step);
  step.proves = table.text_or("proves", "");
  step.proves_place = table.place("proves");
  load_parts(in, table, step);
  check_selectors(step);
  load_rules(table, step);
  if (!step.asks()) return load_request(in, table, step);
  if (step.opens.size() != 1) refuse(step.place, "an `ask` step opens one value");
  if (const Rule* const rule = step.rule("unknown")) {
    refuse(rule->place, "an `ask` step releases nothing");
  }
}

}  // namespace flexroom::flow
