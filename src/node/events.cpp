#include "node/events.h"

#include <fmt/core.h>

#include <chrono>
#include <ctime>

namespace flexroom::node {

std::string Events::Event::text() const {
  nlohmann::json object = fields;
  object["number"] = number;
  object["time"] = unix_seconds;
  object["event"] = name;
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", number, name,
                     object.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

void Events::add(const std::string& name, nlohmann::json fields) {
  const std::lock_guard lock(mutex_);
  events_.push_back({next_++, static_cast<int64_t>(std::time(nullptr)), name, std::move(fields)});
  if (events_.size() > kKept) events_.pop_front();
  came_.notify_all();
}

std::vector<Events::Event> Events::after(uint64_t number) {
  std::unique_lock lock(mutex_);
  came_.wait_for(lock, std::chrono::seconds(1), [&] { return next_ > number + 1; });
  std::vector<Event> out;
  for (const Event& event : events_) {
    if (event.number > number) out.push_back(event);
  }
  return out;
}

uint64_t Events::last() {
  const std::lock_guard lock(mutex_);
  return next_ - 1;
}

}  // namespace flexroom::node
