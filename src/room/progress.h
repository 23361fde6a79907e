#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flexroom/decider.h"

namespace flexroom::room {

/// Makes of "so many of so many in this phase" how far the whole work is and how long it will take.
class ProgressMeter {
 public:
  using Clock = std::chrono::steady_clock;
  /// One step of a longer work and what it takes, in any unit.
  struct Step {
    std::string phase;
    double weight = 0;
    bool waits = false;  // for somebody else: nobody knows how long
  };
  /// From here on shares and the time left are of all these steps together: update() with the phase
  /// of a step begins it, with another phase it tells how far the present one is. Ends when others,
  /// or none, are expected.
  void expect(std::vector<Step> steps, Clock::time_point now = Clock::now());
  /// `total` 0: of unknown length. Nothing if the same phase was told less than 0.2 s ago.
  std::optional<Progress> update(std::string_view phase, uint64_t done, uint64_t total,
                                 Clock::time_point now = Clock::now());

 private:
  double share_of_all(std::string_view phase, uint64_t done, uint64_t total);

  std::string phase_;
  std::vector<Step> steps_;
  size_t step_ = 0;  // the present one, and how far it is
  double step_share_ = 0;
  Clock::time_point start_{}, told_{};  // start of the phase, or of all steps
};

}  // namespace flexroom::room
