#include "boolean/garble.h"
#include "boolean/masks.h"

#include "unit/boolean/scenario.h"

// Circuits of more ANDs than one slab: masks, operands and rows in several pieces, each with its
// own opening (boolean-engine.md §6.2).

namespace flexroom::boolean::testing {
namespace {

constexpr std::string_view kOperands = "boolean/F1 operands";
constexpr std::string_view kRows = "boolean/F2 rows";
size_t messages_of_a_slab(const Scenario& s) {
  return ands_per_slab(s.num_parties) / kAndsPerMessage;
}

class SlabsOf : public ::testing::TestWithParam<Roles> {
 protected:
  // Rounds of 64 ANDs over a state that every round depends on.
  static Scenario large_scenario(const Roles& roles) {
    mpc::Builder builder;
    mpc::Bits state = builder.add_input("a", mpc::InputKind::kPriv, 64, 0);
    const mpc::Bits key = builder.add_input("b", mpc::InputKind::kZero, 64);
    for (unsigned round = 0; round < 2500; ++round) {
      mpc::Bits next;
      for (size_t t = 0; t < 64; ++t) {
        next.push_back((state[t] & state[(t + 7) % 64]) ^ state[(t + 1) % 64] ^
                       key[(t + round) % 64]);
      }
      state = next;
    }
    builder.add_output("open", mpc::OutputKind::kOpenAll, state);
    Scenario scenario;
    scenario.num_parties = roles.num_parties;
    scenario.evaluator = roles.evaluator;
    scenario.circuit = builder.finish();
    scenario.program = std::make_shared<mpc::Program>(mpc::compile(scenario.circuit));
    std::vector<bool> bits(128);
    for (size_t t = 0; t < bits.size(); ++t) bits[t] = t % 5 < 2;
    scenario.set_inputs(bits);
    return scenario;
  }
  static size_t num_slabs(const Scenario& s) {
    const uint32_t slab = ands_per_slab(s.num_parties);
    return (s.program->num_ands() + slab - 1) / slab;
  }
};
INSTANTIATE_TEST_SUITE_P(Parties, SlabsOf, ::testing::ValuesIn(all_roles({2, 3})));

TEST_P(SlabsOf, SeveralSlabsComputeTheCircuit) {
  const size_t n = GetParam().num_parties;
  const Scenario s = large_scenario(GetParam());
  ASSERT_EQ(num_slabs(s), n == 2 ? 3u : 5u);
  ASSERT_NE(s.program->num_ands() % ands_per_slab(n), 0u);
  support::Dealer dealer(n);
  const auto run = run_scenario(s, dealer);
  expect_correct(s, dealer, run);
  size_t openings = 0, bytes = 0;
  for (const auto& message : run.trace) {
    if (message.label != kOperands) continue;
    ++openings;
    bytes += message.bytes;
  }
  EXPECT_EQ(openings, num_slabs(s) * n * (n - 1));
  // Two bits an AND with a triple, a tag a slab; a slab's last byte may not be full.
  EXPECT_GE(bytes, n * (n - 1) * (s.program->num_triples / 4 + 16 * num_slabs(s)));
  EXPECT_LE(bytes, n * (n - 1) * (s.program->num_triples / 4 + 17 * num_slabs(s) + 1));
}

// §6.2: rows leave only behind the check of the Open they depend on, here that of the second slab.
TEST_P(SlabsOf, RowsOfASlabWaitForItsOperands) {
  const size_t n = GetParam().num_parties;
  const Scenario s = large_scenario(GetParam());
  for (PartyId liar = 0; liar < n; ++liar) {
    for (PartyId honest = 0; honest < n; ++honest) {
      if (honest == liar) continue;
      std::vector<size_t> rows(n);
      const std::optional<AbortCode> code = support::decided_code([&] {
        rows.assign(n, 0);
        RunOptions options;
        options.tamper = [&](const net::MessageId& message, Bytes& payload) {
          if (message.label == kRows) ++rows[message.sender];
          if (message.sender == liar && message.receiver == honest && message.label == kOperands &&
              message.index == 1) {
            payload.at(payload.size() / 2) ^= 1;
          }
        };
        support::Dealer dealer(n);
        const auto run = run_scenario(s, dealer, options);
        for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
        return run.outcomes[honest].code();
      });
      EXPECT_EQ(code, AbortCode::kMac) << liar << " lies to " << honest;
      if (honest == s.evaluator) continue;
      EXPECT_EQ(rows[honest], messages_of_a_slab(s)) << "party " << honest;
    }
  }
}

// A row of the second slab counts like one of the first.
TEST_P(SlabsOf, ARowOfALaterSlabIsChecked) {
  const Scenario s = large_scenario(GetParam());
  RunOptions options;
  options.tamper = on_message(
      s.garbler(), std::string(kRows),
      [](Bytes& payload) {
        for (size_t at = 0; at < payload.size(); at += 16) payload[at] ^= 2;
      },
      messages_of_a_slab(s));
  support::Dealer dealer(s.num_parties);
  const auto run = run_scenario(s, dealer, options);
  for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
}

}  // namespace
}  // namespace flexroom::boolean::testing
