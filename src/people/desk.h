#pragma once

#include <optional>
#include <string>
#include <vector>

#include "people/evidence.h"
#include "people/rule_store.h"
#include "people/tickets.h"
#include "people/voice.h"

namespace flexroom::people {

/// Where a member's people speak: makes the statements that are shown and signed, takes signatures,
/// each check of 7.3 in one place (members.md 7.2, 7.3). One for the life of a node.
///
/// Guarantee  accept() returns for exactly the statements that statement() made within the last ten
///            minutes, each once, signed by the person it was made for, under the newest rule
/// Errors     VoiceRefused
class Desk {
 public:
  /// All outlive it. `parties`: local_relying_parties(), or of the console.
  Desk(RuleStore& rules, std::vector<RelyingParty> parties, Tickets::Clock clock = {});

  /// st for one person and one view. `matter`: kind, what, terms, versions and window; room,
  /// member, role, rule version and ticket are filled in. Throws VoiceRefused (kPerson, kRole) for
  /// somebody who may not speak about it.
  PersonStatement statement(PersonStatement matter, const std::string& person);
  /// The checks of verify_voice(), then ticket and counter; after it this statement is spent.
  VerifiedVoice accept(const Voice& voice);

  Tickets& tickets() { return tickets_; }
  const std::vector<RelyingParty>& parties() const { return parties_; }

 private:
  RuleStore& rules_;
  std::vector<RelyingParty> parties_;
  Tickets tickets_;
};

/// Makes `next` the version after the one that holds and lets it wait for its administrators
/// (RuleStore::put_pending), with a statement for each. Throws InputError: there is no rule yet.
RuleStore::Pending propose_change(RuleStore& rules, Desk& desk, Rule next, uint64_t now);

}  // namespace flexroom::people
