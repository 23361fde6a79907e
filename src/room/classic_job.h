#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agreement/proposal.h"
#include "call/run_script.h"
#include "config/config.h"
#include "flow/flow.h"
#include "room/flow_request.h"
#include "room/named_secrets.h"

namespace flexroom::room {

/// The file of `run-script --classic`, shipped, and the names in it that a job gives or takes.
inline constexpr const char* kClassicFile = "run-script-classic.toml";
inline constexpr const char* kUserData = "user-data";
inline constexpr const char* kInstanceType = "instance-type";
inline constexpr const char* kInstance = "instance-id";

/// A job of `run-script --classic` at one member, for its run and for its plan: what all will
/// approve beside the flow.
struct ClassicJob {
  JobConfig job;
  bool names_key = false;
  KeyOfJob key;
  std::string script;    // as agreed
  RunScriptTerms terms;  // of all members; before they met, of this one and of others like it
  BootScript boot;

  /// Looks at all of the job that can be wrong before the file is read. Throws InputError.
  ClassicJob(session::MemberState& state, const std::filesystem::path& file,
             const std::atomic<bool>* cancel);
  /// As it is now.
  void take_key(session::MemberState& state) { key = key_of_job(state, job, names_key); }
  void take_links(std::vector<PublicLinks> links);
  /// The file's own words are not the job's: where they differ nothing of the job is done otherwise
  /// than it says. Throws InputError.
  void require_fits(const flow::Flow& file) const;
  /// Those of the file that the job gives.
  std::map<std::string, std::string> arguments() const;
  /// Adds to what is approved. `machine`: one may run since an earlier session. `only`: as in
  /// ShownRun.
  void show(agreement::Proposal& proposal, const RoomConfig& room, bool machine,
            std::optional<size_t> only = std::nullopt) const;
  /// SHA-256, hexadecimal, of what lies behind the carrier's link.
  std::string loader_digest() const;
  /// All that the machine gets, but each member's private bytes: these follow from the seed and
  /// from the links, and the loader has what they are checked by.
  std::string machine_digest() const;
};

}  // namespace flexroom::room
