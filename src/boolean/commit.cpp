#include "boolean/commit.h"

#include <algorithm>

#include "base/ct.h"
#include "boolean/evaluate.h"
#include "math/gf128.h"

namespace flexroom::boolean {
namespace {

constexpr std::string_view kResults = "boolean/O3 results";
constexpr std::string_view kLabelProof = "boolean/O3 label proof";
constexpr std::string_view kCProof = "boolean/O4 c-proof";
constexpr size_t kChunk = 256;  // a part of every slab

math::ChiStream chi_of(std::string_view tag, const net::Party& party, const Block& s_inst,
                       ByteView gammas) {
  return math::ChiStream(RandomOracle(tag, party.scope()).field(s_inst).field(gammas).block());
}

/// sum_t chi_t * (La * beta + Lb * alpha + s)_t.
void accumulate_products(math::GfSum& sum, const math::ChiStream& chi,
                         const std::vector<uint8_t>& and_values, const EvaluatorTables& tables) {
  Block c[kChunk];
  for (size_t first = 0; first < and_values.size(); first += kChunk) {
    const size_t count = std::min(kChunk, and_values.size() - first);
    const auto at = static_cast<uint32_t>(first);
    const Block* const alpha = tables.key_alpha.at(at);
    const Block* const beta = tables.key_beta.at(at);
    const Block* const s = tables.key_s.at(at);
    for (size_t k = 0; k < count; ++k) {
      const uint8_t v = and_values[first + k];
      c[k] = s[k] ^ select((v >> MaskedBits::kAlpha & 1) != 0, beta[k]) ^
             select((v >> MaskedBits::kBeta & 1) != 0, alpha[k]);
    }
    chi.accumulate(sum, first, {c, count});
  }
  wipe(c, sizeof c);
}

/// c^E_t = La*lambda_beta + Lb*lambda_alpha + s + La*Lb + Lc of the evaluator's shares, packed.
Bytes own_product_bits(const std::vector<uint8_t>& and_values, ByteView own) {
  Bytes packed((and_values.size() + 7) / 8);
  uint8_t bits[kChunk];
  for (size_t first = 0; first < and_values.size(); first += kChunk) {
    const size_t count = std::min(kChunk, and_values.size() - first);
    for (size_t k = 0; k < count; ++k) {
      const unsigned v = and_values[first + k];
      const unsigned alpha = v >> MaskedBits::kAlpha, beta = v >> MaskedBits::kBeta;
      const unsigned o = own[first + k];
      bits[k] =
          static_cast<uint8_t>((alpha & o >> AndBits::kOwnBeta) ^ (beta & o >> AndBits::kOwnAlpha) ^
                               o >> AndBits::kOwnS ^ (alpha & beta) ^ v >> MaskedBits::kGamma);
    }
    pack_bits(bits, 0, {packed.data() + first / 8, (count + 7) / 8}, count);
  }
  wipe(bits, sizeof bits);
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

/// Bytes of masked values in front of the last piece.
size_t bytes_of_pieces(const Instance::Data& instance) {
  const uint32_t num_ands = instance.program->num_ands();
  return size_t{num_ands == 0 ? 0 : (num_ands - 1) / kAndsPerPiece} * (kAndsPerPiece / 8);
}

}  // namespace

void evaluate(net::Party& party, Instance::Data& instance) {
  evaluate_gates(instance, [&](ByteView packed) {
    for (const PartyId i : instance.garblers) party.send(i, kResults, packed);
  });
}

void follow(net::Party& party, Instance::Data& instance) {
  instance.follower = std::make_shared<Follower>(instance);
  for (size_t at = 0; at < bytes_of_pieces(instance); at += kAndsPerPiece / 8) {
    instance.follower->piece(party.receive(instance.evaluator, kResults, kAndsPerPiece / 8));
  }
}

namespace {

void prove_labels(net::Party& party, Instance::Data& instance) {
  EvaluatorTables& tables = instance.evaluating;
  const Bytes& gammas = instance.gammas;
  const math::ChiStream label_chi = chi_of("lab", party, instance.s_inst, gammas);
  for (const PartyId i : instance.garblers) {
    math::GfSum tag;
    tables.row2[i].accumulate(tag, label_chi);
    Bytes message(gammas.begin() + static_cast<ptrdiff_t>(bytes_of_pieces(instance)), gammas.end());
    append(message, block_bytes(tag.value()));
    party.send(i, kLabelProof, message);
  }
  tables.row2.clear();
}

void check_products(net::Party& party, const Block& delta, Instance::Data& instance) {
  const EvaluatorTables& tables = instance.evaluating;
  // While the garblers verify.
  const math::ChiStream chi = chi_of("cchk", party, instance.s_inst, instance.gammas);
  math::GfSum expected;
  accumulate_products(expected, chi, instance.and_values, tables);
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

// Step 2.
void check_labels(net::Party& party, const Block& delta, Instance::Data& instance) {
  GarblerTables& tables = instance.garbling;
  const PartyId evaluator = instance.evaluator;
  const size_t num_ands = instance.program->num_ands();
  const size_t last_bytes = (num_ands + 7) / 8 - bytes_of_pieces(instance);
  const Bytes message = party.receive(evaluator, kLabelProof, last_bytes + sizeof(Block));
  const ByteView last = ByteView(message).first(last_bytes);
  if (num_ands % 8 != 0 && last.back() >> (num_ands % 8) != 0) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, kLabelProof, "bits beyond the last gate",
                        evaluator);
  }
  instance.follower->piece(last);
  instance.follower.reset();
  const Bytes& gammas = instance.gammas;
  const math::ChiStream label_chi = chi_of("lab", party, instance.s_inst, gammas);
  math::GfSum expected;
  label_chi.accumulate(expected, 0, tables.zero_labels.span());
  expected.add(label_chi.combine_bits(0, gammas, num_ands), delta);
  if (!ct_equal(expected.value(), load_block(message.data() + last_bytes))) {
    throw ProtocolAbort(AbortCode::kLabelProof, kLabelProof,
                        "the evaluator does not hold the labels of the values it reports",
                        evaluator);
  }
}

// Step 3.
void answer(net::Party& party, const Instance::Data& instance) {
  const PartyId evaluator = instance.evaluator;
  const math::ChiStream chi = chi_of("cchk", party, instance.s_inst, instance.gammas);
  math::GfSum answer;
  instance.garbling.mac_s.accumulate(answer, chi);
  party.send(evaluator, kCProof, block_bytes(answer.value() ^ zero_share(party, instance)));
}

}  // namespace

void commit_evaluator(net::Party& party, const Block& delta, Committed instances) {
  for (Instance::Data* const instance : instances) prove_labels(party, *instance);
  for (Instance::Data* const instance : instances) check_products(party, delta, *instance);
}

void commit_garbler(net::Party& party, const Block& delta, Committed instances) {
  for (Instance::Data* const instance : instances) check_labels(party, delta, *instance);
  for (const Instance::Data* const instance : instances) answer(party, *instance);
}

}  // namespace flexroom::boolean
