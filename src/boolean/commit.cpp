#include "boolean/commit.h"

#include <algorithm>

#include "base/ct.h"
#include "boolean/evaluate.h"
#include "math/gf128.h"

namespace flexroom::boolean {
namespace {

constexpr std::string_view kLabelProof = "boolean/O3 label proof";
constexpr std::string_view kCProof = "boolean/O4 c-proof";
constexpr size_t kChunk = 256;

math::ChiStream chi_of(std::string_view tag, const net::Party& party, const Block& s_inst,
                       ByteView gammas) {
  return math::ChiStream(RandomOracle(tag, party.scope()).field(s_inst).field(gammas).block());
}

/// sum_t chi_t * (La * beta + Lb * alpha + s)_t.
void accumulate_products(math::GfSum& sum, const math::ChiStream& chi,
                         const std::vector<uint8_t>& and_values, const BlockVec& alpha,
                         const BlockVec& beta, const BlockVec& s) {
  Block c[kChunk];
  for (size_t first = 0; first < and_values.size(); first += kChunk) {
    const size_t count = std::min(kChunk, and_values.size() - first);
    for (size_t k = 0; k < count; ++k) {
      const uint8_t v = and_values[first + k];
      c[k] = s[first + k] ^ select((v >> MaskedBits::kAlpha & 1) != 0, beta[first + k]) ^
             select((v >> MaskedBits::kBeta & 1) != 0, alpha[first + k]);
    }
    chi.accumulate(sum, first, {c, count});
  }
  wipe(c, sizeof c);
}

/// c^E_t = La*lambda_beta + Lb*lambda_alpha + s + La*Lb + Lc of the evaluator's shares, packed.
Bytes own_product_bits(const std::vector<uint8_t>& and_values, ByteView own) {
  Bytes packed((and_values.size() + 7) / 8);
  for (size_t t = 0; t < and_values.size(); ++t) {
    const unsigned v = and_values[t];
    const unsigned alpha = v >> MaskedBits::kAlpha, beta = v >> MaskedBits::kBeta;
    const unsigned o = own[t];
    const unsigned bit = (alpha & o >> AndBits::kOwnBeta) ^ (beta & o >> AndBits::kOwnAlpha) ^
                         o >> AndBits::kOwnS ^ (alpha & beta) ^ v >> MaskedBits::kGamma;
    packed[t / 8] = static_cast<uint8_t>(packed[t / 8] | (bit & 1) << (t % 8));
  }
  return packed;
}

Bytes packed_gammas(const std::vector<uint8_t>& and_values) {
  Bytes packed((and_values.size() + 7) / 8);
  for (size_t t = 0; t < and_values.size(); ++t) {
    packed[t / 8] =
        static_cast<uint8_t>(packed[t / 8] | (and_values[t] >> MaskedBits::kGamma & 1) << (t % 8));
  }
  return packed;
}

/// Sharing of zero among the garblers (§3.3), so that the evaluator sees the sum of their C_i only.
/// Not the one of prep/delta_consistency.cpp, which hides from each member in turn and at set-up,
/// where a counter and the member stand for what the instance's id is here; one function for both
/// would have to take all that makes them different as arguments.
Block zero_share(const net::Party& party, const Instance::Data& instance) {
  Block z;
  for (const PartyId j : instance.garblers) {
    if (j == party.id()) continue;
    FLEXROOM_ASSERT(j < party.zero_keys().size());
    z ^= RandomOracle("zero share", party.scope())
             .field(party.zero_keys()[j])
             .field(instance.id)
             .block();
  }
  return z;
}

}  // namespace

void commit_evaluator(net::Party& party, const Block& delta, Instance::Data& instance) {
  EvaluatorTables& tables = instance.evaluating;
  const Bytes gammas = packed_gammas(instance.and_values);

  const math::ChiStream label_chi = chi_of("lab", party, instance.s_inst, gammas);
  for (const PartyId i : instance.garblers) {
    math::GfSum tag;
    label_chi.accumulate(tag, 0, tables.row2[i].span());
    Bytes message = gammas;
    append(message, block_bytes(tag.value()));
    party.send(i, kLabelProof, message);
  }
  tables.row2.clear();

  // While the garblers verify.
  const math::ChiStream chi = chi_of("cchk", party, instance.s_inst, gammas);
  math::GfSum expected;
  accumulate_products(expected, chi, instance.and_values, tables.key_alpha, tables.key_beta,
                      tables.key_s);
  Bytes own = own_product_bits(instance.and_values, tables.bits.reveal());
  expected.add(chi.combine_bits(0, own, instance.and_values.size()), delta);
  wipe(own);

  Block sum;
  for (const PartyId i : instance.garblers) {
    sum ^= load_block(party.receive(i, kCProof, sizeof(Block)).data());
  }
  if (!ct_equal(sum, expected.value())) {
    throw ProtocolAbort(AbortCode::kCProof, kCProof,
                        "a gate's result is not the AND of its inputs");
  }
}

void commit_garbler(net::Party& party, const Block& delta, Instance::Data& instance) {
  GarblerTables& tables = instance.garbling;
  const PartyId evaluator = instance.evaluator;
  const size_t num_ands = instance.program->num_ands();
  const size_t packed_bytes = (num_ands + 7) / 8;

  // Step 2.
  const Bytes message = party.receive(evaluator, kLabelProof, packed_bytes + sizeof(Block));
  const ByteView gammas = ByteView(message).first(packed_bytes);
  if (num_ands % 8 != 0 && gammas.back() >> (num_ands % 8) != 0) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, kLabelProof, "bits beyond the last gate",
                        evaluator);
  }
  const math::ChiStream label_chi = chi_of("lab", party, instance.s_inst, gammas);
  math::GfSum expected;
  label_chi.accumulate(expected, 0, tables.zero_labels.span());
  expected.add(label_chi.combine_bits(0, gammas, num_ands), delta);
  if (!ct_equal(expected.value(), load_block(message.data() + packed_bytes))) {
    throw ProtocolAbort(AbortCode::kLabelProof, kLabelProof,
                        "the evaluator does not hold the labels of the values it reports",
                        evaluator);
  }
  follow_gates(instance, gammas);

  // Step 3.
  const math::ChiStream chi = chi_of("cchk", party, instance.s_inst, gammas);
  math::GfSum answer;
  accumulate_products(answer, chi, instance.and_values, tables.mac_alpha, tables.mac_beta,
                      tables.mac_s);
  party.send(evaluator, kCProof, block_bytes(answer.value() ^ zero_share(party, instance)));
}

}  // namespace flexroom::boolean
