#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/display.h"
#include "flow/accounts.h"
#include "flow/loader.h"
#include "flow/tokens.h"

// What is known only where a flow will run: values that the room has, and arguments.

namespace flexroom::flow {
namespace {

/// One step against the values of the room that other flows made.
class RoomCheck {
 public:
  RoomCheck(const Flow& flow, const KnownValues& room, const Step& step)
      : flow_(flow), room_(room), step_(step) {}

  void check() const {
    check_made();
    for (const SlotUse& use : step_.slots) check(use);
    check_key();
    std::vector<std::string> compared;
    const auto add = [&](std::string_view text) {
      for (std::string& name : names_in(text).value_or(std::vector<std::string>())) {
        compared.push_back(std::move(name));
      }
    };
    for (const Assertion& one : step_.asserts) add(one.equals.value_or(""));
    if (step_.item) {
      for (const Filter& filter : step_.item->filters) add(filter.value);
    }
    for (const std::string& name : compared) {
      const KnownValue* const value = value_of(name);
      if (value != nullptr && !value->is_public) {
        refuse(step_.place, fmt::format("compared with a secret: {}", name));
      }
    }
  }

 private:
  const KnownValue* value_of(const std::string& name) const {
    if (flow_.is_secret(name) || flow_.is_opened(name)) return nullptr;
    const auto it = room_.find(name);
    return it == room_.end() ? nullptr : &it->second;
  }

  /// What the step makes may stand for what the room has of that name: the same kind of value, with
  /// the same terms, and never one that was born, of which there is no other.
  void check_made() const {
    for (const Open& open : step_.opens) {
      const auto it = is_of_run(open.name) ? room_.end() : room_.find(open.name);
      if (it == room_.end() || it->second.is_public) continue;
      refuse(open.place, fmt::format("opens {}, which is a secret of the room", open.name),
             "call it otherwise");
    }
    for (const Keep& keep : step_.keeps) {
      const auto it = is_of_run(keep.name) ? room_.end() : room_.find(keep.name);
      if (it == room_.end()) continue;
      const KnownValue& old = it->second;
      if (old.is_born) {
        refuse(keep.place, fmt::format("{} was born: nothing replaces it", keep.name));
      }
      if (!old.is_public) check_provider(keep.name, old, keep.place);
      const bool same_length = old.min == keep.stored_min() && old.max == keep.stored_max();
      const bool same_purposes_too = same_purposes(old.purposes, keep.purposes);
      if (old.is_public || old.value_class != keep.stored_class() || old.entropy != keep.entropy ||
          !same_length || !same_purposes_too) {
        refuse(keep.place,
               fmt::format(
                   "{} is there with another class, length, entropy or purposes: another secret",
                   keep.name),
               "a value is replaced by one of the same terms");
      }
    }
  }

  /// What a value was kept for goes before what a file says of it.
  void check_provider(const std::string& name, const KnownValue& value, const Place& place) const {
    if (value.provider == flow_.provider) return;
    refuse(place,
           fmt::format("{} is kept for provider '{}', the flow is for '{}'", name,
                       display(value.provider), flow_.provider),
           "a secret goes to the hosts of one provider only");
  }

  static bool same_purposes(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::set<std::string>(a.begin(), a.end()) == std::set<std::string>(b.begin(), b.end());
  }

  void check(const SlotUse& use) const {
    const KnownValue* const value = value_of(use.name);
    if (value == nullptr) return;
    if (value->is_public) {
      if (is_token_place(use)) {
        refuse(
            step_.place,
            fmt::format("{} authorises a request, and every member of the room knows it", use.name),
            "who has a token can go on in the members' place: keep it, of a sealed answer");
      }
      if (use.function.empty()) return;
      refuse(step_.place, fmt::format("a function of a public value: {{{{{}}}}}", use.raw));
    }
    check_provider(use.name, *value, step_.place);
    using Where = SlotUse::Where;
    if (use.where == Where::kPath || use.where == Where::kHost || use.where == Where::kNumber) {
      refuse(step_.place,
             fmt::format("a secret never stands in a path or host: {{{{{}}}}}", use.raw));
    }
    if (use.function.empty() && !fits(use.where, value->value_class)) {
      refuse(step_.place, fmt::format("{} is {}, which does not stand in a {}", use.name,
                                      to_string(value->value_class), to_string(use.where)));
    }
    if (use.function.starts_with("totp")) {
      check_code_key(step_.place, use.name, value->entropy, value->max);
    }
    if (allows(value->purposes, step_, use)) return;
    refuse(step_.place,
           fmt::format("{} has no purpose `{}`", use.name, purposes_for(step_, use).front()));
  }

  void check_key() const {
    const KnownValue* const key = value_of(flow_.key + "/secret");
    if (step_.sign_service.empty() || key == nullptr) return;
    check_provider(flow_.key + "/secret", *key, step_.place);
    if (!signs(key->purposes, step_.sign_service, step_.sign_region)) {
      refuse(step_.place, fmt::format("{}/secret has no purpose `sigv4 {} {}`", flow_.key,
                                      step_.sign_service, step_.sign_region));
    }
    if (key->entropy < kFullEntropy) {
      refuse(step_.place, fmt::format("{}/secret signs with {} bits of entropy, needs 128",
                                      flow_.key, key->entropy));
    }
  }

  const Flow& flow_;
  const KnownValues& room_;
  const Step& step_;
};

void check_places(const Flow& flow, const std::map<std::string, std::string>& arguments) {
  flow.each_step([&](const Step& step) {
    for (const SlotUse& use : step.slots) {
      const auto it = arguments.find(use.name);
      if (it == arguments.end() || !flow.arguments.contains(use.name)) continue;
      if (fits(use.where, std::string_view(it->second))) continue;
      refuse(fmt::format("argument {}", use.name),
             fmt::format("argument {} does not fit a {}", use.name, to_string(use.where)));
    }
  });
}

}  // namespace

void check_step_against(const Flow& flow, const KnownValues& room, const Step& step) {
  RoomCheck(flow, room, step).check();
}

std::map<std::string, unsigned> check_against(const Flow& flow, const KnownValues& room) {
  for (const std::string& name : flow.uses) {
    if (room.contains(name)) continue;
    refuse(flow.file.string(), fmt::format("uses {}, which the room does not have", name),
           "run the flow that makes it first, or write it into `may_use`");
  }
  flow.each_step([&](const Step& step) { RoomCheck(flow, room, step).check(); });
  return leaks_of(flow, room);
}

void check_claimant(const Flow& flow, const std::map<std::string, std::string>& arguments,
                    const std::string& claimant) {
  std::map<std::string, std::vector<std::string>> by;
  for (const std::string& name : flow.input_order) {
    const Input& input = flow.inputs.at(name);
    if (input.kind.empty()) continue;
    const std::string member = member_of(input.from, arguments);
    if (secret_of_source(member)) {
      refuse(input.place,
             fmt::format("{} is what a support desk asks for, and who imported {} may "
                         "know it",
                         input.kind, member),
             "its member gives it as an input of its own, or the room has it from a flow");
    }
    // Of the room's own value nobody can tell the desk.
    if (!prefix_of_source(member)) by[member].push_back(input.kind);
  }
  for (const auto& [member, kinds] : by) {
    if (kinds.size() < 2 || member == claimant) continue;
    std::string list;
    for (const std::string& kind : kinds) list += (list.empty() ? "" : " and ") + kind;
    refuse(flow.inputs.at(flow.input_order.front()).place,
           fmt::format("{} gives {}: name it as claimant", member, list),
           "whoever has two of them can ask the support desk for the account");
  }
}

std::map<std::string, std::string> check_arguments(
    const Flow& flow, const std::map<std::string, std::string>& given) {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : given) {
    const std::string place = fmt::format("argument {}", name);
    if (!flow.arguments.contains(name) && name != "claimant") {
      refuse(place, "the flow has no such argument",
             "it declares its arguments as [argument.NAME]");
    }
    if (value.size() > 65'536) refuse(place, "is longer than 64 KB");
    out[name] = value;
  }
  for (const auto& [name, argument] : flow.arguments) {
    if (out.contains(name)) continue;
    if (!argument.fallback) {
      refuse(argument.place, fmt::format("argument {} is not given", name),
             fmt::format("pass --arg {}=VALUE", name));
    }
    out[name] = *argument.fallback;
  }
  check_places(flow, out);
  check_claimant(flow, out, out.contains("claimant") ? out["claimant"] : flow.claimant);
  return out;
}

}  // namespace flexroom::flow
