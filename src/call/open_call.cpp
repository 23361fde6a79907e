#include "call/open_call.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "call/replace_all.h"

namespace flexroom {
namespace {

constexpr size_t kHashBlock = 64;
constexpr char kTimeMark = '\x02', kDayMark = '\x03';

bool is_argument_value(std::string_view value) {
  return value.size() <= 512 && std::all_of(value.begin(), value.end(), [](char c) {
           return http::char_set(http::CharClass::kUrlSafe).contains(c);
         });
}

std::string with_arguments(const Recipe& recipe, const std::map<std::string, std::string>& given,
                           const CallDates& dates) {
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
  replace_all(text, "{{amz-date}}", dates.time);
  replace_all(text, "{{amz-day}}", dates.day);
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

/// What is approved is the request but for its dates, which are agreed when it is made. They stand
/// where nothing shown or judged is taken from them, and where they are made anew: in the header
/// lines of a signed request.
void check_dates(const Recipe& recipe, const OpenCall& call) {
  const std::string text = to_text(call.text());
  for (const CallDate& date : call.dates) {
    if (recipe.sign && date.offset > text.find('\n') && date.offset < call.body_start) continue;
    const auto line =
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(date.offset), '\n');
    throw InputError(fmt::format("line {} of the request", line + 1),
                     fmt::format("has {{{{{}}}}} outside the header lines of a signed request",
                                 date.bytes == 8 ? "amz-day" : "amz-date"),
                     "it is the time at which a signature is made; write any other date as an "
                     "argument ([argument.NAME]), which all members approve");
  }
}

/// Zeros in place of slots.
Bytes text_of(const http::Template& request) {
  Bytes out;
  for (const http::Part& part : request.parts) {
    if (const auto* known = std::get_if<Bytes>(&part)) {
      append(out, *known);
    } else if (const auto* mixed = std::get_if<http::Base64Text>(&part)) {
      append(out, mixed->encoded('\0').text);
    } else {
      out.resize(out.size() + std::get<http::Slot>(part).encoded_length());
    }
  }
  return out;
}

http::Template template_of(const Recipe& recipe, const std::string& text) {
  std::vector<http::Slot> slots;
  for (const Recipe::Slot& slot : recipe.slots) slots.push_back(slot.slot);
  if (recipe.sign) slots.push_back(signature_slot());
  return http::template_from_text(recipe.host, 443, text, slots);
}

/// Which bytes of the request depend on each slot of base64 text: whole groups.
void place_base64(const http::Base64Text& base64, size_t at, const CallTerms& terms,
                  OpenCall& call) {
  const http::Base64Text::Encoded encoded = base64.encoded('\0');
  size_t byte = 0;
  for (const auto& part : base64.parts) {
    const auto* const slot = std::get_if<http::Slot>(&part);
    const size_t size = slot != nullptr ? slot->length : std::get<Bytes>(part).size();
    if (slot != nullptr) {
      CallSlot placed{
          *slot, 0, 0, true, slot_position(call.model, *slot), terms.echo_ok.contains(slot->name)};
      for (const auto& group : encoded.groups) {
        if (group.byte <= byte) placed.offset = at + group.offset;
        if (group.byte < byte + size) placed.end = at + group.offset + 4;
      }
      call.slots.push_back(std::move(placed));
    }
    byte += size;
  }
  call.base64.push_back({base64, at});
}

void place_slots(const CallTerms& terms, OpenCall& call) {
  size_t at = 0;
  for (const http::Part& part : call.request.parts) {
    if (const auto* bytes = std::get_if<Bytes>(&part)) {
      at += bytes->size();
    } else if (const auto* base64 = std::get_if<http::Base64Text>(&part)) {
      place_base64(*base64, at, terms, call);
      at += base64->encoded('\0').text.size();
    } else {
      const http::Slot& slot = std::get<http::Slot>(part);
      const size_t end = at + slot.encoded_length();
      if (slot.source == http::SlotSource::kComputed) {
        call.signature_offset = at;
      } else {
        call.slots.push_back({slot, at, end, false, slot_position(call.model, slot),
                              terms.echo_ok.contains(slot.name)});
      }
      at = end;
    }
  }
}

/// §6.2: the hash of a body with slots is opened, and printed by error messages; 128 bits that
/// nobody knows must stand in or before the first block that holds something else.
void check_hidden_body(OpenCall& call, const std::string& place) {
  const size_t body_start = call.body_start;
  std::optional<size_t> nonce_end, first;
  for (const CallSlot& slot : call.slots) {
    if (slot.offset < body_start) continue;
    if (slot.slot.source == http::SlotSource::kRandom) {
      if (!nonce_end) nonce_end = slot.end - body_start;
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

/// R2-3, and one table for what belongs together: host, service and region.
void check_action(const CallTerms& terms, const OpenCall& call) {
  if (terms.sign) {
    const Recipe::Sign& sign = *terms.sign;
    const AwsService* const service = aws_service(sign.service);
    if (service == nullptr || service != call.action.service ||
        !is_aws_host(*service, sign.region, call.model.host)) {
      throw InputError(terms.place,
                       fmt::format("signs for '{}' in '{}', to which host '{}' does not belong",
                                   sign.service, sign.region, call.model.host),
                       "a signature goes to the service's own host only; services that can be "
                       "signed for: " +
                           aws_service_names());
    }
  }
  if (terms.sealed || call.action.service == nullptr) return;
  if (is_open_action(call.action, call.model)) return;
  throw InputError(
      terms.place,
      fmt::format("'{}' is not on the list of actions whose answer may be open", call.action.text),
      "its answer could hold a secret and needs a sealed connection, which is not "
      "built yet (docs/status.md)");
}

void check_signed(const CallTerms& terms, OpenCall& call) {
  call.signing = http::plan_sigv4(call.request);
  if (call.signing->scope.region != terms.sign->region ||
      call.signing->scope.service != terms.sign->service) {
    throw InputError(terms.place,
                     fmt::format("the Authorization line says {}/{}, [sign] says {}/{}",
                                 call.signing->scope.region, call.signing->scope.service,
                                 terms.sign->region, terms.sign->service));
  }
  const bool signs_body = !call.signing->body.is_public && !call.signing->unsigned_payload;
  if (terms.sealed) {
    call.signs_secrets = signs_body || !call.signing->canonical_head_is_public();
    return;
  }
  for (const CallSlot& slot : call.slots) {
    if (slot.offset < call.body_start) {
      throw InputError(
          terms.place,
          fmt::format("slot '{}' stands in the head of a signed request", slot.slot.name),
          "errors of the service print signed headers (tls-in-mpc.md R2-3); slots of "
          "a signed request stand in its body");
    }
  }
  if (signs_body) check_hidden_body(call, terms.place);
}

/// §5.1 `origin`: a secret goes to hosts of its own provider, whoever writes the recipe.
void check_provider(const OpenCall& call, const store::RecordMeta& secret,
                    const std::string& place) {
  if (!secret.provider.empty() && secret.provider == call.provider) return;
  throw InputError(place,
                   secret.provider.empty()
                       ? fmt::format("uses secret '{}', which belongs to no provider", secret.name)
                       : fmt::format("uses secret '{}' of provider '{}' at provider '{}'",
                                     secret.name, secret.provider, call.provider),
                   "a secret is imported for one provider and goes to its hosts only");
}

}  // namespace

CallDates CallDates::marks() { return {std::string(16, kTimeMark), std::string(8, kDayMark)}; }

std::vector<CallDate> places_of_dates(const http::Template& request, const http::Template& marked) {
  const Bytes text = text_of(request), other = text_of(marked);
  FLEXROOM_ASSERT(text.size() == other.size());
  std::vector<CallDate> out;
  for (size_t at = 0; at < text.size();) {
    const bool differs = text[at] != other[at];
    if (!differs) {
      ++at;
      continue;
    }
    out.push_back({at, other[at] == kTimeMark ? 16u : 8u});
    at += out.back().bytes;
  }
  return out;
}

http::Slot signature_slot() {
  http::Slot out;
  out.name = "signature";
  out.source = http::SlotSource::kComputed;
  out.from = "sigv4";
  out.char_class = http::CharClass::kHex;
  out.length = 64;
  return out;
}

OpenCall make_call(http::Template request, const CallTerms& terms) {
  http::validate(request, terms.script);
  OpenCall out;
  out.request = std::move(request);
  out.model = http::RequestModel::of(out.request);
  out.action = action_of(out.model, terms.sealed);
  out.provider = terms.provider;
  out.sign = terms.sign;
  out.method = out.request.method;
  out.bytes = out.request.size();
  out.body_start = to_text(out.text()).find("\r\n\r\n") + 4;
  out.address = call_address(out.model);
  place_slots(terms, out);
  check_action(terms, out);
  if (terms.sign) check_signed(terms, out);
  return out;
}

OpenCall fill_recipe(const Recipe& recipe, const std::map<std::string, std::string>& given,
                     const std::string& date_time) {
  const std::string text = with_arguments(recipe, given, CallDates::of(date_time));
  CallTerms terms;
  terms.place = "recipe " + recipe.name;
  terms.provider = recipe.provider;
  terms.sign = recipe.sign;
  for (const Recipe::Slot& slot : recipe.slots) {
    if (slot.echo_ok) terms.echo_ok.insert(slot.slot.name);
  }
  try {
    OpenCall out = make_call(template_of(recipe, text), terms);
    out.dates = places_of_dates(
        out.request, template_of(recipe, with_arguments(recipe, given, CallDates::marks())));
    check_dates(recipe, out);
    return out;
  } catch (const InputError& error) {
    if (error.place() == terms.place) throw;
    fail_in_file(recipe, error);
  }
}

OpenCall get_call(const http::Url& url, const std::string& provider) {
  CallTerms terms;
  terms.place = "get";
  terms.provider = provider;
  return make_call(
      http::template_from_text(url.host, url.port,
                               fmt::format("GET {} HTTP/1.1\nHost: {}\nUser-Agent: flexroom\n"
                                           "Accept-Encoding: identity\nConnection: close\n\n",
                                           url.target(), url.authority()),
                               {}),
      terms);
}

Bytes OpenCall::text() const { return text_of(request); }

void check_open_call(const OpenCall& call, const Provider& provider) {
  const std::string place = "provider " + provider.name;
  // A nonce hides what stands beside it: only if all that may be repeated may it be too.
  const bool hides = std::any_of(call.slots.begin(), call.slots.end(), [](const CallSlot& slot) {
    return slot.slot.source != http::SlotSource::kRandom && !slot.echo_ok;
  });
  for (const CallSlot& slot : call.slots) {
    const bool random = slot.slot.source == http::SlotSource::kRandom;
    if (random ? !hides : slot.echo_ok) continue;
    if (is_silent_position(call.action, slot.position.name)) continue;
    const bool listed = std::any_of(
        provider.open_calls.begin(), provider.open_calls.end(), [&](const std::string& entry) {
          return opens(entry, call.action, call.model, slot.position.name, place);
        });
    if (listed) continue;
    const std::string entry = open_call_entry(call.action, call.model, slot.position.name);
    throw InputError(
        place,
        fmt::format("does not list '{}': slot '{}' may come back in an answer that all members "
                    "read",
                    entry, slot.slot.name),
        fmt::format(
            "if no answer, errors included, repeats what stands there or holds another "
            "secret, every member adds open_calls = [\"{}\"] to [provider.{}] of "
            "room.toml{}",
            entry, provider.name,
            slot.slot.source == http::SlotSource::kMember
                ? "; or its owner lets it be read: echo_ok = true in [slot." + slot.slot.name + "]"
                : ""));
  }
}

void check_secret_slot(const OpenCall& call, const CallSlot& placed,
                       const store::RecordMeta& secret) {
  const http::Slot& slot = placed.slot;
  const std::string place = fmt::format("slot '{}'", slot.name);
  check_provider(call, secret, place);
  const bool is_totp = slot.source == http::SlotSource::kTotp;
  const uint32_t length = is_totp ? slot.key_length : slot.length;
  if (secret.bits != 8 * uint64_t{length}) {
    throw InputError(
        place, fmt::format("has {} {}, secret '{}' has {} bytes", is_totp ? "key_length" : "length",
                           length, secret.name, secret.bits / 8));
  }
  if (is_totp) check_totp_secret(secret);
  const auto stored = http::char_class_of(secret.value_class);
  if (!is_totp && (!stored || !http::char_set(*stored).subset_of(slot.checked_set()))) {
    throw InputError(place,
                     fmt::format("takes class {}, secret '{}' was stored as class {}",
                                 to_string(slot.char_class), secret.name, secret.value_class),
                     "the class of a secret is established when it is imported");
  }
  const std::string purpose =
      call.address + " " + placed.position.exact + (is_totp ? " as totp" : "");
  const auto& purposes = secret.purposes;
  // " as totp" may be text behind the slot: a key that may make codes there may not stand there.
  const auto function = is_totp ? Purpose::Function::kTotp : Purpose::Function::kPosition;
  if (std::find(purposes.begin(), purposes.end(), purpose) == purposes.end() ||
      parse_purpose(purpose, place).function != function) {
    throw InputError(place,
                     fmt::format("uses secret '{}' for '{}', which is none of its purposes",
                                 secret.name, purpose),
                     purposes.empty() ? "a secret without purposes is usable nowhere; import it "
                                        "again with this purpose if that is what it is for"
                                      : "`flexroom secret show` lists its purposes");
  }
}

CallSecrets check_rules(const OpenCall& call, const RoomConfig& room,
                        const std::function<store::RecordMeta(const std::string&)>& secret) {
  const Provider& provider = room.provider_for(call.provider, call.model.host);
  check_open_call(call, provider);
  CallSecrets out;
  if (call.sign) {
    out.signing = secret(call.sign->secret);
    check_provider(call, *out.signing, fmt::format("secret '{}'", out.signing->name));
    check_signing_secret(*out.signing, call.sign->service, call.sign->region);
  }
  for (const CallSlot& slot : call.slots) {
    if (slot.slot.source == http::SlotSource::kMember) (void)room.member_id(slot.slot.from);
    if (slot.slot.source != http::SlotSource::kSecret &&
        slot.slot.source != http::SlotSource::kTotp) {
      continue;
    }
    store::RecordMeta found = secret(slot.slot.from);
    check_secret_slot(call, slot, found);
    out.slots.emplace(slot.slot.name, std::move(found));
  }
  return out;
}

}  // namespace flexroom
