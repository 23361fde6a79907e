#include "cli/output.h"

#include <gtest/gtest.h>

#include <sstream>

namespace flexroom::cli {
namespace {

class OutputTest : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::internal::CaptureStdout(); }
  std::vector<nlohmann::json> events() {
    std::istringstream lines(::testing::internal::GetCapturedStdout());
    std::vector<nlohmann::json> out;
    for (std::string line; std::getline(lines, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }
  Output out_{true};
};

TEST_F(OutputTest, OnePhaseAloneHasItsOwnPercentage) {
  out_.progress("stock", 0, 8);
  out_.progress("stock", 8, 8);
  out_.progress("the script runs", 0, 0);
  const auto seen = events();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0]["percent"], 0);
  EXPECT_FALSE(seen[0].contains("eta_seconds"));
  EXPECT_EQ(seen[1]["percent"], 100);
  EXPECT_EQ(seen[1]["eta_seconds"], 0);
  EXPECT_FALSE(seen[2].contains("percent"));
}

TEST_F(OutputTest, ExpectedStepsCountByTheirWeight) {
  out_.expect({{"triples", 6}, {"nothing to do", 0}, {"garble", 3}, {"call", 1}});
  out_.progress("triples", 0, 0);
  out_.progress("and triples", 5, 5);   // of the present step, whose name is shown
  out_.progress("another work", 1, 5);  // does not take the step back
  out_.progress("garble", 0, 0);
  out_.progress("between", 0, 0);  // no step: shown, counts nothing
  out_.progress("call", 0, 0);
  const auto seen = events();
  const std::vector<std::pair<std::string, double>> expected = {
      {"triples", 0}, {"triples", 60}, {"garble", 60}, {"between", 60}, {"call", 90}};
  size_t at = 0;
  for (const auto& event : seen) {
    if (at == 2 && event["phase"] == "triples") {  // shown only if 0.2 s went by
      EXPECT_EQ(event["percent"], 60);
      continue;
    }
    ASSERT_LT(at, expected.size()) << event.dump();
    EXPECT_EQ(event["phase"], expected[at].first);
    EXPECT_NEAR(event["percent"].get<double>(), expected[at].second, 1e-9) << event.dump();
    ++at;
  }
  EXPECT_EQ(at, expected.size());
}

TEST_F(OutputTest, StepsEndWhereNoneAreExpected) {
  out_.expect({{"triples", 1}});
  out_.progress("triples", 0, 0);
  out_.expect({});
  out_.progress("the script runs", 0, 0);
  EXPECT_FALSE(events().back().contains("percent"));
}

}  // namespace
}  // namespace flexroom::cli
