#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "flow/run_store.h"
#include "session/member_state.h"

namespace flexroom::room {

/// What flows keep of this room, on this member's disk.
flow::RunStore flow_store(session::MemberState& state);

/// A value of the room as people name it: a secret that was imported or drawn, by its name; a value
/// that a flow made, secret or public, as "PREFIX:NAME", or as NAME where only one prefix has it
/// and no other secret is called so.
struct NamedSecret {
  std::string name;    // in full
  std::string prefix;  // of a flow's value; empty: none
  std::string value;   // its name below the prefix
  bool is_of_flow() const { return !prefix.empty(); }
  auto operator<=>(const NamedSecret&) const = default;
};
/// All that this member has which `name` could mean: none, one, or several prefixes.
std::vector<NamedSecret> secrets_called(session::MemberState& state, const std::string& name);

/// The newest version of a secret that was imported or drawn, for an input `secret:NAME` of a flow;
/// nothing where there is none: what flows left is `room:PREFIX`.
std::optional<flow::StoredValue> secret_for_flow(session::MemberState& state,
                                                 const std::string& name);

/// A key pair that a flow made: what signs, and the public id that the service knows it by.
struct JointKey {
  std::string id;
  store::RecordMeta secret;
  /// "kept by flow create-session": of the proposal.
  std::string origin() const;
};
/// The key of jobs and calls that name none: the only pair X/secret, X/id of a provider that flows
/// left in the room and that may sign. Throws InputError where there is none, or more than one,
/// saying which.
JointKey joint_key(session::MemberState& state, const std::string& provider,
                   const std::string& place);
/// The key that signs a job's request.
struct KeyOfJob {
  store::RecordMeta secret;
  std::string origin;  // JointKey::origin(), of a job that names none
};
/// The one that the job names; without a name (`names_key`) joint_key(), whose names are written
/// into the job. Held to check_key(). Throws InputError.
KeyOfJob key_of_job(session::MemberState& state, JobConfig& job, bool names_key);
/// The id that goes with a flow's secret now; nothing for other names.
std::optional<std::string> id_of_key(session::MemberState& state, const std::string& secret);

}  // namespace flexroom::room
