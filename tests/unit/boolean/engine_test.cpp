#include "boolean/engine.h"

#include "unit/boolean/scenario.h"

namespace flexroom::boolean::testing {
namespace {

using mpc::Bits;
using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using prep::AuthBits;

class EngineOf : public ::testing::TestWithParam<Roles> {
 protected:
  static size_t num_parties() { return GetParam().num_parties; }
  static PartyId evaluator() { return GetParam().evaluator; }
};
std::vector<Roles> engine_roles() {
  std::vector<Roles> out = all_roles({2, 3});
  out.push_back({4, 2});
  return out;
}
INSTANTIATE_TEST_SUITE_P(Parties, EngineOf, ::testing::ValuesIn(engine_roles()));

TEST_P(EngineOf, RandomCircuitsGiveThePlainResult) {
  const uint32_t batches[] = {1, 7, 64, 200};
  for (uint64_t seed = 0; seed < 12; ++seed) {
    CircuitShape shape;
    shape.batch = batches[seed % 4];
    shape.gates = 40 + static_cast<unsigned>(seed) * 60;
    shape.with_dyn = seed % 3 != 1;
    shape.with_zero = seed % 4 != 2;
    shape.with_pub = seed % 5 != 3;
    const Scenario scenario = random_scenario(GetParam(), seed, shape);
    support::Dealer dealer(num_parties(), seed + 1);
    RunOptions options;
    options.seed = seed + 100;
    expect_correct(scenario, dealer, run_scenario(scenario, dealer, options));
  }
}

// More ANDs than one message of rows holds, and a last message that is not full.
TEST(Engine, RowsTravelInSeveralMessages) {
  Builder builder;
  Bits state = builder.add_input("a", InputKind::kPriv, 64, 0);
  const Bits key = builder.add_input("b", InputKind::kDyn, 64);
  for (unsigned round = 0; round < 1100; ++round) {
    Bits next;
    for (size_t t = 0; t < 64; ++t) {
      next.push_back((state[t] & state[(t + 7) % 64]) ^ state[(t + 1) % 64] ^
                     key[(t + round) % 64]);
    }
    state = next;
  }
  builder.add_output("open", OutputKind::kOpenAll, state);
  Scenario scenario;
  scenario.circuit = builder.finish();
  scenario.program = std::make_shared<mpc::Program>(mpc::compile(scenario.circuit));
  std::vector<bool> bits(128);
  for (size_t t = 0; t < bits.size(); ++t) bits[t] = t % 5 < 2;
  scenario.set_inputs(bits);
  ASSERT_GT(scenario.program->num_ands(), 2u << 15);
  support::Dealer dealer(2);
  const auto run = run_scenario(scenario, dealer);
  expect_correct(scenario, dealer, run);
  size_t messages = 0, bytes = 0;
  for (const auto& message : run.trace) {
    if (message.label != "boolean/F2 rows") continue;
    ++messages;
    bytes += message.bytes;
  }
  const size_t ands = scenario.program->num_ands();
  EXPECT_EQ(messages, (ands + (1 << 15) - 1) >> 15);
  EXPECT_EQ(bytes, 32 * ands + (ands + 7) / 8);
}

TEST_P(EngineOf, ACircuitWithoutAndsWorks) {
  Builder builder;
  const Bits a = builder.add_input("a", InputKind::kPriv, 3, 0);
  const Bits b = builder.add_input("b", InputKind::kDyn, 3);
  builder.add_input("nothing", InputKind::kDyn, 0);
  builder.add_output("open", OutputKind::kOpenAll, {a[0] ^ b[0], !b[1]});
  builder.add_output("keep", OutputKind::kKeep, {a[2]});
  Scenario scenario;
  scenario.num_parties = num_parties();
  scenario.evaluator = evaluator();
  scenario.circuit = builder.finish();
  scenario.program = std::make_shared<mpc::Program>(mpc::compile(scenario.circuit));
  scenario.set_inputs({true, false, true, true, true, false});
  support::Dealer dealer(num_parties());
  expect_correct(scenario, dealer, run_scenario(scenario, dealer));
}

// Kept outputs of one circuit are kDyn and kZero inputs of the next.
TEST_P(EngineOf, KeptOutputsFeedASecondCircuit) {
  const size_t n = num_parties();
  const Scenario first = random_scenario(GetParam(), 31);
  const size_t keep = first.circuit.output_group("keep");
  const size_t count = first.expected[keep].size();
  Builder builder;
  const Bits dyn = builder.add_input("dyn", InputKind::kDyn, static_cast<uint32_t>(count));
  const Bits zero = builder.add_input("zero", InputKind::kZero, static_cast<uint32_t>(count));
  Bits open, kept;
  for (size_t t = 0; t < count; ++t) {
    open.push_back((dyn[t] & zero[(t + 1) % count]) ^ zero[t]);
    open.push_back(dyn[t] ^ zero[t]);
    kept.push_back(zero[t] ^ zero[(t + 3) % count]);
  }
  builder.add_output("open", OutputKind::kOpenAll, open);
  builder.add_output("kept", OutputKind::kKeep, kept);
  Scenario second;
  second.num_parties = n;
  second.circuit = builder.finish();
  second.program = std::make_shared<mpc::Program>(mpc::compile(second.circuit));
  std::vector<bool> inputs = first.expected[keep];
  inputs.insert(inputs.end(), first.expected[keep].begin(), first.expected[keep].end());
  second.set_inputs(inputs);

  support::Dealer dealer(n);
  auto run1 = run_scenario(first, dealer);
  expect_correct(first, dealer, run1);
  RunOptions options;
  options.alter = [&](PartyId i, PartyInputs& in) {
    in.dyn[0] = run1.outcomes[i].value->kept[keep].clone();
    in.zero[1] = run1.outcomes[i].value->kept[keep].clone();
  };
  expect_correct(second, dealer, run_scenario(second, dealer, options));
}

// boolean-engine.md §3.5: shares of an output that is linear in bits of one owner must not be
// linear in them.
TEST(Engine, OutputsOverOwnedInputsAreRemasked) {
  for (const size_t n : {3u, 4u}) {
    constexpr uint32_t kBits = 64;
    Builder builder;
    const Bits zero = builder.add_input("zero", InputKind::kZero, kBits);
    Bits kept;
    for (uint32_t t = 0; t < kBits; ++t) kept.push_back(zero[t] ^ zero[(t + 1) % kBits]);
    builder.add_output("kept", OutputKind::kKeep, kept);
    builder.add_output("open", OutputKind::kOpenAll, kept);
    Scenario scenario;
    scenario.num_parties = n;
    scenario.circuit = builder.finish();
    scenario.program = std::make_shared<mpc::Program>(mpc::compile(scenario.circuit));
    std::vector<bool> bits(kBits);
    for (uint32_t t = 0; t < kBits; ++t) bits[t] = t % 3 == 0;
    scenario.set_inputs(bits);
    support::Dealer dealer(n);
    RunOptions options;
    options.alter = [&](PartyId i, PartyInputs& in) {
      in.zero[0] = dealer.source(i).owned_bits_of(1, kBits, scenario.group_bits(0));
    };
    const auto run = run_scenario(scenario, dealer, options);
    expect_correct(scenario, dealer, run);
    for (const auto& outcome : run.outcomes) {
      unsigned ones = 0;
      for (uint32_t t = 0; t < kBits; ++t) ones += outcome.value->kept[0].share(t) ? 1 : 0;
      EXPECT_GT(ones, 10u);
      EXPECT_LT(ones, 54u);
    }
  }
}

TEST_P(EngineOf, OnlineMessagesOfAppendixB) {
  const Scenario scenario = random_scenario(GetParam(), 3);
  const auto run = run_scenario(scenario);
  const size_t ands = scenario.program->num_ands();
  for (const auto& message : run.trace) {
    if (message.label == "boolean/F1 operands") {
      EXPECT_EQ(message.bytes, (2 * scenario.program->num_triples + 7) / 8 + 16);
    } else if (message.label == "boolean/F2 rows") {
      EXPECT_EQ(message.receiver, evaluator());
      EXPECT_EQ(message.bytes, 16 * (2 + 3 * (num_parties() - 2)) * ands +
                                   (message.sender == scenario.garbler() ? (ands + 7) / 8 : 0));
    } else if (message.label == "boolean/O2 labels") {
      EXPECT_EQ(message.receiver, evaluator());
      EXPECT_EQ(message.bytes, 16 * scenario.program->num_inputs());
    } else if (message.label == "boolean/O3 label proof") {
      EXPECT_EQ(message.sender, evaluator());
      EXPECT_EQ(message.bytes, (ands + 7) / 8 + 16);
    } else if (message.label == "boolean/O4 c-proof") {
      EXPECT_EQ(message.bytes, 16u);
    }
  }
}

TEST_P(EngineOf, TheStartHookRunsBeforeAnythingOnlineLeaves) {
  const Scenario scenario = random_scenario(GetParam(), 4);
  std::mutex mutex;
  std::vector<bool> started(num_parties());
  std::vector<Digest> ids(num_parties());
  RunOptions options;
  options.configure = [&](net::Party& party, Engine& engine) {
    engine.set_start_hook([&, i = party.id()](const Digest& id) {
      const std::lock_guard lock(mutex);
      started[i] = true;
      ids[i] = id;
    });
  };
  options.tamper = [&](const net::MessageId& message, Bytes&) {
    const std::lock_guard lock(mutex);
    const bool online = message.label == "boolean/masked inputs" ||
                        message.label == "boolean/dyn inputs" ||
                        message.label == "boolean/O2 labels";
    EXPECT_TRUE(!online || started[message.sender]) << message.label;
    EXPECT_FALSE(message.label == "boolean/F2 rows" && started[message.sender]);
  };
  support::Dealer dealer(num_parties());
  expect_correct(scenario, dealer, run_scenario(scenario, dealer, options));
  for (const Digest& id : ids) EXPECT_EQ(id, ids[0]);
}

TEST_P(EngineOf, AStartThatIsNotDurableIsNoStart) {
  const Scenario scenario = random_scenario(GetParam(), 4);
  RunOptions options;
  options.configure = [](net::Party&, Engine& engine) {
    engine.set_start_hook(
        [](const Digest&) { throw ProtocolAbort(AbortCode::kCancelled, "start", "disk full"); });
  };
  const auto run = run_scenario(scenario, options);
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.code(), AbortCode::kCancelled);
  for (const auto& message : run.trace) {
    EXPECT_TRUE(message.label.starts_with("boolean/F") || message.label == "boolean/prepare" ||
                message.label == "boolean/re-mask")
        << message.label;
  }
}

TEST_P(EngineOf, DifferentProgramsAreRefused) {
  const Scenario a = random_scenario(GetParam(), 1), b = random_scenario(GetParam(), 2);
  support::Dealer dealer(num_parties());
  const auto run = support::run_parties(num_parties(), [&](net::Party& party) {
    Engine engine(party, dealer.source(party.id()));
    engine.prepare(party.id() == 1 ? b.program : a.program, {}, "test");
    return true;
  });
  size_t refused = 0;
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.abort.has_value());
    if (outcome.code() == AbortCode::kDisagreement) ++refused;
  }
  EXPECT_GE(refused, 1u);
}

// Two runs of one circuit with equal scope, name and delta must not share a hash key.
TEST(Engine, InstanceIdsAreFresh) {
  const Scenario scenario = random_scenario(2, 6);
  Digest first{}, second{};
  RunOptions options;
  options.prepared = [&](PartyId i, const Instance& instance) {
    if (i == 0) first = instance.id();
  };
  run_scenario(scenario, options);
  options.prepared = [&](PartyId i, const Instance& instance) {
    if (i == 0) second = instance.id();
  };
  options.seed = 8;  // other nonces
  run_scenario(scenario, options);
  EXPECT_NE(first, second);
}

// The evaluator must see nothing but the sum of the garblers' answers (§7.4): each carries a share
// of zero among the garblers alone. With keys that do not cancel the sum is wrong.
TEST(Engine, CProofsOfSingleGarblersAreMasked) {
  for (const Roles& roles : all_roles({3})) {
    const Scenario scenario = random_scenario(roles, 9);
    for (const PartyId other : {scenario.garbler(1), scenario.evaluator}) {
      RunOptions options;
      options.configure = [&](net::Party& party, Engine&) {
        if (party.id() != scenario.garbler()) return;
        auto keys = party.zero_keys();
        keys[other] ^= Block(1, 1);
        party.set_zero_keys(keys);
      };
      const auto code = run_scenario(scenario, options).outcomes[roles.evaluator].code();
      if (other == roles.evaluator) {
        EXPECT_EQ(code, std::nullopt);
      } else {
        EXPECT_EQ(code, AbortCode::kCProof);
      }
    }
  }
}

// §6.3: a label seed for each instance. Labels of one wire in two instances of a session must not
// be equal or differ by delta, which is what reuse would look like to the evaluator.
TEST_P(EngineOf, LabelsOfTwoInstancesAreUnrelated) {
  const Scenario scenario = random_scenario(GetParam(), 10);
  support::Dealer dealer(num_parties());
  std::vector<Bytes> labels;
  RunOptions options;
  options.tamper = [&](const net::MessageId& message, Bytes& payload) {
    if (message.label == "boolean/O2 labels" && message.sender == scenario.garbler()) {
      labels.push_back(payload);
    }
  };
  for (int round = 0; round < 2; ++round) {
    options.seed = 30 + static_cast<uint64_t>(round);
    expect_correct(scenario, dealer, run_scenario(scenario, dealer, options));
  }
  ASSERT_EQ(labels.size(), 2u);
  ASSERT_EQ(labels[0].size(), 16 * scenario.circuit.num_inputs);
  for (size_t at = 0; at < labels[0].size(); at += 16) {
    const Block difference = load_block(&labels[0][at]) ^ load_block(&labels[1][at]);
    EXPECT_NE(difference, Block());
    EXPECT_NE(difference, dealer.delta(scenario.garbler()));
  }
}

// §10.1(6): nothing goes on after an abort, also not with fresh material.
TEST_P(EngineOf, AfterAnAbortTheEngineRefuses) {
  support::Dealer dealer(num_parties());
  const auto run = support::run_parties(
      num_parties(),
      [&](net::Party& party) {
        Engine engine(party, dealer.source(party.id()));
        Builder builder;
        const Bits a = builder.add_input("a", InputKind::kPriv, 2, 0);
        builder.add_output("o", OutputKind::kOpenAll, {a[0] & a[1]});
        const auto program = std::make_shared<mpc::Program>(mpc::compile(builder.finish()));
        const auto other = engine.prepare(program, {}, "prepared before");
        std::optional<AbortCode> again, online;
        try {
          engine.prepare(program, {}, "attacked");
        } catch (const ProtocolAbort&) {
          OnlineInputs inputs;
          inputs.priv = {{1, 1}};
          try {
            engine.prepare(program, {}, "again");
          } catch (const ProtocolAbort& abort) {
            again = abort.code();
          }
          try {
            engine.run(*other, inputs);
          } catch (const ProtocolAbort& abort) {
            online = abort.code();
          }
          EXPECT_EQ(again, AbortCode::kCancelled);
          EXPECT_EQ(online, AbortCode::kCancelled);
          throw;
        }
        return true;
      },
      on_message(
          1, "boolean/F1 operands", [](Bytes& payload) { payload.at(0) ^= 1; }, 1));
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kMac);
  for (const auto& message : run.trace) {
    EXPECT_NE(message.label, "boolean/masked inputs");
    EXPECT_TRUE(message.label != "boolean/prepare" || message.index < 2);
  }
}

/// Refuses the `refused`-th batch of triples, as a source does whose unfinished batches are too
/// many.
class Refusing final : public prep::Source {
 public:
  Refusing(prep::Source& source, int refused) : source_(source), left_(refused) {}
  const Block& delta() const override { return source_.delta(); }
  AuthBits random_bits(size_t count) override { return source_.random_bits(count); }
  AuthBits owned_bits(PartyId owner, size_t count) override {
    return source_.owned_bits(owner, count);
  }
  AuthBits owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) override {
    return source_.owned_bits_of(owner, count, bits);
  }
  prep::AndTriples and_triples(size_t count) override {
    if (left_-- == 0) throw ProtocolAbort(AbortCode::kTooManyUnfinished, "preprocessing", "full");
    return source_.and_triples(count);
  }
  prep::VecTriple vec_triple(size_t count) override { return source_.vec_triple(count); }
  prep::Powers powers(size_t max_power) override { return source_.powers(max_power); }
  RotSender rot_send(PartyId receiver, size_t count) override {
    return source_.rot_send(receiver, count);
  }
  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override {
    return source_.rot_receive(sender, count, choices);
  }

 private:
  prep::Source& source_;
  int left_;
};

// §10.1(6): a refusal in the middle of garbling leaves masks, labels and counters used, here and at
// the peers. Only a disagreement, found before anything is used, leaves the session as it was.
TEST_P(EngineOf, ARefusalInTheMiddleOfGarblingEndsTheSession) {
  Builder builder;
  Bits state = builder.add_input("a", InputKind::kPriv, 64, 0);
  for (unsigned round = 0; round < 1100; ++round) {  // more ANDs than one slab
    Bits next;
    for (size_t t = 0; t < 64; ++t) {
      next.push_back((state[t] & state[(t + 7) % 64]) ^ state[(t + 1) % 64]);
    }
    state = next;
  }
  builder.add_output("o", OutputKind::kOpenAll, state);
  const auto program = std::make_shared<mpc::Program>(mpc::compile(builder.finish()));
  for (const int refused : {0, 1}) {
    support::Dealer dealer(num_parties());
    const auto run = support::run_parties(num_parties(), [&](net::Party& party) {
      Refusing source(dealer.source(party.id()), refused);
      Engine engine(party, source);
      std::vector<std::optional<AbortCode>> codes;
      for (const char* name : {"one", "two"}) {
        try {
          engine.prepare(program, {}, name);
          codes.emplace_back();
        } catch (const ProtocolAbort& abort) {
          codes.emplace_back(abort.code());
        }
      }
      return codes;
    });
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value());
      EXPECT_EQ((*outcome.value)[0], AbortCode::kTooManyUnfinished) << refused;
      EXPECT_EQ((*outcome.value)[1], AbortCode::kCancelled) << refused;
    }
  }
}

TEST_P(EngineOf, ADisagreementLeavesTheSessionAsItWas) {
  const auto program_of = [](unsigned size) {
    Builder builder;
    const Bits a = builder.add_input("a", InputKind::kPriv, size, 0);
    builder.add_output("o", OutputKind::kOpenAll, {a[0] & a[1]});
    return std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
  };
  const auto one = program_of(2), another = program_of(3);
  support::Dealer dealer(num_parties());
  const auto run = support::run_parties(num_parties(), [&](net::Party& party) {
    Engine engine(party, dealer.source(party.id()));
    std::optional<AbortCode> first;
    try {
      // All differ from the first, which differs from all.
      engine.prepare(party.id() == 0 ? one : another, {}, std::to_string(party.id()));
    } catch (const ProtocolAbort& abort) {
      first = abort.code();
    }
    EXPECT_EQ(first, AbortCode::kDisagreement);
    return engine.prepare(one, {}, "alike") != nullptr;
  });
  for (const auto& outcome : run.outcomes) {
    EXPECT_TRUE(outcome.value.has_value()) << (outcome.abort ? outcome.abort->what() : "");
  }
}

// §7.5: what a member that finished another instance says is not an ok.
TEST_P(EngineOf, AnOkOfAnotherInstanceIsNone) {
  const Scenario scenario = random_scenario(GetParam(), 12);
  RunOptions options;
  options.tamper = on_message(
      1, "boolean/O6 ok", [](Bytes& payload) { payload.at(0) ^= 1; }, 0, PartyId{0});
  EXPECT_EQ(run_scenario(scenario, options).outcomes[0].code(), AbortCode::kUnexpectedMessage);
}

// A second run would release a second label of each input wire.
TEST(EngineDeathTest, AnInstanceRunsOnce) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto run_twice = [] {
    Builder builder;
    const Bits a = builder.add_input("a", InputKind::kPriv, 2, 0);
    builder.add_output("o", OutputKind::kOpenAll, {a[0] & a[1]});
    const auto program = std::make_shared<mpc::Program>(mpc::compile(builder.finish()));
    support::Dealer dealer(2);
    support::run_parties(2, [&](net::Party& party) {
      Engine engine(party, dealer.source(party.id()));
      const auto instance = engine.prepare(program, {}, "once");
      OnlineInputs inputs;
      inputs.priv = {{1, 1}};
      engine.run(*instance, inputs);
      inputs.priv = {{0, 1}};
      engine.run(*instance, inputs);
      return true;
    });
  };
  EXPECT_DEATH(run_twice(), "kPrepared");
}

}  // namespace
}  // namespace flexroom::boolean::testing
