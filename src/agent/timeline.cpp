#include "agent/timeline.h"

namespace flexroom::agent {

void Timeline::begin(std::string_view name, uint64_t ands) {
  end();
  started_ = Clock::now();
  bytes_before_ = party_.traffic().bytes_sent;
  rounds_before_ = party_.traffic().half_rounds;
  Phase phase;
  phase.name = std::string(name);
  phase.start_seconds = std::chrono::duration<double>(started_ - origin_).count();
  phase.ands = ands;
  phases_.push_back(std::move(phase));
  running_ = true;
  if (listener_) listener_(name);
}

void Timeline::end() {
  if (!running_) return;
  Phase& phase = phases_.back();
  phase.seconds = std::chrono::duration<double>(Clock::now() - started_).count();
  phase.bytes_sent = party_.traffic().bytes_sent - bytes_before_;
  phase.half_rounds = party_.traffic().half_rounds - rounds_before_;
  running_ = false;
}

}  // namespace flexroom::agent
