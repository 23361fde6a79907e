#include "boolean/evaluate.h"

#include <algorithm>

#include "boolean/garble.h"
#include "boolean/gates.h"
#include "math/re_hash.h"

namespace flexroom::boolean {
namespace {

using math::hash_tweak;
using math::HashDomain;
using mpc::Program;

void collect_outputs(Instance::Data& instance, const uint8_t* values) {
  instance.output_values.clear();
  for (const auto& output : instance.program->outputs) {
    for (const mpc::Literal& literal : output.literals) {
      instance.output_values.push_back(values[literal.slot] ^ (literal.negated ? 1 : 0));
    }
  }
}

std::vector<uint8_t> input_slot_values(const Instance::Data& instance) {
  const Program& program = *instance.program;
  std::vector<uint8_t> values(program.num_slots);
  for (uint32_t w = 0; w < program.num_inputs(); ++w) {
    values[program.input_slots[w]] = instance.input_values[w];
  }
  return values;
}

uint8_t masked_bits(unsigned alpha, unsigned beta, unsigned gamma) {
  return static_cast<uint8_t>(alpha << MaskedBits::kAlpha | beta << MaskedBits::kBeta |
                              gamma << MaskedBits::kGamma);
}

/// kTwo: n = 2, one label a wire; every loop over garblers has one turn. Garblers count from 0 in
/// their cyclic order; garblers_[g] is the party.
template <bool kTwo>
class Evaluator {
 public:
  explicit Evaluator(Instance::Data& instance)
      : program_(*instance.program),
        tables_(instance.evaluating),
        hash_(instance.s_inst),
        garblers_(instance.garblers),
        count_(kTwo ? 1 : garblers_.size()),
        values_(input_slot_values(instance)),
        and_values_(program_.num_ands()) {
    for (size_t g = 0; g < count_; ++g) {
      slots_.emplace_back(program_.num_slots);
      const BlockVec& labels = tables_.input_labels[garblers_[g]];
      for (uint32_t w = 0; w < program_.num_inputs(); ++w) {
        slots_.back()[program_.input_slots[w]] = labels[w];
      }
    }
  }

  void run(Instance::Data& instance) {
    for (const mpc::Batch& batch : program_.batches) {
      xors(batch.xor_begin, batch.xor_end);
      for (uint32_t t = batch.and_begin; t < batch.and_end; t += kAndsAtATime) {
        ands(t, std::min(batch.and_end, t + kAndsAtATime));
      }
    }
    collect_outputs(instance, values_.data());
    instance.and_values = std::move(and_values_);
  }

 private:
  void xors(uint32_t begin, uint32_t end) {
    uint8_t* values = values_.data();
    for (size_t g = 0; g < count_; ++g) {
      Block* labels = slots_[g].data();
      for (uint32_t x = begin; x < end; ++x) {
        const mpc::XorOp& op = program_.xors[x];
        labels[op.out] = labels[op.a] ^ labels[op.b];
        if (g == 0) values[op.out] = values[op.a] ^ values[op.b];
      }
    }
  }

  // m_gamma = R_2 + La*R_0 + Lb*(R_1 + m_alpha) + hashes; selection without branches.
  void ands(uint32_t begin, uint32_t end) {
    const size_t count = end - begin;
    const mpc::AndOp* ops = program_.ands.data() + begin;
    const uint8_t* bits = tables_.bits.reveal().data() + begin;
    uint8_t* out_values = and_values_.data() + begin;
    for (size_t k = 0; k < count; ++k) {
      out_values[k] = masked_bits(values_[ops[k].a] ^ ops[k].a_negated,
                                  values_[ops[k].b] ^ ops[k].b_negated, 0);
    }
    for (size_t g = 0; g < count_; ++g) {
      const PartyId i = garblers_[g];
      Block x[2 * kAndsAtATime], h[2 * kAndsAtATime];
      const Block* labels = slots_[g].data();
      for (size_t k = 0; k < count; ++k) {
        x[2 * k] = labels[ops[k].a];
        x[2 * k + 1] = labels[ops[k].b];
      }
      for (size_t target = 0; target < count_; ++target) {  // h^i_l
        const PartyId l = garblers_[target];
        hash_.hash1(hash_tweak(HashDomain::kGarbling, i, l, 2 * uint64_t{begin}), {x, 2 * count},
                    {h, 2 * count});
        Block* sum = tables_.row2[l].data() + begin;
        for (size_t k = 0; k < count; ++k) sum[k] ^= h[2 * k] ^ h[2 * k + 1];
      }
      const Block* row0 = tables_.row0[i].data() + begin;
      const Block* row1 = tables_.row1[i].data() + begin;
      Block* sum = tables_.row2[i].data() + begin;
      for (size_t k = 0; k < count; ++k) {
        const bool alpha = (out_values[k] >> MaskedBits::kAlpha & 1) != 0;
        const bool beta = (out_values[k] >> MaskedBits::kBeta & 1) != 0;
        sum[k] = evaluate_gate(sum[k], row0[k], row1[k], x[2 * k], alpha, beta);
      }
    }
    for (size_t g = 0; g < count_; ++g) {
      const Block* gamma = tables_.row2[garblers_[g]].data() + begin;
      Block* labels = slots_[g].data();
      for (size_t k = 0; k < count; ++k) labels[ops[k].out] = gamma[k];
    }
    const Block* colour_labels = tables_.row2[garblers_[0]].data() + begin;
    for (size_t k = 0; k < count; ++k) {
      const auto gamma =
          static_cast<uint8_t>((colour_labels[k].lo ^ bits[k] >> AndBits::kColour) & 1);
      values_[ops[k].out] = gamma;
      out_values[k] = static_cast<uint8_t>(out_values[k] | gamma << MaskedBits::kGamma);
    }
  }

  const Program& program_;
  EvaluatorTables& tables_;
  const math::ReHash hash_;
  const std::vector<PartyId>& garblers_;
  const size_t count_;               // of them
  std::vector<BlockVec> slots_;      // active labels, by garbler
  std::vector<uint8_t> values_;      // Lambda by slot
  std::vector<uint8_t> and_values_;  // MaskedBits by AND
};

}  // namespace

void evaluate_gates(Instance::Data& instance) {
  if (instance.garblers.size() == 1) {
    Evaluator<true>(instance).run(instance);
  } else {
    Evaluator<false>(instance).run(instance);
  }
  instance.evaluating.row0.clear();
  instance.evaluating.row1.clear();
  instance.evaluating.input_labels.clear();
}

void follow_gates(Instance::Data& instance, ByteView packed_gammas) {
  const Program& program = *instance.program;
  FLEXROOM_ASSERT(packed_gammas.size() * 8 >= program.num_ands());
  std::vector<uint8_t> values = input_slot_values(instance);
  instance.and_values.resize(program.num_ands());
  walk(program, values.data(), [&](uint32_t begin, uint32_t end) {
    for (uint32_t t = begin; t < end; ++t) {
      const mpc::AndOp& op = program.ands[t];
      const auto gamma = static_cast<uint8_t>((packed_gammas[t / 8] >> (t % 8)) & 1);
      instance.and_values[t] =
          masked_bits(values[op.a] ^ op.a_negated, values[op.b] ^ op.b_negated, gamma);
      values[op.out] = gamma;
    }
  });
  collect_outputs(instance, values.data());
}

}  // namespace flexroom::boolean
