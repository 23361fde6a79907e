#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace flexroom {

/// One thing that was looked at before anything depends on it.
struct Check {
  enum class State {
    kOk,
    kWarning,  // works now, or may be as it should be
    kProblem,  // an operation would fail
  };
  std::string name;  // "clock", "port", "provider aws: ec2.eu-central-1.amazonaws.com"
  State state = State::kOk;
  std::string detail;  // what was found
  std::string remedy;  // empty if it is fine
  /// Of something compared with another member: whose it is, what ("epoch", "clock"), and both
  /// values. Else empty.
  std::string member = {}, field = {}, here = {}, there = {};
};

struct ExamineOptions {
  std::filesystem::path member_file;
  std::filesystem::path job_or_recipe;  // empty: no particular call
  std::filesystem::path links;          // of a job
  /// Also meet the other members, which say the same, and compare with them: version, clock, terms
  /// of the room, epoch, secrets and their state.
  bool with_members = false;
  /// Nothing beyond this machine: no member, no service.
  bool only_here = false;
  const std::atomic<bool>* cancel = nullptr;     // of the waiting for them
  std::function<void(const std::string&)> note;  // "waiting for hospital-b at ..."
};

/// Looks at everything that a joint operation needs of this machine and its surroundings: files,
/// clock, identity, disk, memory lock, port, the other members' addresses, and of each service
/// name, reachability and authority. Opens no state (but with_members, which reads it and may ask
/// for its passphrase), changes nothing, sends no request. What is wrong is a Check, never an
/// exception.
std::vector<Check> examine(const ExamineOptions& options);

}  // namespace flexroom
