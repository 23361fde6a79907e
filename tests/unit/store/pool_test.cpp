#include "store/pool.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "support/mount_space.h"
#include "support/parties.h"
#include "unit/store/store_fixture.h"

namespace flexroom::store {
namespace {

using ::testing::HasSubstr;

constexpr size_t kItemBytes = 64;
constexpr uint64_t kCount = 50;

Digest epoch(uint8_t e = 1) {  // that of support/parties.h
  Digest out{};
  out[0] = e;
  return out;
}

Bytes numbered_items() {
  Bytes items(kCount * kItemBytes);
  for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<uint8_t>(i / kItemBytes);
  return items;
}

class PoolTest : public StoreTest {
 protected:
  /// Two members connect; `body` may use the pool. Returns what it returned at each.
  template <typename Body>
  std::vector<uint64_t> connected(Body body, size_t n = 2, net::Tamper tamper = nullptr) {
    const auto run = support::run_parties(
        n,
        [&](net::Party& party) {
          const auto once = open_once(name(party.id()), fs::exists(root_ / name(party.id())));
          EXPECT_TRUE(once->connect(party));
          return static_cast<uint64_t>(body(party, once->pool()));
        },
        std::move(tamper), std::chrono::seconds(20));
    std::vector<uint64_t> out;
    for (const auto& outcome : run.outcomes) out.push_back(outcome.value.value_or(~uint64_t{0}));
    return out;
  }
  static std::vector<uint8_t> take(Pool& pool, std::string_view id, uint64_t count) {
    std::vector<uint8_t> first_bytes;
    const Pool::Range range{to_bytes(id), count};
    pool.take({&range, 1}, [&](ByteView item) {
      EXPECT_EQ(item.size(), kItemBytes);
      first_bytes.push_back(item[0]);
    });
    return first_bytes;
  }
  void fill(std::string_view id, size_t n = 2) {
    connected(
        [&](net::Party&, Pool& pool) {
          pool.add(as_bytes(id), epoch(), kItemBytes, numbered_items());
          return 0;
        },
        n);
  }
  static uint64_t cursor(Pool& pool) {
    const auto stock = pool.stock();
    return stock.size() == 1 ? stock[0].cursor : 999;
  }
};

TEST_F(PoolTest, ItemsComeBackOnceAndInOrder) {
  connected([&](net::Party&, Pool& pool) {
    pool.add(as_bytes("b"), epoch(), kItemBytes, numbered_items());
    EXPECT_TRUE(pool.stock().empty());  // not durable at all members yet
    pool.confirm(as_bytes("b"));
    EXPECT_EQ(take(pool, "b", 3), (std::vector<uint8_t>{0, 1, 2}));
    return 0;
  });
  const auto cursors = connected([&](net::Party&, Pool& pool) {
    EXPECT_EQ(cursor(pool), 3u);
    EXPECT_THROW(take(pool, "b", kCount - 2), InputError);
    EXPECT_EQ(take(pool, "b", 2), (std::vector<uint8_t>{3, 4}));
    return cursor(pool);
  });
  EXPECT_EQ(cursors, (std::vector<uint64_t>{5, 5}));
  connected([&](net::Party&, Pool& pool) {
    EXPECT_EQ(take(pool, "b", kCount - 5).back(), kCount - 1);
    EXPECT_TRUE(pool.stock().empty());
    return 0;
  });
  EXPECT_FALSE(fs::exists(root_ / "m0" / "pool" / (to_hex(as_bytes("b")) + ".pool")));
}

TEST_F(PoolTest, CursorsThatDifferGoToTheMaximum) {
  for (const size_t n : {2u, 3u}) {
    for (PartyId i = 0; i < n; ++i) {
      fs::remove_all(root_ / name(i));
      fs::remove(root_ / (name(i) + ".once"));
    }
    fill("b", n);
    connected(
        [&](net::Party& party, Pool& pool) {
          take(pool, "b", 2 + 5 * party.id());
          return 0;
        },
        n);
    const uint64_t expected = 2 + 5 * (n - 1);
    const auto got = connected(
        [&](net::Party&, Pool& pool) {
          EXPECT_EQ(take(pool, "b", 1), std::vector<uint8_t>{static_cast<uint8_t>(expected)});
          return cursor(pool);
        },
        n);
    EXPECT_EQ(got, std::vector<uint64_t>(n, expected + 1));
  }
}

TEST_F(PoolTest, ABatchThatAPeerLacksOrHasInAnotherShapeIsErasedAndThoseOfOtherEpochsAreLeftAlone) {
  connected([&](net::Party& party, Pool& pool) {
    pool.add(as_bytes("both"), epoch(), kItemBytes, numbered_items());
    if (party.id() == 0) pool.add(as_bytes("mine"), epoch(), kItemBytes, numbered_items());
    pool.add(as_bytes("shape"), epoch(), party.id() == 0 ? 32 : 64, numbered_items());
    pool.add(as_bytes("old"), epoch(7), kItemBytes, numbered_items());
    return 0;
  });
  EXPECT_EQ(open_once("m0", true)->pool().on_disk().size(), 4u);
  const auto left = connected([&](net::Party&, Pool& pool) {
    EXPECT_EQ(pool.stock().at(0).batch_id, to_bytes("both"));
    return pool.on_disk().size();
  });
  EXPECT_EQ(left, (std::vector<uint64_t>{1, 1}));
  const auto all = open_once("m0", true)->pool().on_disk();  // of no epoch in particular
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].batch_id, to_bytes("old"));
}

TEST_F(PoolTest, ImpossibleListsOfAPeerAbort) {
  fill("b");
  struct Case {
    std::function<void(Bytes&)> change;
    AbortCode expected;
  };
  for (const Case& c : {Case{[](Bytes& list) { list.pop_back(); }, AbortCode::kBadFrame},
                        Case{[](Bytes& list) { list.back() = kCount + 1; }, AbortCode::kBadFrame},
                        Case{[](Bytes& list) {
                               const Bytes again(list.begin() + 1, list.end());
                               append(list, again);
                             },
                             AbortCode::kBadFrame},
                        Case{[](Bytes& list) { list[1] = 0xff; }, AbortCode::kBadFrame}}) {
    const auto run = support::run_parties(
        2,
        [&](net::Party& party) {
          const auto once = open_once(name(party.id()), true);
          once->connect(party);
          return once->pool().stock().size();
        },
        [&](const net::MessageId& message, Bytes& payload) {
          if (message.sender == 1 && message.label == "pool/batches") c.change(payload);
        });
    EXPECT_EQ(run.outcomes[0].code(), c.expected);
  }
}

// n = 3: a member that tells the others different cursors would make them use different items.
TEST_F(PoolTest, DifferentListsForDifferentMembersAreRefused) {
  fill("b", 3);
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        const auto once = open_once(name(party.id()), true);
        once->connect(party);
        return once->pool().stock().size();
      },
      [&](const net::MessageId& message, Bytes& payload) {
        if (message.sender == 2 && message.receiver == 0 && message.label == "pool/batches") {
          payload.back() = 9;
        }
      });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kDisagreement);
  EXPECT_FALSE(run.outcomes[1].value.has_value());
}

TEST_F(PoolTest, OnlyOneSessionHasThePool) {
  fill("b");
  const auto first = open_once("m0", true), second = open_once("m0", true);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    const auto peer = open_once("m1", true);
    const bool has = (party.id() == 0 ? *first : *peer).connect(party);
    // Meanwhile another session of member 0 with the same peer.
    const bool other = (party.id() == 0 ? *second : *peer).connect(party);
    return has && !other;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.value_or(false));
  EXPECT_EQ(second->pool().on_disk().size(), 1u);  // nothing was erased
  EXPECT_TRUE(second->pool().stock().empty());
  EXPECT_EQ(first->pool().stock().size(), 1u);
}

// Killed after the burn, before the first item was read: those items never come again.
TEST_F(PoolTest, KilledBetweenBurnAndUseSkipsTheItems) {
  fill("b");
  const pid_t child = fork();
  if (child == 0) {
    support::run_parties(2, [&](net::Party& party) {
      const auto once = open_once(name(party.id()), true, {}, [&](std::string_view step) {
        if (party.id() == 0 && step == "burned") kill(getpid(), SIGKILL);
      });
      once->connect(party);
      if (party.id() == 0) take(once->pool(), "b", 10);
      return true;
    });
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  const auto first = connected([&](net::Party&, Pool& pool) { return take(pool, "b", 1).at(0); });
  EXPECT_EQ(first, (std::vector<uint64_t>{10, 10}));
}

// The key of a used item is gone: even the file of before and the present database do not open it.
TEST_F(PoolTest, UsedItemsCannotBeOpenedAgain) {
  ItemKey key;
  const BatchShape shape{to_bytes("b"), epoch(), kCount, kItemBytes};
  fs::create_directory(root_ / "pool");
  write_pool_file(root_ / "pool", shape, key, numbered_items());
  const auto readable = [&](const ItemKey& from, uint64_t first) {
    return read_pool_file(root_ / "pool", shape, from.clone(), first, 1, [](ByteView) {});
  };
  EXPECT_TRUE(readable(key, 0));
  key.skip(4);
  EXPECT_TRUE(readable(key, 4));
  for (uint64_t used = 0; used < 4; ++used) EXPECT_FALSE(readable(key, used));
}

TEST_F(PoolTest, AnAlteredFileIsErasedAndSaysSo) {
  fill("b");
  const fs::path file = root_ / "m0" / "pool" / (to_hex(as_bytes("b")) + ".pool");
  std::fstream raw(file, std::ios::in | std::ios::out | std::ios::binary);
  raw.seekp(2 * (kItemBytes + kSealBytes) + 30);
  raw.put('x').put('y').put('z');
  raw.close();
  connected([&](net::Party& party, Pool& pool) {
    if (party.id() == 1) return 0;
    EXPECT_THAT(error_of([&] { take(pool, "b", 5); }), HasSubstr("damaged"));
    EXPECT_TRUE(pool.on_disk().empty());
    return 0;
  });
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(PoolTest, ABurnedOrNewEpochVoidsThePool) {
  for (const bool burn : {true, false}) {
    fill("b");
    auto once = open_once("m0", true);
    ASSERT_FALSE(once->pool().on_disk().empty());
    burn ? once->burn(AbortCode::kMac) : begin_epoch(*once, 9);
    EXPECT_TRUE(once->pool().on_disk().empty());
    once.reset();
    open_once("m0", true);
    EXPECT_TRUE(fs::is_empty(root_ / "m0" / "pool") ||
                !fs::exists(root_ / "m0" / "pool" / (to_hex(as_bytes("b")) + ".pool")));
    connected([](net::Party&, Pool&) { return 0; });  // the peer's goes too
    begin_epoch(*open_once("m0", true));
  }
}

TEST_F(PoolTest, ItemsAreSealedOnDisk) {
  const std::string canary = "CANARY-pool-item-0123456789abcdef0123456789abcdef0123456789abcde";
  Bytes items(canary.begin(), canary.end());
  const auto once = open_once("a");
  once->pool().add(as_bytes("b"), epoch(), canary.size(), items);
  EXPECT_EQ(everything_on_disk().find(canary.substr(0, 16)), std::string::npos);
}

// A file size limit in place of a full disk (the error is the same), and a real small file system
// where the test may mount one.
TEST_F(PoolTest, AFullDiskAddsNothing) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const auto once = open_once("a");
    const rlimit limit{256 * 1024, 256 * 1024};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string error =
        error_of([&] { once->pool().add(as_bytes("b"), epoch(), 65536, Bytes(64 * 65536)); });
    const bool none = once->pool().on_disk().empty() &&
                      !fs::exists(root_ / "a" / "pool" / (to_hex(as_bytes("b")) + ".pool"));
    once->pool().add(as_bytes("b"), epoch(), 64, Bytes(640));
    _exit(error.find("full") != std::string::npos && none && once->pool().on_disk().size() == 1
              ? 0
              : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(PoolTest, AFullSmallFileSystemAddsNothing) {
  const fs::path small = root_ / "small", why = root_ / "why";
  fs::create_directory(small);
  constexpr int kCannot = 77;
  const pid_t child = fork();
  if (child == 0) {
    std::string problem = support::enter_mount_space();
    if (problem.empty() && mount("none", small.c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0) {
      problem = std::string("no tmpfs can be mounted: ") + std::strerror(errno);
    }
    if (!problem.empty()) {
      std::ofstream(why) << problem;
      _exit(kCannot);
    }
    OnceDb once(small / "once.db", root_ / "small.once", false, kLimits);
    EXPECT_THAT(
        error_of([&] { once.pool().add(as_bytes("b"), epoch(), 65536, Bytes(64 * 65536)); }),
        HasSubstr("full"));
    EXPECT_TRUE(once.pool().on_disk().empty());
    const std::string marks = error_of([&] {
      for (uint32_t i = 0; i < 100'000; ++i) {
        once.mark("instance", as_bytes(std::to_string(i)));
      }
    });
    EXPECT_THAT(marks, HasSubstr("full"));
    EXPECT_FALSE(once.mark("instance", as_bytes("0")));
    std::fflush(nullptr);
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannot) {
    std::string words;
    std::getline(std::ifstream(why), words);
    GTEST_SKIP() << "a small file system cannot be mounted: " << words;
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace flexroom::store
