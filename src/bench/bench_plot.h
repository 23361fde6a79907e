#pragma once

#include <string>
#include <vector>

#include "bench/bench_figures.h"

namespace flexroom::bench {

/// One run of one member, as a row of the plot.
struct PlotRow {
  std::string label;
  std::vector<BenchPhase> phases;
};
struct PlotGroup {
  std::string title;
  std::vector<PlotRow> rows;  // on one scale
};

/// The timelines as a picture: a group below the other, each with its own scale in seconds; a phase
/// is a bar with its name, seconds, bytes sent, flows and ANDs as a tooltip. SVG 1.1, no scripts,
/// no fonts or files from elsewhere.
std::string timeline_svg(const std::vector<PlotGroup>& groups);

}  // namespace flexroom::bench
