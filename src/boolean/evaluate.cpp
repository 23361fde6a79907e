#include "boolean/evaluate.h"

#include <immintrin.h>

#include <algorithm>

#include "boolean/garble.h"
#include "boolean/gates.h"
#include "boolean/masks.h"
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
        and_values_(program_.num_ands()) {
    for (size_t g = 0; g < count_; ++g) {
      slots_.emplace_back(program_.num_slots);
      const BlockVec& labels = tables_.input_labels[garblers_[g]];
      for (uint32_t w = 0; w < program_.num_inputs(); ++w) {
        slots_.back()[program_.input_slots[w]] = labels[w];
      }
    }
  }

  void run(Instance::Data& instance, const PieceDone& piece_done) {
    const uint32_t num_ands = program_.num_ands();
    instance.gammas.resize((size_t{num_ands} + 7) / 8);
    uint32_t packed = 0;
    const auto pack = [&](uint32_t count) {
      uint8_t* const out = instance.gammas.data() + packed / 8;
      const std::span<uint8_t> bytes(out, (size_t{count} + 7) / 8);
      pack_bits(and_values_.data() + packed, MaskedBits::kGamma, bytes, count);
      packed += count;
      return ByteView(bytes);
    };
    for (const mpc::Batch& batch : program_.batches) {
      xors(batch.xor_begin, batch.xor_end);
      for (uint32_t t = batch.and_begin, stop = 0; t < batch.and_end; t = stop) {
        stop = std::min({batch.and_end, t + kAndsAtATime, tables_.key_s.end_of_run(t)});
        ands(t, stop);
      }
      while (batch.and_end > packed + kAndsPerPiece) piece_done(pack(kAndsPerPiece));
    }
    pack(num_ands - packed);
    instance.output_values = tables_.output_colours;
    auto value = instance.output_values.begin();
    for (const auto& output : program_.outputs) {
      for (const mpc::Literal& literal : output.literals)
        *value++ ^= colour(slots_[0][literal.slot]);
    }
    instance.and_values = std::move(and_values_);
  }

 private:
  // Bit 0 of a label of the colour garbler, and the colour of that wire: Lambda.
  static uint8_t colour(const Block& label) { return label.lsb() ? 1 : 0; }

  void xors(uint32_t begin, uint32_t end) {
    for (size_t g = 0; g < count_; ++g) program_.xors.apply(begin, end, slots_[g].data());
  }

  /// Labels of the operands under garbler g, side by side.
  void gather(size_t g, uint32_t begin, size_t count) {
    const mpc::AndOp* ops = program_.ands.data() + begin;
    const Block* labels = slots_[g].data();
    Block* const x = x_.data();
    for (size_t k = 0; k < count; ++k) {
      x[2 * k] = labels[ops[k].a];
      x[2 * k + 1] = labels[ops[k].b];
    }
  }

  void ands(uint32_t begin, uint32_t end) {
    if constexpr (kTwo) {
      ands_of_one_garbler(begin, end - begin);
    } else {
      ands_of_all(begin, end - begin);
    }
  }

  // As ands_of_all, where all that belongs to a gate is at hand at once. No gate of a batch writes
  // what another one reads.
  void ands_of_one_garbler(uint32_t begin, size_t count) {
    const PartyId i = garblers_[0];
    gather(0, begin, count);
    const Block* const x = x_.data();
    const Block* const h = h_.data();
    hash_.hash1(hash_tweak(HashDomain::kGarbling, i, i, 2 * uint64_t{begin}), {x, 2 * count},
                {h_.data(), 2 * count});
    const mpc::AndOp* ops = program_.ands.data() + begin;
    const uint8_t* bits = tables_.bits.reveal().data() + begin;
    const Block* row0 = tables_.row0[i].at(begin);
    const Block* row1 = tables_.row1[i].at(begin);
    Block* row2 = tables_.row2[i].at(begin);
    uint8_t* out_values = and_values_.data() + begin;
    Block* labels = slots_[0].data();
    for (size_t k = 0; k < count; ++k) {
      const unsigned own = bits[k];
      const unsigned alpha = (colour(x[2 * k]) ^ own >> AndBits::kColourAlpha) & 1;
      const unsigned beta = (colour(x[2 * k + 1]) ^ own >> AndBits::kColourBeta) & 1;
      const Block label = evaluate_gate(row2[k] ^ h[2 * k] ^ h[2 * k + 1], row0[k], row1[k],
                                        x[2 * k], alpha != 0, beta != 0);
      row2[k] = label;
      labels[ops[k].out] = label;
      out_values[k] = masked_bits(alpha, beta, (colour(label) ^ own >> AndBits::kColour) & 1);
    }
  }

  // m_gamma = R_2 + La*R_0 + Lb*(R_1 + m_alpha) + hashes; selection without branches.
  void ands_of_all(uint32_t begin, size_t count) {
    const mpc::AndOp* ops = program_.ands.data() + begin;
    const uint8_t* bits = tables_.bits.reveal().data() + begin;
    uint8_t* out_values = and_values_.data() + begin;
    Block* const x = x_.data();
    Block* const h = h_.data();
    for (size_t g = 0; g < count_; ++g) {
      const PartyId i = garblers_[g];
      gather(g, begin, count);
      if (g == 0) {
        for (size_t k = 0; k < count; ++k) {
          out_values[k] =
              masked_bits((colour(x[2 * k]) ^ bits[k] >> AndBits::kColourAlpha) & 1,
                          (colour(x[2 * k + 1]) ^ bits[k] >> AndBits::kColourBeta) & 1, 0);
        }
      }
      for (size_t target = 0; target < count_; ++target) {  // h^i_l
        const PartyId l = garblers_[target];
        hash_.hash1(hash_tweak(HashDomain::kGarbling, i, l, 2 * uint64_t{begin}), {x, 2 * count},
                    {h, 2 * count});
        Block* sum = tables_.row2[l].at(begin);
        for (size_t k = 0; k < count; ++k) sum[k] ^= h[2 * k] ^ h[2 * k + 1];
      }
      const Block* row0 = tables_.row0[i].at(begin);
      const Block* row1 = tables_.row1[i].at(begin);
      Block* sum = tables_.row2[i].at(begin);
      for (size_t k = 0; k < count; ++k) {
        const bool alpha = (out_values[k] >> MaskedBits::kAlpha & 1) != 0;
        const bool beta = (out_values[k] >> MaskedBits::kBeta & 1) != 0;
        sum[k] = evaluate_gate(sum[k], row0[k], row1[k], x[2 * k], alpha, beta);
      }
    }
    for (size_t g = 0; g < count_; ++g) {
      const Block* gamma = tables_.row2[garblers_[g]].at(begin);
      Block* labels = slots_[g].data();
      for (size_t k = 0; k < count; ++k) labels[ops[k].out] = gamma[k];
    }
    const Block* colour_labels = tables_.row2[garblers_[0]].at(begin);
    for (size_t k = 0; k < count; ++k) {
      const unsigned gamma = (colour(colour_labels[k]) ^ bits[k] >> AndBits::kColour) & 1;
      out_values[k] = static_cast<uint8_t>(out_values[k] | gamma << MaskedBits::kGamma);
    }
  }

  const Program& program_;
  EvaluatorTables& tables_;
  const math::ReHash hash_;
  const std::vector<PartyId>& garblers_;
  const size_t count_;               // of them
  std::vector<BlockVec> slots_;      // active labels, by garbler
  std::vector<uint8_t> and_values_;  // MaskedBits by AND
  // Of the ANDs in work: labels of both operands, and their hashes.
  BlockVec x_ = BlockVec(2 * kAndsAtATime), h_ = BlockVec(2 * kAndsAtATime);
};

}  // namespace

void pack_bits(const uint8_t* bytes, unsigned bit, std::span<uint8_t> packed, size_t count) {
  FLEXROOM_ASSERT(packed.size() == (count + 7) / 8 && bit < 8);
  size_t t = 0;
  for (; t + 16 <= count; t += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + t));
    const int bits =
        _mm_movemask_epi8(_mm_sll_epi64(v, _mm_cvtsi32_si128(7 - static_cast<int>(bit))));
    packed[t / 8] = static_cast<uint8_t>(bits);
    packed[t / 8 + 1] = static_cast<uint8_t>(bits >> 8);
  }
  for (; t < count; ++t) {
    const unsigned rest = t % 8 == 0 ? 0 : packed[t / 8];
    packed[t / 8] = static_cast<uint8_t>(rest | (bytes[t] >> bit & 1u) << (t % 8));
  }
}

void evaluate_gates(Instance::Data& instance, const PieceDone& piece_done) {
  if (instance.garblers.size() == 1) {
    Evaluator<true>(instance).run(instance, piece_done);
  } else {
    Evaluator<false>(instance).run(instance, piece_done);
  }
  instance.evaluating.row0.clear();
  instance.evaluating.row1.clear();
  instance.evaluating.input_labels.clear();
}

struct Follower::State {
  explicit State(Instance::Data& followed)
      : instance(followed), walk(*followed.program), values(input_slot_values(followed)) {}
  Instance::Data& instance;
  Walk walk;
  std::vector<uint8_t> values;  // Lambda by slot
  uint32_t done = 0;            // ANDs
  ~State() { wipe(values.data(), values.size()); }
};

Follower::Follower(Instance::Data& instance) : state_(std::make_unique<State>(instance)) {
  instance.and_values.resize(instance.program->num_ands());
}
Follower::~Follower() = default;

void Follower::piece(ByteView packed) {
  Instance::Data& instance = state_->instance;
  GarblerTables& tables = instance.garbling;
  const Program& program = *instance.program;
  uint8_t* const values = state_->values.data();
  const uint32_t first = state_->done;
  const uint32_t end = std::min(program.num_ands() - first, kAndsPerPiece) + first;
  FLEXROOM_ASSERT(packed.size() == (size_t{end} - first + 7) / 8);
  const bool none = end == first;  // of a program without ANDs
  const Block* const mac_alpha = none ? nullptr : tables.mac_alpha.at(first);
  const Block* const mac_beta = none ? nullptr : tables.mac_beta.at(first);
  Block* const mac_s = none ? nullptr : tables.mac_s.at(first);
  state_->walk.to(end, values, [&](uint32_t from, uint32_t to) {
    for (uint32_t t = from; t < to; ++t) {
      const mpc::AndOp& op = program.ands[t];
      const unsigned alpha = values[op.a] ^ op.a_negated;
      const unsigned beta = values[op.b] ^ op.b_negated;
      const unsigned gamma = (packed[(t - first) / 8] >> ((t - first) % 8)) & 1;
      instance.and_values[t] = masked_bits(alpha, beta, gamma);
      values[op.out] = static_cast<uint8_t>(gamma);
      const uint32_t k = t - first;
      mac_s[k] ^= select(alpha != 0, mac_beta[k]) ^ select(beta != 0, mac_alpha[k]);
    }
  });
  append(instance.gammas, packed);
  state_->done = end;
  if (end == program.num_ands()) collect_outputs(instance, values);
}

}  // namespace flexroom::boolean
