#include "room/progress.h"

#include <algorithm>

namespace flexroom::room {

void ProgressMeter::expect(std::vector<Step> steps, Clock::time_point now) {
  steps_ = std::move(steps);
  std::erase_if(steps_, [](const Step& step) { return step.weight <= 0; });
  step_ = 0;
  step_share_ = 0;
  start_ = now;
}

double ProgressMeter::share_of_all(std::string_view phase, uint64_t done, uint64_t total) {
  const auto next = std::find_if(steps_.begin() + static_cast<ptrdiff_t>(step_), steps_.end(),
                                 [&](const Step& step) { return step.phase == phase; });
  if (next != steps_.end()) {
    step_ = static_cast<size_t>(next - steps_.begin());
    step_share_ = 0;
  }
  // A step may be of several works one after the other: it never goes back.
  if (total != 0) {
    step_share_ = std::max(step_share_, static_cast<double>(done) / static_cast<double>(total));
  }
  double all = 0, before = 0;
  for (size_t k = 0; k < steps_.size(); ++k) {
    all += steps_[k].weight;
    before += k < step_ ? steps_[k].weight : k == step_ ? step_share_ * steps_[k].weight : 0;
  }
  return before / all;
}

std::optional<Progress> ProgressMeter::update(std::string_view phase, uint64_t done, uint64_t total,
                                              Clock::time_point now) {
  std::optional<double> share;
  bool waits = false;  // of unknown length, whatever the steps behind it are
  if (!steps_.empty()) {
    share = share_of_all(phase, done, total);
    waits = steps_[step_].waits || (total == 0 && phase != steps_[step_].phase);
    if (total != 0) phase = steps_[step_].phase;
  } else if (total != 0) {
    share = static_cast<double>(done) / static_cast<double>(total);
  }
  if (phase != phase_) {
    phase_ = std::string(phase);
    if (steps_.empty()) start_ = now;
  } else if (now - told_ < std::chrono::milliseconds(200) && done != total) {
    return std::nullopt;
  }
  told_ = now;
  Progress out{phase_, share, std::nullopt};
  // Of the first hundredth nothing can be concluded.
  if (share && *share >= 0.01 && !waits) {
    out.seconds_left = std::chrono::duration<double>(now - start_).count() * (1 - *share) / *share;
  }
  return out;
}

}  // namespace flexroom::room
