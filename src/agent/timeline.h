#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/party.h"

namespace flexroom::agent {

/// Where the seconds and bytes of a run went, phase by phase.
class Timeline {
 public:
  struct Phase {
    std::string name;
    double start_seconds = 0;
    double seconds = 0;
    uint64_t bytes_sent = 0;
    uint64_t half_rounds = 0;
    uint64_t ands = 0;
  };
  /// Called when a phase begins.
  using Listener = std::function<void(std::string_view phase)>;

  explicit Timeline(net::Party& party, Listener listener = nullptr)
      : party_(party), listener_(std::move(listener)) {}

  /// Ends the current phase, if there is one, and begins the next.
  void begin(std::string_view name, uint64_t ands = 0);
  void end();
  /// Of the current phase, when they are known only after it began.
  void set_ands(uint64_t ands) { phases_.back().ands = ands; }
  const std::vector<Phase>& phases() const { return phases_; }

 private:
  using Clock = std::chrono::steady_clock;
  net::Party& party_;
  Listener listener_;
  Clock::time_point origin_ = Clock::now();
  Clock::time_point started_;
  uint64_t bytes_before_ = 0;
  uint64_t rounds_before_ = 0;
  bool running_ = false;
  std::vector<Phase> phases_;
};

}  // namespace flexroom::agent
