#include "agent/payload.h"

#include <fmt/core.h>

#include "agent/wires.h"
#include "base/secret.h"
#include "base/sha256_block.h"
#include "circuits/sha256.h"
#include "circuits/text.h"
#include "mpc/builder.h"

namespace flexroom::agent {
namespace {

using circuits::ByteBits;
using circuits::Text;
using mpc::Bit;
using mpc::Bits;

constexpr uint32_t kBitsPerByte = 7;  // private bytes are ASCII: their top bit is no input

std::string private_group(PartyId member) { return fmt::format("private_{}", member); }

circuits::ByteSet link_set() {
  circuits::ByteSet set;
  const auto allowed = private_link_class();
  for (size_t c = 0; c < allowed.size(); ++c) set[c] = allowed[c];
  return set;
}

struct Inputs {
  std::vector<Text> members;  // private bytes by member
  Text nonce;                 // 32 hex digits
};

Inputs add_inputs(mpc::Builder& builder, const SecretText& text) {
  Inputs in;
  in.members.resize(text.member_bytes.size());
  for (PartyId i = 0; i < text.member_bytes.size(); ++i) {
    const uint32_t bytes = text.member_bytes[i];
    if (bytes == 0) continue;
    const Bits bits =
        builder.add_input(private_group(i), mpc::InputKind::kPriv, bytes * kBitsPerByte, i);
    in.members[i].resize(bytes);
    for (uint32_t k = 0; k < bytes; ++k) {
      for (uint32_t b = 0; b < kBitsPerByte; ++b) in.members[i][k][b] = bits[k * kBitsPerByte + b];
    }
  }
  const Bits nonce =
      builder.add_input("nonce", mpc::InputKind::kZero, 4 * SecretText::kNonceDigits);
  for (size_t d = 0; d < SecretText::kNonceDigits; ++d) {
    in.nonce.push_back(circuits::hex_digit_lower(std::span<const Bit>(nonce.data() + 4 * d, 4)));
  }
  return in;
}

ByteBits script_byte(const Inputs& in, const ScriptByte& byte) {
  switch (byte.kind) {
    case ScriptByte::Kind::kPublic:
      return circuits::constant_byte(byte.value);
    case ScriptByte::Kind::kMember:
      return in.members[byte.member][byte.index];
    case ScriptByte::Kind::kNonce:
      return in.nonce[byte.index];
  }
  FLEXROOM_ASSERT(false);
  return {};
}

/// Wipes a member's own private bits, also when the run ends early.
struct WipePrivate {
  boolean::OnlineInputs& inputs;
  ~WipePrivate() {
    for (std::vector<uint8_t>& bits : inputs.priv) wipe(bits.data(), bits.size());
  }
};

/// The whole body as text bits: public characters constant, secret ones computed.
Text body_text(const Inputs& in, const SecretText& text) {
  Text body = circuits::constant_text(as_bytes(text.text));
  for (const SecretGroup& group : text.groups) {
    const Text chars =
        circuits::base64({script_byte(in, group.bytes[0]), script_byte(in, group.bytes[1]),
                          script_byte(in, group.bytes[2])});
    std::copy(chars.begin(), chars.end(), body.begin() + static_cast<ptrdiff_t>(group.body_offset));
  }
  return body;
}

}  // namespace

PayloadCircuit build_payload_circuit(const SecretText& text) {
  FLEXROOM_ASSERT(!text.groups.empty());
  PayloadCircuit out;
  mpc::Builder builder;
  const Inputs in = add_inputs(builder, text);
  const Text body = body_text(in, text);

  const size_t before = text.first_secret() / 64 * 64;
  const Sha256State state = sha256_absorb(kSha256Initial, as_bytes(text.text).first(before));
  const Text tail(body.begin() + static_cast<ptrdiff_t>(before), body.end());
  const auto hash = circuits::sha256_finish(circuits::constant_state(state), before, tail);

  Bits ok;
  for (PartyId i = 0; i < in.members.size(); ++i) {
    if (in.members[i].empty()) continue;
    out.members.push_back(i);
    ok.push_back(circuits::all_members(in.members[i], link_set()));
  }
  Bits chars;
  out.public_text.resize(body.size());
  for (size_t k = 0; k < body.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) {
      const Bit bit = body[k][b];
      if (bit.is_constant()) {
        out.public_text[k] |= static_cast<uint8_t>(bit.constant_value() ? 1u << b : 0u);
      } else {
        out.secret_bits.push_back(static_cast<uint32_t>(8 * k + b));
        chars.push_back(bit);
      }
    }
  }
  builder.add_output("payload_hash", mpc::OutputKind::kOpenAll, circuits::bits_of(hash));
  if (!ok.empty()) builder.add_output("ok", mpc::OutputKind::kOpenAll, ok);
  builder.add_output("chars", mpc::OutputKind::kKeep, chars);
  out.program = std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
  return out;
}

std::unique_ptr<boolean::Instance> prepare_payload(boolean::Engine& engine, prep::Source& source,
                                                   const PayloadCircuit& circuit) {
  std::vector<prep::AuthBits> zero(circuit.program->inputs.size());
  zero[circuit.program->input_group("nonce")] = source.random_bits(4 * SecretText::kNonceDigits);
  return engine.prepare(circuit.program, std::move(zero), "gc-p");
}

Payload run_payload(net::Party& party, boolean::Engine& engine, boolean::Instance& instance,
                    const PayloadCircuit& circuit, std::string_view own_private) {
  const mpc::Program& program = *circuit.program;
  boolean::OnlineInputs inputs = empty_inputs(program);
  const WipePrivate wipe_private{inputs};
  for (size_t g = 0; g < program.inputs.size(); ++g) {
    const mpc::InputGroup& group = program.inputs[g];
    if (group.kind != mpc::InputKind::kPriv || group.owner != party.id()) continue;
    FLEXROOM_ASSERT(own_private.size() * kBitsPerByte == group.size);
    inputs.priv[g].reserve(group.size);  // a vector that grows leaves copies behind
    for (const char c : own_private) {
      for (uint32_t b = 0; b < kBitsPerByte; ++b) {
        inputs.priv[g].push_back(static_cast<uint8_t>(static_cast<uint8_t>(c) >> b & 1));
      }
    }
  }
  inputs.view = RandomOracle("view", party.scope()).field("gc-p").digest();
  boolean::Outputs outputs = engine.run(instance, inputs);

  if (!circuit.members.empty()) {
    const auto& ok = outputs.opened[program.output_group("ok")];
    for (size_t k = 0; k < circuit.members.size(); ++k) {
      if (ok[k] == 1) continue;
      throw ProtocolAbort(AbortCode::kRefusedByRule, "private link",
                          "has a character outside the allowed class; no request was made",
                          circuit.members[k]);
    }
  }
  Payload payload;
  payload.hash = digest_of_bits(outputs.opened[program.output_group("payload_hash")]);
  payload.secret = std::move(outputs.kept[program.output_group("chars")]);
  return payload;
}

}  // namespace flexroom::agent
