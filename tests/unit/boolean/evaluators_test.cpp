#include "boolean/evaluators.h"

#include <numeric>

#include "boolean/garble.h"
#include "boolean/masks.h"
#include "unit/boolean/scenario.h"

// boolean-engine.md §6.7: who evaluates which instance, what binds it, and what must not be mixed
// where it changes.

namespace flexroom::boolean::testing {
namespace {

using mpc::Bits;
using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

constexpr std::string_view kOperandsLabel = "boolean/F1 operands";
constexpr std::string_view kRowsLabel = "boolean/F2 rows";

// --- The plan -----------------------------------------------------------------------------------

TEST(EvaluatorPlanTest, TheLargestGoFirstToWhoeverEvaluatesFewest) {
  const EvaluatorPlan two(2);
  EXPECT_EQ(two.assign(std::vector<uint64_t>{5, 9, 3}), (std::vector<PartyId>{1, 0, 1}));
  EXPECT_EQ(two.assign(std::vector<uint64_t>{4, 4, 4}), (std::vector<PartyId>{0, 1, 0}));
  const EvaluatorPlan three(3);
  EXPECT_EQ(three.assign(std::vector<uint64_t>{1, 2, 3, 4}), (std::vector<PartyId>{2, 2, 1, 0}));
  EXPECT_TRUE(three.assign({}).empty());
}

TEST(EvaluatorPlanTest, WhatWasAgreedCountsAndNothingElse) {
  EvaluatorPlan plan(2);
  const std::vector<uint64_t> ten{10}, one{1};
  EXPECT_EQ(plan.assign(ten), std::vector<PartyId>{0});
  EXPECT_EQ(plan.assign(ten), std::vector<PartyId>{0});  // a question changes nothing
  plan.count(ten, std::vector<PartyId>{1});              // decided elsewhere
  EXPECT_EQ(plan.assign(one), std::vector<PartyId>{0});
  plan.count(std::vector<uint64_t>{11}, std::vector<PartyId>{0});
  EXPECT_EQ(plan.assign(one), std::vector<PartyId>{1});
}

// Over a session no member evaluates more than another by more than the largest instance.
TEST(EvaluatorPlanTest, ASessionIsInBalance) {
  std::mt19937_64 random(3);
  for (const size_t n : {2u, 3u, 4u}) {
    EvaluatorPlan plan(n);
    std::vector<uint64_t> evaluated(n);
    uint64_t largest = 0;
    for (unsigned call = 0; call < 40; ++call) {
      std::vector<uint64_t> ands(1 + random() % 4);
      for (uint64_t& one : ands) one = random() % 100000;
      const std::vector<PartyId> evaluators = plan.assign(ands);
      plan.count(ands, evaluators);
      for (size_t k = 0; k < ands.size(); ++k) {
        evaluated.at(evaluators[k]) += ands[k];
        largest = std::max(largest, ands[k]);
      }
      const auto [least, most] = std::minmax_element(evaluated.begin(), evaluated.end());
      EXPECT_LE(*most - *least, largest);
    }
  }
}

TEST(EvaluatorPlanTest, GarblersFollowTheirEvaluator) {
  EXPECT_EQ(garblers_of(2, 0), std::vector<PartyId>{1});
  EXPECT_EQ(garblers_of(2, 1), std::vector<PartyId>{0});
  EXPECT_EQ(garblers_of(4, 2), (std::vector<PartyId>{3, 0, 1}));
}

// --- Agreement ----------------------------------------------------------------------------------

/// The AND of two private bits of party 0.
std::shared_ptr<const mpc::Program> one_gate() {
  Builder builder;
  const Bits a = builder.add_input("a", InputKind::kPriv, 2, 0);
  builder.add_output("o", OutputKind::kOpenAll, {a[0] & a[1]});
  return std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
}

std::vector<Preparation> of(std::shared_ptr<const mpc::Program> program, PartyId evaluator) {
  std::vector<Preparation> out;
  out.push_back({std::move(program), {}, "one", evaluator});
  return out;
}

class Agreement : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Parties, Agreement, ::testing::Values(2, 3));

// Members that do not agree on who evaluates say so by name, before any mask, label or row exists,
// and can go on.
TEST_P(Agreement, AnotherEvaluatorIsRefusedByName) {
  const auto program = one_gate();
  support::Dealer dealer(GetParam());
  const auto run = support::run_parties(GetParam(), [&](net::Party& party) {
    Engine engine(party, dealer.source(party.id()));
    std::optional<ProtocolAbort> refused;
    try {
      engine.prepare(of(program, party.id() == 1 ? 1 : 0));
    } catch (const ProtocolAbort& abort) {
      refused = abort;
    }
    EXPECT_TRUE(refused.has_value());
    EXPECT_EQ(refused->code(), AbortCode::kDisagreement);
    EXPECT_EQ(refused->peer(), party.id() == 1 ? 0u : 1u);
    EXPECT_NE(std::string(refused->what()).find("evaluate"), std::string::npos);
    EXPECT_EQ(party.traffic().bytes_sent_by_label.size(), 1u);  // of the agreement alone
    return engine.prepare(program, {}, "alike")->evaluator();
  });
  for (const auto& outcome : run.outcomes) {
    EXPECT_EQ(outcome.value, PartyId{0}) << (outcome.abort ? outcome.abort->what() : "");
  }
}

/// Ids of what is prepared with given nonces.
std::vector<Digest> ids_of(size_t count, PartyId evaluator) {
  const auto program = one_gate();
  support::Dealer dealer(2);
  const auto run = support::run_parties(
      2,
      [&](net::Party& party) {
        Engine engine(party, dealer.source(party.id()));
        std::vector<Preparation> circuits;
        for (size_t k = 0; k < count; ++k) circuits.push_back({program, {}, "one", evaluator});
        std::vector<Digest> ids;
        for (const auto& instance : engine.prepare(std::move(circuits))) {
          ids.push_back(instance->id());
        }
        return ids;
      },
      nullptr, std::chrono::seconds(60), 11);
  EXPECT_EQ(*run.outcomes[0].value, *run.outcomes[1].value);
  return *run.outcomes[0].value;
}

// With it S_inst, every hash of garbling, the seeds of both proofs and the view.
TEST(Agreement, TheEvaluatorIsInTheId) {
  EXPECT_EQ(ids_of(1, 0), ids_of(1, 0));  // the nonces of this test are the same
  EXPECT_NE(ids_of(1, 0), ids_of(1, 1));
}

// The plan goes on from one call to the next.
TEST(Agreement, WhatWasPreparedBeforeCounts) {
  const auto program = one_gate();
  support::Dealer dealer(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    Engine engine(party, dealer.source(party.id()));
    std::vector<PartyId> out;
    for (unsigned k = 0; k < 3; ++k) out.push_back(engine.prepare(program, {}, "one")->evaluator());
    return out;
  });
  for (const auto& outcome : run.outcomes) {
    EXPECT_EQ(outcome.value, (std::vector<PartyId>{0, 1, 0}));
  }
}

TEST(Agreement, InstancesThatArePreparedTogetherHaveIdsOfTheirOwn) {
  const std::vector<Digest> two = ids_of(2, 0);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_NE(two[0], two[1]);
}

// --- Side by side -------------------------------------------------------------------------------

/// Rounds of 64 ANDs, each on the last: more than one slab.
Scenario long_scenario(size_t num_parties, unsigned rounds) {
  Builder builder;
  Bits state = builder.add_input("a", InputKind::kPriv, 64, 0);
  const Bits key = builder.add_input("b", InputKind::kPriv, 64, 1);
  for (unsigned round = 0; round < rounds; ++round) {
    Bits next;
    for (size_t t = 0; t < 64; ++t) {
      next.push_back((state[t] & state[(t + 7) % 64]) ^ state[(t + 1) % 64] ^
                     key[(t + round) % 64]);
    }
    state = next;
  }
  builder.add_output("open", OutputKind::kOpenAll, state);
  Scenario out;
  out.num_parties = num_parties;
  out.circuit = builder.finish();
  out.program = std::make_shared<mpc::Program>(mpc::compile(out.circuit));
  std::vector<bool> bits(128);
  for (size_t t = 0; t < bits.size(); ++t) bits[t] = t % 5 < 2;
  out.set_inputs(bits);
  return out;
}

OnlineInputs inputs_of(const Scenario& scenario, PartyId self) {
  OnlineInputs out;
  out.priv.resize(scenario.circuit.inputs.size());
  for (size_t g = 0; g < out.priv.size(); ++g) {
    if (scenario.circuit.inputs[g].owner == self) out.priv[g] = scenario.group_bits(g);
  }
  return out;
}

class SideBySideTest : public ::testing::TestWithParam<size_t> {
 protected:
  /// All instances prepared in one call and run one after the other.
  static support::Run<std::vector<PartyId>> prepare_and_run(const std::vector<Scenario>& scenarios,
                                                            net::Tamper tamper = nullptr) {
    support::Dealer dealer(scenarios.front().num_parties);
    return support::run_parties(
        scenarios.front().num_parties,
        [&](net::Party& party) {
          Engine engine(party, dealer.source(party.id()));
          std::vector<Preparation> circuits;
          for (const Scenario& s : scenarios) circuits.push_back({s.program, {}, "test"});
          const auto instances = engine.prepare(std::move(circuits));
          std::vector<PartyId> evaluators;
          for (size_t k = 0; k < scenarios.size(); ++k) {
            const Outputs outputs = engine.run(*instances[k], inputs_of(scenarios[k], party.id()));
            EXPECT_TRUE(opened_right(scenarios[k], outputs));
            engine.confirm(*instances[k]);
            evaluators.push_back(instances[k]->evaluator());
          }
          return evaluators;
        },
        std::move(tamper));
  }
};
INSTANTIATE_TEST_SUITE_P(Parties, SideBySideTest, ::testing::Values(2, 3));

// One instance each at least, one of them of several slabs, one that begins when another ended.
TEST_P(SideBySideTest, EveryMemberSendsAsManyRows) {
  const size_t n = GetParam();
  std::vector<Scenario> scenarios = {long_scenario(n, 1100), long_scenario(n, 1090)};
  if (n == 3) scenarios.push_back(long_scenario(n, 1080));
  scenarios.push_back(long_scenario(n, 20));
  const auto run = prepare_and_run(scenarios);
  std::vector<PartyId> expected(n);
  std::iota(expected.begin(), expected.end(), PartyId{0});
  expected.push_back(static_cast<PartyId>(n - 1));
  std::vector<uint64_t> rows(n), operands(n);
  for (const auto& outcome : run.outcomes) ASSERT_EQ(outcome.value, expected);
  for (const auto& message : run.trace) {
    if (message.label == kRowsLabel) rows[message.sender] += message.bytes;
    if (message.label == kOperandsLabel) operands[message.sender] += message.bytes;
  }
  for (PartyId i = 1; i < n; ++i) {
    EXPECT_GT(20 * rows[i], 19 * rows[0]);
    EXPECT_LT(19 * rows[i], 20 * rows[0]);
    EXPECT_EQ(operands[i], operands[0]);
  }
}

// What each member sends in turn: no instance waits for the end of another one's rows.
TEST_P(SideBySideTest, RowsOfAllInstancesLeaveSlabBySlab) {
  const size_t n = GetParam();
  const std::vector<Scenario> scenarios(n, long_scenario(n, 1100));
  const uint32_t ands = scenarios[0].program->num_ands(), slab = ands_per_slab(n);
  std::string expected(n, 'o');  // operands of the first slab of each
  for (uint32_t first = 0; first < ands; first += slab) {
    if (first + slab < ands) expected += std::string(n, 'o');
    const uint32_t here = std::min(slab, ands - first);
    expected += std::string((here + kAndsPerMessage - 1) / kAndsPerMessage, 'r');
  }
  ASSERT_GT(ands, slab);
  std::mutex mutex;
  std::vector<std::string> order(n);
  const auto run = prepare_and_run(scenarios, [&](const net::MessageId& message, Bytes&) {
    if (message.receiver != (message.sender + 1) % n) return;
    const std::lock_guard lock(mutex);
    if (message.label == kOperandsLabel) order[message.sender] += 'o';
    if (message.label == kRowsLabel) order[message.sender] += 'r';
  });
  for (const auto& outcome : run.outcomes) ASSERT_TRUE(outcome.value.has_value());
  for (const std::string& sent : order) EXPECT_EQ(sent, expected);
}

// §6.2 holds for every instance: with a false operand of the second slab of one of them no row of
// any second slab leaves the member that was lied to.
TEST_P(SideBySideTest, RowsWaitForTheOperandsOfTheirInstance) {
  const size_t n = GetParam();
  const std::vector<Scenario> scenarios(n, long_scenario(n, 1100));
  for (size_t opening = n; opening < 2 * n; ++opening) {  // the second slab of each
    std::vector<size_t> rows(n);
    const auto code = support::decided_code([&] {
      rows.assign(n, 0);
      const auto run = prepare_and_run(scenarios, [&](const net::MessageId& m, Bytes& payload) {
        if (m.label == kRowsLabel) ++rows[m.sender];
        if (m.sender == 1 && m.receiver == 0 && m.label == kOperandsLabel && m.index == opening) {
          payload.at(payload.size() / 2) ^= 1;
        }
      });
      for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
      return run.outcomes[0].code();
    });
    EXPECT_EQ(code, AbortCode::kMac) << opening;
    EXPECT_EQ(rows[0], (n - 1) * (ands_per_slab(n) / kAndsPerMessage));
  }
}

// --- Chains -------------------------------------------------------------------------------------

/// k = a & b kept; then k & d and !k, kept and opened, of a kept `dyn` and `zero`.
struct Chain {
  std::shared_ptr<const mpc::Program> first, next;
  Chain() {
    Builder head;
    const Bits a = head.add_input("a", InputKind::kPriv, kBits, 0);
    const Bits b = head.add_input("b", InputKind::kPriv, kBits, 1);
    Bits k;
    for (size_t t = 0; t < kBits; ++t) k.push_back(a[t] & b[t]);
    head.add_output("k", OutputKind::kKeep, k);
    first = std::make_shared<const mpc::Program>(mpc::compile(head.finish()));
    Builder tail;
    const Bits v = tail.add_input("v", InputKind::kDyn, kBits);
    Bits keep, open;
    for (size_t t = 0; t < kBits; ++t) {
      keep.push_back(v[t] & v[(t + 1) % kBits]);
      open.push_back(v[t] ^ (v[t] & v[(t + 2) % kBits]));
    }
    tail.add_output("k", OutputKind::kKeep, keep);
    tail.add_output("o", OutputKind::kOpenAll, open);
    next = std::make_shared<const mpc::Program>(mpc::compile(tail.finish()));
  }
  static constexpr uint32_t kBits = 24;

  static bool a(size_t t) { return t % 4 != 1; }
  static bool b(size_t t) { return t % 5 != 2; }

  /// All instances are prepared first; `evaluators` of the first and of those behind it. Gives what
  /// each of those opened.
  support::Run<std::vector<std::vector<uint8_t>>> run(size_t n,
                                                      const std::vector<PartyId>& evaluators,
                                                      net::Tamper tamper,
                                                      support::Dealer& dealer) const {
    return support::run_parties(
        n,
        [&](net::Party& party) {
          Engine engine(party, dealer.source(party.id()));
          std::vector<Preparation> circuits;
          for (size_t k = 0; k < evaluators.size(); ++k) {
            circuits.push_back({k == 0 ? first : next, {}, "chain", evaluators[k]});
          }
          const auto instances = engine.prepare(std::move(circuits));
          OnlineInputs inputs;
          inputs.priv.resize(2);
          for (size_t t = 0; t < kBits; ++t) {
            if (party.id() == 0) inputs.priv[0].push_back(a(t));
            if (party.id() == 1) inputs.priv[1].push_back(b(t));
          }
          Outputs last = engine.run(*instances[0], inputs);
          std::vector<std::vector<uint8_t>> opened;
          for (size_t k = 1; k < instances.size(); ++k) {
            OnlineInputs later;
            later.dyn = {&last.kept[0]};
            Outputs now = engine.run(*instances[k], later);
            opened.push_back(now.opened[1]);
            last = std::move(now);
          }
          for (const auto& instance : instances) engine.confirm(*instance);
          return opened;
        },
        std::move(tamper));
  }
  static std::vector<std::vector<uint8_t>> expected(size_t count) {
    std::vector<uint8_t> v(kBits);
    for (size_t t = 0; t < kBits; ++t) v[t] = a(t) && b(t);
    std::vector<std::vector<uint8_t>> out;
    for (size_t k = 0; k < count; ++k) {
      std::vector<uint8_t> open(kBits), keep(kBits);
      for (size_t t = 0; t < kBits; ++t) {
        keep[t] = v[t] & v[(t + 1) % kBits];
        open[t] = v[t] ^ (v[t] & v[(t + 2) % kBits]);
      }
      out.push_back(std::move(open));
      v = std::move(keep);
    }
    return out;
  }
};

// A party is garbler of one and evaluator of the next, with shares of one delta all along.
TEST(Chains, OverChangingEvaluatorsGiveThePlainResult) {
  const Chain chain;
  for (const size_t n : {2u, 3u}) {
    const std::vector<PartyId> evaluators = {0, 1, 0, static_cast<PartyId>(n - 1), 1};
    support::Dealer dealer(n);
    const auto run = chain.run(n, evaluators, nullptr, dealer);
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
      EXPECT_EQ(*outcome.value, Chain::expected(evaluators.size() - 1));
    }
  }
}

// The garbler of the first instance turns gates and evaluates the second: what the other one keeps
// of the first is wrong, and nothing of it may be in a label of the second.
TEST(Chains, AGarblerOfTheFirstGetsNoLabelOfTheSecond) {
  const Chain chain;
  for (const PartyId evaluator : {0u, 1u}) {
    const PartyId garbler = 1 - evaluator;
    support::Dealer dealer(2);
    size_t labels = 0, lies = 0;
    const auto run = chain.run(
        2, {evaluator, garbler},
        [&](const net::MessageId& message, Bytes& payload) {
          if (message.label == "boolean/O2 labels" && message.sender == evaluator) ++labels;
          if (message.label != kRowsLabel || message.sender != garbler || message.index != 0)
            return;
          for (size_t t = 0; t < 2 * Chain::kBits; ++t, ++lies) {
            uint8_t* const row = payload.data() + 16 * t;
            store_block(row, load_block(row) ^ dealer.delta(garbler));
          }
        },
        dealer);
    EXPECT_GT(lies, 0u);
    EXPECT_EQ(run.outcomes[evaluator].code(), AbortCode::kCProof);
    EXPECT_EQ(labels, 0u);
  }
}

// The evaluator of the first lies about its values and garbles the second: the other one, whose
// turn it is to evaluate, says nothing any more.
TEST(Chains, AnEvaluatorThatLiedGetsNoInputOfTheSecond) {
  const Chain chain;
  for (const PartyId evaluator : {0u, 1u}) {
    const PartyId garbler = 1 - evaluator;
    support::Dealer dealer(2);
    size_t inputs = 0;
    const auto run = chain.run(
        2, {evaluator, garbler},
        [&](const net::MessageId& message, Bytes& payload) {
          if (message.label == "boolean/masked inputs" && message.sender == garbler) ++inputs;
          if (message.label == "boolean/O3 label proof") payload.at(0) ^= 1;
        },
        dealer);
    EXPECT_EQ(run.outcomes[garbler].code(), AbortCode::kLabelProof);
    EXPECT_EQ(inputs, 1u);  // of the first
  }
}

}  // namespace
}  // namespace flexroom::boolean::testing
