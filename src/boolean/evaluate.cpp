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

/// kTwo: n = 2, one label a wire; every loop over garblers has one turn.
template <bool kTwo>
class Evaluator {
 public:
  explicit Evaluator(Instance::Data& instance)
      : program_(*instance.program),
        tables_(instance.evaluator),
        hash_(instance.s_inst),
        last_(kTwo ? 1 : static_cast<PartyId>(tables_.row0.size() - 1)),
        values_(input_slot_values(instance)),
        and_values_(program_.num_ands()) {
    for (PartyId l = 1; l <= last_; ++l) {
      slots_.emplace_back(program_.num_slots);
      for (uint32_t w = 0; w < program_.num_inputs(); ++w) {
        slots_.back()[program_.input_slots[w]] = tables_.input_labels[l][w];
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
    for (PartyId l = 1; l <= last_; ++l) {
      Block* labels = slots_[l - 1].data();
      for (uint32_t x = begin; x < end; ++x) {
        const mpc::XorOp& op = program_.xors[x];
        labels[op.out] = labels[op.a] ^ labels[op.b];
        if (l == 1) values[op.out] = values[op.a] ^ values[op.b];
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
    for (PartyId i = 1; i <= last_; ++i) {
      Block x[2 * kAndsAtATime], h[2 * kAndsAtATime];
      Block* labels = slots_[i - 1].data();
      for (size_t k = 0; k < count; ++k) {
        x[2 * k] = labels[ops[k].a];
        x[2 * k + 1] = labels[ops[k].b];
      }
      for (PartyId l = 1; l <= last_; ++l) {  // h^i_l
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
    for (PartyId l = 1; l <= last_; ++l) {
      const Block* gamma = tables_.row2[l].data() + begin;
      Block* labels = slots_[l - 1].data();
      for (size_t k = 0; k < count; ++k) labels[ops[k].out] = gamma[k];
    }
    const Block* colour_labels = tables_.row2[1].data() + begin;
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
  const PartyId last_;               // garblers are 1 .. last_
  std::vector<BlockVec> slots_;      // active labels, entry l - 1 of garbler l
  std::vector<uint8_t> values_;      // Lambda by slot
  std::vector<uint8_t> and_values_;  // MaskedBits by AND
};

}  // namespace

void evaluate_gates(Instance::Data& instance) {
  if (instance.evaluator.row0.size() == 2) {
    Evaluator<true>(instance).run(instance);
  } else {
    Evaluator<false>(instance).run(instance);
  }
  instance.evaluator.row0.clear();
  instance.evaluator.row1.clear();
  instance.evaluator.input_labels.clear();
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
