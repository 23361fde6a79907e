#include "session/pool_source.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>

#include "boolean/engine.h"
#include "mpc/builder.h"
#include "prep/session_hello.h"
#include "support/deal_epoch.h"
#include "support/parties.h"
#include "support/relations.h"

// Two or three members with databases of their own; every "session" is a new mesh, new objects and
// a new session id, as after a restart.

namespace flexroom::session {
namespace {

namespace fs = std::filesystem;

constexpr prep::TripleParameters kSmall{3, 256, 64, true};
constexpr size_t kBatch = kSmall.batch;
constexpr prep::TripleParameters kMasked{1, kBatch, 64, true, prep::TripleProtocol::kMasked};

class PooledSourceTest : public ::testing::Test {
 protected:
  PooledSourceTest() {
    char name[] = "/tmp/flexroom-pool-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~PooledSourceTest() override { fs::remove_all(root_); }

  /// `body(party, source, once)` at each member; `fault` sees durable steps of member 0.
  template <typename Body>
  auto session(Body body, size_t n = 2, net::Tamper tamper = nullptr,
               std::function<void(std::string_view)> fault = nullptr) {
    const auto epochs = support::deal_epoch(n);
    live_made_ = {};
    return support::run_parties(
        n,
        [&](net::Party& party) {
          const PartyId i = party.id();
          prep::session_hello(party, epochs[i], prep::kProtocol);
          const fs::path dir = root_ / std::to_string(i);
          store::OnceDb once(dir / "once.db", dir.string() + ".key", fs::exists(dir), {16, 64}, {},
                             i == 0 ? fault : nullptr);
          EXPECT_TRUE(once.connect(party));
          PooledSource source(
              party, once, epochs[i].delta, kBatch,
              [&] {
                live_made_.at(i) = true;
                return std::make_unique<prep::SessionPrep>(party, epochs[i], once, parameters_);
              },
              prep::protocol_number(parameters_.protocol));
          return body(party, source, once);
        },
        std::move(tamper), std::chrono::seconds(20), next_seed_++);
  }
  template <typename Run>
  static void expect_good_triples(const Run& run, size_t n = 2) {
    std::vector<Block> deltas;
    for (const auto& epoch : support::deal_epoch(n)) deltas.push_back(epoch.delta);
    const auto views = support::views_of<prep::AndTriples>(run);
    support::expect_triples(views, deltas);
  }
  void fill(size_t triples, size_t bits, size_t n = 2) {
    const auto run = session([&](net::Party&, PooledSource& source,
                                 store::OnceDb&) { return source.fill(triples, bits); },
                             n);
    for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.has_value());
  }

  fs::path root_;
  prep::TripleParameters parameters_ = kSmall;  // of the room
  std::array<bool, 3> live_made_{};             // in this session, by member
  uint64_t next_seed_ = 1;
};

TEST_F(PooledSourceTest, WhatWasFilledServesALaterSessionWithoutGenerating) {
  for (const size_t n : {2u, 3u}) {
    fs::remove_all(root_ / "0");
    for (const auto& entry : fs::directory_iterator(root_)) fs::remove_all(entry);
    fill(2 * kBatch + 1, kBatch, n);
    Block first_mac;
    for (const size_t expected_left : {2 * kBatch, 1 * kBatch, size_t{0}}) {
      const auto run = session(
          [&](net::Party& party, PooledSource& source, store::OnceDb&) {
            prep::AndTriples some = source.and_triples(100);
            const prep::AndTriples more = source.and_triples(56);
            some.x.append(more.x);
            some.y.append(more.y);
            some.z.append(more.z);
            EXPECT_EQ(source.stock().triples, expected_left);
            EXPECT_FALSE(live_made_[party.id()]);
            return some;
          },
          n);
      expect_good_triples(run, n);
      const Block mac = run.outcomes[0].value->x.mac[1][0];
      EXPECT_NE(mac, first_mac);
      first_mac = mac;
    }
    const auto rest = session(
        [&](net::Party& party, PooledSource& source, store::OnceDb&) {
          EXPECT_EQ(source.stock().triples, 0u);
          EXPECT_EQ(source.stock().bits, kBatch);
          prep::AndTriples made = source.and_triples(10);
          EXPECT_TRUE(live_made_[party.id()]);
          return made;
        },
        n);
    expect_good_triples(rest, n);
  }
}

TEST_F(PooledSourceTest, AShortPoolIsUsedUpAndTheRestGenerated) {
  fill(2 * kBatch, 0);
  const auto run = session([&](net::Party& party, PooledSource& source, store::OnceDb&) {
    prep::AndTriples out = source.and_triples(3 * kBatch - 7);
    EXPECT_EQ(source.stock().triples, 0u);
    EXPECT_TRUE(live_made_[party.id()]);
    return out;
  });
  expect_good_triples(run);
}

// Several batches of the pool are asked for at once, and masked ones then have one coin together.
TEST_F(PooledSourceTest, AStockIsMadeInFewLongBatches) {
  parameters_ = kMasked;
  size_t coins = 0;
  const auto filled = session(
      [](net::Party&, PooledSource& source, store::OnceDb&) { return source.fill(6 * kBatch, 0); },
      2,
      [&](const net::MessageId& message, Bytes&) {
        coins += message.sender == 0 && message.label == "masked and/h/coin open";
      });
  for (const auto& outcome : filled.outcomes) EXPECT_EQ(outcome.value, 6u);
  EXPECT_EQ(coins, 2u);  // of four batches, of two
  const auto run = session([&](net::Party&, PooledSource& source, store::OnceDb&) {
    EXPECT_EQ(source.stock().triples, 6 * kBatch);
    return source.and_triples(6 * kBatch);
  });
  expect_good_triples(run);
}

// Buckets are asked for one by one: four batches of 2^20 of them would not fit beside each other.
TEST_F(PooledSourceTest, AStockOfBucketsIsMadeBatchByBatch) {
  size_t products = 0;
  const auto filled = session(
      [](net::Party&, PooledSource& source, store::OnceDb&) { return source.fill(3 * kBatch, 0); },
      2,
      [&](const net::MessageId& message, Bytes&) {
        products += message.sender == 0 && message.label == "field products/chi/coin open";
      });
  for (const auto& outcome : filled.outcomes) EXPECT_EQ(outcome.value, 3u);
  EXPECT_EQ(products, 3u);  // those of several batches would be made together
}

TEST_F(PooledSourceTest, BitsFromThePoolAreAuthentic) {
  fill(0, 2 * kBatch);
  const auto run = session([&](net::Party& party, PooledSource& source, store::OnceDb&) {
    prep::AuthBits bits = source.random_bits(kBatch + 30);
    bits.append(source.random_bits(30));
    EXPECT_FALSE(live_made_[party.id()]);
    return bits;
  });
  const auto epochs = support::deal_epoch(2);
  support::expect_authentic(support::views_of<prep::AuthBits>(run),
                            {epochs[0].delta, epochs[1].delta});
}

// An item that no honest member can have made is this store's damage, not a failed opening later.
TEST_F(PooledSourceTest, BitsThatContradictThemselvesAreALocalError) {
  fill(0, kBatch);
  const auto damage = [](net::Party& party, PooledSource&, store::OnceDb& once) {
    Bytes item(64 * 2 * sizeof(Block));
    item[64 * sizeof(Block)] = 1;  // bit0 of the first key
    once.pool().add(as_bytes("b damaged"), party.scope().eid, item.size(), item, prep::kProtocol);
    return true;
  };
  session(damage);
  const auto run = session([&](net::Party&, PooledSource& source, store::OnceDb&) {
    try {
      source.random_bits(2 * kBatch);
    } catch (const InputError& error) {
      return std::string(error.what()).find("contradicts itself") != std::string::npos;
    }
    return false;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.value_or(false));
}

TEST_F(PooledSourceTest, AGarbledCircuitRunsOnThePool) {
  fill(kBatch, 2 * kBatch);
  mpc::Builder builder;
  const auto a = builder.add_input("a", mpc::InputKind::kPriv, 64, 0);
  const auto b = builder.add_input("b", mpc::InputKind::kPriv, 64, 1);
  mpc::Bits out;
  for (size_t t = 0; t < 64; ++t) out.push_back((a[t] ^ b[t]) & b[63 - t]);
  builder.add_output("out", mpc::OutputKind::kOpenAll, out);
  const auto program = std::make_shared<mpc::Program>(mpc::compile(builder.finish()));
  const auto bit_a = [](size_t t) { return static_cast<uint8_t>(t % 3 == 0); };
  const auto bit_b = [](size_t t) { return static_cast<uint8_t>(t % 5 < 2); };
  const auto run = session([&](net::Party& party, PooledSource& source, store::OnceDb&) {
    boolean::Engine engine(party, source);
    const auto instance = engine.prepare(program, {}, "circuit");
    boolean::OnlineInputs inputs;
    inputs.priv.resize(2);
    for (size_t t = 0; t < 64; ++t) {
      inputs.priv[party.id()].push_back(party.id() == 0 ? bit_a(t) : bit_b(t));
    }
    auto outputs = engine.run(*instance, inputs);
    engine.confirm(*instance);
    EXPECT_EQ(source.stock().triples, 0u);  // one portion of 256 was taken
    return outputs.opened.at(0);
  });
  std::vector<uint8_t> expected;
  for (size_t t = 0; t < 64; ++t) {
    expected.push_back(static_cast<uint8_t>((bit_a(t) ^ bit_b(t)) & bit_b(63 - t)));
  }
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, expected);
}

// One member dies after it burned, before the other asked; nothing of it is used again, and what
// both use next still fits together.
TEST_F(PooledSourceTest, KilledBetweenBurnAndUse) {
  fill(4 * kBatch, 0);
  const pid_t child = fork();
  if (child == 0) {
    session(
        [&](net::Party& party, PooledSource& source, store::OnceDb&) {
          if (party.id() == 0) source.and_triples(2 * kBatch);
          return true;
        },
        2, nullptr,
        [](std::string_view step) {
          if (step == "burned") kill(getpid(), SIGKILL);
        });
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  const auto run = session([&](net::Party&, PooledSource& source, store::OnceDb&) {
    EXPECT_EQ(source.stock().triples, 2 * kBatch);
    return source.and_triples(kBatch);
  });
  expect_good_triples(run);
}

TEST_F(PooledSourceTest, KilledWhileFillingLeavesWhatBothHave) {
  const pid_t child = fork();
  if (child == 0) {
    int added = 0;
    session([&](net::Party&, PooledSource& source, store::OnceDb&) { return source.fill(1024, 0); },
            2, nullptr,
            [&](std::string_view step) {
              if (step == "added" && ++added == 3) kill(getpid(), SIGKILL);
            });
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  std::array<uint64_t, 2> stock{};
  const auto run = session([&](net::Party& party, PooledSource& source, store::OnceDb&) {
    stock[party.id()] = source.stock().triples;
    return source.and_triples(2 * kBatch);
  });
  expect_good_triples(run);
  EXPECT_EQ(stock[0], stock[1]);
  EXPECT_GE(stock[0], 2 * kBatch);
  EXPECT_LE(stock[0], 3 * kBatch);
}

// engine-v2.md §2.9: a batch names what made it, and a triple is a triple: a room that changes its
// `triples` keeps its stock.
TEST_F(PooledSourceTest, AStockOfEitherKindServesARoomOfTheOther) {
  parameters_ = kMasked;
  fill(2 * kBatch, 0);
  parameters_ = kSmall;
  fill(kBatch, 0);
  for (const prep::TripleParameters& room : {kSmall, kMasked}) {
    parameters_ = room;
    const auto run = session([&](net::Party& party, PooledSource& source, store::OnceDb&) {
      prep::AndTriples out = source.and_triples(kBatch);
      EXPECT_FALSE(live_made_[party.id()]);
      return out;
    });
    expect_good_triples(run);
  }
}

// engine-v2.md §2.6: what the disk says of a batch that was killed at one of its messages, and that
// nothing of it is in the way of the next.
TEST_F(PooledSourceTest, AMaskedBatchThatIsKilledIsCountedIffItsTupleWasBeingChecked) {
  parameters_ = kMasked;
  const auto dirty = [&] {
    const fs::path dir = root_ / "0";
    return store::OnceDb(dir / "once.db", dir.string() + ".key", true, {16, 64}, {}, nullptr)
        .counters()
        .dirty;
  };
  uint32_t expected = 0;
  for (const std::string_view label :
       {"key trees", "key cot/check seed", "key tuple/g", "key tuple/o", "key tuple/v",
        "masked and/U", "masked and/d", "masked and/p", "masked and/zero verdict"}) {
    const pid_t child = fork();
    if (child == 0) {
      session([](net::Party&, PooledSource& source, store::OnceDb&) { return source.fill(1, 0); },
              2,
              [&](const net::MessageId& message, Bytes&) {
                if (message.sender == 0 && message.label == label) kill(getpid(), SIGKILL);
              });
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << label;
    expected += label == "key tuple/v" || label.starts_with("masked and/") ? 1 : 0;
    EXPECT_EQ(dirty(), expected) << label;
  }
  const auto run = session([&](net::Party&, PooledSource& source, store::OnceDb&) {
    EXPECT_EQ(source.stock().triples, 0u);  // of no batch that died
    return source.and_triples(kBatch);
  });
  expect_good_triples(run);
  EXPECT_EQ(dirty(), expected);
}

TEST_F(PooledSourceTest, ADurableMessageForAnotherBatchStopsTheFill) {
  const auto run = session(
      [&](net::Party&, PooledSource& source, store::OnceDb& once) {
        try {
          source.fill(1, 0);
        } catch (const ProtocolAbort&) {
          EXPECT_TRUE(once.pool().stock().empty());
          EXPECT_THROW(source.and_triples(1), ProtocolAbort);
          throw;
        }
        return true;
      },
      2, support::flip_bit_of({1, 0, "pool/durable", 0, 0}));
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kDisagreement);
}

TEST_F(PooledSourceTest, ABurnedEpochOrALostKeyLeavesNoStock) {
  fill(kBatch, 0);
  const auto burned = session([&](net::Party&, PooledSource& source, store::OnceDb& once) {
    once.burn(AbortCode::kMac);
    EXPECT_EQ(source.stock().triples, 0u);
    source.and_triples(1);
    return true;
  });
  for (const auto& o : burned.outcomes) EXPECT_EQ(o.code(), AbortCode::kEpochBurned);

  for (const auto& entry : fs::directory_iterator(root_)) fs::remove_all(entry);
  fill(kBatch, 0);
  fs::remove(root_ / "1.key");  // as on a machine restored from a backup
  const auto lost = session([&](net::Party& party, PooledSource& source, store::OnceDb& once) {
    EXPECT_EQ(source.stock().triples, 0u);
    EXPECT_EQ(once.counters().needs_operator, party.id() == 1);
    return true;
  });
  for (const auto& o : lost.outcomes) EXPECT_TRUE(o.value.has_value());
}

}  // namespace
}  // namespace flexroom::session
