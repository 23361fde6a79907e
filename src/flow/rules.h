#pragma once

#include <map>
#include <string>

#include "flow/run_state.h"

// From an event to what happens next (operations.md (c)): a function of the file and of how often
// each rule was followed in this confirmed run, and of nothing else.

namespace flexroom::flow {

/// How often each rule was followed, by (step, event). Begins anew with every confirmed run.
using Fired = std::map<std::pair<std::string, std::string>, unsigned>;

struct Decision {
  enum class Kind : uint8_t {
    kGo,    // to `at`
    kHold,  // the same step again: it was answered, and nothing was done
    kStop,
  };
  Kind kind = Kind::kStop;
  Position at;
  std::string rule;           // the event whose rule was followed
  int64_t pause_seconds = 0;  // before the commit
  /// A stop that no written rule asked for, behind an outcome that nobody knows: the attempt stays
  /// armed and is not committed, so that the next run begins with `unknown`.
  bool undecided = false;
  bool settle = false;  // the outcome is not known: the time of settling comes first
};

/// `event`: ok, none, unknown, "409", "409 CODE" ...
Decision decide(const Flow& flow, const Step& step, const std::string& event, Fired& fired);

}  // namespace flexroom::flow
