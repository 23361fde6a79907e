#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "flexroom/session.h"
#include "inbox/start.h"
#include "node/core.h"
#include "node/follower.h"
#include "node/listener.h"
#include "node/run_records.h"
#include "room/hooks.h"

namespace flexroom::node {

/// Begins sessions with all members by itself, and runs in them what all approved (members.md §8.1,
/// §8.3): when a run is ready here, when another node asks, and to keep the preprocessed stock
/// filled.
///
/// A session    all join; each says what it has to do; with a run that all have ready, START, and
///              the library's own operation; otherwise stock, a slice at a time, so that a run
///              waits for no more than that. Nobody is asked inside: StoredApproval answers
/// At most once the mark is armed before the own share of every release (Inbox::arm)
/// After a failure 1, 2, 4 .. 60 seconds, and Inbox::pause_until() of the peer it failed with
class Runner {
 public:
  Runner(Core& core, Listener& listener, std::function<void()> ask_all_to_meet,
         std::function<bool()> all_up);
  /// As finish().
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void start();
  /// There may be something to do.
  void wake();
  /// Another node asks for a session.
  void meet(const agreement::MemberId& peer);
  /// Begins nothing more.
  void drain();
  /// The same, and lets what runs come to its end; cancel() meanwhile ends it at once.
  void finish();
  void cancel() { cancelled_ = true; }
  struct State {
    bool draining = false;
    std::string doing;    // "idle", "meeting", "running PROPOSAL", "stock"
    std::string problem;  // of the last session that failed; empty: none
    uint64_t sessions = 0, failures = 0;
    double share = 0;  // of the present work, 0 to 1
    std::string phase;
  };
  State state();
  RunRecords& records() { return records_; }
  Follower& follower() { return follower_; }

 private:
  using Clock = std::chrono::steady_clock;
  class StoredApproval;
  struct Agenda;
  struct InHand;

  void run();
  /// Whether a session would have something to do; when to look again.
  bool is_due();
  bool stock_is_due();
  uint64_t stock_target() const;
  /// False: there was nothing to do in it.
  bool hold_session();
  InHand take_in_hand(const inbox::Started& started);
  void arm(InHand& run);
  void perform(Session& session, InHand& run);
  void take_answer(const ServiceAnswer& answer, InHand& run);
  void take_start(const RunStarted& started, InHand& run);
  void settle(RunRecords::Record record);
  void forget_inputs(const Core::Open& open, uint64_t now);
  std::exception_ptr try_to_perform(Session& session, InHand& run);
  void tell(const InHand& run);
  void carry_out(Session& session, const inbox::Started& started, StoredApproval& decider);
  void note_failed(const agreement::MemberId& peer);
  void fill(Session& session, const Agenda& agenda);
  void set_doing(const std::string& doing);

  Core& core_;
  Listener& listener_;
  std::function<void()> ask_all_to_meet_;
  std::function<bool()> all_up_;
  RunRecords records_;
  Follower follower_;
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = true, draining_ = false;
  std::optional<agreement::MemberId> asked_;  // who asked for a session
  State state_;
  std::unique_ptr<Room> room_;
  room::Hooks hooks_;
  Clock::time_point stock_not_before_{};
  uint64_t prune_at_ = 0;  // seconds since 1970
  std::thread thread_;
};

}  // namespace flexroom::node
