#pragma once

#include <algorithm>
#include <chrono>

namespace flexroom::node {

/// How many messages of one peer are taken: `burst` at once, `per_second` for long. Who sends more
/// waits, and nobody else does (members.md §5.3).
class Pace {
 public:
  using Clock = std::chrono::steady_clock;
  Pace(double per_second, double burst, Clock::time_point now = Clock::now())
      : per_second_(per_second), burst_(burst), have_(burst), since_(now) {}
  /// One message came: how long to wait before it is looked at. Zero: it is within its pace.
  std::chrono::milliseconds next(Clock::time_point now = Clock::now()) {
    const double gone = std::chrono::duration<double>(now - since_).count();
    have_ = std::min(burst_, have_ + std::max(0.0, gone) * per_second_) - 1;
    since_ = now;
    if (have_ >= 0) return std::chrono::milliseconds(0);
    return std::chrono::milliseconds(static_cast<int64_t>(-have_ / per_second_ * 1000) + 1);
  }

 private:
  double per_second_, burst_, have_;
  Clock::time_point since_;
};

}  // namespace flexroom::node
