#include "boolean/evaluate.h"
#include "unit/boolean/scenario.h"

// boolean-engine.md §7.4: masked values leave in pieces while the evaluator goes on.

namespace flexroom::boolean::testing {
namespace {

constexpr unsigned kWires = 256;
constexpr const char* kResults = "boolean/O3 results";
constexpr const char* kProof = "boolean/O3 label proof";

/// Two pieces, and five ANDs more.
constexpr unsigned kAnds = 2 * kAndsPerPiece + 5;
Scenario long_circuit(const Roles& roles, unsigned wanted = kAnds) {
  Scenario out;
  out.num_parties = roles.num_parties;
  out.evaluator = roles.evaluator;
  mpc::Builder builder;
  mpc::Bits x = builder.add_input("a", mpc::InputKind::kPriv, kWires, 0);
  unsigned ands = 0;
  while (ands < wanted) {
    const mpc::Bits before = x;
    for (unsigned t = 0; t < kWires && ands < wanted; ++t, ++ands) {
      x[t] = (before[t] & before[(t + 1) % kWires]) ^ before[(t + 7) % kWires];
    }
  }
  builder.add_output("o", mpc::OutputKind::kOpenAll, x);
  out.circuit = builder.finish();
  out.program = std::make_shared<const mpc::Program>(mpc::compile(out.circuit));
  std::vector<bool> inputs(kWires);
  std::mt19937_64 random(3);
  for (auto&& bit : inputs) bit = (random() & 1) != 0;
  out.set_inputs(inputs);
  return out;
}

class Pieces : public ::testing::TestWithParam<Roles> {
 protected:
  const Scenario scenario_ = long_circuit(GetParam());

  std::optional<AbortCode> at_garbler(size_t g, const char* label,
                                      std::function<void(Bytes&)> change, size_t index = 0) const {
    const PartyId garbler = scenario_.garbler(g);
    RunOptions options;
    options.tamper = on_message(scenario_.evaluator, label, std::move(change), index, garbler);
    const auto run = run_scenario(scenario_, options);
    for (const auto& message : run.trace) {
      const bool answer =
          message.label == "boolean/O4 c-proof" || message.label == "boolean/outputs";
      EXPECT_FALSE(answer && message.sender == garbler);
    }
    return run.outcomes[garbler].code();
  }
};
INSTANTIATE_TEST_SUITE_P(Parties, Pieces, ::testing::ValuesIn(all_roles({2, 3})));

TEST_P(Pieces, GoToEveryGarblerInFrontOfTheProof) {
  ASSERT_EQ(scenario_.program->num_ands(), 2 * kAndsPerPiece + 5);
  support::Dealer dealer(scenario_.num_parties);
  const auto run = run_scenario(scenario_, dealer);
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value);
    const auto& opened = outcome.value->opened.at(0);
    EXPECT_EQ(std::vector<bool>(opened.begin(), opened.end()), scenario_.expected.at(0));
  }
  std::map<PartyId, std::vector<size_t>> sizes;
  for (const auto& message : run.trace) {
    if (message.label != kResults && message.label != kProof) continue;
    EXPECT_EQ(message.sender, scenario_.evaluator);
    sizes[message.receiver].push_back(message.bytes);
  }
  EXPECT_EQ(sizes.size(), scenario_.num_parties - 1);
  for (const auto& [garbler, all] : sizes) {
    EXPECT_EQ(all, (std::vector<size_t>{kAndsPerPiece / 8, kAndsPerPiece / 8, 1 + 16})) << garbler;
  }
}

// Of whole pieces the last one still travels with the proof.
TEST_P(Pieces, OfAWholeNumberTheLastIsInTheProof) {
  for (const unsigned pieces : {1u, 2u}) {
    const Scenario scenario = long_circuit(GetParam(), pieces * kAndsPerPiece);
    ASSERT_EQ(scenario.program->num_ands(), pieces * kAndsPerPiece);
    const auto run = run_scenario(scenario);
    size_t alone = 0;
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value);
      const auto& opened = outcome.value->opened.at(0);
      EXPECT_EQ(std::vector<bool>(opened.begin(), opened.end()), scenario.expected.at(0));
    }
    for (const auto& message : run.trace) {
      if (message.label == kResults) ++alone;
      if (message.label == kProof) {
        EXPECT_EQ(message.bytes, kAndsPerPiece / 8 + 16);
      }
    }
    EXPECT_EQ(alone, (pieces - 1) * (scenario.num_parties - 1));
  }
}

TEST_P(Pieces, AreCoveredByTheLabelProof) {
  for (size_t g = 0; g + 1 < scenario_.num_parties; ++g) {
    for (const size_t piece : {0u, 1u}) {
      for (const size_t byte : {size_t{0}, size_t{kAndsPerPiece / 8 - 1}}) {
        const auto turn = [byte](Bytes& payload) { payload.at(byte) ^= 0x10; };
        EXPECT_EQ(at_garbler(g, kResults, turn, piece), AbortCode::kLabelProof)
            << piece << " " << byte;
      }
    }
    EXPECT_EQ(at_garbler(g, kProof, [](Bytes& payload) { payload.at(0) ^= 0x10; }),
              AbortCode::kLabelProof);
  }
}

TEST_P(Pieces, OfAnotherLengthAreRefused) {
  for (const size_t piece : {0u, 1u}) {
    EXPECT_EQ(at_garbler(
                  0, kResults, [](Bytes& payload) { payload.push_back(0); }, piece),
              AbortCode::kUnexpectedMessage);
    EXPECT_EQ(at_garbler(
                  0, kResults, [](Bytes& payload) { payload.pop_back(); }, piece),
              AbortCode::kUnexpectedMessage);
  }
  // Behind the fifth AND of the last piece.
  EXPECT_EQ(at_garbler(0, kProof, [](Bytes& payload) { payload.at(0) ^= 0x20; }),
            AbortCode::kUnexpectedMessage);
}

TEST(PackBits, AtEveryBitAndLength) {
  std::mt19937_64 random(5);
  for (size_t count = 0; count < 70; ++count) {
    Bytes bytes(count);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes packed((count + 7) / 8, 0xff);
      pack_bits(bytes.data(), bit, packed, count);
      for (size_t t = 0; t < 8 * packed.size(); ++t) {
        const unsigned expected = t < count ? bytes[t] >> bit & 1u : 0u;
        EXPECT_EQ(packed[t / 8] >> (t % 8) & 1u, expected) << count << " " << bit << " " << t;
      }
    }
  }
}

}  // namespace
}  // namespace flexroom::boolean::testing
