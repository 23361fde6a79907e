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
