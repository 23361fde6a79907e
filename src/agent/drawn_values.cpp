#include "agent/drawn_values.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "agent/wires.h"
#include "base/error.h"
#include "circuits/samplers.h"
#include "circuits/text.h"
#include "mpc/builder.h"

namespace flexroom::agent {
namespace {

using circuits::Text;
using mpc::Bit;
using mpc::Bits;
using Alphabet = Sampler::Alphabet;

constexpr size_t kCandidateBits = 4;
constexpr unsigned kMostDraws = 4;  // the last one fails with 2^-160 a value

std::string group_name(size_t k) { return fmt::format("bits_{}", k); }

size_t list_bits(const Sampler& sampler) {
  FLEXROOM_ASSERT(std::has_single_bit(sampler.list.size()) && sampler.list.size() > 1);
  return static_cast<size_t>(std::countr_zero(sampler.list.size()));
}

/// Bits a character, for alphabets of 2^k symbols.
size_t width_of(Alphabet alphabet) {
  switch (alphabet) {
    case Alphabet::kHex:
      return 4;
    case Alphabet::kBase32:
      return 5;
    case Alphabet::kBase64Url:
      return 6;
    case Alphabet::kDigits:
    case Alphabet::kList:
      break;
  }
  FLEXROOM_ASSERT(false);
  return 0;
}

size_t num_random_bits(const Sampler& sampler) {
  if (sampler.alphabet == Alphabet::kList) return list_bits(sampler);
  if (sampler.alphabet == Alphabet::kDigits) {
    return kCandidateBits * circuits::digit_candidates(sampler.length);
  }
  return width_of(sampler.alphabet) * sampler.length;
}

/// The text of a sampler other than digits, without its suffix.
Text text_from(const Sampler& sampler, const Bits& bits) {
  if (sampler.alphabet == Alphabet::kList) return circuits::pick(bits, sampler.list);
  const size_t width = width_of(sampler.alphabet);
  Text out;
  for (size_t k = 0; k < sampler.length; ++k) {
    const std::span<const Bit> value(bits.data() + width * k, width);
    out.push_back(sampler.alphabet == Alphabet::kHex      ? circuits::hex_digit_lower(value)
                  : sampler.alphabet == Alphabet::kBase32 ? circuits::base32_char(value)
                                                          : circuits::base64url_char(value));
  }
  return out;
}

/// Digits are '0' | candidate: which candidate is known later.
void place_digits(const Sampler& sampler, DrawCircuit::Drawn& drawn) {
  drawn.public_text.assign(sampler.length, '0');
  for (uint32_t k = 0; k < sampler.length; ++k) {
    for (uint32_t b = 0; b < kCandidateBits; ++b) drawn.secret_bits.push_back(8 * k + b);
  }
}

void place_text(const Text& text, DrawCircuit::Drawn& drawn, Bits& kept) {
  drawn.public_text.resize(text.size());
  for (size_t k = 0; k < text.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) {
      const Bit bit = text[k][b];
      if (bit.is_constant()) {
        drawn.public_text[k] |= static_cast<uint8_t>(bit.constant_value() ? 1u << b : 0u);
      } else {
        drawn.secret_bits.push_back(static_cast<uint32_t>(8 * k + b));
        kept.push_back(bit);
      }
    }
  }
}

/// Which bits of "drawn" fill the secret bits of a value, or nothing: too few candidates were
/// accepted.
std::optional<std::vector<size_t>> sources_of(const DrawCircuit::Drawn& drawn,
                                              const std::vector<uint8_t>& accepted) {
  std::vector<size_t> out;
  if (drawn.candidates == 0) {
    for (size_t t = 0; t < drawn.secret_bits.size(); ++t) out.push_back(drawn.first + t);
    return out;
  }
  for (size_t c = 0; c < drawn.candidates && out.size() < drawn.secret_bits.size(); ++c) {
    if (accepted[drawn.first_candidate + c] == 0) continue;
    for (size_t b = 0; b < kCandidateBits; ++b) {
      out.push_back(drawn.first + kCandidateBits * c + b);
    }
  }
  if (out.size() < drawn.secret_bits.size()) return std::nullopt;
  return out;
}

prep::AuthBits value_of(const DrawCircuit::Drawn& drawn, const std::vector<size_t>& sources,
                        const prep::AuthBits& kept, const Block& delta) {
  prep::AuthBits out(kept.self(), kept.num_parties(), 8 * drawn.public_text.size());
  for (size_t t = 0; t < sources.size(); ++t) {
    for (PartyId j = 0; j < kept.num_parties(); ++j) {
      if (j == kept.self()) continue;
      out.mac[j][drawn.secret_bits[t]] = kept.mac[j][sources[t]];
      out.key[j][drawn.secret_bits[t]] = kept.key[j][sources[t]];
    }
  }
  std::vector<uint8_t> constants;
  constants.reserve(out.size());
  for (const uint8_t byte : drawn.public_text) {
    for (unsigned b = 0; b < 8; ++b) constants.push_back(static_cast<uint8_t>(byte >> b & 1));
  }
  prep::add_constants(out, constants, delta);
  return out;
}

boolean::Outputs run_once(net::Party& party, prep::Source& source, boolean::Engine& engine,
                          const DrawCircuit& circuit) {
  std::vector<prep::AuthBits> zero(circuit.program->inputs.size());
  for (size_t k = 0; k < circuit.samplers.size(); ++k) {
    zero[circuit.program->input_group(group_name(k))] =
        source.random_bits(num_random_bits(circuit.samplers[k]));
  }
  const auto instance = engine.prepare(circuit.program, std::move(zero), "draw");
  boolean::OnlineInputs inputs = empty_inputs(*circuit.program);
  // The program alone does not say where its bits go, nor what stands beside them.
  RandomOracle view("view", party.scope());
  view.field("draw").field(uint64_t{circuit.drawn.size()});
  for (const DrawCircuit::Drawn& drawn : circuit.drawn) {
    view.field(drawn.public_text).field(uint64_t{drawn.secret_bits.size()});
    for (const uint32_t bit : drawn.secret_bits) view.field(uint64_t{bit});
  }
  inputs.view = view.digest();
  boolean::Outputs outputs = engine.run(*instance, inputs);
  engine.confirm(*instance);
  return outputs;
}

}  // namespace

double Sampler::entropy_bits() const {
  if (alphabet == Alphabet::kList) return static_cast<double>(list_bits(*this));
  if (alphabet == Alphabet::kDigits) return length * std::log2(10.0);
  return static_cast<double>(width_of(alphabet) * length);
}

DrawCircuit build_draw_circuit(std::span<const Sampler> samplers) {
  FLEXROOM_ASSERT(!samplers.empty());
  DrawCircuit out;
  out.samplers.assign(samplers.begin(), samplers.end());
  mpc::Builder builder;
  Bits kept, accepted;
  for (size_t k = 0; k < samplers.size(); ++k) {
    const Sampler& sampler = samplers[k];
    FLEXROOM_ASSERT(sampler.length > 0);
    const Bits bits = builder.add_input(group_name(k), mpc::InputKind::kZero,
                                        static_cast<uint32_t>(num_random_bits(sampler)));
    DrawCircuit::Drawn drawn;
    drawn.first = kept.size();
    if (sampler.alphabet == Alphabet::kDigits) {
      drawn.candidates = bits.size() / kCandidateBits;
      drawn.first_candidate = accepted.size();
      for (size_t c = 0; c < drawn.candidates; ++c) {
        accepted.push_back(circuits::is_decimal(
            std::span<const Bit>(bits.data() + kCandidateBits * c, kCandidateBits)));
      }
      kept.insert(kept.end(), bits.begin(), bits.end());
      place_digits(sampler, drawn);
    } else {
      place_text(text_from(sampler, bits), drawn, kept);
    }
    append(drawn.public_text, sampler.suffix);
    out.drawn.push_back(std::move(drawn));
  }
  builder.add_output("drawn", mpc::OutputKind::kKeep, kept);
  if (!accepted.empty()) builder.add_output("accepted", mpc::OutputKind::kOpenAll, accepted);
  out.program = std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
  return out;
}

std::vector<prep::AuthBits> draw_values(net::Party& party, prep::Source& source,
                                        boolean::Engine& engine, const DrawCircuit& circuit) {
  const bool has_digits =
      std::any_of(circuit.drawn.begin(), circuit.drawn.end(),
                  [](const DrawCircuit::Drawn& drawn) { return drawn.candidates > 0; });
  for (unsigned draw = 0; draw < kMostDraws; ++draw) {
    const boolean::Outputs outputs = run_once(party, source, engine, circuit);
    const std::vector<uint8_t> none;
    const std::vector<uint8_t>& accepted =
        has_digits ? outputs.opened[circuit.program->output_group("accepted")] : none;
    const prep::AuthBits& kept = outputs.kept[circuit.program->output_group("drawn")];
    std::vector<prep::AuthBits> values;
    for (const DrawCircuit::Drawn& drawn : circuit.drawn) {
      const auto sources = sources_of(drawn, accepted);
      if (!sources) break;
      values.push_back(value_of(drawn, *sources, kept, source.delta()));
    }
    if (values.size() == circuit.drawn.size()) return values;
  }
  throw ProtocolAbort(AbortCode::kRefusedByRule, "draw",
                      "too few candidates for digits, again and again: the randomness is broken");
}

}  // namespace flexroom::agent
