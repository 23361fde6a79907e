#include "agent/slot_circuit.h"

#include <fmt/core.h>

#include "agent/wires.h"
#include "base/sha256_block.h"
#include "circuits/sha256.h"
#include "circuits/sigv4.h"
#include "circuits/text.h"
#include "circuits/totp.h"
#include "mpc/builder.h"

namespace flexroom::agent {
namespace {

using circuits::Text;
using http::SlotSource;
using mpc::Bit;
using mpc::Bits;

constexpr std::string_view kTotpStep = "totp_step", kTotpNext = "totp_next";

std::string group_name(const http::Slot& slot) {
  switch (slot.source) {
    case SlotSource::kSecret:
      return "secret_" + slot.name;
    case SlotSource::kMember:
      return "private_" + slot.name;
    case SlotSource::kRandom:
      return "nonce_" + slot.name;
    case SlotSource::kTotp:
      return "totp_" + slot.name;
    case SlotSource::kComputed:
      break;
  }
  FLEXROOM_ASSERT(false);
  return {};
}

circuits::ByteSet byte_set_of(const http::CharSet& set) {
  circuits::ByteSet out;
  for (size_t c = 0; c < 256; ++c) out[c] = set.contains(static_cast<uint8_t>(c));
  return out;
}

/// Private bytes of an ASCII class have no top bit: it is no input, so it cannot be wrong.
uint32_t private_bits_per_byte(const http::Slot& slot) {
  return slot.checked_set().subset_of(http::CharSet::range(0, 0x7f)) ? 7 : 8;
}

/// Of a random slot, whose class has a power of two of characters: digits in lower case, or
/// base64url.
uint32_t random_bits_per_byte(const http::Slot& slot) {
  FLEXROOM_ASSERT(slot.char_class == http::CharClass::kHex ||
                  slot.char_class == http::CharClass::kBase64Url);
  return slot.char_class == http::CharClass::kHex ? 4 : 6;
}

/// The steps of one-time codes: of the agreed one and of the one behind it, where a slot has it.
struct TotpRounds {
  std::optional<circuits::Sha1Rounds> step, next;

  TotpRounds(mpc::Builder& builder, const std::vector<PlacedSlot>& slots) {
    for (const PlacedSlot& placed : slots) {
      if (placed.slot.source != SlotSource::kTotp) continue;
      std::optional<circuits::Sha1Rounds>& rounds = placed.next_code ? next : step;
      if (rounds) continue;
      rounds = circuits::sha1_rounds_of(builder.add_input(placed.next_code ? kTotpNext : kTotpStep,
                                                          mpc::InputKind::kPub,
                                                          circuits::kTotpRoundBits));
    }
  }
};

Text add_slot_input(mpc::Builder& builder, const PlacedSlot& placed, const TotpRounds& totp) {
  const http::Slot& slot = placed.slot;
  Text out(slot.length);
  if (slot.source == SlotSource::kRandom) {
    const uint32_t width = random_bits_per_byte(slot);
    const Bits bits =
        builder.add_input(group_name(slot), mpc::InputKind::kZero, width * slot.length);
    for (size_t d = 0; d < slot.length; ++d) {
      const std::span<const Bit> value(bits.data() + width * d, width);
      out[d] = width == 4 ? circuits::hex_digit_lower(value) : circuits::base64url_char(value);
    }
    return out;
  }
  if (slot.source == SlotSource::kTotp) {
    const Bits key = builder.add_input(group_name(slot), mpc::InputKind::kDyn, 8 * slot.key_length);
    return circuits::totp(circuits::text_of(key), placed.next_code ? *totp.next : *totp.step);
  }
  const bool is_private = slot.source == SlotSource::kMember;
  const uint32_t width = is_private ? private_bits_per_byte(slot) : 8;
  const Bits bits =
      builder.add_input(group_name(slot), is_private ? mpc::InputKind::kPriv : mpc::InputKind::kDyn,
                        width * slot.length, placed.member);
  for (size_t k = 0; k < slot.length; ++k) {
    for (size_t b = 0; b < width; ++b) out[k][b] = bits[width * k + b];
  }
  return out;
}

/// As http::encode_slot, which is the oracle of the tests.
Text encode(const Text& value, http::Encoding encoding) {
  switch (encoding) {
    case http::Encoding::kNone:
      return value;
    case http::Encoding::kBase64:
      return circuits::base64(value);
    case http::Encoding::kBase64InForm:
      return circuits::percent_encode(circuits::base64(value));
    case http::Encoding::kHex:
      return circuits::hex_lower(value);
    case http::Encoding::kPercent:
      return circuits::percent_encode(value);
    case http::Encoding::kJsonU:
      return circuits::json_escape(value);
    case http::Encoding::kBase64Url:
      return circuits::base64url(value);
    case http::Encoding::kXml:
      return circuits::xml_escape(value);
  }
  FLEXROOM_ASSERT(false);
  return {};
}

/// Puts the characters of groups with a slot's byte into `whole`; gives the offset of the first.
size_t put_base64(Text& whole, const PlacedBase64& placed,
                  const std::map<std::string, Text>& values) {
  Text bytes;
  for (const auto& part : placed.text.parts) {
    const auto* const known = std::get_if<Bytes>(&part);
    circuits::append(bytes, known != nullptr ? circuits::constant_text(*known)
                                             : values.at(std::get<http::Slot>(part).name));
  }
  const http::Base64Text::Encoded encoded = placed.text.encoded('\0');
  FLEXROOM_ASSERT(!encoded.groups.empty());
  for (const auto& group : encoded.groups) {
    const auto at = bytes.begin() + static_cast<ptrdiff_t>(group.byte);
    const Text chars = circuits::base64(Text(at, at + 3));
    std::copy(chars.begin(), chars.end(),
              whole.begin() + static_cast<ptrdiff_t>(placed.offset + group.offset));
  }
  return placed.offset + encoded.groups.front().offset;
}

/// SHA-256 of the body: public blocks up to the first slot are hashed outside.
Bits hash_of_body(const Text& text, ByteView public_text, size_t body_start, size_t first_slot) {
  FLEXROOM_ASSERT(first_slot >= body_start);
  const size_t before = (first_slot - body_start) / 64 * 64;
  const Sha256State state = sha256_absorb(kSha256Initial, public_text.subspan(body_start, before));
  const Text tail(text.begin() + static_cast<ptrdiff_t>(body_start + before), text.end());
  return circuits::bits_of(circuits::sha256_of_rest(state, before, tail));
}

/// Wipes a member's own private bits, also when the run ends early.
struct WipePrivate {
  boolean::OnlineInputs& inputs;
  ~WipePrivate() {
    for (std::vector<uint8_t>& bits : inputs.priv) wipe(bits.data(), bits.size());
  }
};

void put_private_bits(std::vector<uint8_t>& out, ByteView value, uint32_t width) {
  out.reserve(width * value.size());  // a vector that grows leaves copies behind
  for (const uint8_t byte : value) {
    for (uint32_t b = 0; b < width; ++b) out.push_back(static_cast<uint8_t>(byte >> b & 1));
  }
}

/// Fills out.public_text with the characters that are known now; returns the bits that are not,
/// their places in out.secret_bits.
Bits split_characters(const Text& whole, SlotCircuit& out) {
  Bits chars;
  out.public_text.resize(whole.size());
  for (size_t k = 0; k < whole.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) {
      const Bit bit = whole[k][b];
      if (bit.is_constant()) {
        out.public_text[k] |= static_cast<uint8_t>(bit.constant_value() ? 1u << b : 0u);
      } else {
        out.secret_bits.push_back(static_cast<uint32_t>(8 * k + b));
        chars.push_back(bit);
      }
    }
  }
  return chars;
}

}  // namespace

SlotCircuit build_slot_circuit(ByteView text, std::vector<PlacedSlot> slots,
                               std::optional<size_t> body_start,
                               const std::vector<PlacedBase64>& base64) {
  FLEXROOM_ASSERT(!slots.empty());
  SlotCircuit out;
  out.hashes_body = body_start.has_value();
  mpc::Builder builder;
  Text whole = circuits::constant_text(text);
  Bits ok;
  size_t end = 0;
  std::optional<size_t> first_in_body;
  const auto in_body = [&](size_t offset) {
    if (!body_start || offset < *body_start) return;
    first_in_body = std::min(first_in_body.value_or(offset), offset);
  };
  out.has_totp = std::any_of(slots.begin(), slots.end(), [](const PlacedSlot& placed) {
    return placed.slot.source == SlotSource::kTotp;
  });
  const TotpRounds totp(builder, slots);
  std::map<std::string, Text> in_base64;
  for (size_t k = 0; k < slots.size(); ++k) {
    const PlacedSlot& placed = slots[k];
    const http::Slot& slot = placed.slot;
    if (!placed.in_base64) {
      FLEXROOM_ASSERT(placed.offset >= end);  // ascending, no bit is given twice
      end = placed.offset + slot.encoded_length();
      FLEXROOM_ASSERT(end <= text.size());
      in_body(placed.offset);
    }
    const Text value = add_slot_input(builder, placed, totp);
    if (slot.source == SlotSource::kMember) {
      const Bit good = circuits::all_members(value, byte_set_of(slot.checked_set()));
      if (!good.is_constant()) {  // constant 1: every byte is allowed
        out.checked.push_back(k);
        ok.push_back(good);
      }
    }
    if (placed.in_base64) {
      in_base64.emplace(slot.name, value);
      continue;
    }
    const Text encoded = encode(value, slot.encoding);
    FLEXROOM_ASSERT(encoded.size() == slot.encoded_length());
    std::copy(encoded.begin(), encoded.end(),
              whole.begin() + static_cast<ptrdiff_t>(placed.offset));
  }
  for (const PlacedBase64& placed : base64) in_body(put_base64(whole, placed, in_base64));
  const Bits chars = split_characters(whole, out);
  if (body_start) {
    FLEXROOM_ASSERT(first_in_body.has_value());
    builder.add_output("body_hash", mpc::OutputKind::kOpenAll,
                       hash_of_body(whole, text, *body_start, *first_in_body));
  }
  if (!ok.empty()) builder.add_output("ok", mpc::OutputKind::kOpenAll, ok);
  builder.add_output("chars", mpc::OutputKind::kKeep, chars);
  out.program = std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
  out.slots = std::move(slots);
  return out;
}

std::unique_ptr<boolean::Instance> prepare_slots(boolean::Engine& engine, prep::Source& source,
                                                 const SlotCircuit& circuit) {
  std::vector<prep::AuthBits> zero(circuit.program->inputs.size());
  for (const PlacedSlot& placed : circuit.slots) {
    if (placed.slot.source != SlotSource::kRandom) continue;
    zero[circuit.program->input_group(group_name(placed.slot))] =
        source.random_bits(random_bits_per_byte(placed.slot) * size_t{placed.slot.length});
  }
  return engine.prepare(circuit.program, std::move(zero), "slots");
}

FilledSlots run_slots(net::Party& party, boolean::Engine& engine, boolean::Instance& instance,
                      const SlotCircuit& circuit, const SlotValues& values, uint64_t totp_step) {
  const mpc::Program& program = *circuit.program;
  boolean::OnlineInputs inputs = empty_inputs(program);
  const WipePrivate wipe_private{inputs};
  for (const PlacedSlot& placed : circuit.slots) {
    const http::Slot& slot = placed.slot;
    const size_t group = program.input_group(group_name(slot));
    if (slot.source == SlotSource::kSecret || slot.source == SlotSource::kTotp) {
      const prep::AuthBits* const bits = values.secrets.at(slot.name);
      const bool is_key = slot.source == SlotSource::kTotp;
      FLEXROOM_ASSERT(bits->size() == 8 * size_t{is_key ? slot.key_length : slot.length});
      inputs.dyn[group] = bits;
    } else if (slot.source == SlotSource::kMember && placed.member == party.id()) {
      const SecretBytes& own = values.own.at(slot.name);
      FLEXROOM_ASSERT(own.size() == slot.length);
      put_private_bits(inputs.priv[group], own.reveal(), private_bits_per_byte(slot));
    }
  }
  RandomOracle view("view", party.scope());
  view.field("slots").field(circuit.public_text);
  if (circuit.has_totp) {
    view.field(totp_step);
    for (const PlacedSlot& placed : circuit.slots) {
      if (placed.slot.source != SlotSource::kTotp) continue;
      const size_t group = program.input_group(placed.next_code ? kTotpNext : kTotpStep);
      inputs.pub[group] = circuits::totp_round_bits(totp_step + (placed.next_code ? 1 : 0));
    }
  }
  inputs.view = view.digest();
  boolean::Outputs outputs = engine.run(instance, inputs);

  if (!circuit.checked.empty()) {
    const auto& ok = outputs.opened[program.output_group("ok")];
    for (size_t k = 0; k < circuit.checked.size(); ++k) {
      if (ok[k] == 1) continue;
      const PlacedSlot& placed = circuit.slots[circuit.checked[k]];
      throw ProtocolAbort(AbortCode::kRefusedByRule, "private slot " + placed.slot.name,
                          fmt::format("has a byte outside class {}; no request was made",
                                      to_string(placed.slot.char_class)),
                          placed.member);
    }
  }
  FilledSlots out;
  if (circuit.hashes_body) {
    out.body_hash = digest_of_bits(outputs.opened[program.output_group("body_hash")]);
  }
  out.bits = std::move(outputs.kept[program.output_group("chars")]);
  return out;
}

}  // namespace flexroom::agent
