#include "runs/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "base/error.h"

namespace flexroom::runs {
namespace {

using ::testing::HasSubstr;

class RunHistoryTest : public ::testing::Test {
 protected:
  RunHistoryTest()
      : dir_(std::filesystem::temp_directory_path() /
             ("flexroom-runs-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(dir_);
  }
  ~RunHistoryTest() override { std::filesystem::remove_all(dir_); }
  static Digest digest(uint8_t value) {
    Digest out{};
    out[0] = value;
    return out;
  }
  static runs::Run a_run(uint64_t index, int64_t started) {
    runs::Run run;
    run.id = run_id(digest(1), digest(2), index);
    run.job = "count";
    run.proposal = to_hex(digest(2));
    run.started = started;
    run.result_name = "out.csv";
    return run;
  }
  static std::string read(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::filesystem::path dir_;
};

TEST_F(RunHistoryTest, AnIdIsOfTheRoomTheProposalAndTheNumber) {
  EXPECT_EQ(run_id(digest(1), digest(2), 0), run_id(digest(1), digest(2), 0));
  EXPECT_NE(run_id(digest(1), digest(2), 0), run_id(digest(1), digest(2), 1));
  EXPECT_NE(run_id(digest(1), digest(2), 0), run_id(digest(3), digest(2), 0));
  EXPECT_NE(run_id(digest(1), digest(2), 0), run_id(digest(1), digest(3), 0));
  EXPECT_EQ(run_id(digest(1), digest(2), 0).size(), 64u);
}

// docs/formats.md: keys that may be missing are those of an older program.
TEST_F(RunHistoryTest, WhatIsKnownOfMachineAndLinksStays) {
  RunHistory history(dir_, digest(1));
  runs::Run run = a_run(0, 10);
  run.link_answers = {{"result_url", "200"}, {"loader_url", "206"}};
  run.links_tried = 11;
  run.machine_since = 12;
  history.begin(run, "");
  const auto file = history.folder(run) / "run.json";
  const runs::Run same = history.find(run.id);
  EXPECT_EQ(same.link_answers, run.link_answers);
  EXPECT_EQ(same.links_tried, 11);
  EXPECT_EQ(same.machine_since, 12);
  std::string text = read(file);
  for (const std::string key : {"link_answers", "links_tried", "machine_since"}) {
    text.replace(text.find("\"" + key), key.size() + 1, "\"x_" + key.substr(2));
  }
  std::ofstream(file, std::ios::binary) << text;
  const runs::Run older = history.find(run.id);
  EXPECT_TRUE(older.link_answers.empty());
  EXPECT_EQ(older.links_tried, 0);
  EXPECT_EQ(older.machine_since, 0);
}

// What lies on disk becomes part of paths and of a request: another form is damage.
TEST_F(RunHistoryTest, ARecordOfAnotherFormIsDamageAndLeadsNowhere) {
  RunHistory history(dir_, digest(1));
  const runs::Run good = a_run(0, 10);
  history.begin(good, "");
  EXPECT_EQ(history.all().size(), 1u);
  for (const auto& change : std::vector<std::function<void(runs::Run&)>>{
           [](auto& run) { run.result = "../../identity/tls.key"; },
           [](auto& run) { run.result = ".hidden"; }, [](auto& run) { run.result_name = "a/b"; },
           [](auto& run) { run.result_name = ""; }}) {
    runs::Run bad = good;
    change(bad);
    history.update(bad);
    EXPECT_TRUE(history.all().empty()) << bad.result << " " << bad.result_name;
    ASSERT_EQ(history.damaged().size(), 1u) << bad.result << " " << bad.result_name;
    EXPECT_THAT(history.damaged()[0].text, HasSubstr("is damaged"));
  }
  history.update(good);
  EXPECT_EQ(history.all().size(), 1u);
  EXPECT_TRUE(history.damaged().empty());
}

// One record that cannot be read stops nothing but what asks for it, and stays as it is.
TEST_F(RunHistoryTest, ADamagedRecordIsSkippedAndNamed) {
  RunHistory history(dir_, digest(1));
  const runs::Run good = a_run(0, 10), bad = a_run(1, 20);
  history.begin(good, "");
  history.begin(bad, "");
  const std::filesystem::path file = history.folder(bad) / "run.json";
  const std::string whole = read(file);
  std::string other = whole;
  other.replace(other.find(bad.id), bad.id.size(), good.id);  // of another folder
  std::string newer = whole;
  newer.replace(newer.find("\"format\": 1"), 11, "\"format\": 9");
  for (const std::string& content : {std::string(), whole.substr(0, 40), std::string("[]"), other,
                                     newer, std::string(100'000, 'x')}) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
    ASSERT_EQ(history.all().size(), 1u) << content.substr(0, 80);
    EXPECT_EQ(history.all()[0].id, good.id);
    ASSERT_EQ(history.damaged().size(), 1u);
    EXPECT_EQ(history.damaged()[0].digits, bad.id.substr(0, 16));
    EXPECT_THAT(history.damaged()[0].text, HasSubstr(file.string()));
    EXPECT_EQ(history.find(good.short_id()).id, good.id);
    // Asked for, by few or by many digits, it says what is wrong; so does "last", which it may be.
    for (const std::string& asked :
         {bad.id.substr(0, 4), bad.short_id(), bad.id, std::string("last")}) {
      try {
        (void)history.find(asked);
        FAIL() << asked;
      } catch (const InputError& error) {
        EXPECT_THAT(error.what(), HasSubstr(file.string()));
      }
    }
    EXPECT_THROW(history.find(""), InputError);
    // It may be a run of any proposal: no number, and so no id, is given twice.
    EXPECT_EQ(history.count(good.proposal), 2u);
    EXPECT_EQ(read(file), content);
  }
  std::filesystem::rename(history.folder(bad), history.folder(bad).string() + ".aside");
  EXPECT_TRUE(history.damaged().empty());
  EXPECT_EQ(history.find("last").id, good.id);
}

TEST_F(RunHistoryTest, RunsAreFoundAgainByAnotherProcess) {
  runs::Run first = a_run(0, 10), second = a_run(1, 20);
  {
    RunHistory history(dir_, digest(1));
    history.begin(second, "https://h/r");
    history.begin(first, "");
    first.state = RunState::kFailed;
    first.detail = "script: exit status 3";
    history.update(first);
  }
  const RunHistory history(dir_, digest(1));
  const std::vector<runs::Run> all = history.all();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].id, first.id);
  EXPECT_EQ(all[0].state, RunState::kFailed);
  EXPECT_EQ(all[0].detail, "script: exit status 3");
  EXPECT_EQ(history.find(second.short_id()).id, second.id);
  EXPECT_EQ(history.find("last").id, second.id);
  EXPECT_EQ(history.count(first.proposal), 2u);
  EXPECT_EQ(history.count("other"), 0u);
  EXPECT_THROW(history.find("zz"), InputError);
  EXPECT_THROW(history.find(""), InputError);
  EXPECT_FALSE(history.link(first).has_value());
  EXPECT_EQ(as_text(history.link(second)->reveal()), "https://h/r");
  history.forget_link(second);
  EXPECT_FALSE(history.link(second).has_value());
}

// While the flow goes on the result may be here: the next session still draws the same keys.
TEST_F(RunHistoryTest, ASeedIsKeptUntilItsFlowIsDone) {
  RunHistory history(dir_, digest(1));
  runs::Run run = a_run(0, 1);
  const Bytes seed(32, 7);
  history.begin(run, "https://h/r", seed);
  run.flow_run = "abcdefghijklmnopqrstuvwxyz";
  run.machine = to_hex(digest(3));
  history.update(run);
  EXPECT_EQ(history.find_flow(run.flow_run)->machine, run.machine);
  history.forget_link(run);
  EXPECT_FALSE(history.link(run).has_value());
  ASSERT_TRUE(history.seed(run).has_value());
  EXPECT_EQ(to_bytes(as_text(history.seed(run)->reveal())), seed);
  // Another name of the same file: what it held is overwritten, not only unlinked.
  const std::filesystem::path seed_file = history.folder(run) / "seed", other = dir_ / "other";
  std::filesystem::create_hard_link(seed_file, other);
  history.forget_seed(run);
  EXPECT_FALSE(history.seed(run).has_value());
  EXPECT_EQ(read(other), std::string(32, '\0'));
  history.forget_seed(run);  // there is none
  EXPECT_EQ(history.all().size(), 1u);
}

TEST_F(RunHistoryTest, AnotherRoomHasOtherRuns) {
  RunHistory(dir_, digest(1)).begin(a_run(0, 1), "");
  EXPECT_TRUE(RunHistory(dir_, digest(9)).all().empty());
}

// A second run, or a second fetch, must not take the place of a good result.
TEST_F(RunHistoryTest, AResultIsNeverOverwritten) {
  RunHistory history(dir_, digest(1));
  const runs::Run run = a_run(0, 1);
  history.begin(run, "");
  EXPECT_EQ(history.keep(run, "out.csv.gz", as_bytes("one")), "out.csv.gz");
  EXPECT_EQ(history.keep(run, "out.csv.gz", as_bytes("two")), "out-2.csv.gz");
  EXPECT_EQ(history.keep(run, "run.json", as_bytes("x")), "run-2.json");
  EXPECT_EQ(read(history.folder(run) / "out.csv.gz"), "one");
  EXPECT_EQ(read(history.folder(run) / "out-2.csv.gz"), "two");
  EXPECT_EQ(history.all().size(), 1u);
}

TEST_F(RunHistoryTest, FilesAreForTheirUserAlone) {
  RunHistory history(dir_, digest(1));
  const runs::Run run = a_run(0, 1);
  history.begin(run, "https://h/secret");
  (void)history.keep(run, "r", as_bytes("x"));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_ / "runs")) {
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077u, 0u) << entry.path();
  }
}

TEST_F(RunHistoryTest, ADamagedRecordIsNamed) {
  RunHistory history(dir_, digest(1));
  const runs::Run run = a_run(0, 1);
  history.begin(run, "");
  std::ofstream(history.folder(run) / "run.json") << "{\"format\": 1}";
  EXPECT_THROW((void)history.find(run.id), InputError);
  std::ofstream(history.folder(run) / "run.json") << "{\"format\": 2}";
  ASSERT_EQ(history.damaged().size(), 1u);
  EXPECT_THAT(history.damaged()[0].text, HasSubstr("newer flexroom"));
}

TEST(ResultNameTest, KeepsTheEndingOfTheObjectAndNotItsName) {
  EXPECT_EQ(result_name("https://h/a/summary.parquet?X=1"), "result.parquet");
  EXPECT_EQ(result_name("https://h/o%2F..%2Fx.csv"), "result.csv");
  EXPECT_EQ(result_name("https://h/.ssh"), "result.ssh");
  EXPECT_EQ(result_name("https://h/link"), "result");
  EXPECT_EQ(result_name("https://h/"), "result");
}

}  // namespace
}  // namespace flexroom::runs
