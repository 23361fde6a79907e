#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "flow/request.h"
#include "flow/run_state.h"
#include "flow/run_store.h"

// What a run needs from the world. The sealed and the open agent stand behind StepExecutor, a
// member's person behind Person; the state machine of run.h knows nothing of MPC.

namespace flexroom::flow {

/// This member's wall clock, in Unix seconds.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t now() = 0;
  /// Returns at that time or later. Throws what ends the run (cancelled).
  virtual void wait_until(int64_t seconds) = 0;
};

/// One release of one step, as every member calls it.
struct StepCall {
  const Flow& flow;
  const Step& step;
  RunId run;
  uint32_t attempt = 0;  // of this step in this run, from 1: part of the request's id
  std::string idempotency;
  std::string room;  // {{room}}
  const std::map<std::string, std::string>& arguments;
  int64_t time = 0;  // agreed: of cookies' dates and signatures
  /// A value that the request or the answer's tests name, the same version at all members; nothing
  /// for one that the room does not have. Of an input of one member: nothing but `room:PREFIX`'s.
  std::function<std::optional<StoredValue>(std::string_view name)> value;
  /// Under `!=`: the current value of an opened name and the one that this run has not yet proved.
  std::function<std::vector<std::string>(std::string_view name)> excluded;
  /// Once, after all members are ready and before any share of A3 leaves (tls-in-mpc.md §5.8):
  /// armed and booked, durably, at this member. Throws what ends the attempt: nothing was released.
  std::function<void()> before_release;
};

/// What came of it, the same at all members but for rows.
struct StepAnswer {
  /// 0: released, and no whole answer was accepted.
  int status = 0;
  /// Why not, for people: as this member has it, without a byte of a sealed answer.
  std::string reason;
  /// Outside of `status`, of a step with `code`: one of its list, or "other".
  std::string code;
  bool none = false;    // no element for `item`
  std::string failure;  // a named failure of tls-in-mpc.md §5.6: nothing kept or opened
  /// By name: every keep of the step but those that `missing = "same"` left, every open to all.
  std::map<std::string, NewSecret> kept;
  std::map<std::string, std::string> opened;
};

class StepExecutor {
 public:
  virtual ~StepExecutor() = default;
  /// The flow's born secrets, drawn by all members (operations.md (b)). Contacts no provider.
  virtual std::map<std::string, NewSecret> draw(const Flow& flow, const RunId& run) = 0;
  /// Makes the request. What it throws before before_release() left nothing at the provider; behind
  /// it the outcome is not known.
  virtual StepAnswer make(const StepCall& call) = 0;
};

/// The person of this member.
class Person {
 public:
  virtual ~Person() = default;
  struct Question {
    std::string step, flow;
    std::map<std::string, std::string> shown;  // opened values by name
    int64_t within_seconds = 0;
  };
  /// Nothing: nobody answered in time.
  virtual std::optional<std::string> answer(const Question& question) = 0;
};

}  // namespace flexroom::flow
