#include "agent/secret_signature.h"

#include <fmt/core.h>

#include "agent/wires.h"
#include "base/error.h"
#include "circuits/hmac_hkdf.h"
#include "circuits/sha256.h"
#include "circuits/text.h"
#include "mpc/builder.h"

namespace flexroom::agent {
namespace {

using circuits::Text;
using mpc::Bit;

constexpr std::string_view kKout = "kout_signing", kBody = "body";
constexpr size_t kBlockBytes = 64;

std::string group_name(const http::Slot& slot) { return "secret_" + slot.name; }

/// Blanks are trimmed and joined before a header is signed, and escapes are not what is sent.
void check_slot(const http::Slot& slot) {
  if (slot.source == http::SlotSource::kSecret && slot.encoding == http::Encoding::kNone &&
      slot.checked_set().subset_of(http::char_set(http::CharClass::kCookie))) {
    return;
  }
  throw InputError(
      fmt::format("slot '{}'", slot.name),
      "stands in a signed header, but is no secret of class cookie or narrower, as it is",
      "a session token is of class b64, without an encoding");
}

/// The hash of a body, in hex; public blocks in front of the first secret bit cost nothing.
Text hash_of(mpc::Builder& builder, const SecretBody& body) {
  const mpc::Bits bits = builder.add_input(kBody, mpc::InputKind::kDyn,
                                           static_cast<uint32_t>(body.secret_bits.size()));
  Text text = circuits::constant_text(body.public_text);
  for (size_t k = 0; k < bits.size(); ++k) {
    text.at(body.secret_bits[k] / 8)[body.secret_bits[k] % 8] = bits[k];
  }
  return circuits::hex_lower(
      circuits::text_of(circuits::sha256_finish(circuits::sha256_initial(), 0, text)));
}

Text canonical_request(mpc::Builder& builder, const http::SigV4Plan& plan,
                       const std::optional<Digest>& body_hash, const SecretBody* body,
                       std::vector<http::Slot>& slots) {
  Text out;
  for (const http::Part& part : plan.canonical_head) {
    if (const auto* const known = std::get_if<Bytes>(&part)) {
      circuits::append(out, *known);
      continue;
    }
    const auto& slot = std::get<http::Slot>(part);
    circuits::append(out, circuits::text_of(builder.add_input(
                              group_name(slot), mpc::InputKind::kDyn, 8 * slot.length)));
    slots.push_back(slot);
  }
  const bool in_plan = plan.unsigned_payload || plan.body.is_public;
  if (!in_plan && body != nullptr) {
    circuits::append(out, hash_of(builder, *body));
    return out;
  }
  FLEXROOM_ASSERT(in_plan || body_hash.has_value());
  circuits::append(out, as_bytes(in_plan ? plan.payload_hash_text() : to_hex(*body_hash)));
  return out;
}

/// What is known of a text goes to public_text, the other bits and their places are returned.
mpc::Bits split(const Text& text, Bytes& public_text, std::vector<uint32_t>& secret_bits) {
  mpc::Bits kept;
  public_text.resize(text.size());
  for (size_t k = 0; k < text.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) {
      const Bit bit = text[k][b];
      if (bit.is_constant()) {
        public_text[k] |= static_cast<uint8_t>(bit.constant_value() ? 1u << b : 0u);
      } else {
        secret_bits.push_back(static_cast<uint32_t>(8 * k + b));
        kept.push_back(bit);
      }
    }
  }
  return kept;
}

std::vector<uint32_t> bits_of_hex() {
  mpc::Builder builder;
  const mpc::Bits digest = builder.add_input("digest", mpc::InputKind::kDyn, 256);
  Bytes ignored;
  std::vector<uint32_t> out;
  (void)split(circuits::hex_lower(circuits::text_of(digest)), ignored, out);
  return out;
}

}  // namespace

const std::vector<uint32_t>& secret_bits_of_signature() {
  static const std::vector<uint32_t> out = bits_of_hex();
  return out;
}

void check_signed_slots(const http::SigV4Plan& plan) {
  for (const http::Part& part : plan.canonical_head) {
    if (const auto* const slot = std::get_if<http::Slot>(&part)) check_slot(*slot);
  }
}

SecretSignatureCircuit build_secret_signature(const http::SigV4Plan& plan, const Sha256State& kin,
                                              const std::optional<Digest>& body_hash,
                                              const SecretBody* body) {
  FLEXROOM_ASSERT(!plan.canonical_head_is_public() || body != nullptr);
  check_signed_slots(plan);
  SecretSignatureCircuit out;
  out.hashes_body = body != nullptr;
  mpc::Builder builder;
  const Text canonical = canonical_request(builder, plan, body_hash, body, out.slots);
  const Text kout = circuits::text_of(builder.add_input(kKout, mpc::InputKind::kDyn, 256));
  // Blocks that are public under a public state are hashed while the circuit is written.
  Text to_sign = circuits::constant_text(as_bytes(plan.sts_head));
  circuits::append(to_sign, circuits::hex_lower(circuits::text_of(circuits::sha256_finish(
                                circuits::sha256_initial(), 0, canonical))));
  const circuits::StateWords inner =
      circuits::sha256_finish(circuits::constant_state(kin), kBlockBytes, to_sign);
  const Text signature = circuits::hex_lower(
      circuits::hmac_outer(circuits::sha256_hash(), kout, circuits::text_of(inner)));
  const mpc::Bits kept = split(signature, out.public_text, out.secret_bits);
  builder.add_output("signature", mpc::OutputKind::kKeep, kept);
  out.program = std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
  return out;
}

prep::AuthBits sign_with_secrets(net::Party& party, boolean::Engine& engine,
                                 const SecretSignatureCircuit& circuit,
                                 const std::map<std::string, const prep::AuthBits*>& secrets,
                                 const prep::AuthBits& kout, const prep::AuthBits* body) {
  const mpc::Program& program = *circuit.program;
  const auto instance = engine.prepare(
      circuit.program, std::vector<prep::AuthBits>(program.inputs.size()), "secret signature");
  boolean::OnlineInputs inputs = empty_inputs(program);
  for (const http::Slot& slot : circuit.slots) {
    const prep::AuthBits* const bits = secrets.at(slot.name);
    FLEXROOM_ASSERT(bits->size() == 8 * size_t{slot.length});
    inputs.dyn[program.input_group(group_name(slot))] = bits;
  }
  inputs.dyn[program.input_group(kKout)] = &kout;
  FLEXROOM_ASSERT(circuit.hashes_body == (body != nullptr));
  if (body != nullptr) inputs.dyn[program.input_group(kBody)] = body;
  inputs.view = RandomOracle("view", party.scope()).field("secret signature").digest();
  boolean::Outputs outputs = engine.run(*instance, inputs);
  engine.confirm(*instance);
  return std::move(outputs.kept[program.output_group("signature")]);
}

}  // namespace flexroom::agent
