#include "node/people_desk.h"

#include <algorithm>

#include "agreement/people_bodies.h"
#include "base/base64.h"
#include "base/codec.h"
#include "base/error.h"
#include "inbox/rules.h"
#include "node/http_request.h"
#include "people/voice_refused.h"
#include "room/waiting.h"
#include "store/room_store.h"
#include "store/row_reader.h"

namespace flexroom::node {

using Kind = agreement::StatementKind;
using people::PersonStatement;
using people::VoiceCheck;
using people::VoiceRefused;

namespace {

std::string proposer_kind(const Core::Open& open) {
  return store::rows_of_room("proposer", open.state.rid());
}

PeopleDesk::Progress progress_of(const people::Tally& tally) {
  return {std::min(tally.count(), tally.needed()), tally.needed(), false, tally.missing()};
}

std::vector<people::Key> passkeys_of(const people::Rule& rule, const std::string& person) {
  std::vector<people::Key> out;
  const people::Person* const who = rule.person(person);
  if (who == nullptr) return out;
  std::copy_if(who->keys.begin(), who->keys.end(), std::back_inserter(out),
               [](const people::Key& key) { return key.is_webauthn(); });
  return out;
}

const inbox::Decision* own_decision(const inbox::Item& item, const agreement::MemberId& self) {
  for (const inbox::Decision& one : item.decisions) {
    if (one.member == self) return &one;
  }
  return nullptr;
}

}  // namespace

PeopleDesk::PeopleDesk(Core& core)
    : core_(core), parties_(people::local_relying_parties(std::nullopt)) {}

void PeopleDesk::set_console(uint16_t port) {
  parties_ = people::local_relying_parties(port);
  desk_.reset();
}

std::optional<people::StoredRule> PeopleDesk::rule(const Core::Open& open) {
  return open.state.people().current();
}

void PeopleDesk::open_desk(const Core::Open& open) {
  if (desk_) return;
  rules_ = std::make_unique<people::RuleStore>(open.state.people());
  desk_ = std::make_unique<people::Desk>(*rules_, parties_);
}

// Of a no the reason stands where an approval has the versions: what goes to the others in this
// person's words is signed too (members.md 7.2).
PersonStatement PeopleDesk::matter_of(const Core::Open& open, const Matter& matter,
                                      const people::Rule& rule) const {
  PersonStatement out;
  out.room = rule.room;
  out.member = rule.member;
  out.rule_version = rule.version;
  out.kind = matter.kind;
  out.role = people::role_for(matter.kind);
  out.what = matter.item.complete.value_or(matter.item.proposal);
  out.terms = open.inbox.configuration().terms();
  out.versions = matter.kind == Kind::kApprove ? matter.item.terms.versions()
                                               : people::reason_digest(matter.reason);
  out.not_before = matter.item.terms.window.first;
  out.not_after = matter.item.terms.window.last;
  return out;
}

void PeopleDesk::require_open(const Core::Open& open, const Matter& matter) const {
  if (matter.kind != Kind::kApprove) return;
  if (!matter.item.complete) throw HttpError(409, "inputs are missing: it cannot be approved yet");
  const auto* const own = own_decision(matter.item, core_.mids()[core_.self()]);
  if (own != nullptr && own->counts == inbox::Counts::kYes) {
    throw HttpError(409, "this member has approved it already");
  }
  (void)room::waiting_of(open.state, open.inbox.proposal(matter.item.proposal), matter.item.terms);
}

people::Tally PeopleDesk::tally(const Core::Open& open, const people::Rule& rule,
                                const PersonStatement& st, const Digest& proposal,
                                std::vector<people::Voice>* voices) {
  auto waiting = people::Ballots(open.state.once(), open.state.rid()).of(st);
  const std::string who = proposal == Digest{} ? "" : proposer(open, proposal);
  people::Tally out = people::counted(rule, st, who, waiting, parties_);
  if (voices != nullptr) *voices = std::move(waiting);
  return out;
}

PeopleDesk::Asked PeopleDesk::ask(const Core::Open& open, const Matter& matter,
                                  const std::string& person, const std::string& caller,
                                  uint64_t now) {
  open_desk(open);
  require_open(open, matter);
  const people::Rule rule = rules_->current()->rule;
  people::Ballots(open.state.once(), open.state.rid()).prune(now, rule.version);
  const auto time = std::chrono::steady_clock::now();
  std::erase_if(shown_, [&](const auto& one) { return one.second.until <= time; });
  const auto of_caller = std::count_if(
      shown_.begin(), shown_.end(), [&](const auto& one) { return one.second.caller == caller; });
  if (static_cast<size_t>(of_caller) >= kMostOpenOfCaller) {
    throw HttpError(429, "too many statements of this caller wait for a signature",
                    "sign them, or wait ten minutes");
  }
  Asked out;
  const PersonStatement about = matter_of(open, matter, rule);
  out.st = desk_->statement(about, person);
  shown_[out.st.ticket] = {out.st.encode(), matter.reason, caller, time + people::Tickets::kLife};
  out.passkeys = passkeys_of(rule, person);
  out.progress = progress_of(tally(open, rule, about, matter.item.proposal));
  return out;
}

std::optional<Bytes> PeopleDesk::statement(const people::Ticket& ticket) const {
  const auto found = shown_.find(ticket);
  if (found == shown_.end()) return std::nullopt;
  return found->second.st;
}

PeopleDesk::Progress PeopleDesk::say(const Core::Open& open, const inbox::Item& item,
                                     const people::Voice& voice, uint64_t now) {
  open_desk(open);
  const auto st = PersonStatement::decode(voice.st, "statement");
  const std::string place = "signature of " + st.person;
  const auto shown = shown_.find(st.ticket);
  if (shown == shown_.end() || shown->second.st != voice.st) {
    throw VoiceRefused(VoiceCheck::kTicket, place,
                       "is on a statement that was not made here, is older than ten minutes, or "
                       "was taken already",
                       "have it shown again and sign again");
  }
  const Matter matter{item, st.kind, shown->second.reason};
  const people::Rule rule = rules_->current()->rule;
  PersonStatement about = matter_of(open, matter, rule);
  if (st.rule_version == rule.version && !st.same_matter(about)) {
    throw VoiceRefused(VoiceCheck::kMatter, place,
                       "is about another proposal, or the terms of the room changed since",
                       "have it shown again and sign again");
  }
  require_open(open, matter);
  (void)desk_->accept(voice);
  shown_.erase(st.ticket);
  about.person = st.person;
  people::Ballots ballots(open.state.once(), open.state.rid());
  ballots.put(about, voice);
  std::vector<people::Voice> voices;
  const people::Tally now_counted = tally(open, rule, about, item.proposal, &voices);
  Progress out = progress_of(now_counted);
  if (!now_counted.enough()) return out;
  carry_out(open, matter, about, voices, now);
  ballots.drop(about);
  out.decided = true;
  return out;
}

void PeopleDesk::carry_out(const Core::Open& open, const Matter& matter, const PersonStatement& st,
                           const std::vector<people::Voice>& voices, uint64_t now) {
  if (matter.kind == Kind::kReject) return open.inbox.reject(st.what, matter.reason, now);
  if (matter.kind == Kind::kWithdraw) return withdraw(open, matter, st, now);
  const people::Evidence evidence = people::Evidence::of(voices);
  rules_->put_evidence(evidence);  // killed behind it: it opens nothing
  inbox::Inbox::Consent consent;
  consent.rule_version = st.rule_version;
  consent.evidence = evidence.commitment();
  consent.window = matter.item.terms.window;
  open.inbox.approve(st.what, consent, now);
}

// What is not approved yet: the voice for it is taken back.
void PeopleDesk::withdraw(const Core::Open& open, const Matter& matter, const PersonStatement& st,
                          uint64_t now) {
  const agreement::MemberId& self = core_.mids()[core_.self()];
  if (matter.item.proposer == self) return open.inbox.withdraw_proposal(st.what, now);
  const auto* const own = own_decision(matter.item, self);
  if (own == nullptr || !own->approval) {
    const Matter approval{matter.item, Kind::kApprove, ""};
    const PersonStatement about = matter_of(open, approval, rules_->current()->rule);
    PersonStatement mine = about;
    mine.person = st.person;
    if (people::Ballots(open.state.once(), open.state.rid()).take_back(mine, st.person)) return;
  }
  open.inbox.withdraw_approval(st.what, now);
}

people::RuleStore::Pending PeopleDesk::propose(const Core::Open& open, people::Rule next,
                                               uint64_t now) {
  open_desk(open);
  if (!next.standing.empty()) (void)inbox::StandingRules::parse(next.standing, "rules.toml", now);
  return people::propose_change(*rules_, *desk_, std::move(next), now);
}

std::optional<people::RuleStore::Pending> PeopleDesk::pending(const Core::Open& open,
                                                              uint64_t now) {
  open_desk(open);
  return rules_->pending(now);
}

PeopleDesk::Progress PeopleDesk::change_progress(const Core::Open& open,
                                                 const people::RuleStore::Pending& pending) {
  open_desk(open);
  const auto st = PersonStatement::decode(pending.statements.front(), "a change of people");
  return progress_of(tally(open, rules_->current()->rule, st, {}));
}

PeopleDesk::Asked PeopleDesk::ask_change(const Core::Open& open, const std::string& person,
                                         uint64_t now) {
  const auto waiting = pending(open, now);
  if (!waiting) throw HttpError(404, "no change of this member's people waits");
  for (const Bytes& one : waiting->statements) {
    const auto st = PersonStatement::decode(one, "a change of people");
    if (st.person != person) continue;
    return {st, passkeys_of(rules_->current()->rule, person), change_progress(open, *waiting)};
  }
  throw VoiceRefused(VoiceCheck::kRole, "person " + person, "does not administer this member");
}

PeopleDesk::Progress PeopleDesk::say_change(const Core::Open& open, const people::Voice& voice,
                                            uint64_t now) {
  const auto waiting = pending(open, now);
  const auto st = PersonStatement::decode(voice.st, "statement");
  people::Ballots ballots(open.state.once(), open.state.rid());
  const std::string place = "signature of " + st.person;
  const auto refuse = [&](const char* why) {
    throw VoiceRefused(VoiceCheck::kTicket, place, why, "sign the newest request");
  };
  if (!waiting) refuse("is for a change that does not wait here");
  const auto& made = waiting->statements;
  if (std::find(made.begin(), made.end(), voice.st) == made.end()) {
    refuse("is on a statement that was not made here for the change that waits");
  }
  for (const people::Voice& one : ballots.of(st)) {
    if (one.st == voice.st) refuse("is here already");
  }
  const people::Rule rule = rules_->current()->rule;
  const people::VerifiedVoice verified = people::verify_voice(rule, voice, parties_);
  rules_->count(*rule.holder(voice.key_id).key, verified.sign_count);
  ballots.put(st, voice);
  std::vector<people::Voice> voices;
  const people::Tally counted = tally(open, rule, st, {}, &voices);
  Progress out = progress_of(counted);
  if (!counted.enough()) return out;
  store::AuditLog log = open.state.log();
  rules_->apply(log, waiting->next, people::Evidence::of(voices), parties_,
                people::RuleStore::Counters::kWereCounted);
  ballots.drop(st);
  out.decided = true;
  judge_again(open, now);
  return out;
}

// members.md 7.5: what was approved under the rule of before stands where its voices do.
void PeopleDesk::judge_again(const Core::Open& open, uint64_t now) {
  for (const inbox::Item& item : open.inbox.list(now)) {
    const auto* const own = own_decision(item, core_.mids()[core_.self()]);
    if (own == nullptr || own->counts != inbox::Counts::kRule || !own->approval) continue;
    if (item.state != inbox::State::kVoid) continue;
    approve_again(open, item, *own->approval, now);
  }
}

void PeopleDesk::approve_again(const Core::Open& open, const inbox::Item& item,
                               const agreement::ApproveBody& approval, uint64_t now) {
  const people::Rule rule = rules_->current()->rule;
  const auto evidence = rules_->evidence(approval.evidence);
  const auto holds = evidence ? people::judged_again(rule, rules_->newest_reset(rule.version),
                                                     *evidence, proposer(open, item.proposal))
                              : std::nullopt;
  try {
    if (!holds) return open.inbox.withdraw_approval(approval.proposal, now);
    rules_->put_evidence(*holds);
    inbox::Inbox::Consent consent{rule.version, holds->commitment(), std::nullopt};
    consent.window = inbox::Window{approval.not_before, approval.not_after};
    open.inbox.approve(approval.proposal, consent, now);
  } catch (const store::DamagedState&) {
    throw;
  } catch (const InputError& error) {
    // It stays as it is: under the old rule it counts no more. The new rule holds all the same.
    core_.events().add("note", nlohmann::json::object({{"text", error.what()}}));
  }
}

people::Key PeopleDesk::take_key(const people::Registration& registration,
                                 const std::string& person) {
  const std::string place = "passkey of " + person;
  const auto client = people::ClientData::parse(registration.client_data);
  const auto bytes = base64url_decode(client.challenge);
  Digest challenge{};
  if (!bytes || bytes->size() != challenge.size()) {
    throw VoiceRefused(VoiceCheck::kChallenge, place, "answers no challenge of this node");
  }
  std::copy(bytes->begin(), bytes->end(), challenge.begin());
  people::Key out = people::verify_registration(registration, challenge, parties_);
  if (enrolments_.take_enrolment(challenge) != person) {
    throw VoiceRefused(VoiceCheck::kTicket, place,
                       "answers a question that was not put here for " + person +
                           ", is older than ten minutes, or was answered already",
                       "begin again");
  }
  return out;
}

void PeopleDesk::set_proposer(const Core::Open& open, const Digest& proposal,
                              const std::string& who) {
  // Once: who proposes the same bytes anew, and is refused, changes nothing.
  if (open.inbox.show(proposal, 0)) return;
  open.state.db().put(proposer_kind(open), proposal, as_bytes(who), {});
}

std::string PeopleDesk::proposer(const Core::Open& open, const Digest& proposal) {
  const auto row = open.state.db().get(proposer_kind(open), proposal);
  return row ? to_text(row->meta) : "";
}

}  // namespace flexroom::node
