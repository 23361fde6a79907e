#include "bench/bench_plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/xml_text.h"

namespace flexroom::bench {
namespace {

constexpr double kWidth = 1200, kLeft = 190, kRight = 20;
constexpr double kRowHeight = 26, kBarHeight = 20, kTitleHeight = 30, kAxisHeight = 34;
constexpr double kLetterWidth = 6.3;  // of the labels inside bars
constexpr const char* kColours[] = {"#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#76b7b2",
                                    "#edc948", "#9c755f", "#e15759", "#bab0ac", "#ff9da7"};

double end_of(const PlotRow& row) {
  double end = 0;
  for (const BenchPhase& phase : row.phases) {
    end = std::max(end, phase.start_seconds + phase.seconds);
  }
  return end;
}

/// 1, 2 or 5 times a power of ten, so that an axis has about eight marks.
double axis_step(double seconds) {
  const double raw = seconds / 8;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10 * power;
}

class Drawing {
 public:
  void group(const PlotGroup& group) {
    out_ += fmt::format("<text x=\"8\" y=\"{:.1f}\" font-weight=\"bold\">{}</text>\n", y_ + 20,
                        xml_escape(group.title));
    y_ += kTitleHeight;
    double seconds = 1e-6;
    for (const PlotRow& row : group.rows) seconds = std::max(seconds, end_of(row));
    scale_ = (kWidth - kLeft - kRight) / seconds;
    for (const PlotRow& row : group.rows) this->row(row);
    axis(seconds);
  }

  std::string finish() const {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{2}</svg>\n",
        kWidth, y_ + 8, out_);
  }

 private:
  void row(const PlotRow& row) {
    out_ += fmt::format("<text x=\"8\" y=\"{:.1f}\">{}</text>\n", y_ + 15, xml_escape(row.label));
    for (const BenchPhase& phase : row.phases) {
      const double width = std::max(0.5, phase.seconds * scale_);
      out_ += fmt::format(
          "<g><title>{}: {:.4f} s from {:.4f} s; {} bytes sent, {} flows, {} ANDs</title>"
          "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.0f}\" fill=\"{}\"/>",
          xml_escape(phase.name), phase.seconds, phase.start_seconds, phase.bytes_sent,
          phase.half_rounds, phase.ands, kLeft + phase.start_seconds * scale_, y_, width,
          kBarHeight, colour(phase.name));
      if (width > kLetterWidth * static_cast<double>(phase.name.size()) + 6) {
        out_ +=
            fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"11\">{}</text>",
                        kLeft + phase.start_seconds * scale_ + 3, y_ + 14, xml_escape(phase.name));
      }
      out_ += "</g>\n";
    }
    y_ += kRowHeight;
  }

  void axis(double seconds) {
    const double step = axis_step(seconds);
    out_ += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"black\"/>\n", kLeft,
        y_, kWidth - kRight, y_);
    for (int k = 0; k * step <= seconds; ++k) {
      const double x = kLeft + k * step * scale_;
      out_ += fmt::format(
          "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"black\"/>"
          "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\" font-size=\"11\">{4:g} s</text>"
          "\n",
          x, y_, y_ + 4, y_ + 17, k * step);
    }
    y_ += kAxisHeight;
  }

  std::string colour(const std::string& name) {
    const auto [at, is_new] = colours_.emplace(name, colours_.size());
    return kColours[at->second % std::size(kColours)];
  }

  std::string out_;
  double y_ = 8;
  double scale_ = 1;
  std::map<std::string, size_t> colours_;
};

}  // namespace

std::string timeline_svg(const std::vector<PlotGroup>& groups) {
  Drawing drawing;
  for (const PlotGroup& group : groups) drawing.group(group);
  return drawing.finish();
}

}  // namespace flexroom::bench
