#pragma once

#include <map>
#include <string>
#include <vector>

#include "flow/executor.h"
#include "session/member_session.h"

namespace flexroom::room {

/// The secrets of a flow between a member's disk and the circuits: records of the room, loaded and
/// stored as every other secret is (session/member_session.h), which flow::RunStore commits.
///
/// Loaded  stays for this session; what a step made is known by the tag of its sharing, so that a
///         value which a step keeps again is another one
class FlowValues {
 public:
  explicit FlowValues(session::MemberSession& session) : session_(session) {}
  FlowValues(const FlowValues&) = delete;
  FlowValues& operator=(const FlowValues&) = delete;

  /// Loads those that are not there yet, all in one test (members.md §3.2), once all members
  /// describe them alike. Equal calls at all members. Throws what MemberSession::load() throws:
  /// kDisagreement naming the field that differs.
  void load(const std::vector<const flow::StoredValue*>& values);
  /// 8 bits a byte, bit 0 first; of one that load() loaded, or store() made.
  const prep::AuthBits& bits(const flow::StoredValue& value) const;

  /// Fresh rows of values, one set for all of them (members.md §3.3); nothing is on disk yet. The
  /// same at all members but for the rows.
  std::map<std::string, flow::NewSecret> store(std::map<std::string, prep::AuthBits> values);

 private:
  session::MemberSession& session_;
  std::map<Digest, prep::AuthBits> made_;  // in this session, by tag
};

/// Of a secret, in bytes. Throws InputError for what is none.
uint32_t length_of(const flow::StoredValue& value);

}  // namespace flexroom::room
