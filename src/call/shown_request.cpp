#include "call/shown_request.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/codec.h"
#include "base/error.h"
#include "http/code_parameters.h"

namespace flexroom {
namespace {

using agreement::Proposal;
using agreement::RequestPart;

/// Bytes of the request that are no public text.
struct Hole {
  size_t offset = 0, bytes = 0;
  std::string slot, what;
  size_t end() const { return offset + bytes; }
};

/// Of base64 text: each run of groups under the slot that has bytes in them; under the first where
/// two share a group.
std::vector<Hole> holes_of(const CallBase64& placed, const CallSecrets& secrets) {
  std::vector<const http::Slot*> owner;  // by byte before encoding
  for (const auto& part : placed.text.parts) {
    const auto* const slot = std::get_if<http::Slot>(&part);
    const size_t more = slot != nullptr ? slot->length : std::get<Bytes>(part).size();
    owner.insert(owner.end(), more, slot);
  }
  const auto slot_at = [&](size_t byte) { return byte < owner.size() ? owner[byte] : nullptr; };
  std::vector<Hole> out;
  const http::Slot* last = nullptr;
  for (const auto& group : placed.text.encoded('\0').groups) {
    const size_t end = group.byte + 3;
    const http::Slot* first = nullptr;
    for (size_t byte = group.byte; byte < end && first == nullptr; ++byte) first = slot_at(byte);
    if (first != last) {
      out.push_back({placed.offset + group.offset, 0, first->name,
                     describe_slot(*first, secrets) + ", in base64 with the text around it"});
      last = first;
    }
    out.back().bytes += 4;
    // A short one that ends in this group gets none of its own.
    for (size_t byte = group.byte; byte < end; ++byte) {
      const http::Slot* const other = slot_at(byte);
      if (other == nullptr || other == first || slot_at(byte + 1) == other) continue;
      out.back().what += "; also " + other->name;
    }
  }
  return out;
}

/// Fields whose values are not known: nothing of them is shown.
std::vector<Hole> unknown_holes(const OpenCall& call, const std::vector<NotYet>& unknown) {
  std::vector<Hole> out;
  const Bytes text = call.text();
  for (const NotYet& one : unknown) {
    const http::RequestText* const value = call.model.body_value(one.field);
    if (value == nullptr) continue;
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(value->at);
    const auto end = std::find(begin, text.end(), uint8_t{'&'});
    out.push_back({value->at, static_cast<size_t>(end - begin), one.field, one.why});
  }
  return out;
}

std::vector<Hole> holes_of(const OpenCall& call, const CallSecrets& secrets,
                           const std::vector<NotYet>& unknown) {
  std::vector<Hole> out;
  for (const CallSlot& placed : call.slots) {
    if (placed.in_base64) continue;
    out.push_back({placed.offset, placed.end - placed.offset, placed.slot.name,
                   describe_slot(placed.slot, secrets)});
  }
  for (const CallBase64& placed : call.base64) {
    const std::vector<Hole> inside = holes_of(placed, secrets);
    out.insert(out.end(), inside.begin(), inside.end());
  }
  if (call.signature_offset) {
    out.push_back({*call.signature_offset, signature_slot().length, signature_slot().name,
                   fmt::format("SigV4 over this request with secret {}", call.sign->secret)});
  }
  for (const CallDate& date : call.dates) {
    out.push_back({date.offset, date.bytes, date.bytes == 8 ? "amz-day" : "amz-date",
                   "the time when it is made, agreed by all members"});
  }
  for (Hole& hole : unknown_holes(call, unknown)) {
    std::erase_if(out, [&](const Hole& other) {
      return other.offset >= hole.offset && other.end() <= hole.end();
    });
    out.push_back(std::move(hole));
  }
  std::sort(out.begin(), out.end(),
            [](const Hole& a, const Hole& b) { return a.offset < b.offset; });
  return out;
}

std::vector<RequestPart> parts_of(const http::RequestText& text, const CallSecrets& secrets) {
  std::vector<RequestPart> out;
  for (const auto& piece : text.pieces) {
    if (!piece.slot) {
      out.push_back({to_bytes(piece.text), "", "", 0});
      continue;
    }
    http::Slot inside = *piece.slot;
    inside.encoding = piece.encoding;
    out.push_back({{},
                   inside.name,
                   describe_slot(inside, secrets),
                   static_cast<uint32_t>(inside.encoded_length())});
  }
  return out;
}

bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("._/-").find(c) != std::string_view::npos;
}

/// A parameter's name that may be part of a field's: one word, which cannot look like the end of
/// the name, a value or a slot. Whoever wrote the request chose it.
bool is_field_name(std::string_view name) {
  constexpr size_t kMaxBytes = 64;
  return !name.empty() && name.size() <= kMaxBytes &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

/// Any other name, as one word.
std::string spell_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool plain = is_name_character(c) || std::string_view("~>").find(c) != std::string::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

/// One that has a slot, several lines, looks like a slot or has a name that is no field's is shown
/// with its slots marked.
void add_value(Proposal& proposal, const std::string& where, const std::string& how,
               const http::Parameter& parameter, const CallSecrets& secrets) {
  std::vector<RequestPart> parts = parts_of(parameter.value, secrets);
  if (!is_field_name(parameter.name)) {
    parts.insert(parts.begin(), {to_bytes(spell_name(parameter.name) + " = "), "", "", 0});
    proposal.marked(where + " parameter" + how, parts);
    return;
  }
  const std::string name = where + " " + parameter.name + how;
  std::string text;
  for (const RequestPart& part : parts) text += as_text(part.text);
  const bool plain = parameter.value.is_public() && text.find('\n') == std::string::npos &&
                     text.find("{{") == std::string::npos;
  if (plain) {
    proposal.text(name, text);
  } else {
    proposal.marked(name, parts);
  }
}

/// A program in base64 is shown as what it is.
void add_parameter(Proposal& proposal, const std::string& where, const OpenCall& call,
                   const http::Parameter& parameter, const CallSecrets& secrets) {
  constexpr const char* kDecoded = ", decoded from base64";
  if (parameter.value.in_base64) return add_value(proposal, where, kDecoded, parameter, secrets);
  add_value(proposal, where, "", parameter, secrets);
  const auto program = http::program_in(call.model, parameter);
  if (program) add_value(proposal, where, kDecoded, {parameter.name, *program}, secrets);
}

void add_parameters(Proposal& proposal, const OpenCall& call, const CallSecrets& secrets,
                    const std::vector<NotYet>& unknown) {
  const http::RequestModel& model = call.model;
  if (model.query.empty() && model.body.empty()) return;
  proposal.section("Parameters");
  for (const http::Parameter& one : model.query) {
    add_parameter(proposal, "query", call, one, secrets);
  }
  const std::string where = model.body_kind == http::RequestModel::Body::kJson ? "json" : "form";
  for (const http::Parameter& one : model.body) {
    const auto not_yet = std::find_if(unknown.begin(), unknown.end(),
                                      [&](const NotYet& u) { return u.field == one.name; });
    if (not_yet == unknown.end()) {
      add_parameter(proposal, where, call, one, secrets);
    } else {
      proposal.text(where + " " + one.name, "(not known yet: " + not_yet->why + ")");
    }
  }
  for (const http::Parameter& one : model.nested) {
    add_parameter(proposal, "json inside", call, one, secrets);
  }
}

void add_slots(Proposal& proposal, const OpenCall& call, const CallSecrets& secrets,
               const std::vector<NotYet>& unknown) {
  const auto is_known = [&](const CallSlot& placed) {
    return std::none_of(unknown.begin(), unknown.end(), [&](const NotYet& one) {
      return placed.position.name == "form " + one.field;
    });
  };
  if (std::none_of(call.slots.begin(), call.slots.end(), is_known)) return;
  proposal.section("Slots");
  for (const CallSlot& placed : call.slots) {
    if (!is_known(placed)) continue;
    // In base64 text the exact position is that text, which stands above.
    const SlotPosition& at = placed.position;
    proposal.text("slot " + placed.slot.name,
                  fmt::format("{}, at {}{}", describe_slot(placed.slot, secrets),
                              placed.in_base64 ? at.name : at.exact,
                              placed.echo_ok ? "; its owner lets an answer repeat it to all" : ""));
  }
}

void add_secrets(Proposal& proposal, const CallSecrets& secrets) {
  std::map<std::string, const store::RecordMeta*> used;
  for (const auto& [slot, secret] : secrets.slots) used[secret.name] = &secret;
  if (secrets.signing) used[secrets.signing->name] = &*secrets.signing;
  if (used.empty()) return;
  proposal.section("Secrets");
  for (const auto& [name, secret] : used) {
    proposal.text("secret", fmt::format("{} version {}", name, secret->version));
    proposal.bytes("record", secret->digest());
    proposal.bytes("approved by", secret->provenance);
    proposal.text("value", fmt::format("{} bytes of class {}, {} bits of entropy, of provider {}",
                                       secret->bits / 8, secret->value_class, secret->entropy,
                                       secret->provider));
    for (const std::string& purpose : secret->purposes) proposal.text("purpose", purpose);
  }
}

}  // namespace

std::string describe_slot(const http::Slot& slot, const CallSecrets& secrets) {
  std::string source = "128-bit nonce that nobody knows";
  if (slot.source == http::SlotSource::kSecret || slot.source == http::SlotSource::kTotp) {
    const auto secret = secrets.slots.find(slot.name);
    source = fmt::format(
        "{} {}{}", slot.source == http::SlotSource::kTotp ? "code (TOTP) of secret" : "secret",
        slot.from,
        secret == secrets.slots.end() ? "" : fmt::format(" version {}", secret->second.version));
  } else if (slot.source == http::SlotSource::kMember) {
    source = fmt::format("private input of {}", slot.from);
  } else if (slot.source == http::SlotSource::kComputed) {
    source = "computed: " + slot.from;
  }
  return fmt::format("{}, {} bytes of class {}{}", source, slot.length, to_string(slot.char_class),
                     slot.encoding == http::Encoding::kNone
                         ? ""
                         : fmt::format(", encoding {}", to_string(slot.encoding)));
}

std::vector<RequestPart> request_as_it_leaves(const OpenCall& call, const CallSecrets& secrets,
                                              const std::vector<NotYet>& unknown) {
  const Bytes text = call.text();
  std::vector<RequestPart> out;
  size_t at = 0;
  const auto add_text = [&](size_t end) {
    FLEXROOM_ASSERT(at <= end && end <= text.size());
    if (at == end) return;
    out.push_back({Bytes(text.begin() + static_cast<std::ptrdiff_t>(at),
                         text.begin() + static_cast<std::ptrdiff_t>(end)),
                   "", "", 0});
  };
  for (const Hole& hole : holes_of(call, secrets, unknown)) {
    add_text(hole.offset);
    out.push_back({{}, hole.slot, hole.what, static_cast<uint32_t>(hole.bytes)});
    at = hole.end();
  }
  add_text(text.size());
  return out;
}

void add_request(Proposal& proposal, const OpenCall& call, const CallSecrets& secrets,
                 const std::vector<NotYet>& unknown) {
  const http::RequestModel& model = call.model;
  proposal.section("Request");
  proposal.text("method", model.method);
  proposal.text("host",
                model.port == 443 ? model.host : fmt::format("{}:{}", model.host, model.port));
  proposal.text("path", model.path_text());
  proposal.text("bytes", fmt::format("{}{}", unknown.empty() ? "" : "about ", call.bytes));
  proposal.request("as it leaves", request_as_it_leaves(call, secrets, unknown));
  add_parameters(proposal, call, secrets, unknown);
  add_slots(proposal, call, secrets, unknown);
  add_secrets(proposal, secrets);
}

}  // namespace flexroom
