#include "room/flow_request.h"

#include <fmt/core.h>

#include <algorithm>

#include "agent/secret_signature.h"
#include "base/display.h"
#include "call/purpose.h"
#include "circuits/totp.h"
#include "flow/accounts.h"
#include "room/client_metadata.h"

namespace flexroom::room {
namespace {

using flow::Flow;
using flow::Selector;
using flow::SlotUse;
using flow::Step;

[[noreturn]] void refuse(const Step& step, std::string_view what) {
  throw InputError(step.place, fmt::format("step {}: {}, which no run can do yet", step.name, what),
                   "docs/status.md says what is built; the file can be checked and planned");
}

bool is_code(const SlotUse& use) { return use.function == "totp" || is_next_code(use); }

const SlotUse& use_of(const Step& step, const http::Slot& slot) {
  const auto it = std::find_if(step.slots.begin(), step.slots.end(),
                               [&](const SlotUse& use) { return use.slot == slot.name; });
  FLEXROOM_ASSERT(it != step.slots.end());
  return *it;
}

/// Before anything is contacted, in place of when the question comes.
void require_member(const RoomConfig& room, const Step& step, std::string_view what,
                    const std::string& name) {
  const bool is_member = std::any_of(room.members.begin(), room.members.end(),
                                     [&](const auto& member) { return member.name == name; });
  if (is_member) return;
  throw InputError(step.place,
                   fmt::format("step {}: {} {}, who is no member", step.name, what, display(name)),
                   "room.toml has the members' names");
}

void require_bound_slots(const Flow& flow, const Step& step,
                         const std::map<std::string, std::string>& arguments) {
  for (const SlotUse& use : step.slots) {
    if (use.function.empty()) continue;
    if (!use.is_jwe() && !is_code(use))
      refuse(step, fmt::format("{{{{{}}}}} is computed", use.raw));
    // What one member gives is checked where it stands, byte by byte.
    const auto input = flow.inputs.find(use.name);
    if (input != flow.inputs.end() && flow::is_of_member(input->second, arguments)) {
      refuse(step, fmt::format("{{{{{}}}}} is computed from an input of one member", use.raw));
    }
    const bool in_header =
        use.where == SlotUse::Where::kHeader || use.where == SlotUse::Where::kCookie;
    if (use.is_jwe() && in_header && !step.sign_service.empty()) {
      refuse(step, fmt::format("{{{{{}}}}} stands in a signed header", use.raw));
    }
  }
}

/// Who gives the input of a slot is a member, where it is none of the room's.
void require_giver(const RoomConfig& room, const Flow& flow, const Step& step,
                   const std::string& name, const std::map<std::string, std::string>& arguments) {
  const auto it = flow.inputs.find(name);
  if (it == flow.inputs.end() || !flow::is_of_member(it->second, arguments)) return;
  require_member(room, step, name + " is given by", flow::member_of(it->second.from, arguments));
}

/// Exactly the file's class, which is what is checked inside.
http::CharClass class_of_input(flow::ValueClass value_class) {
  const http::CharSet& set = flow::set_of(value_class);
  const http::CharClass wide = flow::char_class_of(value_class);
  const http::CharClass out =
      http::char_set(wide).subset_of(set) ? wide : http::narrowest_class(set);
  FLEXROOM_ASSERT(http::char_set(out).subset_of(set));
  return out;
}

/// What a name of ours stands for at most; of other values one byte stands in their place.
size_t built_in_bytes(const std::string& name) {
  constexpr size_t kRun = 26, kRoom = 26, kIdempotency = 32;
  if (name == "run") return kRun;
  if (name == "room") return kRoom;
  if (name == "idempotency") return kIdempotency;
  return 1;
}

/// Of an open answer: strings and numbers of a JSON body, elements of an XML body.
void require_bound_open(const Step& step) {
  const auto is_bound = [&](const Selector& at) {
    if ((!at.is_json() && at.kind != Selector::Kind::kXml) || at.literal) {
      refuse(step, fmt::format("`{}` of an open answer", at.text));
    }
  };
  for (const flow::Open& open : step.opens) is_bound(*open.at);
  for (const flow::Assertion& one : step.asserts) is_bound(one.at);
  if (step.code) is_bound(step.code->at);
}

void require_bound_answer(const RoomConfig& room, const Step& step) {
  if (!step.sealed) return require_bound_open(step);
  for (const flow::Open& open : step.opens) {
    if (!open.to_all()) require_member(room, step, open.name + " is opened to", open.to);
  }
}

}  // namespace

flow::Filling placeholders(const Flow& flow, const std::map<std::string, std::string>& arguments,
                           const BootScript* script) {
  flow::Filling out;
  if (script != nullptr) out.script = script->filling();
  const auto plain = [&flow,
                      &arguments](const SlotUse& use) -> std::optional<flow::Filling::Secret> {
    if (const auto input = input_of(flow, use, arguments)) return input;
    if (const auto it = flow.born.find(use.name); it != flow.born.end()) {
      return flow::Filling::Secret{it->second.bytes(),
                                   flow::char_class_of(it->second.value_class())};
    }
    const flow::Keep* const keep = flow.kept(use.name);
    if (keep == nullptr) return std::nullopt;
    return flow::Filling::Secret{keep->stored_max(), flow::char_class_of(keep->stored_class())};
  };
  out.secret = [plain](const SlotUse& use) {
    const auto value = plain(use);
    return value ? in_slot(use, *value, flow::function_length(use, value->length)) : value;
  };
  out.public_text = [arguments](const SlotUse& use) {
    const auto it = arguments.find(use.name);
    if (it != arguments.end()) return it->second;
    if (use.name == "client-metadata") return client_metadata({});
    const bool number = use.where == SlotUse::Where::kNumber;
    return std::string(built_in_bytes(use.name), number ? '0' : 'x');
  };
  out.access_key_id = "AKIAIOSFODNN7EXAMPLE";
  out.date_time = "20000101T000000Z";
  return out;
}

AnswerTerms placeholder_terms(const OpenCall& call,
                              std::function<PartyId(const std::string&)> member) {
  AnswerTerms out;
  out.host = call.model.host;
  out.path = call.model.path_text();
  out.fill = [](std::string_view text) { return std::string(text); };
  out.excluded = [](std::string_view) { return std::vector<std::string>(2, "x"); };
  out.member = std::move(member);
  return out;
}

namespace {

void lay_out(const RoomConfig& room, const Flow& flow, const Step& step,
             const std::map<std::string, std::string>& arguments, const BootScript* script) {
  const OpenCall call = step_call(room, flow, step, placeholders(flow, arguments, script));
  if (call.signs_secrets) agent::check_signed_slots(*call.signing);
  if (!step.sealed) return require_open(step, call);
  const AnswerTerms terms =
      placeholder_terms(call, [&room](const std::string& name) { return room.member_id(name); });
  try {
    sealed_plan(step, terms).require_valid(room.members.size());
  } catch (const InputError& error) {
    refuse(step, error.problem());
  }
}

bool has_script(const Step& step, const flow::Filling& filling) {
  return filling.script && std::any_of(step.slots.begin(), step.slots.end(), [&](const auto& use) {
           return filling.script(use) != nullptr;
         });
}

}  // namespace

std::string BootScript::text() const {
  return http::percent_decode(user_data.encoded('A').text).value();
}

std::function<const http::Base64Text*(const SlotUse&)> BootScript::filling() const {
  return [this](const SlotUse& use) { return use.name == argument ? &user_data : nullptr; };
}

void require_open(const Step& step, const OpenCall& call) {
  for (const CallSlot& slot : call.slots) {
    if (!slot.in_base64) refuse(step, "an open answer to a request with a secret");
  }
}

std::optional<flow::Filling::Secret> input_of(const Flow& flow, const SlotUse& use,
                                              const std::map<std::string, std::string>& arguments) {
  const auto it = flow.inputs.find(use.name);
  if (it == flow.inputs.end()) return std::nullopt;
  const flow::Input& input = it->second;
  flow::Filling::Secret out{input.length, class_of_input(input.value_class)};
  if (flow::is_of_member(input, arguments)) out.member = flow::member_of(input.from, arguments);
  return out;
}

flow::Filling::Secret in_slot(const SlotUse& use, const flow::Filling::Secret& value,
                              uint32_t jwe_length) {
  if (use.is_jwe()) return {jwe_length, http::CharClass::kUrlSafe};
  if (use.function.empty()) return value;
  return {circuits::kTotpDigits, http::CharClass::kDigits, value.length};
}

size_t unknown_bytes(const Flow& flow, const Step& step, const flow::Filling& filling,
                     const std::map<std::string, std::string>& arguments, size_t of_room) {
  size_t out = 0;
  for (const SlotUse& use : step.slots) {
    if (filling.secret(use) || arguments.contains(use.name) || flow::is_built_in(use.name))
      continue;
    size_t most = of_room;
    flow.each_step([&](const Step& other) {
      if (const flow::Open* const open = other.open(use.name)) most = open->max;
    });
    out += most;
  }
  return out;
}

size_t longest_request(const RoomConfig& room, const Flow& flow, const Step& step,
                       const std::map<std::string, std::string>& arguments,
                       const BootScript* script) {
  constexpr size_t kOfRoom = 256;
  constexpr size_t kEscaped = 6;  // bytes of one that JSON escapes
  const flow::Filling filling = placeholders(flow, arguments, script);
  return step_call(room, flow, step, filling).bytes +
         kEscaped * unknown_bytes(flow, step, filling, arguments, kOfRoom);
}

OpenCall step_call(const RoomConfig& room, const Flow& flow, const Step& step,
                   const flow::Filling& filling) {
  CallTerms terms;
  terms.place = step.place + ": step " + step.name;
  terms.provider = flow.provider;
  terms.sealed = step.sealed;
  if (!step.sign_service.empty()) {
    terms.sign = Recipe::Sign{flow.key + "/secret", step.sign_region, step.sign_service};
  }
  const bool scripted = has_script(step, filling);
  if (scripted) terms.script = http::ScriptSource::kOwnScript;
  OpenCall call = make_call(flow::request_template(step, filling), terms);
  const Provider& provider = room.provider_for(flow.provider, call.model.host);
  // Whatever the file says of its answer, nobody's private bytes come back in it.
  if (scripted) check_open_call(call, provider);
  for (CallSlot& slot : call.slots) {
    if (slot.in_base64) continue;  // of the boot script
    const SlotUse& use = use_of(step, slot.slot);
    slot.next_code = is_next_code(use);
    // Judged by two readers: the file's, whose words the purposes are, and the request's. A path
    // with a public value of the run is spelled by the request alone.
    const bool same_address =
        step.address.find("{{") != std::string::npos || call.address == step.address;
    const bool same = use.where == SlotUse::Where::kCookie
                          ? slot.position.name == "header cookie"
                          : slot.position.exact == use.position && same_address;
    if (same) continue;
    throw InputError(terms.place,
                     fmt::format("{} stands at `{} {}`, which the file reads as `{} {}`", use.name,
                                 call.address, slot.position.exact, step.address, use.position),
                     "write the request so that it can be read in one way only");
  }
  return call;
}

void require_bound(const RoomConfig& room, const Flow& flow,
                   const std::map<std::string, std::string>& arguments, const BootScript* script) {
  flow.each_step([&](const Step& step) {
    if (step.asks())
      return require_member(room, step, "asks", flow::member_of(step.ask, arguments));
    require_bound_slots(flow, step, arguments);
    for (const SlotUse& use : step.slots) {
      require_giver(room, flow, step, use.name, arguments);
    }
    require_bound_answer(room, step);
    lay_out(room, flow, step, arguments, script);
  });
}

}  // namespace flexroom::room
