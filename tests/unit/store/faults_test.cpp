#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/secret.h"
#include "support/parties.h"
#include "unit/store/store_fixture.h"

// What the machine may do to a member: kill it, lock its files, give it other peers.

namespace flexroom::store {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using FaultsTest = StoreTest;

// Staged at both, then killed while reconciling, twice: the third contact still agrees.
TEST_F(FaultsTest, KilledDuringReconcileBothOrNeither) {
  const auto in_child = [&](auto protocol) {
    const pid_t child = fork();
    if (child == 0) {
      support::run_parties(2, protocol);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  };
  for (const std::string step : {"reconcile exchanged", "reconciled one"}) {
    fs::remove_all(root_ / "m0");
    fs::remove_all(root_ / "m1");
    ASSERT_TRUE(in_child([&](net::Party& party) {
      const auto db = open(name(party.id()));
      LoadedStore store(*db, {}, [&](std::string_view s) {
        if (party.id() == 0 && s == "exchanged") kill(getpid(), SIGKILL);
      });
      store.put(party, meta(), some_bits(party.id(), 2));
      return true;
    }));
    ASSERT_TRUE(in_child([&](net::Party& party) {
      const auto db = open(name(party.id()));
      LoadedStore store(*db, {}, [&](std::string_view s) {
        if (party.id() == 0 && s == step) kill(getpid(), SIGKILL);
      });
      store.reconcile(party);
      return true;
    })) << step;
    const auto run = support::run_parties(2, [&](net::Party& party) {
      const auto db = open(name(party.id()));
      LoadedStore store(*db, {});
      store.reconcile(party);
      EXPECT_EQ(store.num_staged(), 0u);
      return store.list().size();
    });
    for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, 1u) << step;
  }
}

TEST_F(FaultsTest, ADatabaseLockedByAnotherProcessSaysSo) {
  const auto db = open("a");
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    sqlite3* other = nullptr;
    sqlite3_open((root_ / "a" / "state.db").c_str(), &other);
    sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    (void)!write(ready[1], "x", 1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const std::string said = error_of([&] { db->put("k", {}, {}, Bytes(3)); });
  EXPECT_THAT(said, HasSubstr("in use"));
  // The request of the operation may have left before: that is not for the file to know.
  EXPECT_THAT(said, Not(AnyOf(HasSubstr("nothing was changed"), HasSubstr("again"))));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(db->put("k", {}, {}, Bytes(3)));
  close(ready[0]);
  close(ready[1]);
}

TEST_F(FaultsTest, LifeCountsForEachPeer) {
  MemberId b{}, c{};
  b[0] = 1;
  c[0] = 2;
  open_once("a", false, {b})->begin_batches(5);
  EXPECT_EQ(open_once("a", true, {c})->counters().life, 0u);
  open_once("a", true, {b, c})->begin_batches(1);
  EXPECT_EQ(open_once("a", true, {b})->counters().life, 6u);
  EXPECT_EQ(open_once("a", true, {c})->counters().life, 1u);
  open_once("a", true, {c})->operator_accepts();
  EXPECT_EQ(open_once("a", true, {b, c})->counters().life, 6u);
  // A loss counts against everybody, also those not present.
  fs::remove(root_ / "a.once");
  open_once("a", true, {b})->operator_accepts();
  EXPECT_EQ(open_once("a", true, {c})->counters().life, kLimits.life_max);
  EXPECT_EQ(open_once("a", true, {b})->counters().life, 0u);
}

TEST(HardenTest, NoCoreIsDumped) {
  const pid_t child = fork();
  if (child == 0) {
    const bool ok = harden_process();
    rlimit core{1, 1};
    getrlimit(RLIMIT_CORE, &core);
    _exit(ok && core.rlim_max == 0 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace flexroom::store
