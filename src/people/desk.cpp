#include "people/desk.h"

#include <algorithm>

#include "base/error.h"
#include "people/voice_refused.h"

namespace flexroom::people {
namespace {

StoredRule rule_of(RuleStore& rules) {
  auto rule = rules.current();
  if (!rule) {
    throw InputError("people", "this member has none that could sign", "`flexroom people init`");
  }
  return std::move(*rule);
}

}  // namespace

Desk::Desk(RuleStore& rules, std::vector<RelyingParty> parties, Tickets::Clock clock)
    : rules_(rules),
      parties_(std::move(parties)),
      tickets_(clock ? Tickets(std::move(clock)) : Tickets()) {
  FLEXROOM_ASSERT(!parties_.empty());
}

PersonStatement Desk::statement(PersonStatement matter, const std::string& person) {
  const StoredRule now = rule_of(rules_);
  const Person* const who = now.rule.person(person);
  if (who == nullptr) {
    throw VoiceRefused(VoiceCheck::kPerson, "person " + person, "is none of this member's people");
  }
  matter.role = role_for(matter.kind);
  const std::vector<std::string>& of = now.rule.quorum(matter.role)->of;
  if (!who->has(matter.role) || std::find(of.begin(), of.end(), person) == of.end()) {
    throw VoiceRefused(VoiceCheck::kRole, "person " + person,
                       "has no voice here: the rule does not let " + person + " " +
                           std::string(to_string(matter.role)));
  }
  matter.room = now.rule.room;
  matter.member = now.rule.member;
  matter.person = person;
  matter.rule_version = now.rule.version;
  return tickets_.issue(std::move(matter));
}

VerifiedVoice Desk::accept(const Voice& voice) {
  const StoredRule now = rule_of(rules_);
  VerifiedVoice out = verify_voice(now.rule, voice, parties_);
  const std::string place = "signature of " + out.st.person;
  if (!tickets_.is_open(voice.st)) {
    throw VoiceRefused(VoiceCheck::kTicket, place,
                       "is on a statement that was not made here, is older than ten minutes, or "
                       "was taken already",
                       "have it shown again and sign again");
  }
  rules_.count(*now.rule.holder(voice.key_id).key, out.sign_count);
  FLEXROOM_ASSERT(tickets_.take(voice.st));
  return out;
}

RuleStore::Pending propose_change(RuleStore& rules, Desk& desk, Rule next, uint64_t now) {
  const auto before = rules.current();
  if (!before) {
    throw InputError("people propose", "this member has no people yet",
                     "`flexroom people init` makes the first rule");
  }
  next.room = before->rule.room;
  next.member = before->rule.member;
  next.version = before->rule.version + 1;
  next.previous = before->rule.digest();
  next.reset = false;
  PersonStatement matter;
  matter.kind = agreement::StatementKind::kRule;
  matter.what = next.digest();
  RuleStore::Pending out{std::move(next), {}, now + RuleStore::kPendingLife};
  for (const std::string& name : before->rule.administer.of) {
    out.statements.push_back(desk.statement(matter, name).encode());
  }
  rules.put_pending(out);
  return out;
}

}  // namespace flexroom::people
