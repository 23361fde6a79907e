#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agreement/configuration.h"
#include "agreement/member_statements.h"
#include "agreement/people_bodies.h"
#include "agreement/statement.h"
#include "store/log_entry.h"
#include "store/once_db.h"

namespace flexroom::store {

/// Reads one member's statements of one room as a verifier does (members.md §5.1, §5.4;
/// docs/log-format.md): from the first on, each against the chain before it and the configuration
/// in force.
///
/// Errors  InputError naming `place`: left out, altered, out of its place, not signed
class LogVerifier {
 public:
  LogVerifier(const Digest& room, const agreement::MemberId& author)
      : room_(room), author_(author) {}

  VerifiedEntry next(const agreement::Statement& s, const std::string& place);
  const OnceDb::LogHead& last() const { return last_; }
  bool any() const { return any_; }

 private:
  void change(agreement::ChangeBody body, const std::string& place);
  void begin_change(const agreement::ChangeStart& start, VerifiedEntry& out,
                    const std::string& place);
  const agreement::Configuration& in_force(const std::string& place) const;
  void require_approved(const Digest& proposal, const std::string& place) const;
  void start_once(const Digest& session, const Digest& proposal, const std::string& place);
  void said_of_change(const agreement::Statement& s, VerifiedEntry& out, const std::string& place);
  const net::SigningKey* key_of_author() const;
  void read(const agreement::Statement& s, VerifiedEntry& out, const std::string& place);
  void about_proposal(const agreement::Statement& s, VerifiedEntry& out, const std::string& place);
  void joint_start(const agreement::JointStart& body, VerifiedEntry& out, const std::string& place);
  void start(agreement::StartBody body, VerifiedEntry& out, const std::string& place);
  void result(const agreement::Statement& s, agreement::ResultBody body, VerifiedEntry& out,
              const std::string& place);
  void approve(const agreement::ApproveBody& body, VerifiedEntry& out, const std::string& place);
  void rule(const agreement::RuleBody& body, VerifiedEntry& out, const std::string& place);
  void note(agreement::NoteBody body, VerifiedEntry& out, const std::string& place);

  const Digest room_;
  const agreement::MemberId author_;
  bool any_ = false;
  OnceDb::LogHead last_;
  std::optional<agreement::Configuration> configuration_;  // of this incarnation
  std::optional<agreement::Configuration> known_;          // the newest of all
  std::string news_;                                       // of the last CHANGE
  std::optional<agreement::RuleBody> rule_;                // the newest of all
  uint32_t rule_incarnation_ = 1;                          // in which it stands
  bool known_from_switch_ = false;  // the room has changed through the switch
  /// A change that this member approved and that is neither complete nor taken back here.
  struct Attempt {
    Digest id{};
    agreement::Configuration before, next;
    std::set<agreement::StatementKind> said;
  };
  std::optional<Attempt> attempt_;
  std::set<std::pair<Digest, uint64_t>> places_;
  std::set<std::pair<Digest, Digest>> starts_;  // session, proposal
  /// Whether what this member said last about a proposal, in this incarnation, is an APPROVE.
  std::map<Digest, bool> approved_;
};

}  // namespace flexroom::store
