#include "base/codec.h"
#include "base/prg.h"
#include "math/gf128.h"
#include "unit/boolean/scenario.h"

// Every check of boolean-engine.md §6, §7 is violated once, and then every message of an honest run
// is altered in turn (§14's list).

namespace flexroom::boolean::testing {
namespace {

using prep::AuthBits;

constexpr uint64_t kSeed = 21;

Scenario scenario_for(const Roles& roles) { return random_scenario(roles, kSeed); }

void flip_first_bit(Bytes& payload) { payload.at(0) ^= 1; }
void flip_last_bit(Bytes& payload) { payload.back() ^= 0x80; }
void flip_byte(Bytes& payload, size_t at) { payload.at(at) ^= 1; }

void add_block(Bytes& payload, size_t at, const Block& block) {
  ASSERT_LE(at + 16, payload.size());
  store_block(payload.data() + at, load_block(payload.data() + at) ^ block);
}

/// How `party` ended. Several parties may notice a lie; the slower one then sees the other's abort
/// instead, so that is tried again.
std::optional<AbortCode> code_of(const Scenario& scenario, const RunOptions& options,
                                 PartyId party) {
  std::optional<AbortCode> code;
  for (unsigned attempt = 0; attempt < 50; ++attempt) {
    support::Dealer dealer(scenario.num_parties);
    const auto run = run_scenario(scenario, dealer, options);
    for (const auto& outcome : run.outcomes) {
      EXPECT_TRUE(!outcome.value || opened_right(scenario, *outcome.value));
    }
    code = run.outcomes[party].code();
    if (code != AbortCode::kCancelled && code != AbortCode::kPeerLost) break;
  }
  return code;
}

std::optional<AbortCode> code_with(const Scenario& scenario, net::Tamper tamper, PartyId party) {
  RunOptions options;
  options.tamper = std::move(tamper);
  return code_of(scenario, options, party);
}

/// The last AND in circuit order with no AND behind it that could read it: the last one executed.
size_t last_unread_and(const Scenario& scenario) { return scenario.program->num_ands() - 1; }

class Tampering : public ::testing::TestWithParam<Roles> {};
INSTANTIATE_TEST_SUITE_P(Parties, Tampering, ::testing::ValuesIn(all_roles({2, 3})));
class TamperingOfTwo : public ::testing::TestWithParam<Roles> {};
INSTANTIATE_TEST_SUITE_P(Parties, TamperingOfTwo, ::testing::ValuesIn(all_roles({2})));
class TamperingOfThree : public ::testing::TestWithParam<Roles> {};
INSTANTIATE_TEST_SUITE_P(Parties, TamperingOfThree, ::testing::ValuesIn(all_roles({3})));

TEST_P(Tampering, BeaverOpeningIsAuthenticated) {
  const Scenario s = scenario_for(GetParam());
  for (const PartyId liar : {0u, 1u}) {
    const PartyId honest = 1 - liar;
    EXPECT_EQ(code_with(s, on_message(liar, "boolean/F1 operands", flip_first_bit), honest),
              AbortCode::kMac);
    EXPECT_EQ(code_with(s, on_message(liar, "boolean/F1 operands", flip_last_bit), honest),
              AbortCode::kMac);
  }
}

TEST_P(Tampering, DynOpeningIsAuthenticated) {
  const Scenario s = scenario_for(GetParam());
  for (const PartyId liar : {0u, 1u}) {
    EXPECT_EQ(code_with(s, on_message(liar, "boolean/dyn inputs", flip_first_bit), 1 - liar),
              AbortCode::kMac);
    EXPECT_EQ(code_with(s, on_message(liar, "boolean/dyn inputs", flip_last_bit), 1 - liar),
              AbortCode::kMac);
  }
}

TEST_P(Tampering, OutputOpeningIsAuthenticated) {
  const Scenario s = scenario_for(GetParam());
  for (const PartyId liar : {0u, 1u}) {
    EXPECT_EQ(code_with(s, on_message(liar, "boolean/outputs", flip_first_bit), 1 - liar),
              AbortCode::kMac);
    EXPECT_EQ(code_with(s, on_message(liar, "boolean/outputs", flip_last_bit), 1 - liar),
              AbortCode::kMac);
  }
}

TEST(TamperingOf, PrivateMasksAreOpenedToTheirOwnerAuthenticated) {
  const Scenario s = scenario_for(Roles{3, 0});
  EXPECT_EQ(code_with(s, on_message(0, "boolean/F0 private mask", flip_first_bit), 1),
            AbortCode::kMac);
  EXPECT_EQ(code_with(s, on_message(2, "boolean/F0 private mask", flip_last_bit), 0),
            AbortCode::kMac);
}

TEST(TamperingOf, RemaskingIsAuthenticated) {
  const Scenario s = scenario_for(Roles{3, 0});
  EXPECT_EQ(code_with(s, on_message(2, "boolean/re-mask", flip_first_bit), 0), AbortCode::kMac);
  EXPECT_EQ(code_with(s, on_message(0, "boolean/re-mask", flip_last_bit), 1), AbortCode::kMac);
}

TEST_P(Tampering, LabelProofCoversBitsAndTag) {
  const Scenario s = scenario_for(GetParam());
  for (size_t g = 0; g + 1 < s.num_parties; ++g) {
    const PartyId garbler = s.garbler(g);
    const auto proof = [&](void (*change)(Bytes&)) {
      return code_with(s, on_message(s.evaluator, "boolean/O3 label proof", change, 0, garbler),
                       garbler);
    };
    EXPECT_EQ(proof(flip_first_bit), AbortCode::kLabelProof);
    EXPECT_EQ(proof(flip_last_bit), AbortCode::kLabelProof);
  }
}

// A garbler that saw a false label proof has answered nothing (§7.4: step 2 before step 3).
TEST_P(Tampering, NothingFollowsAFailedLabelProof) {
  const Scenario s = scenario_for(GetParam());
  RunOptions options;
  options.tamper =
      on_message(s.evaluator, "boolean/O3 label proof", flip_first_bit, 0, s.garbler());
  EXPECT_EQ(code_of(s, options, s.garbler()), AbortCode::kLabelProof);
  const auto run = run_scenario(s, options);
  for (const auto& message : run.trace) {
    if (message.sender != s.garbler()) continue;
    EXPECT_NE(message.label, "boolean/O4 c-proof");
    EXPECT_NE(message.label, "boolean/outputs");
  }
}

// And the evaluator shows no share of an output of what it could not check (§7.5).
TEST_P(Tampering, CProofIsChecked) {
  const Scenario s = scenario_for(GetParam());
  for (size_t g = 0; g + 1 < s.num_parties; ++g) {
    RunOptions options;
    options.tamper = on_message(s.garbler(g), "boolean/O4 c-proof", flip_first_bit);
    EXPECT_EQ(code_of(s, options, s.evaluator), AbortCode::kCProof);
    const auto run = run_scenario(s, options);
    for (const auto& message : run.trace) {
      EXPECT_FALSE(message.sender == s.evaluator && message.label == "boolean/outputs");
    }
  }
}

// n = 2: a row shifted by the garbler's own delta turns the label into the valid one of the flipped
// value. The label proof passes; only the c-proof can see it, and only where the row is selected.
TEST_P(TamperingOfTwo, RowsShiftedByTheGarblersDelta) {
  const Scenario s = scenario_for(GetParam());
  const size_t ands = s.program->num_ands();
  size_t caught = 0, harmless = 0;
  for (size_t row = 0; row < 2; ++row) {
    for (size_t t = 0; t < ands; t += 3) {
      support::Dealer dealer(2);
      RunOptions options;
      options.tamper = on_message(s.garbler(), "boolean/F2 rows", [&](Bytes& payload) {
        add_block(payload, 16 * (row * ands + t), dealer.delta(s.garbler()));
      });
      const auto run = run_scenario(s, dealer, options);
      if (run.outcomes[s.evaluator].value) {
        expect_correct(s, dealer, run);
        ++harmless;
      } else {
        EXPECT_EQ(run.outcomes[s.evaluator].code(), AbortCode::kCProof);
        ++caught;
      }
    }
  }
  EXPECT_GT(caught, 10u);
  EXPECT_GT(harmless, 10u);
}

// A bit of each row kind, from each garbler: the honest label proof fails, or the row was not used.
TEST_P(Tampering, EveryRowKind) {
  const size_t n = GetParam().num_parties;
  const Scenario s = scenario_for(GetParam());
  const size_t ands = s.program->num_ands();
  for (size_t g = 0; g + 1 < n; ++g) {
    const PartyId garbler = s.garbler(g);
    for (size_t row = 0; row < 2 + 3 * (n - 2); ++row) {
      size_t aborted = 0, harmless = 0;
      for (size_t t = 0; t < ands && t < 24; t += 2) {
        support::Dealer dealer(n);
        RunOptions options;
        options.tamper = on_message(garbler, "boolean/F2 rows", [&](Bytes& payload) {
          flip_byte(payload, 16 * (row * ands + t) + 5);
        });
        const auto run = run_scenario(s, dealer, options);
        if (run.outcomes[s.evaluator].value) {
          expect_correct(s, dealer, run);
          ++harmless;
          continue;
        }
        ++aborted;
        // Cross rows feed another garbler's label, whose owner is honest and must be the one that
        // sees it.
        if (row >= 2) {
          EXPECT_EQ(run.outcomes[s.garbler(1 - g)].code(), AbortCode::kLabelProof);
        }
      }
      const bool selected_always = row == 4;  // C_2
      EXPECT_GT(aborted, 0u) << "row " << row;
      EXPECT_EQ(harmless == 0, selected_always) << "row " << row;
    }
  }
}

// The garbler flips a colour bit and skips its own label check: simulated by correcting the tag on
// the way to it. The evaluator's c-proof must fail.
TEST_P(TamperingOfTwo, AColourBitOfAGarblerThatSkipsTheLabelProof) {
  const Scenario s = scenario_for(GetParam());
  const size_t ands = s.program->num_ands();
  // A gate that feeds no other gate, so that only its own masked value is false.
  const size_t target = last_unread_and(s);
  support::Dealer dealer(2);
  RunOptions options;
  Block s_inst;
  RoScope scope;
  scope.eid[0] = 1;
  scope.sid[0] = 2;
  options.prepared = [&](PartyId i, const Instance& instance) {
    if (i == s.evaluator) s_inst = RandomOracle("gc", scope).field(instance.id()).block();
  };
  options.tamper = [&](const net::MessageId& message, Bytes& payload) {
    if (message.label == "boolean/F2 rows") {
      payload.at(32 * ands + target / 8) ^= static_cast<uint8_t>(1u << (target % 8));
    }
    if (message.label != "boolean/O3 label proof") return;
    const ByteView gammas = ByteView(payload).first((ands + 7) / 8);
    const math::ChiStream chi(RandomOracle("lab", scope).field(s_inst).field(gammas).block());
    Block coefficient[1];
    chi.fill(target, coefficient);
    add_block(payload, (ands + 7) / 8, math::gf_mul(coefficient[0], dealer.delta(s.garbler())));
  };
  const auto run = run_scenario(s, dealer, options);
  EXPECT_EQ(run.outcomes[s.evaluator].code(), AbortCode::kCProof);
}

TEST_P(TamperingOfThree, AColourBitIsSeenByAnotherGarbler) {
  const Scenario s = scenario_for(GetParam());
  const size_t ands = s.program->num_ands();
  const auto flip_colour = [&](Bytes& payload) { flip_byte(payload, 16 * 5 * ands); };
  EXPECT_EQ(code_with(s, on_message(s.garbler(), "boolean/F2 rows", flip_colour), s.garbler(1)),
            AbortCode::kLabelProof);
}

TEST_P(TamperingOfThree, AnInputLabelIsSeenByAnotherGarbler) {
  const Scenario s = scenario_for(GetParam());
  for (const size_t liar : {0u, 1u}) {
    const auto turn = [](Bytes& payload) { flip_byte(payload, 5); };
    EXPECT_EQ(
        code_with(s, on_message(s.garbler(liar), "boolean/O2 labels", turn), s.garbler(1 - liar)),
        AbortCode::kLabelProof);
  }
}

// A garbler that sends the label of the other public value: another view, the same view hash. The
// evaluator would go on with an input that nobody gave, and both proofs would pass (§7.2).
TEST_P(Tampering, APubLabelOfTheOtherValue) {
  const Scenario s = scenario_for(GetParam());
  const size_t wire = s.circuit.input_offset(s.circuit.input_group("pub"));
  for (size_t g = 0; g + 1 < s.num_parties; ++g) {
    support::Dealer dealer(s.num_parties);
    RunOptions options;
    options.tamper = on_message(s.garbler(g), "boolean/O2 labels", [&](Bytes& payload) {
      add_block(payload, 16 * wire, dealer.delta(s.garbler(g)));
    });
    const auto run = run_scenario(s, dealer, options);
    EXPECT_EQ(run.outcomes[s.evaluator].code(), AbortCode::kLabelProof) << g;
    for (const auto& message : run.trace) EXPECT_NE(message.label, "boolean/O3 label proof");
  }
}

// The same of every other kind of input.
TEST_P(Tampering, ALabelOfAnotherValueThanTheMaskedOne) {
  const Scenario s = scenario_for(GetParam());
  for (size_t g = 0; g < s.program->inputs.size(); ++g) {
    if (s.program->inputs[g].size == 0) continue;
    const size_t wire = s.program->input_offset(g);
    support::Dealer dealer(s.num_parties);
    RunOptions options;
    options.tamper = on_message(s.garbler(), "boolean/O2 labels", [&](Bytes& payload) {
      add_block(payload, 16 * wire, dealer.delta(s.garbler()));
    });
    EXPECT_EQ(run_scenario(s, dealer, options).outcomes[s.evaluator].code(), AbortCode::kLabelProof)
        << s.program->inputs[g].name;
  }
}

TEST_P(Tampering, AnEvaluatorWithAnotherPubValueMeetsItsLabels) {
  const Scenario s = scenario_for(GetParam());
  RunOptions options;
  options.alter = [&](PartyId i, PartyInputs& in) {
    if (i == s.evaluator) in.online.pub[s.circuit.input_group("pub")][0] ^= 1;
  };
  EXPECT_EQ(code_of(s, options, s.evaluator), AbortCode::kLabelProof);
}

TEST_P(Tampering, DifferentViewsStopBeforeAnyLabel) {
  const Scenario s = scenario_for(GetParam());
  for (const PartyId other : {s.evaluator, s.garbler()}) {
    RunOptions options;
    options.alter = [&](PartyId i, PartyInputs& in) {
      if (i == other) in.online.view[3] ^= 1;
    };
    EXPECT_EQ(code_of(s, options, s.garbler()), AbortCode::kViewMismatch);
    const auto run = run_scenario(s, options);
    for (const auto& message : run.trace) EXPECT_NE(message.label, "boolean/O2 labels");
  }
}

TEST_P(TamperingOfTwo, AMaskedValueOfTheEvaluator) {
  const Scenario s = scenario_for(GetParam());
  EXPECT_EQ(
      code_with(s, on_message(s.evaluator, "boolean/masked inputs", flip_first_bit), s.evaluator),
      AbortCode::kLabelProof);
}

TEST_P(TamperingOfThree, ASplitPrivateInput) {
  const Scenario s = scenario_for(GetParam());
  for (PartyId liar = 0; liar < 3; ++liar) {
    const PartyId told = (liar + 1) % 3, other = (liar + 2) % 3;
    RunOptions options;
    options.tamper = on_message(liar, "boolean/masked inputs", flip_first_bit, 0, told);
    const auto run = run_scenario(s, options);
    // Whoever is slower may see the other one's abort first.
    EXPECT_TRUE(run.outcomes[told].code() == AbortCode::kEcho ||
                run.outcomes[other].code() == AbortCode::kEcho);
    EXPECT_FALSE(run.outcomes[told].value || run.outcomes[other].value);
    for (const auto& message : run.trace) EXPECT_NE(message.label, "boolean/O2 labels");
  }
}

// What a disk or a corrupted party does to a stored bit: share (with its mac's bit0), mac, key.
TEST_P(Tampering, AlteredRecordsAreCaughtAtFirstUse) {
  const size_t n = GetParam().num_parties;
  const Scenario s = scenario_for(GetParam());
  for (const char* group : {"dyn", "zero"}) {
    const size_t g = s.circuit.input_group(group);
    for (const PartyId owner : {0u, 1u}) {
      const PartyId peer = 1 - owner;
      for (int kind = 0; kind < 3; ++kind) {
        RunOptions options;
        options.alter = [&](PartyId i, PartyInputs& in) {
          if (i != owner) return;
          AuthBits& bits = group[0] == 'd' ? in.dyn[g] : in.zero[g];
          if (kind == 0) {
            for (PartyId j = 0; j < n; ++j) {
              if (j != i) bits.mac[j][1].lo ^= 1;
            }
          } else {
            (kind == 1 ? bits.mac : bits.key)[peer][1].hi ^= 4;
          }
        };
        // An altered key is noticed by its holder, the rest by the peer.
        EXPECT_EQ(code_of(s, options, kind == 2 ? owner : peer), AbortCode::kMac)
            << group << " " << owner << " " << kind;
      }
    }
  }
}

TEST_P(Tampering, MessagesOfWrongLengthAreRefused) {
  const Scenario s = scenario_for(GetParam());
  for (const char* label : {"boolean/F2 rows", "boolean/O2 labels", "boolean/O4 c-proof"}) {
    const auto altered = [&](void (*change)(Bytes&)) {
      return code_with(s, on_message(s.garbler(), label, change), s.evaluator);
    };
    EXPECT_EQ(altered([](Bytes& b) { b.push_back(0); }), AbortCode::kUnexpectedMessage);
    EXPECT_EQ(altered([](Bytes& b) { b.pop_back(); }), AbortCode::kUnexpectedMessage);
  }
  const auto cleared =
      on_message(s.evaluator, "boolean/O3 label proof", [](Bytes& b) { b.clear(); });
  EXPECT_EQ(code_with(s, cleared, s.garbler()), AbortCode::kUnexpectedMessage);
}

// One bit of every message: no honest party ends with a wrong result. What is not harmless (a row
// that Lambda does not select) stops the run.
TEST_P(Tampering, NoAlteredMessageYieldsAWrongResult) {
  const size_t n = GetParam().num_parties;
  const Scenario s = scenario_for(GetParam());
  support::Dealer honest_dealer(n);
  const auto honest = run_scenario(s, honest_dealer);
  expect_correct(s, honest_dealer, honest);
  std::mt19937_64 random(5);
  size_t harmless_rows = 0, stopped = 0;
  for (const net::MessageId& message : honest.trace) {
    for (unsigned k = 0; k < (n == 2 ? 8u : 3u); ++k) {
      support::Dealer dealer(n);
      RunOptions options;
      options.tamper = support::flip_bit_of(message, random(), static_cast<unsigned>(random()));
      const auto run = run_scenario(s, dealer, options);
      bool all_ended = true;
      for (PartyId i = 0; i < n; ++i) {
        if (!run.outcomes[i].value) {
          all_ended = false;
        } else if (i != message.sender) {
          EXPECT_TRUE(opened_right(s, *run.outcomes[i].value)) << message.label;
        }
      }
      if (!all_ended) {
        ++stopped;
        continue;
      }
      EXPECT_EQ(message.label, "boolean/F2 rows");
      expect_correct(s, dealer, run);
      ++harmless_rows;
    }
  }
  EXPECT_GT(stopped, 0u);
  RecordProperty("harmless_rows", static_cast<int>(harmless_rows));
}

}  // namespace
}  // namespace flexroom::boolean::testing
