#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/display.h"
#include "call/purpose.h"
#include "flow/loader.h"
#include "http/outline.h"
#include "http/request_model.h"

namespace flexroom::flow {
namespace {

using http::CharSet;
using Where = SlotUse::Where;

constexpr std::array<std::string_view, 7> kAdded = {
    "content-length", "accept-encoding", "connection",         "transfer-encoding",
    "expect",         "upgrade",         "authorization-sigv4"};

template <size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

struct HeaderText {
  std::string name;  // lower case
  std::string value;
};

/// Every {{..}} replaced by `with`.
std::string without_slots(std::string_view text, std::string_view with) {
  std::string out;
  while (!text.empty()) {
    const size_t open = text.find("{{"), close = text.find("}}", open);
    if (open == std::string_view::npos || close == std::string_view::npos) break;
    out.append(text.substr(0, open)).append(with);
    text.remove_prefix(close + 2);
  }
  return out.append(text);
}

bool has_slot(std::string_view text) { return text.find("{{") != std::string_view::npos; }

class RequestLoader {
 public:
  RequestLoader(Loading& in, const TomlTable& table, Step& step)
      : in_(in), table_(table), step_(step), place_(table.place("request")) {}

  void load() {
    step_.request_place = place_;
    step_.request = trimmed(table_.text("request"));
    if (step_.request.size() > http::kMaxRequest)
      refuse(place_, "the request is longer than 65,536 bytes");
    split();
    check_cookie();
    check_host();
    check_body();
    find_slots();
    check_rules();
    check_open();
    check_mailbox();
    check_places_kept();
  }

 private:
  static std::string trimmed(std::string text) {
    while (!text.empty() && http::is_white(text.back())) text.pop_back();
    while (!text.empty() && http::is_white(text.front())) text.erase(0, 1);
    return text;
  }

  const HeaderText* header(std::string_view name) const {
    for (const HeaderText& one : headers_) {
      if (one.name == name) return &one;
    }
    return nullptr;
  }

  void split() {
    const size_t blank = step_.request.find("\n\n");
    const std::string head = step_.request.substr(0, blank);
    body_ = blank == std::string::npos ? "" : trimmed(step_.request.substr(blank + 2));
    // One spelling for one request: what is around the body is not sent.
    step_.request = body_.empty() ? head : head + "\n\n" + body_;
    size_t at = head.find('\n');
    const std::string_view line = std::string_view(head).substr(0, at);
    const size_t first = line.find(' '), last = line.rfind(' ');
    constexpr std::array<std::string_view, 5> kMethods = {"GET", "POST", "PUT", "DELETE", "PATCH"};
    if (first == std::string_view::npos || !line.ends_with(" HTTP/1.1") || first == last ||
        !is_one_of(line.substr(0, first), kMethods) || line[first + 1] != '/') {
      refuse(place_, "request line: METHOD /path HTTP/1.1",
             "with GET, POST, PUT, DELETE or PATCH; a HEAD has no answer to select from");
    }
    step_.method = line.substr(0, first);
    step_.target = line.substr(first + 1, last - first - 1);
    step_.path = step_.target.substr(0, step_.target.find('?'));
    while (at != std::string::npos) {
      const size_t end = std::min(head.find('\n', ++at), head.size());
      if (end > at) add_header(std::string_view(head).substr(at, end - at));
      at = head.find('\n', at);
    }
  }

  void add_header(std::string_view line) {
    const size_t colon = line.find(':');
    const std::string name = http::to_lower(line.substr(0, std::min(colon, line.size())));
    const bool token = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return http::token_chars().contains(c);
    });
    if (colon == std::string_view::npos || !token || header(name) != nullptr) {
      refuse(place_, fmt::format("header `{}`", display_short(line)),
             "header lines are `Name: value`, each name once");
    }
    if (is_one_of(name, kAdded)) {
      refuse(place_, fmt::format("{} is added, not written", line.substr(0, colon)));
    }
    headers_.push_back({name, std::string(http::trim_blanks(line.substr(colon + 1)))});
  }

  /// §5.2: crumbs NAME=VALUE, a value one slot alone or bytes that no reader takes for quotes.
  void check_cookie() {
    const HeaderText* const line = header("cookie");
    if (line == nullptr) return;
    std::set<std::string> names;
    const std::string& text = line->value;
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find("; ", at), text.size());
      const std::string crumb = text.substr(at, end - at);
      const size_t equals = crumb.find('=');
      const std::string name = crumb.substr(0, equals);
      const std::string value = equals == std::string::npos ? "" : crumb.substr(equals + 1);
      const bool token = !name.empty() && name[0] != '$' &&
                         std::all_of(name.begin(), name.end(),
                                     [](char c) { return http::token_chars().contains(c); });
      const bool slot = value.starts_with("{{") && value.find("}}") == value.size() - 2;
      const CharSet& octets = http::char_set(http::CharClass::kCookie);
      const bool plain = !has_slot(value) && std::all_of(value.begin(), value.end(), [&](char c) {
        return octets.contains(c);
      });
      if (!token || equals == std::string::npos || (!slot && !plain)) {
        refuse(place_,
               fmt::format("a Cookie line is NAME=VALUE joined by `; `, a value one slot alone or "
                           "bytes without blanks, quotes, commas, semicolons: `{}`",
                           display_short(text)));
      }
      if (!names.insert(name).second) {
        refuse(place_, fmt::format("two cookies of one name: `{}`", display_short(text)));
      }
      if (slot) cookie_slots_.push_back(name);
      at = end + 2;
    }
  }

  void check_host() {
    if (!step_.sign_service.empty() &&
        (header("authorization") != nullptr || header("date") != nullptr ||
         header("x-amz-date") != nullptr)) {
      refuse(place_, "date and Authorization of a signed request are built, not written");
    }
    const HeaderText* const host = header("host");
    step_.host = host == nullptr ? "" : host->value;
    const auto& hosts = in_.flow.hosts;
    if (std::find(hosts.begin(), hosts.end(), step_.host) != hosts.end()) return;
    // One label of an argument or a built-in name in front of an entry of `hosts`.
    const size_t open = step_.host.find("{{"), close = step_.host.find("}}");
    const size_t dot = close == std::string::npos ? close : step_.host.find('.', close);
    const bool label =
        open != std::string::npos && dot != std::string::npos && step_.host.find('.') >= open &&
        !has_slot(step_.host.substr(close)) &&
        std::find(hosts.begin(), hosts.end(), step_.host.substr(dot + 1)) != hosts.end();
    if (!label) {
      refuse(place_, fmt::format("host {} is not in hosts", display_short(step_.host)),
             "list it in `hosts` of [flow]");
    }
    // The label is not known yet, so the provider must serve them all.
    if (in_.entry == nullptr) return;
    const std::string below = step_.host.substr(dot);
    const auto is_others = [&](const Provider& one) {
      return one.name != in_.entry->name &&
             std::any_of(one.hosts.begin(), one.hosts.end(),
                         [&](const std::string& listed) { return listed.ends_with(below); });
    };
    const auto& all = *in_.room.providers;
    if (!serves(all, *in_.entry, "?" + below) || std::any_of(all.begin(), all.end(), is_others)) {
      refuse(place_,
             fmt::format("host {}: provider {} does not serve every such name",
                         display_short(step_.host), in_.entry->name),
             fmt::format("list *{} in `hosts` of the provider, or write the host out", below));
    }
  }

  void check_body() {
    if (step_.method == "GET" && !body_.empty()) refuse(place_, "a GET has no body");
    if (body_.empty()) return;
    const HeaderText* const type = header("content-type");
    const std::string media = type == nullptr ? "" : http::to_lower(type->value);
    is_json_ = media.find("json") != std::string::npos;
    if (!is_json_ && media.find("form") == std::string::npos) {
      refuse(place_, "a body needs Content-Type form or JSON");
    }
  }

  SlotUse slot_of(std::string_view raw) const {
    SlotUse out;
    out.raw = raw;
    std::string_view rest = raw;
    const size_t as = rest.find(" as "), key = rest.find(" key ");
    if (key != std::string_view::npos) {
      out.key = rest.substr(key + 5);
      rest = rest.substr(0, key);
    }
    if (as != std::string_view::npos && as < rest.size()) {
      out.function = rest.substr(as + 4);
      rest = rest.substr(0, as);
    }
    out.name = rest;
    if (!is_value_name(out.name) || (key != std::string_view::npos && !is_value_name(out.key))) {
      refuse(place_, fmt::format("not a slot: {{{{{}}}}}", display_short(raw)),
             "write {{NAME}} or {{NAME as FUNCTION key PREFIX}}");
    }
    if (!out.function.empty() && !is_one_of(out.function, kSlotFunctions)) {
      refuse(place_, fmt::format("no function `{}`", display_short(out.function)));
    }
    return out;
  }

  /// Where each byte of the request belongs, as far as the model of http/ cannot be asked: path,
  /// host, and JSON outside of quotes.
  void place_slots() {
    const std::string& text = step_.request;
    const size_t line_end = std::min(text.find('\n'), text.size());
    const size_t query = std::min(text.substr(0, line_end).find('?'), line_end);
    const size_t body_at = body_.empty() ? text.size() : text.size() - body_.size();
    bool quoted = false, escaped = false;
    std::map<std::string, unsigned> seen;
    for (size_t at = 0; at < text.size();) {
      if (text.compare(at, 2, "{{") == 0) {
        const size_t close = text.find("}}", at);
        if (close == std::string::npos) refuse(place_, "a {{ is not closed");
        SlotUse slot = slot_of(std::string_view(text).substr(at + 2, close - at - 2));
        const size_t start = text.rfind('\n', at);
        const std::string line =
            http::to_lower(text.substr(start + 1, std::min<size_t>(5, text.size() - start - 1)));
        slot.where = at < query        ? Where::kPath
                     : at < line_end   ? Where::kQuery
                     : at >= body_at   ? (!is_json_ ? Where::kForm
                                          : quoted  ? Where::kJson
                                                    : Where::kNumber)
                     : line == "host:" ? Where::kHost
                                       : Where::kHeader;
        const unsigned count = ++seen[slot.name];
        slot.slot = count == 1 ? slot.name : fmt::format("{}#{}", slot.name, count);
        step_.slots.push_back(std::move(slot));
        at = close + 2;
        continue;
      }
      if (at >= body_at) {
        if (text[at] == '"' && !escaped) quoted = !quoted;
        escaped = quoted && text[at] == '\\' && !escaped;
      }
      ++at;
    }
    if (step_.slots.size() > 64) refuse(place_, "has more than 64 slots");
  }

  /// The request as a server reads it (§5.2), a slot of one character for every value that does not
  /// stand in path, host or as a number.
  http::RequestModel model() const {
    std::vector<http::Slot> slots;
    std::string text;
    size_t at = 0;
    for (const SlotUse& use : step_.slots) {
      const size_t open = step_.request.find("{{", at), close = step_.request.find("}}", open);
      text += step_.request.substr(at, open - at);
      at = close + 2;
      if (use.where == Where::kPath || use.where == Where::kHost || use.where == Where::kNumber) {
        text += use.where == Where::kNumber ? "0" : "x";
        continue;
      }
      http::Slot slot;
      slot.name = use.slot;
      slot.char_class = http::CharClass::kUrlSafe;
      slot.length = 1;
      slots.push_back(slot);
      text += "{{" + use.slot + "}}";
    }
    text += step_.request.substr(at);
    if (body_.empty()) text += "\n\n";
    try {
      return http::RequestModel::of(
          http::template_from_text(without_slots(step_.host, "x"), 443, text, slots));
    } catch (const InputError& error) {
      throw InputError(place_ + ": " + error.place(), error.problem(), error.remedy());
    }
  }

  /// The Cookie line is a list: its k-th slot has the place of the k-th crumb that is one, whatever
  /// stands in it, so that a value in a second crumb needs the purpose of that crumb.
  void place_in_cookie(SlotUse& use, size_t k) const {
    if (k >= cookie_slots_.size()) refuse(place_, "a slot of the Cookie line is no crumb's value");
    use.where = Where::kCookie;
    use.position = fmt::format("cookie {}={{{{}}}}", cookie_slots_[k]);
  }

  void find_slots() {
    place_slots();
    const http::RequestModel read = model();
    size_t crumb = 0;
    for (SlotUse& use : step_.slots) {
      if (use.where == Where::kPath || use.where == Where::kHost || use.where == Where::kNumber) {
        continue;
      }
      const auto found = [&](const std::vector<http::Parameter>& list) {
        return std::any_of(list.begin(), list.end(), [&](const http::Parameter& parameter) {
          return parameter.value.holds(use.slot);
        });
      };
      if (!found(read.headers) && !found(read.query) && !found(read.body)) {
        refuse(place_, "a slot stands in a value, never in a name");
      }
      http::Slot slot;
      slot.name = use.slot;
      const auto named = [&] {
        try {
          return slot_position(read, slot).exact;
        } catch (const InputError& error) {
          throw InputError(place_ + ": " + error.place(), error.problem(), error.remedy());
        }
      };
      use.position = named();
      if (use.where == Where::kHeader && use.position.starts_with("header cookie: ")) {
        place_in_cookie(use, crumb++);
      }
    }
    const std::string path = has_slot(step_.path) ? step_.path : read.path_text();
    step_.address = fmt::format("{} https://{}{}", step_.method, step_.host, path);
    // A name of a query or form is read before its '='.
    for (const auto* list : {&read.query, &read.body}) {
      for (const http::Parameter& parameter : *list) {
        if (has_slot(parameter.name)) refuse(place_, "a slot stands in a value, never in a name");
      }
    }
  }

  void check_rules() {
    if (step_.rule("unknown") != nullptr) return;
    if (step_.method != "GET") {
      refuse(step_.place,
             fmt::format("{} needs on.unknown: its answer may be lost after it was done",
                         step_.method));
    }
    Rule again;
    again.kind = Rule::Kind::kAgain;
    again.place = step_.place;
    step_.on.emplace_back("unknown", again);
  }

  /// What is opened whole carries nothing that its answer could repeat, no token either (R2-7).
  void check_open() {
    const bool secret =
        std::any_of(step_.slots.begin(), step_.slots.end(), [&](const SlotUse& use) {
          return !in_.is_public_name(use.name) && step_.open(use.name) == nullptr;
        });
    if (!step_.sealed && secret) {
      refuse(place_, "an open answer: no secret and no input may stand in the request");
    }
    if (!step_.sign_service.empty() && in_.flow.key.empty()) {
      refuse(step_.sign_place, "the flow names no `key`");
    }
  }

  /// §5.6: mail text is opened to nobody.
  void check_mailbox() {
    if (!step_.sealed || !in_.is_mailbox(step_.host)) return;
    for (const Open& open : step_.opens) {
      const Selector& at = *open.at;
      const bool id = at.kind == Selector::Kind::kJson && at.steps.back() == "id" && !at.literal;
      if (id || at.kind == Selector::Kind::kJsonNumber) continue;
      refuse(open.place,
             fmt::format("a mailbox: only a number or a member `id` is opened: `{}`", at.text));
    }
  }

  /// The ledger books a short secret on the place it comes from: that is named without arguments.
  void check_places_kept() const {
    if (!has_slot(step_.host)) return;
    for (const Keep& keep : step_.keeps) {
      if (keep.entropy >= kFullEntropy) continue;
      refuse(keep.place,
             fmt::format("{} has {} bits of entropy and comes from a host with a slot", keep.name,
                         keep.entropy),
             "write the host out: what tests show of a short secret is counted by its place");
    }
  }

  Loading& in_;
  const TomlTable& table_;
  Step& step_;
  const Place place_;
  std::vector<HeaderText> headers_;
  std::vector<std::string> cookie_slots_;  // names of the crumbs that are a slot, in their order
  std::string body_;
  bool is_json_ = false;
};

}  // namespace

void load_request(Loading& in, const TomlTable& table, Step& step) {
  RequestLoader(in, table, step).load();
}

}  // namespace flexroom::flow
