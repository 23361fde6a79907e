#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "flexroom/error.h"

namespace flexroom {

/// One run of run-script, as this member remembers it. No secret.
struct RunInfo {
  std::string id;  // hexadecimal; the same at every member
  std::string job;
  /// "starting", "unknown", "refused", "not started", "running", "succeeded", "failed",
  /// "too large", "no result", "stopped" or "gone".
  std::string state;
  std::string detail;   // why, in a few words
  std::string means;    // of a state that is no end: what may run, and the way on; else empty
  int64_t started = 0;  // Unix seconds
  int64_t deadline_minutes = 0;
  std::string instance_id;   // empty: none, or not known
  std::string client_token;  // by which the service finds the machine
  std::string proposal;      // digest, hexadecimal
  std::string result;        // its file in the run's folder; empty: not here
  std::filesystem::path folder;

  /// As people see and type it.
  std::string short_id() const { return id.substr(0, 12); }
};

/// What came of looking for this member's result of a run.
struct RunResult {
  enum class How {
    kResult,       // `body`
    kFailed,       // the machine says which step failed (`words`); `body` is its whole report
    kTooLarge,     // it lies where result_url says, and is too large to fetch
    kNoLink,       // links.toml named no result_get_url: fetch it yourself
    kDeadLink,     // the link is turned away for good (`words`); the run goes on
    kNotYet,       // nothing is there; `words`: the last answer of the link
    kInterrupted,  // RoomOptions::cancel was set; the run goes on
  };
  How how = How::kNotYet;
  RunInfo run;
  std::string body;  // bytes as they came
  std::string words;
  std::filesystem::path file;  // where `body` is saved; empty: nowhere
  std::string text;            // for a person: what it means, and what can be done
  std::string not_written;     // what could not be written down here, and why; empty: all was
  /// Never "nothing was changed" or "nothing happened": a machine was started.
  Exit exit() const;
};

/// What the service said to the end of a run's machine, and of its training job.
struct RunStopped {
  RunInfo run;
  bool found = true;        // false: the service lists no machine of the run
  bool may_arrive = false;  // not found, and a request may still be under way
  int status = 0;           // of the last answer about the machine; 200: it ends, or there is none
  std::string body;         // as it came
  int job_status = 0;       // of --classic: to StopTrainingJob; 0: the run has none
  std::string job_body;
  bool job_ends = true;     // false: the service refused to end it
  std::string not_written;  // as in RunResult
  std::string text;         // for a person: what came of it
  Exit exit() const;
};

}  // namespace flexroom
