#include "math/gf128.h"
#include "support/dependent.h"
#include "unit/boolean/scenario.h"

// boolean-engine.md §7.4: the seeds of the label proof and of the c-proof cover every Lambda. With
// a seed that is known before them, lies whose coefficients sum to zero pass.

namespace flexroom::boolean::testing {
namespace {

constexpr unsigned kGates = 256;

/// o = a & p with p public and all ones: both halves of a gate are selected by what is known before
/// the rows leave.
Scenario parallel_gates(PartyId evaluator = 0) {
  Scenario out;
  out.evaluator = evaluator;
  mpc::Builder builder;
  const mpc::Bits a = builder.add_input("a", mpc::InputKind::kPriv, kGates, 0);
  const mpc::Bits p = builder.add_input("p", mpc::InputKind::kPub, kGates, 0);
  mpc::Bits o;
  for (unsigned t = 0; t < kGates; ++t) o.push_back(a[t] & p[t]);
  builder.add_output("o", mpc::OutputKind::kOpenAll, o);
  out.circuit = builder.finish();
  out.program = std::make_shared<const mpc::Program>(mpc::compile(out.circuit));
  std::vector<bool> inputs(2 * kGates, true);
  for (unsigned t = 0; t < kGates; t += 3) inputs[t] = false;
  out.set_inputs(inputs);
  return out;
}

/// Follows the preparation of the first instance and tells its S_inst.
class Instances {
 public:
  void note(const net::MessageId& message, const Bytes& payload) {
    if (message.label == "boolean/prepare") said_[message.sender] = payload;
  }
  Block s_inst() const {
    RoScope scope;
    scope.eid[0] = 1;
    scope.sid[0] = 2;
    RandomOracle id("instance", scope, 0);
    id.field(ByteView(said_[0]).first(32)).field(ByteView(said_[0]).subspan(32, 32));
    id.field(uint64_t{0});
    for (const Bytes& one : said_) id.field(ByteView(one).subspan(64));
    return RandomOracle("gc", scope).field(id.digest()).block();
  }
  /// Gates whose coefficients under the seed RO(tag, S_inst, known) sum to zero.
  std::vector<size_t> gates(std::string_view tag, ByteView known) const {
    RoScope scope;
    scope.eid[0] = 1;
    scope.sid[0] = 2;
    RandomOracle seed(tag, scope);
    seed.field(s_inst());
    if (!known.empty()) seed.field(known);
    std::vector<Block> chi(kGates);
    math::ChiStream(seed.block()).fill(0, chi);
    return support::dependent(chi);
  }

 private:
  std::vector<Bytes> said_ = std::vector<Bytes>(2);
};

// A corrupted evaluator lies about many gates at once, with the tag of the true labels.
TEST(ProofSeeds, ThatOfTheLabelProofCoversEveryLambda) {
  for (const auto& one :
       {std::pair(0u, false), std::pair(0u, true), std::pair(1u, false), std::pair(1u, true)}) {
    const Scenario scenario = parallel_gates(one.first);
    const bool after_the_bits = one.second;
    Instances instances;
    RunOptions options;
    size_t lies = 0;
    options.tamper = [&](const net::MessageId& m, Bytes& payload) {
      instances.note(m, payload);
      if (m.label != "boolean/O3 label proof") return;
      const Bytes bits(payload.begin(), payload.begin() + kGates / 8);
      const ByteView known = after_the_bits ? ByteView(bits) : ByteView();
      for (const size_t t : instances.gates("lab", known)) {
        payload[t / 8] ^= static_cast<uint8_t>(1u << (t % 8));
        ++lies;
      }
    };
    const auto run = run_scenario(scenario, options);
    EXPECT_GT(lies, 0u);
    EXPECT_EQ(run.outcomes[scenario.garbler()].code(), AbortCode::kLabelProof);
  }
}

// A corrupted garbler turns the results of many gates, with labels that are valid for the wrong
// values: it adds its Delta to rows that p selects.
TEST(ProofSeeds, ThatOfTheCProofCoversEveryLambda) {
  for (const PartyId evaluator : {0u, 1u}) {
    const Scenario scenario = parallel_gates(evaluator);
    const PartyId garbler = scenario.garbler();
    ASSERT_EQ(scenario.program->num_ands(), kGates);
    support::Dealer dealer(2);
    Instances instances;
    RunOptions options;
    size_t lies = 0;
    options.tamper = [&](const net::MessageId& m, Bytes& payload) {
      instances.note(m, payload);
      if (m.sender != garbler || m.label != "boolean/F2 rows") return;
      ASSERT_GE(payload.size(), 2 * 16 * kGates);
      for (const size_t t : instances.gates("cchk", {})) {
        uint8_t* const row1 = payload.data() + 16 * (kGates + t);
        store_block(row1, load_block(row1) ^ dealer.delta(garbler));
        ++lies;
      }
    };
    const auto run = run_scenario(scenario, dealer, options);
    EXPECT_GT(lies, 0u);
    EXPECT_EQ(run.outcomes[evaluator].code(), AbortCode::kCProof);
  }
}

// The attack does what it says: one such gate is noticed by the c-proof and by nothing before it.
TEST(ProofSeeds, ATurnedGatePassesTheLabelProof) {
  const Scenario scenario = parallel_gates();
  support::Dealer dealer(2);
  RunOptions options;
  options.tamper = on_message(1, "boolean/F2 rows", [&](Bytes& payload) {
    uint8_t* const row1 = payload.data() + 16 * (kGates + 5);
    store_block(row1, load_block(row1) ^ dealer.delta(1));
  });
  EXPECT_EQ(run_scenario(scenario, dealer, options).outcomes[0].code(), AbortCode::kCProof);
}

}  // namespace
}  // namespace flexroom::boolean::testing
