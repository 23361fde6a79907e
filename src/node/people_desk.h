#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/core.h"
#include "people/ballots.h"
#include "people/desk.h"

namespace flexroom::node {

/// Where this member's people decide at its node (members.md §7, 9.1): makes the statements that
/// are shown and signed, takes voices, and says in the member's name what enough of them say.
///
/// Guarantee  where there is a rule, nothing is approved, refused or withdrawn but by voices that
///            passed every check of 7.3; they are durable before they are confirmed, and stand with
///            the APPROVE
/// Threads    none: the caller holds the core (Core::with)
/// Errors     people::VoiceRefused; HttpError; InputError
class PeopleDesk {
 public:
  static constexpr size_t kMostOpenOfCaller = 64;

  explicit PeopleDesk(Core& core);
  /// Whose origins are taken: the command line's, and of the console at that port.
  void set_console(uint16_t port);

  static std::optional<people::StoredRule> rule(const Core::Open& open);

  struct Progress {
    size_t counted = 0, needed = 0;
    bool decided = false;
    std::vector<std::string> missing;
  };
  /// What one person signs, for one view.
  struct Asked {
    people::PersonStatement st;
    std::vector<people::Key> passkeys;  // of that person
    Progress progress;
  };
  /// What a decision on a proposal is about. `reason`: of REJECT.
  struct Matter {
    inbox::Item item;
    agreement::StatementKind kind = agreement::StatementKind::kApprove;
    std::string reason;
  };
  Asked ask(const Core::Open& open, const Matter& matter, const std::string& person,
            const std::string& caller, uint64_t now);
  /// The statement that was made with that ticket; nothing: none is open.
  std::optional<Bytes> statement(const people::Ticket& ticket) const;
  /// `item`: of the path that was called.
  Progress say(const Core::Open& open, const inbox::Item& item, const people::Voice& voice,
               uint64_t now);

  // The rule itself.

  /// A change that waits for its administrators; it replaces the one before.
  people::RuleStore::Pending propose(const Core::Open& open, people::Rule next, uint64_t now);
  std::optional<people::RuleStore::Pending> pending(const Core::Open& open, uint64_t now);
  Asked ask_change(const Core::Open& open, const std::string& person, uint64_t now);
  Progress say_change(const Core::Open& open, const people::Voice& voice, uint64_t now);
  Progress change_progress(const Core::Open& open, const people::RuleStore::Pending& pending);

  /// A challenge for a key that is to be enrolled for that person.
  Digest ask_key(const std::string& person) { return enrolments_.issue_enrolment(person); }
  /// The key of a registration for such a challenge. Throws VoiceRefused, also where the challenge
  /// was made for somebody else.
  people::Key take_key(const people::Registration& registration, const std::string& person);

  /// Who of this member's people proposed it, for `not_own`. Set before it is proposed.
  static void set_proposer(const Core::Open& open, const Digest& proposal, const std::string& who);
  static std::string proposer(const Core::Open& open, const Digest& proposal);

 private:
  struct Shown {
    Bytes st;
    std::string reason, caller;
    std::chrono::steady_clock::time_point until;
  };
  void open_desk(const Core::Open& open);
  people::PersonStatement matter_of(const Core::Open& open, const Matter& matter,
                                    const people::Rule& rule) const;
  void require_open(const Core::Open& open, const Matter& matter) const;
  people::Tally tally(const Core::Open& open, const people::Rule& rule,
                      const people::PersonStatement& st, const Digest& proposal,
                      std::vector<people::Voice>* voices = nullptr);
  void carry_out(const Core::Open& open, const Matter& matter, const people::PersonStatement& st,
                 const std::vector<people::Voice>& voices, uint64_t now);
  void withdraw(const Core::Open& open, const Matter& matter, const people::PersonStatement& st,
                uint64_t now);
  void judge_again(const Core::Open& open, uint64_t now);
  void approve_again(const Core::Open& open, const inbox::Item& item,
                     const agreement::ApproveBody& approval, uint64_t now);

  Core& core_;
  std::vector<people::RelyingParty> parties_;
  std::unique_ptr<people::RuleStore> rules_;
  std::unique_ptr<people::Desk> desk_;
  people::Tickets enrolments_;
  std::map<people::Ticket, Shown> shown_;
};

}  // namespace flexroom::node
