#include "bench/bench_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flexroom::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t count(const std::string& text, std::string_view what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(BenchPlotTest, APhaseIsABarAtItsTime) {
  const PlotRow row{"member 1", {{"first", 0, 1, 10, 2, 30}, {"second", 1, 3, 40, 5, 60}}};
  const std::string svg = timeline_svg({{"two", {row, row}}, {"empty", {}}});
  // 1200 wide, 190 to the left, 20 to the right: four seconds on 990.
  EXPECT_EQ(count(svg, "<rect x=\"190.00\""), 2u);
  EXPECT_EQ(count(svg, "<rect x=\"437.50\""), 2u);
  EXPECT_EQ(count(svg, "width=\"742.50\""), 2u);
  EXPECT_THAT(svg, HasSubstr("second: 3.0000 s from 1.0000 s; 40 bytes sent, 5 flows, 60 ANDs"));
  EXPECT_EQ(count(svg, "<svg"), 1u);
  EXPECT_EQ(count(svg, "</svg>"), 1u);
  for (const char* element : {"text", "g", "title"}) {
    EXPECT_EQ(
        count(svg, std::string("<") + element + ">") + count(svg, std::string("<") + element + " "),
        count(svg, std::string("</") + element + ">"))
        << element;
  }
}

TEST(BenchPlotTest, NamesCannotEndTheirPlace) {
  const std::string svg = timeline_svg({{"<b>&", {{"\"x\"", {{"</title><script>", 0, 1}}}}}});
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, HasSubstr("&lt;b&gt;&amp;"));
  EXPECT_THAT(svg, HasSubstr("&quot;x&quot;"));
}

}  // namespace
}  // namespace flexroom::bench
