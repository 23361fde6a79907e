#include <fmt/core.h>

#include <algorithm>

#include "call/action.h"
#include "call/aws_services.h"
#include "call/purpose.h"
#include "flow/loader.h"
#include "flow/request.h"

namespace flexroom::flow {
namespace {

using Where = SlotUse::Where;

// ------------------------------------------------------------------ selectors of one answer

/// A way into an answer, in which one is below another.
using Way = std::vector<std::string>;

Way way_of(const Step& step, const Selector& at) {
  if (at.kind == Selector::Kind::kCookie) return {"cookie", at.name};
  if (at.kind == Selector::Kind::kHeader) return {"header", at.name};
  Way out = {"body"};
  if (at.in_item) {
    out.insert(out.end(), step.item->array.begin(), step.item->array.end());
    out.emplace_back("*");
  }
  out.insert(out.end(), at.steps.begin(), at.steps.end());
  return out;
}

bool meet(const Way& a, const Way& b) {
  const size_t size = std::min(a.size(), b.size());
  return std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(size), b.begin());
}

struct Part {
  enum class Kind { kKeep, kOpen, kAssert } kind;
  std::string name;
  const Selector* at;
  bool absent;
  ValueClass value_class;  // of a keep
  Place place;
};

std::vector<Part> parts_of(const Step& step) {
  std::vector<Part> out;
  for (const Keep& keep : step.keeps) {
    out.push_back({Part::Kind::kKeep, keep.name, &keep.at, false, keep.value_class, keep.place});
  }
  for (const Open& open : step.opens) {
    if (open.at) {
      out.push_back({Part::Kind::kOpen, open.name, &*open.at, false, open.value_class, open.place});
    }
  }
  for (const Assertion& one : step.asserts) {
    out.push_back(
        {Part::Kind::kAssert, one.name, &one.at, !one.equals, ValueClass::kRaw, one.place});
  }
  return out;
}

/// A second search over a text in which a run is kept shows nothing of the run where its literal
/// shares no byte with it.
bool searches_beside(const Part& keep, const Part& other) {
  if (!keep.at->searches() || !other.at->searches()) return false;
  if (other.kind == Part::Kind::kOpen || (other.kind == Part::Kind::kAssert && !other.absent)) {
    return false;
  }
  const http::CharSet& run = set_of(keep.at->run_class.value_or(keep.value_class));
  return std::none_of(other.at->literal->begin(), other.at->literal->end(),
                      [&](char c) { return run.contains(c); });
}

void check_keep(const Step& step, const Part& keep, const std::vector<Part>& parts) {
  const Way way = way_of(step, *keep.at);
  for (const Filter& filter : step.item ? step.item->filters : std::vector<Filter>()) {
    Way tested = {"body"};
    tested.insert(tested.end(), step.item->array.begin(), step.item->array.end());
    tested.emplace_back("*");
    tested.insert(tested.end(), filter.path.begin(), filter.path.end());
    if (meet(way, tested)) {
      refuse(step.item_place, fmt::format("a filter tests what {} keeps", keep.name));
    }
  }
  for (const Part& other : parts) {
    if (other.at == keep.at || !meet(way, way_of(step, *other.at))) continue;
    if (searches_beside(keep, other)) continue;
    const std::string_view does = other.kind == Part::Kind::kOpen     ? "opens"
                                  : other.kind == Part::Kind::kAssert ? "tests"
                                                                      : "keeps";
    refuse(other.place, fmt::format("{} {} what {} keeps", other.name, does, keep.name),
           "what is kept is tested, searched and opened by nothing else (tls-in-mpc.md §5.6)");
  }
}

}  // namespace

void check_selectors(const Step& step) {
  if (!step.sealed || step.asks()) return;
  const std::vector<Part> parts = parts_of(step);
  for (const Part& part : parts) {
    if (step.item && !part.at->in_item && part.at->is_json() &&
        meet(part.at->steps, step.item->array)) {
      refuse(part.place, "below the array of `item` only item/..");
    }
    if (part.kind == Part::Kind::kKeep) check_keep(step, part, parts);
  }
}

// ------------------------------------------------------------------ public values

bool fits(Where where, ValueClass value_class) {
  using http::CharClass;
  const http::CharSet& set = set_of(value_class);
  static const http::CharSet kLabel = http::CharSet::range('0', '9') |
                                      http::CharSet::range('a', 'z') |
                                      http::CharSet::range('A', 'Z');
  switch (where) {
    case Where::kPath:
      return set.subset_of(http::char_set(CharClass::kUrlSafe));
    case Where::kHost:
      return set.subset_of(kLabel);
    case Where::kNumber:
      return set.subset_of(http::char_set(CharClass::kDigits));
    case Where::kHeader:
    case Where::kCookie:
      return set.subset_of(http::char_set(CharClass::kCookie));
    default:
      return set.subset_of(http::printable());
  }
}

bool fits(Where where, std::string_view value) {
  using http::CharClass;
  const auto all = [&](const http::CharSet& set) {
    return std::all_of(value.begin(), value.end(), [&](char c) { return set.contains(c); });
  };
  switch (where) {
    case Where::kPath:
      return !value.empty() && value != "." && value != ".." &&
             all(http::char_set(CharClass::kUrlSafe));
    case Where::kHost: {
      const auto plain = http::CharSet::range('0', '9') | http::CharSet::range('a', 'z');
      return !value.empty() && value.size() <= 63 && value.front() != '-' && value.back() != '-' &&
             all(plain | http::CharSet::of("-"));
    }
    case Where::kNumber:
      return !value.empty() && value.size() <= 15 && (value == "0" || value[0] != '0') &&
             all(http::char_set(CharClass::kDigits));
    case Where::kHeader:
    case Where::kCookie:
      return all(http::char_set(CharClass::kCookie));
    default:
      return all(http::printable());
  }
}

// ------------------------------------------------------------------ slots

namespace {

std::string raw(const SlotUse& use) { return "{{" + use.raw + "}}"; }

class SlotCheck {
 public:
  explicit SlotCheck(Loading& in) : in_(in), flow_(in.flow) {}

  void run() {
    for (Line& line : flow_.lines) {
      for (Step& step : line.steps) {
        for (SlotUse& use : step.slots) {
          find_key_host(use);
          check_place(step, use);
          check_one_key(step, use);
        }
      }
    }
    flow_.each_step([&](const Step& step) {
      check_made(step);
      for (const SlotUse& use : step.slots) check_use(step, use);
      check_sign(step);
      check_asserts(step);
      if (!step.asks()) check_template(step);
    });
  }

 private:
  /// What other flows made is not made again, unless it says that it replaces it.
  void check_made(const Step& step) const {
    for (const Open& open : step.opens) {
      if (flow_.is_used(open.name)) {
        refuse(open.place, fmt::format("{} is in `uses`: it is there already", open.name));
      }
    }
    for (const Keep& keep : step.keeps) {
      if (!keep.replace && flow_.is_used(keep.name)) {
        refuse(keep.place, fmt::format("{} is in `uses`: write replace = true", keep.name));
      }
    }
  }

  void find_key_host(SlotUse& use) const {
    if (use.key.empty()) return;
    flow_.each_step([&](const Step& step) {
      if (use.key_host.empty() && !step.asks() && step.open(use.key + ".n") != nullptr) {
        use.key_host = step.host;
      }
    });
  }

  /// The room remembers one key a host: of two that a run opened there one would go unlooked at.
  void check_one_key(const Step& step, const SlotUse& use) {
    if (use.key.empty() || use.key_host.empty()) return;
    const auto& [host, key] = *keys_.emplace(use.key_host, use.key).first;
    if (key == use.key) return;
    refuse(step.request_place,
           fmt::format("{} and {} are both keys of {}: a file has one a host", key, use.key, host),
           "open it anew under the same name");
  }

  std::optional<ValueClass> class_of(const SlotUse& use) const {
    if (const auto it = flow_.inputs.find(use.name); it != flow_.inputs.end()) {
      return it->second.value_class;
    }
    if (const Keep* const keep = flow_.kept(use.name)) return keep->stored_class();
    if (const auto it = flow_.born.find(use.name); it != flow_.born.end()) {
      return it->second.value_class();
    }
    return std::nullopt;
  }

  void check_place(const Step& step, const SlotUse& use) const {
    const Place& place = step.request_place;
    const bool secret = flow_.is_secret(use.name);
    if (secret && (use.where == Where::kPath || use.where == Where::kHost)) {
      refuse(place, fmt::format("a secret never stands in a path or host: {}", raw(use)));
    }
    const auto cannot = [&](std::string_view who, ValueClass value_class) {
      refuse(place, fmt::format("{} is {}, which does not stand in a {}", who,
                                to_string(value_class), to_string(use.where)));
    };
    const auto own = class_of(use);
    if (use.where == Where::kNumber && secret) {
      refuse(place, fmt::format("a secret in JSON stands in quotes: {}", raw(use)));
    }
    // In forms and JSON every printable byte can be escaped; elsewhere there is no escape.
    if (own && use.function.empty() && !fits(use.where, *own)) cannot(use.name, *own);
    if (use.where == Where::kHost && !flow_.arguments.contains(use.name) &&
        !is_built_in(use.name)) {
      refuse(place, fmt::format("a host holds arguments only: {}", raw(use)));
    }
    flow_.each_step([&](const Step& other) {
      const Open* const open = other.open(use.name);
      if (open != nullptr && !fits(use.where, open->value_class))
        cannot(raw(use), open->value_class);
    });
  }

  void check_use(const Step& step, const SlotUse& use) const {
    const Place& place = step.request_place;
    if (in_.is_public_name(use.name)) {
      if (!use.function.empty()) {
        refuse(place, fmt::format("a function of a public value: {}", raw(use)));
      }
      return;
    }
    if (const auto* const purposes = flow_.purposes_of(use.name)) {
      check_purpose(step, use, *purposes);
    } else if (in_.private_names.contains(use.name)) {
      refuse(place, fmt::format("{} is opened to one member", raw(use)));
    } else if (!flow_.is_used(use.name)) {
      refuse(place, fmt::format("nobody knows {}: not born, kept, opened, an argument, an input or "
                                "in `uses`",
                                raw(use)));
    }
    if (use.is_jwe()) check_jwe(step, use);
  }

  void check_purpose(const Step& step, const SlotUse& use,
                     const std::vector<std::string>& purposes) const {
    if (allows(purposes, step, use)) return;
    refuse(step.request_place,
           fmt::format("{} has no purpose `{}`", use.name, purposes_for(step, use).front()),
           "a value goes only where its purposes say, which all members approve");
  }

  /// operations.md (e): nobody but the host of the purpose chooses the key of a secret password.
  void check_jwe(const Step& step, const SlotUse& use) const {
    if (use.key.empty()) refuse(step.request_place, "a jwe needs `key NAME`");
    for (const std::string_view part : {".n", ".e", ".kid"}) {
      const std::string name = use.key + std::string(part);
      // Below run/, so that no other flow's value can stand in for the one that this run opened.
      if (!is_of_run(name)) {
        refuse(step.request_place,
               fmt::format("the key of a jwe is one that this run opened, below run/: {}", name),
               "a key that the room has already could be anybody's");
      }
      bool any = false, good = true;
      flow_.each_step([&](const Step& other) {
        if (other.open(name) == nullptr) return;
        any = true;
        good &= !other.asks() && !other.sealed && other.host == use.key_host;
      });
      if (any && good) continue;
      refuse(step.request_place,
             fmt::format("the key of a jwe is opened by an open answer of one host in this flow, "
                         "never an argument: {}",
                         name));
    }
  }

  void check_sign(const Step& step) const {
    if (step.sign_service.empty()) return;
    const auto* const purposes = flow_.purposes_of(flow_.key + "/secret");
    if (purposes == nullptr) return;
    if (!signs(*purposes, step.sign_service, step.sign_region)) {
      refuse(step.sign_place, fmt::format("{}/secret has no purpose `sigv4 {} {}`", flow_.key,
                                          step.sign_service, step.sign_region));
    }
  }

  void check_asserts(const Step& step) const {
    for (const Assertion& one : step.asserts) {
      for (const std::string& name :
           names_in(one.equals.value_or("")).value_or(std::vector<std::string>())) {
        const bool known =
            flow_.is_opened(name) || flow_.arguments.contains(name) ||
            std::find(flow_.uses.begin(), flow_.uses.end(), name) != flow_.uses.end();
        if (!known) refuse(one.place, fmt::format("nobody knows {{{{{}}}}}", name));
      }
    }
  }

  /// What http/ refuses of every template, with something in the place of public values.
  void check_template(const Step& step) const {
    Filling filling;
    filling.access_key_id = "AKIAEXAMPLE";
    filling.date_time = "20000101T000000Z";
    filling.secret = [&](const SlotUse& use) -> std::optional<Filling::Secret> {
      if (!use.function.empty()) {
        return Filling::Secret{function_length(use, 128), http::CharClass::kUrlSafe};
      }
      const auto own = class_of(use);
      if (!own) return std::nullopt;
      return Filling::Secret{length_of(use), char_class_of(*own)};
    };
    filling.public_text = [](const SlotUse& use) {
      return std::string(use.where == Where::kNumber ? "0" : "x");
    };
    const http::Template request = request_template(step, filling);
    if (!step.sign_service.empty()) check_action(step, http::RequestModel::of(request));
  }

  /// A signature goes to the service's own host; what is opened whole is on the list of actions
  /// whose answer holds no secret (tls-in-mpc.md §4.6 R2-3).
  void check_action(const Step& step, const http::RequestModel& request) const {
    const AwsService* const service = aws_service(step.sign_service);
    if (service != nullptr && !is_aws_host(*service, step.sign_region, request.host)) {
      refuse(step.sign_place,
             fmt::format("signs for '{}' in '{}', to which host '{}' does not belong",
                         step.sign_service, step.sign_region, request.host));
    }
    if (step.sealed) return;
    std::optional<CallAction> action;
    try {
      action = action_of(request);
    } catch (const InputError& error) {
      throw InputError(step.request_place + ": " + error.place(), error.problem(), error.remedy());
    }
    if (!is_open_action(*action, request)) {
      refuse(step.sealed_place, "this action is not on the list of open answers",
             "leave `sealed` out");
    }
  }

  uint32_t length_of(const SlotUse& use) const {
    if (const auto it = flow_.inputs.find(use.name); it != flow_.inputs.end())
      return it->second.length;
    if (const Keep* const keep = flow_.kept(use.name)) return keep->stored_max();
    return flow_.born.at(use.name).bytes();
  }

  Loading& in_;
  Flow& flow_;
  std::map<std::string, std::string> keys_;  // by host, the prefix under which it is opened
};

}  // namespace

std::vector<std::string> purposes_for(const Step& step, const SlotUse& use) {
  std::vector<std::string> out = {step.address + " " + use.position};
  if (use.function.empty()) {
    out.push_back(fmt::format("https://{} {}", step.host, use.position));
    return out;
  }
  out.front() += " as " + use.function;
  if (!use.key_host.empty() && use.key_host != step.host) out.front() += " key " + use.key_host;
  return out;
}

bool allows(const std::vector<std::string>& purposes, const Step& step, const SlotUse& use) {
  const std::vector<std::string> wanted = purposes_for(step, use);
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& want) {
    // The words of a function may be text behind the slot: they are no leave to stand there.
    if (function_of(want).empty() != use.function.empty()) return false;
    return std::find(purposes.begin(), purposes.end(), want) != purposes.end();
  });
}

void check_code_key(const Place& place, const std::string& name, double entropy, uint32_t max) {
  if (entropy < kFullEntropy) {
    refuse(place,
           fmt::format("{} makes codes with {:.0f} bits of entropy, needs 128", name, entropy),
           "a key that can be guessed is found from the codes that it makes (tls-in-mpc.md §3.4)");
  }
  if (max > kMaxTotpKeyBytes) {
    refuse(place, fmt::format("{} may have {} bytes, a key of codes has {} at most", name, max,
                              kMaxTotpKeyBytes));
  }
}

void check_code_key(const Place& place, const std::string& name,
                    const std::vector<std::string>& purposes, double entropy, uint32_t max) {
  const bool codes = std::any_of(purposes.begin(), purposes.end(), [](const std::string& purpose) {
    return function_of(purpose).starts_with("totp");
  });
  if (codes) check_code_key(place, name, entropy, max);
}

bool signs(const std::vector<std::string>& purposes, std::string_view service,
           std::string_view region) {
  return may_sign_for(purposes, service, region);
}

void check_slots(Loading& in) { SlotCheck(in).run(); }

}  // namespace flexroom::flow
