#include <atomic>
#include <mutex>

#include "unit/boolean/scenario.h"

// Engine::run_together(): several instances of one evaluator in the flows of one
// (boolean-engine.md §7.1 to §7.5, App. B).

namespace flexroom::boolean::testing {
namespace {

using mpc::Bits;
using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

constexpr uint32_t kBits = 24;

/// Opens and keeps ANDs of bits of party 0 with public ones.
std::shared_ptr<const mpc::Program> program_of(unsigned turn) {
  Builder builder;
  const Bits a = builder.add_input("a", InputKind::kPriv, kBits, 0);
  const Bits b = builder.add_input("b", InputKind::kPub, kBits);
  Bits open, keep;
  for (size_t t = 0; t < kBits; ++t) {
    open.push_back((a[t] & a[(t + turn) % kBits]) ^ (a[(t + 1) % kBits] & b[t]));
    keep.push_back(a[t] & b[(t + turn) % kBits]);
  }
  builder.add_output("open", OutputKind::kOpenAll, open);
  builder.add_output("keep", OutputKind::kKeep, keep);
  return std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
}
bool a(size_t t) { return t % 3 != 1; }
bool b(size_t t) { return t % 4 != 2; }
std::vector<uint8_t> expected(unsigned turn) {
  std::vector<uint8_t> out(kBits);
  for (size_t t = 0; t < kBits; ++t) {
    out[t] = (a(t) && a((t + turn) % kBits)) != (a((t + 1) % kBits) && b(t));
  }
  return out;
}

/// What each party does with two instances; `view(party, k)` is its view of instance k.
struct Two {
  explicit Two(const Roles& roles) : n(roles.num_parties), evaluator(roles.evaluator) {}
  const size_t n;
  const PartyId evaluator;
  net::Tamper tamper = nullptr;
  std::function<uint8_t(PartyId, size_t)> view = [](PartyId, size_t k) {
    return static_cast<uint8_t>(k);
  };
  /// That party runs the first alone.
  std::optional<PartyId> one_alone;
  uint64_t half_rounds = 0;

  support::Run<std::vector<std::vector<uint8_t>>> run() {
    support::Dealer dealer(n);
    std::mutex mutex;
    return support::run_parties(
        n,
        [&](net::Party& party) {
          Engine engine(party, dealer.source(party.id()));
          std::vector<Preparation> circuits;
          circuits.push_back({program_of(5), {}, "first", evaluator});
          circuits.push_back({program_of(7), {}, "second"});
          circuits.back().with_previous = true;
          const auto instances = engine.prepare(std::move(circuits));
          std::vector<OnlineInputs> inputs(2);
          for (size_t k = 0; k < 2; ++k) {
            inputs[k].priv.resize(2);
            inputs[k].pub.resize(2);
            for (size_t t = 0; t < kBits; ++t) {
              if (party.id() == 0) inputs[k].priv[0].push_back(a(t));
              inputs[k].pub[1].push_back(b(t));
            }
            inputs[k].view[0] = view(party.id(), k);
          }
          std::vector<InstanceRun> runs;
          for (size_t k = 0; k < (one_alone == party.id() ? 1u : 2u); ++k) {
            runs.push_back({*instances[k], inputs[k]});
          }
          const uint64_t before = party.traffic().half_rounds;
          const std::vector<Outputs> outputs = engine.run_together(runs);
          const std::lock_guard lock(mutex);
          half_rounds = std::max(half_rounds, party.traffic().half_rounds - before);
          std::vector<std::vector<uint8_t>> opened;
          for (const Outputs& out : outputs) opened.push_back(out.opened[0]);
          return opened;
        },
        tamper);
  }
};

/// Flows of one instance alone, as the busiest party counts them.
uint64_t flows_of_one(size_t n, PartyId evaluator) {
  support::Dealer dealer(n);
  std::mutex mutex;
  uint64_t out = 0;
  (void)support::run_parties(n, [&](net::Party& party) {
    Engine engine(party, dealer.source(party.id()));
    std::vector<Preparation> circuits;
    circuits.push_back({program_of(5), {}, "first", evaluator});
    const auto instances = engine.prepare(std::move(circuits));
    OnlineInputs inputs;
    inputs.priv.resize(2);
    inputs.pub = {{}, std::vector<uint8_t>(kBits)};
    if (party.id() == 0) inputs.priv[0].resize(kBits);
    const uint64_t before = party.traffic().half_rounds;
    (void)engine.run(*instances[0], inputs);
    const std::lock_guard lock(mutex);
    out = std::max(out, party.traffic().half_rounds - before);
    return true;
  });
  return out;
}

class Together : public ::testing::TestWithParam<Roles> {};
INSTANTIATE_TEST_SUITE_P(Parties, Together, ::testing::ValuesIn(all_roles({2, 3})));

TEST_P(Together, GivesWhatEachGivesAloneInTheFlowsOfOne) {
  Two two(GetParam());
  const auto run = two.run();
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    EXPECT_EQ((*outcome.value)[0], expected(5));
    EXPECT_EQ((*outcome.value)[1], expected(7));
  }
  EXPECT_EQ(two.half_rounds, flows_of_one(two.n, two.evaluator));
}

// A view of either that differs: no label of any of them leaves.
TEST_P(Together, AnotherViewOfEitherLetsNoLabelLeave) {
  for (const size_t k : {0u, 1u}) {
    for (PartyId odd = 0; odd < GetParam().num_parties; ++odd) {
      Two two(GetParam());
      two.view = [=](PartyId i, size_t of) {
        return static_cast<uint8_t>(of + (i == odd && of == k ? 9 : 0));
      };
      std::atomic<size_t> labels = 0;
      two.tamper = [&](const net::MessageId& message, Bytes&) {
        if (message.label == "boolean/O2 labels") ++labels;
      };
      const auto run = two.run();
      EXPECT_EQ(labels, 0u);
      bool differs = false;
      for (const auto& outcome : run.outcomes) {
        EXPECT_FALSE(outcome.value.has_value());
        differs = differs || outcome.code() == AbortCode::kViewMismatch;
      }
      EXPECT_TRUE(differs);
    }
  }
}

// A party that runs one of them alone has another view of it, and is not waited for.
TEST_P(Together, APartyThatRunsFewerIsFoundByItsView) {
  for (PartyId odd = 0; odd < GetParam().num_parties; ++odd) {
    Two two(GetParam());
    two.one_alone = odd;
    two.view = [=](PartyId i, size_t of) { return static_cast<uint8_t>(of + (i == odd ? 9 : 0)); };
    std::atomic<size_t> labels = 0;
    two.tamper = [&](const net::MessageId& message, Bytes&) {
      if (message.label == "boolean/O2 labels") ++labels;
    };
    const auto start = std::chrono::steady_clock::now();
    const auto run = two.run();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
    EXPECT_EQ(labels, 0u);
    bool differs = false;
    for (const auto& outcome : run.outcomes) {
      EXPECT_FALSE(outcome.value.has_value());
      differs = differs || outcome.code() == AbortCode::kViewMismatch;
    }
    EXPECT_TRUE(differs);
  }
}

// Each check of the second holds as it does alone, and its output shares stay behind it.
TEST_P(Together, EveryLieAboutTheSecondIsFound) {
  const PartyId evaluator = GetParam().evaluator;
  const auto garbler = static_cast<PartyId>((evaluator + 1) % GetParam().num_parties);
  struct Lie {
    const char* label;
    PartyId sender, receiver;
    AbortCode code;
  };
  for (const Lie& lie : {Lie{"boolean/O2 labels", garbler, evaluator, AbortCode::kLabelProof},
                         Lie{"boolean/O3 label proof", evaluator, garbler, AbortCode::kLabelProof},
                         Lie{"boolean/O4 c-proof", garbler, evaluator, AbortCode::kCProof},
                         Lie{"boolean/outputs", garbler, evaluator, AbortCode::kMac},
                         Lie{"boolean/outputs", evaluator, garbler, AbortCode::kMac}}) {
    for (const size_t index : {0u, 1u}) {
      Two two(GetParam());
      std::atomic<size_t> outputs_of_evaluator = 0, proofs = 0;
      const net::Tamper change = on_message(
          lie.sender, lie.label, [](Bytes& m) { m.at(0) ^= 1; }, index, lie.receiver);
      two.tamper = [&](const net::MessageId& message, Bytes& payload) {
        if (message.label == "boolean/outputs" && message.sender == evaluator) {
          ++outputs_of_evaluator;
        }
        if (message.label == "boolean/O4 c-proof" && message.sender == garbler) ++proofs;
        change(message, payload);
      };
      const auto run = two.run();
      EXPECT_EQ(run.outcomes[lie.receiver].code(), lie.code) << lie.label << " " << index;
      if (lie.receiver == evaluator) {
        EXPECT_EQ(outputs_of_evaluator, 0u) << lie.label;
      }
      // A label proof that fails leaves every c-proof unsent, that of the other instance too.
      if (lie.sender == evaluator && lie.code == AbortCode::kLabelProof) {
        EXPECT_EQ(proofs, 0u);
      }
    }
  }
}

// Those that may run together count as one circuit where evaluators are chosen.
TEST(TogetherEvaluators, ArePreparedForOne) {
  support::Dealer dealer(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    Engine engine(party, dealer.source(party.id()));
    std::vector<Preparation> circuits;
    for (const char* name : {"one", "two", "three"}) circuits.push_back({program_of(5), {}, name});
    circuits[2].with_previous = true;  // two and three: the larger part
    std::vector<PartyId> out;
    for (const auto& instance : engine.prepare(std::move(circuits))) {
      out.push_back(instance->evaluator());
    }
    return out;
  });
  for (const auto& outcome : run.outcomes)
    EXPECT_EQ(outcome.value, (std::vector<PartyId>{1, 0, 0}));
}

}  // namespace
}  // namespace flexroom::boolean::testing
