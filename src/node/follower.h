#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "flexroom/room.h"
#include "node/core.h"
#include "node/run_records.h"

namespace flexroom::node {

/// Looks for the results of run-script, while other runs go on: what the machine put behind this
/// member's link, until it is there or the machine's time is over. A node that was killed goes on
/// with those that its records name.
///
/// Threads  any
class Follower {
 public:
  Follower(Core& core, RunRecords& records);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  void start();
  /// Looks for nothing any more: the next node does.
  void stop();
  /// A run whose machine was started, or may have been.
  void follow(const RunRecords::Record& record);
  /// It was ended by agreement: what its record says then.
  void stopped(const std::string& run);

 private:
  class Teller;
  struct Followed {
    RunRecords::Record record;
    std::chrono::steady_clock::time_point next{};
  };
  void run();
  /// True once nothing more is looked for.
  bool look(RunRecords::Record& record);

  Core& core_;
  RunRecords& records_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Followed> all_;
  std::atomic<bool> stopped_{false};
  std::unique_ptr<Room> room_;
  std::thread thread_;
};

}  // namespace flexroom::node
