#include <regex>
#include <sstream>

#include "flow_fixture.h"

namespace flexroom::flow {
namespace {

struct Refusal {
  std::string flow, why, old_text, new_text;
  int line = 0, column = 0;
};

std::vector<Refusal> refusals() {
  std::ifstream in(std::string(FLEXROOM_SOURCE_DIR) + "/tests/vectors/flow/refusals.txt");
  std::vector<Refusal> out;
  std::string line;
  std::string* part = nullptr;
  bool why_next = false;
  while (std::getline(in, line)) {
    if (line.starts_with("=== ")) {
      std::istringstream head(line.substr(4));
      Refusal one;
      head >> one.flow >> one.line >> one.column;
      if (one.flow == "end") break;
      out.push_back(one);
      why_next = true;
      part = nullptr;
    } else if (why_next) {
      out.back().why = line;
      why_next = false;
    } else if (line == "--- old") {
      part = &out.back().old_text;
    } else if (line == "--- new") {
      out.back().old_text.pop_back();
      part = &out.back().new_text;
    } else if (part != nullptr) {
      *part += line + "\n";
    }
  }
  for (Refusal& one : out) one.new_text.pop_back();
  return out;
}

TEST(FlowLoad, EveryShippedFileLoadsAndLeaksNothing) {
  for (const std::string& name : shipped_names()) {
    SCOPED_TRACE(name);
    Flow flow;
    ASSERT_EQ(refusal_of([&] { flow = load_shipped(name); }), "accepted");
    EXPECT_EQ(flow.name, name);
    EXPECT_TRUE(flow.leaks.empty());
  }
}

// One edit of a shipped file for every rule of operations.md (a) to (c), with its words, line and
// column.
TEST(FlowLoad, EveryRuleRefusesTheFileThatBreaksIt) {
  const std::vector<Refusal> all = refusals();
  EXPECT_EQ(all.size(), 145u);
  for (const Refusal& one : all) {
    SCOPED_TRACE(one.flow + ": " + one.why + "\n" + one.new_text);
    std::string text = text_of(shipped(one.flow));
    const size_t at = text.find(one.old_text);
    ASSERT_NE(at, std::string::npos) << one.old_text;
    text.replace(at, one.old_text.size(), one.new_text);
    const std::string said =
        refusal_of([&] { (void)parse_flow(text, shipped(one.flow), sandbox_room()); });
    const std::string why = std::regex_replace(one.why, std::regex("[{}]"), "\\$&");
    EXPECT_TRUE(std::regex_search(said, std::regex(why))) << said;
    EXPECT_GT(one.line, 0);
    EXPECT_GT(one.column, 0);
    const std::string place = shipped(one.flow).string() + ":" + std::to_string(one.line) + ":" +
                              std::to_string(one.column) + ":";
    EXPECT_TRUE(said.starts_with(place)) << said << "\nwanted " << place;
  }
}

}  // namespace
}  // namespace flexroom::flow
