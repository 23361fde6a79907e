#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace flexroom::node {

/// What happens at a node, for whoever follows: the newest thousand, numbered from 1.
class Events {
 public:
  static constexpr size_t kKept = 1000;
  struct Event {
    uint64_t number = 0;
    int64_t unix_seconds = 0;
    std::string name;  // "proposal", "run", "peer", "note", "stock"
    nlohmann::json fields;
    /// As server-sent events are written.
    std::string text() const;
  };
  void add(const std::string& name, nlohmann::json fields);
  /// Those after `number`; waits up to a second for one.
  std::vector<Event> after(uint64_t number);
  uint64_t last();

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<Event> events_;
  uint64_t next_ = 1;
};

}  // namespace flexroom::node
