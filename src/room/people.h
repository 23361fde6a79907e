#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agreement/proposal.h"
#include "flexroom/room.h"
#include "people/desk.h"
#include "people/exchange.h"
#include "people/rule_store.h"
#include "session/member_state.h"
#include "store/audit_log.h"

// A member's people in the operations of a room (members.md 7).

namespace flexroom::room {

/// Whether approvals of this member are its people's.
bool has_people(session::MemberState& state);
bool has_people(Room& room);

/// The approval of one proposal by this member's people, while all members are there.
class PeopleApproval final : public PeopleVoices {
 public:
  /// How long what is signed is good for: as long as the members wait for each other.
  static constexpr uint64_t kWindowSeconds = 3600;

  using Clock = std::function<uint64_t()>;  // Unix seconds

  /// `clock`: of this machine; empty: the system's.
  PeopleApproval(session::MemberState& state, const agreement::Proposal& proposal,
                 Clock clock = nullptr);
  size_t needed() const override;
  std::vector<std::string> missing() const override { return tally_.missing(); }
  std::string person_with(const std::string& key_id) const override;
  std::string request(const std::string& person) override;
  /// Throws Error, also once the window of what is signed is over.
  void add(const std::string& signature) override;

  /// APPROVE with the commitment to the signatures into the log, and these beside it, in one step.
  /// False, and nothing is written: they are not enough, the rule changed meanwhile, or what they
  /// signed is good no longer.
  bool enter();
  /// What is missing, for people.
  std::string lack() const;

 private:
  bool is_over() const { return clock_() > matter_.not_after; }

  session::MemberState& state_;
  const Clock clock_;
  people::RuleStore rules_;
  people::StoredRule rule_;
  people::Desk desk_;
  const Bytes canonical_;
  people::PersonStatement matter_;
  people::Tally tally_;
  std::vector<people::Voice> voices_;
};

/// Of an APPROVE or RULE of this member's own log: what opens it (docs/log-format.md), found right
/// before. Nothing for other entries. Throws InputError where it does not open.
std::vector<std::pair<std::string, std::string>> opened_evidence(
    session::MemberState& state, const store::AuditLog::Stored& stored);

// The rule of this member's people. Each throws Error.

std::optional<people::StoredRule> rule_of_people(Room& room);
/// The first one. Root's, as a reset is: of whoever holds the member's keys.
void begin_people(Room& room, const people::Rule& rule);
void reset_people(Room& room, const people::Rule& rule);
/// A change: one request for each administrator, by name. It replaces the one that waited before.
std::vector<std::pair<std::string, people::Request>> propose_people(Room& room, people::Rule rule);
/// The change that waits, with the signatures of its administrators. Returns its version.
uint32_t apply_people(Room& room, const std::vector<people::Voice>& voices);

}  // namespace flexroom::room
