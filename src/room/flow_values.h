#pragma once

#include <map>
#include <string>
#include <vector>

#include "flow/executor.h"
#include "session/member_session.h"

namespace flexroom::room {

/// The secrets of a flow between a member's disk and the circuits: rows that no epoch binds
/// (members.md §3), as flow::RunStore keeps them.
///
/// Stored    u32 length in bytes, then the row of a value of 8 * length bits (prep/rows.h)
/// Loaded    stays for this session; by the tag of its sharing, so that a value which a step keeps
///           again is another one
class FlowValues {
 public:
  explicit FlowValues(session::MemberSession& session) : session_(session) {}
  FlowValues(const FlowValues&) = delete;
  FlowValues& operator=(const FlowValues&) = delete;

  /// Loads those that are not there yet, all in one test (members.md §3.2), once all members
  /// describe them alike. Equal calls at all members. Throws kDisagreement naming the member,
  /// InputError where a row on this disk has not the size of its value; what load_rows() throws.
  void load(const std::vector<const flow::StoredValue*>& values);
  /// 8 bits a byte, bit 0 first; of one that load() loaded, or store() made.
  const prep::AuthBits& bits(const flow::StoredValue& value) const;
  /// In bytes. Throws InputError for what is no stored value.
  static uint32_t length_of(const flow::StoredValue& value);

  /// Fresh rows of values, one set for all of them (members.md §3.3); nothing is on disk yet. The
  /// same at all members but for the rows.
  std::map<std::string, flow::NewSecret> store(std::map<std::string, prep::AuthBits> values);

 private:
  session::MemberSession& session_;
  std::map<Digest, prep::AuthBits> loaded_;  // by tag
};

}  // namespace flexroom::room
