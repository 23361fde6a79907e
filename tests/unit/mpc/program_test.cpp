#include "mpc/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "mpc/builder.h"
#include "support/evaluate_plain.h"
#include "support/program_interpreter.h"

namespace flexroom::mpc {
namespace {

/// A random circuit over all kinds of input groups, made of gates as data, not by the Builder.
Circuit random_circuit(std::mt19937_64& random, size_t num_gates) {
  Circuit circuit;
  for (const InputKind kind :
       {InputKind::kPub, InputKind::kPriv, InputKind::kDyn, InputKind::kZero}) {
    const auto name = "g" + std::to_string(circuit.inputs.size());
    const auto size = static_cast<uint32_t>(1 + random() % 12);
    circuit.inputs.push_back({name, kind, 0, size});
    circuit.num_inputs += size;
  }
  std::vector<uint32_t> root;  // by wire: without NOTs
  std::vector<bool> pub;
  for (uint32_t w = 0; w < circuit.num_inputs; ++w) {
    root.push_back(w);
    pub.push_back(w < circuit.inputs[0].size);
  }
  const uint64_t reach = 1 + random() % 200;
  while (circuit.gates.size() < num_gates) {
    const auto wires = static_cast<uint64_t>(root.size());
    const auto pick = [&] {
      return static_cast<WireId>(random() % 4 == 0 ? random() % wires
                                                   : wires - 1 - random() % std::min(reach, wires));
    };
    WireId a = pick(), b = pick();
    const auto op = static_cast<GateOp>(random() % 3);
    if (op != GateOp::kNot && root[a] == root[b]) continue;
    if (op == GateOp::kAnd && pub[a]) std::swap(a, b);
    if (op == GateOp::kAnd && pub[a]) continue;
    if (op == GateOp::kAnd) ++circuit.num_ands;
    circuit.gates.push_back({a, op == GateOp::kNot ? 0 : b, op});
    root.push_back(op == GateOp::kNot ? root[a] : static_cast<uint32_t>(root.size()));
    pub.push_back(op == GateOp::kNot ? pub[a] : op == GateOp::kXor && pub[a] && pub[b]);
  }
  for (const OutputKind kind : {OutputKind::kOpenAll, OutputKind::kKeep}) {
    OutputGroup group{"o" + std::to_string(circuit.outputs.size()), kind, {}};
    for (size_t i = 0; i < 20; ++i) {
      group.wires.push_back(static_cast<WireId>(random() % circuit.num_wires()));
    }
    circuit.outputs.push_back(group);
  }
  return circuit;
}

std::vector<bool> random_bits(std::mt19937_64& random, size_t n) {
  std::vector<bool> bits(n);
  for (size_t i = 0; i < n; ++i) bits[i] = (random() & 1) != 0;
  return bits;
}

TEST(Program, ComputesWhatTheCircuitComputes) {
  std::mt19937_64 random(1);
  for (int run = 0; run < 200; ++run) {
    const Circuit circuit = random_circuit(random, random() % 3000);
    const uint32_t max_ands = run % 3 == 0 ? 64 : static_cast<uint32_t>(1 + random() % 9);
    const Program program = compile(circuit, max_ands);
    EXPECT_EQ(program.num_ands(), circuit.num_ands);
    for (const Batch& batch : program.batches) {
      EXPECT_LE(batch.and_end - batch.and_begin, max_ands);
    }
    for (int i = 0; i < 3; ++i) {
      const auto inputs = random_bits(random, circuit.num_inputs);
      ASSERT_EQ(support::interpret(program, inputs), support::evaluate_plain(circuit, inputs));
    }
  }
}

TEST(Program, CountsNoTripleForPubOperands) {
  Builder builder;
  const Bits p = builder.add_input("p", InputKind::kPub, 2);
  const Bits s = builder.add_input("s", InputKind::kPriv, 2);
  builder.add_output("o", OutputKind::kOpenAll, {(p[0] ^ p[1]) & s[0], s[0] & s[1], s[1] & !p[0]});
  const Program program = compile(builder.finish());
  EXPECT_EQ(program.num_ands(), 3u);
  EXPECT_EQ(program.num_triples, 1u);
  for (const AndOp& op : program.ands) EXPECT_TRUE(op.beta_is_pub == 0 || op.a >= 2);
}

TEST(Program, IsDeterministicAndItsDigestBindsEverything) {
  std::mt19937_64 random(2);
  const Circuit circuit = random_circuit(random, 500);
  const Digest digest = compile(circuit).digest;
  EXPECT_EQ(compile(circuit).digest, digest);
  Circuit other = circuit;
  other.outputs[0].wires[3] ^= 1;
  EXPECT_NE(compile(other).digest, digest);
  other = circuit;
  other.outputs[0].kind = OutputKind::kKeep;
  EXPECT_NE(compile(other).digest, digest);
  other = circuit;
  other.inputs[1].owner = 1;
  EXPECT_NE(compile(other).digest, digest);
  other = circuit;
  const auto gate = std::find_if(other.gates.begin(), other.gates.end(),
                                 [](const Gate& g) { return g.op == GateOp::kXor; });
  gate->op = GateOp::kNot;
  EXPECT_NE(compile(other).digest, digest);
}

TEST(Program, KeepsIndependentChainsInFlightAndReusesSlots) {
  Builder builder;
  Bits state = builder.add_input("s", InputKind::kZero, 32);
  const Bits key = builder.add_input("k", InputKind::kZero, 32);
  for (int round = 0; round < 1000; ++round) {
    for (size_t i = 0; i < 32; ++i) state[i] = (state[i] & key[i]) ^ key[(i + 1) % 32];
  }
  builder.add_output("o", OutputKind::kOpenAll, state);
  const Program program = compile(builder.finish());
  EXPECT_GE(program.num_ands() / program.batches.size(), 30u);
  EXPECT_LE(program.num_slots, 64u + 64u);
}

/// Six inputs; four outputs, each behind ANDs, two of them negated.
std::shared_ptr<const Template> small_template() {
  Builder builder;
  const Bits in = builder.add_input("in", InputKind::kDyn, 6);
  Bits state = in;
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < 6; ++i) state[i] = (state[i] & ~in[(i + 1) % 6]) ^ (in[i] & state[5]);
  }
  builder.add_output("out", OutputKind::kKeep,
                     {state[0], ~state[1], state[2] ^ state[3], ~state[4]});
  return compile_template(builder.finish());
}

/// Rounds of calls, of which every one reads some of the outputs of the one before, and gates.
Circuit circuit_of_calls(std::mt19937_64& random, const std::shared_ptr<const Template>& callee,
                         size_t rounds) {
  Builder builder;
  Bits wires = builder.add_input("s", InputKind::kZero, 12);
  const Bits p = builder.add_input("p", InputKind::kPub, 3);
  for (size_t round = 0; round < rounds; ++round) {
    std::shuffle(wires.begin(), wires.end(), random);
    Bits in(wires.begin(), wires.begin() + 6);
    for (Bit& bit : in) {
      if (random() % 2 == 0) bit = ~bit;
    }
    const auto out = Builder::call(callee, in);
    EXPECT_TRUE(out.has_value());
    EXPECT_EQ(out->size(), callee->num_outputs());
    for (size_t k = 0; k < out->size(); ++k) {
      // Some calls are needed for one output alone, some for none.
      if (random() % 3 != 0) wires[k] = wires[k] ^ (*out)[k] ^ (wires[11 - k] & wires[6]);
      if (random() % 7 == 0) wires[k] = wires[k] ^ p[k % 3];
    }
  }
  builder.add_output("o", OutputKind::kOpenAll, wires);
  return builder.finish();
}

TEST(Program, ATemplateComputesWhatItsGatesCompute) {
  std::mt19937_64 random(3);
  const auto callee = small_template();
  for (int run = 0; run < 100; ++run) {
    const Circuit circuit = circuit_of_calls(random, callee, random() % 60);
    const Program program = compile(circuit);
    EXPECT_EQ(program.num_ands(), circuit.num_ands);
    for (int i = 0; i < 3; ++i) {
      const auto inputs = random_bits(random, circuit.num_inputs);
      ASSERT_EQ(support::interpret(program, inputs), support::evaluate_plain(circuit, inputs));
    }
    EXPECT_EQ(compile(circuit).digest, program.digest);
  }
}

// Slots of more than 16 bits, met late and at once.
TEST(Program, HasAsManySlotsAsItNeeds) {
  for (const uint32_t size : {uint32_t{1000}, XorOps::kShortSlots - 1, XorOps::kShortSlots + 10}) {
    Builder builder;
    const Bits in = builder.add_input("s", InputKind::kZero, size);
    Bits out;
    for (size_t k = 0; k + 1 < 500; ++k) out.push_back(in[k] ^ (in[k + 1] & in[size - 1 - k]));
    out.push_back(in[size - 1] ^ in[size - 2] ^ in[0]);
    builder.add_output("o", OutputKind::kOpenAll, out);
    const Circuit circuit = builder.finish();
    const Program program = compile(circuit);
    EXPECT_GE(program.num_slots, size);
    std::mt19937_64 random(size);
    const auto inputs = random_bits(random, size);
    ASSERT_EQ(support::interpret(program, inputs), support::evaluate_plain(circuit, inputs));
  }
}

TEST(Program, ATemplateNobodyReadsIsNotThere) {
  const auto callee = small_template();
  Builder builder;
  const Bits in = builder.add_input("s", InputKind::kZero, 6);
  const auto unused = Builder::call(callee, in), used = Builder::call(callee, in);
  ASSERT_TRUE(unused && used);
  EXPECT_EQ(builder.num_ands(), 2 * callee->program.num_ands());
  builder.add_output("o", OutputKind::kOpenAll, {(*used)[2]});
  const Circuit circuit = builder.finish();
  EXPECT_EQ(circuit.calls.size(), 1u);
  EXPECT_EQ(compile(circuit).num_ands(), callee->program.num_ands());
}

TEST(Program, ATemplateStandsForDistinctSecretWiresOnly) {
  const auto callee = small_template();
  Builder builder;
  const Bits s = builder.add_input("s", InputKind::kZero, 6);
  const Bits p = builder.add_input("p", InputKind::kPub, 1);
  const auto stands = [&](size_t at, Bit bit) {
    Bits in = s;
    in[at] = bit;
    return Builder::call(callee, in).has_value();
  };
  EXPECT_FALSE(stands(0, Bit(true)));
  EXPECT_FALSE(stands(3, p[0]));
  EXPECT_FALSE(stands(5, s[2]));
  EXPECT_FALSE(stands(5, ~s[2]));
  EXPECT_TRUE(stands(5, s[5]));  // a refused call leaves nothing behind
  EXPECT_TRUE(stands(2, s[2] ^ p[0]));
}

TEST(ProgramDeathTest, ATemplateHasNoOutputThatIsLinearInAnInput) {
  const auto made_of = [](auto&& outputs) {
    Builder builder;
    const Bits in = builder.add_input("in", InputKind::kDyn, 3);
    builder.add_output("out", OutputKind::kKeep, outputs(in));
    return compile_template(builder.finish());
  };
  EXPECT_DEATH(made_of([](const Bits& in) { return Bits{(in[0] & in[1]) ^ in[2]}; }), "linear");
  EXPECT_DEATH(made_of([](const Bits& in) {
                 const Bit twice = in[0] & in[1];
                 return Bits{twice, ~twice};
               }),
               "taken");
  EXPECT_EQ(made_of([](const Bits& in) { return Bits{in[0] & in[1] & in[2]}; })->num_outputs(), 1u);
}

TEST(ProgramDeathTest, RefusesMalformedCircuits) {
  Circuit circuit;
  circuit.inputs = {{"p", InputKind::kPub, 0, 1}, {"s", InputKind::kPriv, 0, 2}};
  circuit.num_inputs = 3;
  circuit.num_ands = 1;
  circuit.gates = {{0, 1, GateOp::kAnd}};
  EXPECT_DEATH(compile(circuit), "pub-valued");
  circuit.gates = {{1, 1, GateOp::kAnd}};
  EXPECT_DEATH(compile(circuit), "a != b");
  circuit.gates = {{1, 3, GateOp::kAnd}};
  EXPECT_DEATH(compile(circuit), "gate.b < wire");
}

}  // namespace
}  // namespace flexroom::mpc
