#include "node/follower.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "base/display.h"
#include "flexroom/decider.h"
#include "room/runs.h"

namespace flexroom::node {
namespace {

using Clock = std::chrono::steady_clock;
using How = RunResult::How;

constexpr std::chrono::milliseconds kOften{500}, kSeldom{5000};
constexpr int64_t kFirstMinute = 60;
/// From the answer to RunInstances until the deadline of the job counts: the machine starts.
constexpr int64_t kStart = 15 * 60;

}  // namespace

/// Nobody is asked; what is told goes to the node's events.
class Follower::Teller final : public Decider {
 public:
  Teller(Events& events, std::string run) : events_(events), run_(std::move(run)) {}
  Answer approve(const Summary&) override { return Answer::kNotNow; }
  std::optional<std::string> human_input(const Question&) override { return std::nullopt; }
  void progress(const Progress&) override {}
  void note(std::string_view text) override {
    events_.add("note", {{"run", run_}, {"text", display_text(text)}});
  }

 private:
  Events& events_;
  const std::string run_;
};

Follower::Follower(Core& core, RunRecords& records) : core_(core), records_(records) {}
Follower::~Follower() { stop(); }

void Follower::start() {
  thread_ = std::thread([this] { run(); });
}

void Follower::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Follower::follow(const RunRecords::Record& record) {
  const std::lock_guard lock(mutex_);
  all_.push_back({record, Clock::now()});
  wake_.notify_all();
}

void Follower::stopped(const std::string& run) {
  auto record = records_.find(run);
  if (!record) return;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(all_, [&](const Followed& one) { return one.record.id == run; });
  }
  record->state = "stopped";
  record->detail = "its machine was ended by agreement";
  records_.put(*record);
}

void Follower::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const auto first =
        std::min_element(all_.begin(), all_.end(),
                         [](const Followed& a, const Followed& b) { return a.next < b.next; });
    if (first == all_.end()) {
      room_.reset();
      wake_.wait(lock);
      continue;
    }
    if (first->next > Clock::now()) {
      wake_.wait_until(lock, first->next);
      continue;
    }
    RunRecords::Record record = first->record;
    lock.unlock();
    const bool over = look(record);
    lock.lock();
    const auto same = std::find_if(all_.begin(), all_.end(),
                                   [&](const Followed& one) { return one.record.id == record.id; });
    if (same == all_.end()) continue;  // it was stopped meanwhile
    if (over) {
      all_.erase(same);
      records_.put(record);
      core_.events().add("run", {{"run", record.id},
                                 {"proposal", record.proposal},
                                 {"state", record.state},
                                 {"status", record.status},
                                 {"detail", record.detail}});
      core_.changed();  // the log has a line more
    } else {
      const bool young = std::time(nullptr) - record.ended < kFirstMinute;
      same->next = Clock::now() + (young ? kOften : kSeldom);
    }
  }
}

bool Follower::look(RunRecords::Record& record) {
  try {
    if (!room_) {
      RoomOptions options;
      options.member_file = core_.member_file();
      options.cancel = &stopped_;
      room_ = std::make_unique<Room>(options);
    }
    const RunInfo known = room_->run(record.id);
    const bool is_over = std::time(nullptr) > record.ended + 60 * known.deadline_minutes + kStart;
    Teller teller(core_.events(), record.id);
    const RunResult got = room::look_for_result(*room_, record.id, is_over, teller);
    if (got.how == How::kInterrupted || (got.how == How::kNotYet && !is_over)) return false;
    const bool is_there = got.how == How::kResult || got.how == How::kFailed;
    if (is_there && !got.not_written.empty() && !is_over) return false;  // the disk was full
    record.state = got.how == How::kFailed                                  ? "failed"
                   : is_there || got.how == How::kTooLarge                  ? "done"
                   : got.how == How::kNoLink && !record.instance_id.empty() ? "done"
                                                                            : "unknown";
    record.detail = display_text(got.how == How::kFailed ? got.words : got.text);
    if (is_there) record.status = 200;  // also where no answer to the request was here
    record.file = got.file.string();
    record.body_bytes = got.body.size();
    record.ended = std::time(nullptr);
    return true;
  } catch (const std::exception& error) {
    room_.reset();
    core_.events().add("note", {{"run", record.id}, {"text", display_text(error.what())}});
    return false;
  }
}

}  // namespace flexroom::node
