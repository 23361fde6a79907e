#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "prep/protocol.h"
#include "unit/store/store_fixture.h"

// boolean-engine.md §10.3: what is counted is compared in the same durable step, and what a check
// that only a cheating member fails does to LIFE. boolean-engine.md §8.2: pools of another
// protocol.

namespace flexroom::store {
namespace {

using ::testing::HasSubstr;

class CountingTest : public StoreTest {
 protected:
  static MemberId peer(uint8_t name) {
    MemberId out{};
    out[0] = name;
    return out;
  }
  template <typename Action>
  static std::optional<AbortCode> code_of(Action action) {
    try {
      action();
    } catch (const ProtocolAbort& abort) {
      return abort.code();
    }
    return std::nullopt;
  }
};

// Two sessions both passed the early answer; the second is told before anything is added.
TEST_F(CountingTest, TheLimitIsComparedWhereItIsCounted) {
  const auto first = open_once("a"), second = open_once("a", true);
  first->begin_batches(15);
  first->require_preprocessing_allowed();
  second->require_preprocessing_allowed();
  first->begin_batches(1);
  EXPECT_EQ(code_of([&] { second->begin_batches(1); }), AbortCode::kTooManyUnfinished);
  EXPECT_EQ(second->counters().dirty, 16u);
  EXPECT_EQ(second->counters().life, 16u);
  first->finish_batches(1);
  EXPECT_EQ(code_of([&] { second->begin_batches(2); }), AbortCode::kTooManyUnfinished);
  EXPECT_EQ(second->counters().dirty, 15u);
  EXPECT_EQ(code_of([&] { second->begin_batches(1); }), std::nullopt);
}

TEST_F(CountingTest, ManyAtOnceNeverExceedTheLimit) {
  (void)open_once("a");
  std::atomic<size_t> begun = 0, refused = 0;
  std::vector<std::thread> threads;
  for (size_t k = 0; k < 4; ++k) {
    threads.emplace_back([&] {
      const auto once = open_once("a", true);
      for (size_t i = 0; i < 8; ++i) {
        const auto code = code_of([&] { once->begin_batches(1); });
        code == AbortCode::kTooManyUnfinished ? ++refused : ++begun;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(begun, 16u);
  EXPECT_EQ(refused, 16u);
  EXPECT_EQ(open_once("a", true)->counters().dirty, 16u);
}

TEST_F(CountingTest, FullLifeTowardsOnePeerRefusesToo) {
  const MemberId b = peer(1), c = peer(2);
  {
    const auto with_b = open_once("a", false, {b});
    for (uint8_t epoch = 1; epoch <= 4; ++epoch) {  // LIFE outlives the epochs
      with_b->begin_batches(kLimits.dirty_max);
      begin_epoch(*with_b, epoch);
    }
    EXPECT_EQ(with_b->counters().life, kLimits.life_max);
  }
  const auto both = open_once("a", true, {b, c});
  EXPECT_EQ(code_of([&] { both->begin_batches(1); }), AbortCode::kTooManyUnfinished);
  EXPECT_EQ(open_once("a", true, {c})->counters().life, 0u);
}

TEST_F(CountingTest, ABurnedEpochStopsASessionThatBeganBefore) {
  const auto first = open_once("a"), second = open_once("a", true);
  second->begin_batches(1);
  EXPECT_TRUE(second->mark("instance", as_bytes("1")));
  first->burn(AbortCode::kMac);
  EXPECT_EQ(code_of([&] { second->begin_batches(1); }), AbortCode::kEpochBurned);
  EXPECT_EQ(code_of([&] { second->mark("instance", as_bytes("2")); }), AbortCode::kEpochBurned);
  EXPECT_FALSE(second->marked("instance", as_bytes("2")));
  EXPECT_EQ(second->counters().dirty, 1u);
  EXPECT_EQ(second->counters().life, 2u);  // the batch and the burned epoch
}

// Class A: no honest member fails these. Class B: one more.
TEST_F(CountingTest, GuessesOfAGlobalKeyFillLife) {
  struct Case {
    AbortCode code;
    uint32_t life_of_b, life_of_c;  // b is named
  };
  const uint32_t full = kLimits.life_max;
  for (const Case& test :
       {Case{AbortCode::kPprf, full, 0}, Case{AbortCode::kRowCheck, full, 0},
        Case{AbortCode::kBitConsistency, full, 0}, Case{AbortCode::kDeltaConsistency, full, full},
        Case{AbortCode::kZeroTest, full, full}, Case{AbortCode::kSacrifice, full, full},
        Case{AbortCode::kMac, 1, 1}, Case{AbortCode::kLabelProof, 1, 1},
        Case{AbortCode::kCProof, 1, 1}, Case{AbortCode::kCoin, 1, 1}, Case{AbortCode::kEcho, 1, 1},
        Case{AbortCode::kBaseOt, 1, 1}}) {
    fs::remove_all(root_ / "a");
    fs::remove(root_ / "a.once");
    const MemberId b = peer(1), c = peer(2);
    open_once("a", false, {c, b})->burn(test.code, 1);
    EXPECT_EQ(open_once("a", true, {b})->counters().life, test.life_of_b) << to_string(test.code);
    EXPECT_EQ(open_once("a", true, {c})->counters().life, test.life_of_c) << to_string(test.code);
    EXPECT_TRUE(open_once("a", true, {b})->counters().burned);
  }
}

TEST_F(CountingTest, WhereNobodyIsNamedItCountsTowardsAll) {
  const MemberId b = peer(1), c = peer(2);
  open_once("a", false, {b, c})->burn(AbortCode::kRowCheck);
  EXPECT_EQ(open_once("a", true, {b})->counters().life, kLimits.life_max);
  EXPECT_EQ(open_once("a", true, {c})->counters().life, kLimits.life_max);
}

// boolean-engine.md §10.2, open mark: nothing is lost by a power cut, and no try is left by a
// check that may have failed.
TEST_F(CountingTest, ASessionThatEndedWithoutAWordCountsByWhatItAwaited) {
  const auto once = open_once("a");
  begin_epoch(*once);
  once->enter_open_mark(OpenMark::State::kOpen, true);
  EXPECT_EQ(once->counters().dirty, 1u);
  EXPECT_EQ(once->counters().life, 1u);
  once->enter_open_mark(OpenMark::State::kArmed, true);
  EXPECT_EQ(once->counters().dirty, 2u);
  EXPECT_EQ(once->counters().life, 64u);
  EXPECT_FALSE(once->counters().burned);
  EXPECT_EQ(code_of([&] { once->begin_batches(1); }), AbortCode::kTooManyUnfinished);
  once->operator_accepts();
  once->begin_batches(1);
}

// A set-up that follows a burned epoch guesses as well: it counts, and ends the tries.
TEST_F(CountingTest, AGuessInABurnedEpochCountsAndNoSetUpFollows) {
  const auto once = open_once("a");
  once->burn(AbortCode::kMac);
  EXPECT_EQ(once->counters().life, 1u);
  EXPECT_EQ(code_of([&] { once->require_setup_allowed(); }), std::nullopt);
  once->burn(AbortCode::kMac);  // nothing new about this epoch
  EXPECT_EQ(once->counters().life, 1u);
  once->burn(AbortCode::kPprf, 0);
  EXPECT_EQ(once->counters().life, kLimits.life_max);
  EXPECT_EQ(code_of([&] { once->require_setup_allowed(); }), AbortCode::kTooManyUnfinished);
  once->operator_accepts();
  EXPECT_EQ(code_of([&] { once->require_setup_allowed(); }), std::nullopt);
  EXPECT_TRUE(once->counters().burned);
}

// A batch of another session that ends well afterwards takes nothing back.
TEST_F(CountingTest, FullLifeStaysFullWhenABatchFinishes) {
  const auto first = open_once("a"), second = open_once("a", true);
  second->begin_batches(1);
  first->burn(AbortCode::kSacrifice);
  second->finish_batches(1);
  EXPECT_EQ(second->counters().dirty, 0u);
  EXPECT_EQ(second->counters().life, kLimits.life_max);
}

TEST_F(CountingTest, AnUnburnedEpochMayBeReplacedWhateverLifeIs) {
  const auto once = open_once("a");
  for (uint8_t epoch = 1; epoch <= 4; ++epoch) {
    once->begin_batches(kLimits.dirty_max);
    begin_epoch(*once, epoch);
  }
  EXPECT_EQ(code_of([&] { once->require_setup_allowed(); }), std::nullopt);
}

// --- Pools --------------------------------------------------------------------------------------

TEST_F(CountingTest, BatchesOfAnotherProtocolAreErasedWhenThePoolIsOpened) {
  const auto db = open("a");
  const fs::path directory = root_ / "a" / "pool";
  const auto file_of = [&](std::string_view id) {
    return directory / (to_hex(as_bytes(id)) + ".pool");
  };
  {
    Pool pool(*db, directory);
    for (const char* id : {"kept", "old", "newer"}) pool.add(as_bytes(id), {}, 16, Bytes(160));
    // Made by masked triples (engine-v2.md §2.9): named so, and used like the others.
    pool.add(as_bytes("masked"), {}, 16, Bytes(160), prep::kMaskedProtocol);
    pool.add(as_bytes("first masked"), {}, 16, Bytes(160), 3);
    // Of before each instance had its evaluator: what a triple is has not changed.
    pool.add(as_bytes("early masked"), {}, 16, Bytes(160), 4);
    pool.add(as_bytes("first buckets"), {}, 16, Bytes(160), prep::kFirstBucketProtocol);
  }
  // Protocol 1 wrote no number behind epoch, count, item size and cursor.
  const auto rewrite = [&](std::string_view id, const std::function<void(Bytes&)>& change) {
    auto row = db->get("batch", as_bytes(id));
    ASSERT_EQ(row->meta.size(), 32u + 3 * 8 + 2);
    change(row->meta);
    db->put("batch", as_bytes(id), row->meta, row->secret.reveal());
  };
  rewrite("old", [](Bytes& meta) { meta.resize(32 + 3 * 8); });
  rewrite("newer", [](Bytes& meta) { meta.back() = prep::kMaskedProtocol + 1; });
  EXPECT_EQ(db->get("batch", as_bytes("masked"))->meta.back(), prep::kMaskedProtocol);
  Pool pool(*db, directory);
  const auto left = pool.on_disk();
  ASSERT_EQ(left.size(), 5u);
  EXPECT_EQ(left[0].batch_id, to_bytes("early masked"));
  EXPECT_EQ(left[1].batch_id, to_bytes("first buckets"));
  EXPECT_EQ(left[2].batch_id, to_bytes("first masked"));
  EXPECT_EQ(left[3].batch_id, to_bytes("kept"));
  EXPECT_EQ(left[4].batch_id, to_bytes("masked"));
  EXPECT_TRUE(fs::exists(file_of("kept")));
  EXPECT_FALSE(fs::exists(file_of("old")));
  EXPECT_FALSE(fs::exists(file_of("newer")));
}

// The number is part of what seals an item: a row that claims another one opens nothing.
TEST_F(CountingTest, TheProtocolNumberSealsTheItems) {
  const auto db = open("a");
  const fs::path directory = root_ / "a" / "pool";
  BatchShape shape{to_bytes("b"), {}, 3, 16, prep::kProtocol};
  fs::create_directories(directory);
  const ItemKey key;
  write_pool_file(directory, shape, key, Bytes(48, 7));
  size_t opened = 0;
  const auto count = [&](ByteView) { ++opened; };
  EXPECT_TRUE(read_pool_file(directory, shape, key.clone(), 0, 3, count));
  ++shape.protocol;
  EXPECT_FALSE(read_pool_file(directory, shape, key.clone(), 0, 3, count));
  EXPECT_EQ(opened, 3u);
}

// --- Stored shares ------------------------------------------------------------------------------

// boolean-engine.md §8.1: what protocol 1 stored keeps the bit 1 of whoever holds the key.
TEST_F(CountingTest, StoredSharesArePinnedWhenTheyAreLoaded) {
  for (const PartyId self : {0u, 1u}) {
    prep::AuthBits bits = some_bits(self, 3);
    const prep::AuthBits expected = bits.clone();
    for (PartyId j = 0; j < 3; ++j) {
      if (j == self) continue;
      for (size_t t = 0; t < bits.size(); t += 2) {
        bits.mac[j][t].lo ^= 2;
        bits.key[j][t + 1].lo ^= 2;
      }
    }
    ASSERT_FALSE(bits.pinned(0, bits.size()));
    const prep::AuthBits loaded = decode_auth_bits(encode_auth_bits(bits));
    EXPECT_TRUE(loaded.pinned(0, loaded.size()));
    for (PartyId j = 0; j < 3; ++j) {
      if (j == self) continue;
      for (size_t t = 0; t < bits.size(); ++t) {
        EXPECT_EQ(loaded.mac[j][t], expected.mac[j][t]);
        EXPECT_EQ(loaded.key[j][t], expected.key[j][t]);
      }
    }
  }
}

}  // namespace
}  // namespace flexroom::store
