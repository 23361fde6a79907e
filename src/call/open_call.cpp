#include "call/open_call.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "call/purpose.h"

namespace flexroom {
namespace {

// Documented answers of these actions: ids, states and descriptions, no credentials, no user data
// (tls-in-mpc.md §4.6 R2-3 lists what may never be here).
constexpr std::array<std::string_view, 9> kOpenActions = {
    "ec2:RunInstances",    "ec2:DescribeInstances",      "ec2:TerminateInstances",
    "ec2:DescribeImages",  "ec2:DescribeKeyPairs",       "ec2:DescribeSecurityGroups",
    "ec2:DescribeRegions", "ec2:DescribeInstanceStatus", "sts:GetCallerIdentity"};
constexpr size_t kHashBlock = 64;

void replace_all(std::string& text, const std::string& hole, std::string_view value) {
  for (size_t at = text.find(hole); at != std::string::npos; at = text.find(hole, at)) {
    text.replace(at, hole.size(), value);
    at += value.size();
  }
}

bool is_argument_value(std::string_view value) {
  return value.size() <= 512 && std::all_of(value.begin(), value.end(), [](char c) {
           return http::char_set(http::CharClass::kUrlSafe).contains(c);
         });
}

std::string action_of(std::string_view body, const std::string& place) {
  constexpr std::string_view kKey = "Action";
  std::string action;
  for (size_t at = 0; at <= body.size();) {
    const size_t stop = std::min(body.find('&', at), body.size());
    const std::string_view field = body.substr(at, stop - at);
    const std::string_view name = field.substr(0, field.find('='));
    if (name.find_first_of("%+") != std::string_view::npos) {
      throw InputError(place, "a name in the form is escaped", "write names as they are");
    }
    if (name == kKey) {
      if (!action.empty()) throw InputError(place, "the body names two actions");
      action = std::string(field.substr(std::min(name.size() + 1, field.size())));
    }
    at = stop + 1;
  }
  return action;
}

std::string with_arguments(const Recipe& recipe, const std::map<std::string, std::string>& given,
                           const std::string& date_time) {
  const std::string place = "recipe " + recipe.name;
  std::string text = recipe.request;
  for (const auto& [name, value] : given) {
    if (!recipe.arguments.contains(name)) {
      throw InputError(place, fmt::format("has no argument '{}'", name),
                       "the recipe declares its arguments as [argument.NAME]");
    }
    if (!is_argument_value(value)) {
      throw InputError(fmt::format("argument {}", name), "has a character that is not allowed",
                       "use letters, digits and - _ . ~");
    }
  }
  for (const auto& [name, fallback] : recipe.arguments) {
    const auto it = given.find(name);
    const std::string& value = it == given.end() ? fallback : it->second;
    if (value.empty()) {
      throw InputError(place, fmt::format("needs argument '{}'", name),
                       fmt::format("pass --arg {}=VALUE", name));
    }
    if (!is_argument_value(value)) throw InputError(place, "has a default that is not allowed");
    replace_all(text, "{{" + name + "}}", value);
  }
  replace_all(text, "{{amz-date}}", date_time);
  replace_all(text, "{{amz-day}}", date_time.substr(0, 8));
  return text;
}

/// The validator speaks of bytes of the request; people look for lines of the file.
[[noreturn]] void fail_in_file(const Recipe& recipe, const InputError& error) {
  std::string place = recipe.request_place;
  for (const Recipe::Slot& slot : recipe.slots) {
    if (error.place().find("slot '" + slot.slot.name + "'") != std::string::npos) {
      place = slot.place;
    }
  }
  throw InputError(place + ": " + error.place(), error.problem(), error.remedy());
}

http::Template validated(const Recipe& recipe, const std::string& text) {
  std::vector<http::Slot> slots;
  for (const Recipe::Slot& slot : recipe.slots) slots.push_back(slot.slot);
  if (recipe.sign) {
    http::Slot signature;
    signature.name = "signature";
    signature.source = http::SlotSource::kComputed;
    signature.from = "sigv4";
    signature.char_class = http::CharClass::kHex;
    signature.length = 64;
    slots.push_back(signature);
  }
  http::Template out = http::template_from_text(recipe.host, 443, text, slots);
  http::validate(out);
  return out;
}

void place_slots(OpenCall& call) {
  const std::vector<std::string> positions = slot_positions(call.request);
  size_t at = 0, index = 0;
  for (const http::Part& part : call.request.parts) {
    if (const auto* bytes = std::get_if<Bytes>(&part)) {
      at += bytes->size();
      continue;
    }
    const http::Slot& slot = std::get<http::Slot>(part);
    if (slot.source == http::SlotSource::kComputed) {
      call.signature_offset = at;
    } else {
      call.slots.push_back({slot, at, positions.at(index)});
    }
    ++index;
    at += slot.encoded_length();
  }
}

/// §6.2: the hash of a body with slots is opened, and printed by error messages; 128 bits that
/// nobody knows must stand in or before the first block that holds something else.
void check_hidden_body(OpenCall& call, size_t body_start, const std::string& place) {
  std::optional<size_t> nonce_end, first;
  for (const CallSlot& slot : call.slots) {
    if (slot.offset < body_start) continue;
    if (slot.slot.source == http::SlotSource::kRandom) {
      if (!nonce_end) nonce_end = slot.offset + slot.slot.encoded_length() - body_start;
    } else if (!first) {
      first = slot.offset - body_start;
    }
  }
  call.hidden_body_at = body_start;
  if (!first) return;
  if (!nonce_end || (*nonce_end - 1) / kHashBlock > *first / kHashBlock) {
    throw InputError(place, "the hash of this signed body would tell about its secret part",
                     "put a slot with source = \"random\" in front of the other slots of the "
                     "body, in a field that the service ignores or takes as a token");
  }
}

void check_signed(const Recipe& recipe, OpenCall& call) {
  const std::string place = "recipe " + recipe.name;
  call.signing = http::plan_sigv4(call.request);
  const std::string whole = to_text(call.text());
  const size_t body_start = whole.find("\r\n\r\n") + 4;
  const std::string action = action_of(std::string_view(whole).substr(body_start), place);
  if (!is_open_action(recipe.sign->service, action)) {
    throw InputError(place,
                     fmt::format("'{}:{}' is not on the list of actions whose answer may be open",
                                 recipe.sign->service, action),
                     "its answer could hold a secret and needs a sealed connection, which is not "
                     "built yet (docs/status.md)");
  }
  for (const CallSlot& slot : call.slots) {
    if (slot.offset < body_start) {
      throw InputError(
          place, fmt::format("slot '{}' stands in the head of a signed request", slot.slot.name),
          "errors of the service print signed headers (tls-in-mpc.md R2-3); slots of "
          "a signed request stand in its body");
    }
  }
  if (!call.signing->body.is_public && !call.signing->unsigned_payload) {
    check_hidden_body(call, body_start, place);
  }
}

}  // namespace

bool is_open_action(std::string_view service, std::string_view action) {
  const std::string name = fmt::format("{}:{}", service, action);
  return std::find(kOpenActions.begin(), kOpenActions.end(), name) != kOpenActions.end();
}

OpenCall fill_recipe(const Recipe& recipe, const std::map<std::string, std::string>& given,
                     const std::string& date_time) {
  const std::string text = with_arguments(recipe, given, date_time);
  OpenCall out;
  try {
    out.request = validated(recipe, text);
    place_slots(out);
  } catch (const InputError& error) {
    fail_in_file(recipe, error);
  }
  out.method = out.request.method;
  out.bytes = out.request.size();
  out.address = call_address(out.request);
  if (recipe.sign) check_signed(recipe, out);
  return out;
}

Bytes OpenCall::text() const {
  Bytes out;
  for (const http::Part& part : request.parts) {
    if (const auto* known = std::get_if<Bytes>(&part)) {
      append(out, *known);
    } else {
      out.resize(out.size() + std::get<http::Slot>(part).encoded_length());
    }
  }
  return out;
}

void check_open_call(const OpenCall& call, const Provider& provider) {
  if (call.slots.empty()) return;
  const auto& list = provider.open_calls;
  if (std::find(list.begin(), list.end(), call.address) != list.end()) return;
  throw InputError(
      "provider " + provider.name,
      fmt::format("does not list '{}' as a call whose answer may be open to all", call.address),
      fmt::format("if its answers, errors included, hold no secret of the account or of any "
                  "request, every member adds open_calls = [\"{}\"] to [provider.{}] of room.toml",
                  call.address, provider.name));
}

void check_secret_slot(const OpenCall& call, const CallSlot& placed,
                       const store::RecordMeta& secret) {
  const http::Slot& slot = placed.slot;
  const std::string place = fmt::format("slot '{}'", slot.name);
  if (secret.bits != 8 * uint64_t{slot.length}) {
    throw InputError(place, fmt::format("has length {}, secret '{}' has {} bytes", slot.length,
                                        secret.name, secret.bits / 8));
  }
  const auto stored = http::char_class_of(secret.value_class);
  if (!stored || !http::char_set(*stored).subset_of(slot.checked_set())) {
    throw InputError(place,
                     fmt::format("takes class {}, secret '{}' was stored as class {}",
                                 to_string(slot.char_class), secret.name, secret.value_class),
                     "the class of a secret is established when it is imported");
  }
  const std::string purpose = call.address + " " + placed.position;
  const auto& purposes = secret.purposes;
  if (std::find(purposes.begin(), purposes.end(), purpose) == purposes.end()) {
    throw InputError(place,
                     fmt::format("uses secret '{}' for '{}', which is none of its purposes",
                                 secret.name, purpose),
                     purposes.empty() ? "a secret without purposes makes signatures only; import "
                                        "it with this purpose if that is what it is for"
                                      : "`flexroom secret show` lists its purposes");
  }
}

void check_signing_secret(const store::RecordMeta& secret) {
  if (secret.purposes.empty()) return;
  throw InputError(fmt::format("secret '{}'", secret.name),
                   "has purposes, so it stands in requests and signs nothing",
                   "import a key for signatures without purposes");
}

}  // namespace flexroom
