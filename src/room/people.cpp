#include "room/people.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/base64.h"
#include "base/error.h"
#include "people/voice_refused.h"
#include "room/access.h"
#include "room/failure.h"
#include "store/epoch_change.h"

namespace flexroom::room {

using agreement::StatementKind;

namespace {

constexpr std::string_view kOver = "took longer than what is signed is good for";

uint64_t seconds_now() { return static_cast<uint64_t>(std::time(nullptr)); }

people::PersonStatement matter_of(session::MemberState& state, const Digest& proposal,
                                  uint64_t now) {
  people::PersonStatement out;
  out.kind = StatementKind::kApprove;
  out.role = people::Role::kApprove;
  out.what = proposal;
  out.terms = state.configuration().terms();
  out.versions = agreement::versions_digest({});  // they stand in the proposal itself
  out.not_before = now;
  out.not_after = out.not_before + PeopleApproval::kWindowSeconds;
  return out;
}

people::StoredRule newest(people::RuleStore rules) {
  auto out = rules.current();
  FLEXROOM_ASSERT(out.has_value());
  return std::move(*out);
}

// A rule stands in the log, and a log begins with a configuration that all members signed.
session::MemberState& member_with_log(Room& room) {
  session::MemberState& state = Access::state(room);
  if (Access::only_looks(room)) {
    throw InputError("people", "cannot be changed in a room that was opened to look at");
  }
  if (!state.founded() || !state.log().configuration()) {
    throw InputError("people", "the room is not set up yet",
                     "run `flexroom init` with all members first");
  }
  return state;
}

}  // namespace

bool has_people(session::MemberState& state) {
  return state.founded() && state.people().current().has_value();
}

bool has_people(Room& room) {
  return translated(Access::members(room), [&] { return has_people(Access::state(room)); });
}

PeopleApproval::PeopleApproval(session::MemberState& state, const agreement::Proposal& proposal,
                               Clock clock)
    : state_(state),
      clock_(clock ? std::move(clock) : Clock(seconds_now)),
      rules_(state.people()),
      rule_(newest(state.people())),
      desk_(rules_, people::local_relying_parties(std::nullopt)),
      canonical_(proposal.canonical()),
      matter_(matter_of(state, agreement::proposal_digest(canonical_), clock_())),
      tally_(rule_.rule, [&] {
        people::PersonStatement matter = matter_;
        matter.room = rule_.rule.room;
        matter.member = rule_.rule.member;
        matter.rule_version = rule_.rule.version;
        return matter;
      }()) {}

size_t PeopleApproval::needed() const {
  return tally_.enough() ? 0 : tally_.needed() - tally_.count();
}

std::string PeopleApproval::person_with(const std::string& key_id) const {
  const auto holder = rule_.rule.holder(from_hex(key_id));
  return holder.person != nullptr ? holder.person->name : "";
}

std::string PeopleApproval::request(const std::string& person) {
  return translated({}, [&] {
    return people::Request{desk_.statement(matter_, person).encode(), canonical_}.text();
  });
}

void PeopleApproval::add(const std::string& signature) {
  translated({}, [&] {
    if (is_over()) throw InputError("signature", std::string(kOver), "run the command again");
    const people::Voice voice = people::parse_voice(signature, "signature");
    const people::VerifiedVoice verified = desk_.accept(voice);
    const size_t before = tally_.count();
    tally_.add(verified.st);
    if (tally_.count() > before) voices_.push_back(voice);
    return true;
  });
}

bool PeopleApproval::enter() {
  if (!tally_.enough() || is_over() || rules_.current()->rule != rule_.rule) return false;
  const people::Evidence evidence = people::Evidence::of(voices_);
  agreement::ApproveBody body;
  body.proposal = matter_.what;
  body.terms = matter_.terms;
  body.versions = matter_.versions;
  body.not_before = matter_.not_before;
  body.not_after = matter_.not_after;
  body.rule_version = rule_.rule.version;
  body.evidence = evidence.commitment();
  state_.log().append_approve(body, [&] { rules_.put_evidence(evidence); });
  return true;
}

std::string PeopleApproval::lack() const {
  if (is_over()) return "not approved: the signing " + std::string(kOver);
  if (needed() == 0) return "the rule of this member's people changed meanwhile: sign anew";
  const std::vector<std::string> who = missing();
  return fmt::format("not approved: {} more of this member's people must sign, of {}", needed(),
                     fmt::join(who.begin(), who.end(), ", "));
}

std::vector<std::pair<std::string, std::string>> opened_evidence(
    session::MemberState& state, const store::AuditLog::Stored& stored) {
  const agreement::Statement& s = stored.statement;
  people::RuleStore rules = state.people();
  const std::string place = fmt::format("audit log, entry {}", s.number);
  const auto rule_at = [&](uint32_t version) {
    auto found = rules.version(version);
    if (!found) throw InputError(place, fmt::format("rule version {} is not here", version));
    return std::move(*found);
  };
  if (s.kind == StatementKind::kApprove) {
    const auto body = agreement::ApproveBody::decode(s.body, place);
    // Without a rule whoever held the member's key said so, and that is all there is.
    if (body.evidence == Digest{} || body.rule_version == 0) return {};
    const auto evidence = rules.evidence(body.evidence);
    if (!evidence) throw InputError(place, "the signatures behind it are not here");
    (void)people::verify_evidence(body, *evidence, rule_at(body.rule_version).rule,
                                  rules.newest_reset(body.rule_version), {}, place);
    return {{"evidence", base64_encode(evidence->encode())}};
  }
  if (s.kind != StatementKind::kRule) return {};
  const auto body = agreement::RuleBody::decode(s.body, place);
  const people::StoredRule is = rule_at(body.version);
  const auto before = rules.version(body.version - 1);
  (void)people::verify_evidence(body, is.evidence, is.rule, before ? &before->rule : nullptr, {},
                                place);
  std::vector<std::pair<std::string, std::string>> out = {
      {"rule", base64_encode(is.rule.encode())}};
  if (body.evidence != Digest{}) {
    out.emplace_back("evidence", base64_encode(is.evidence.encode()));
  }
  return out;
}

std::optional<people::StoredRule> rule_of_people(Room& room) {
  return translated(Access::members(room), [&]() -> std::optional<people::StoredRule> {
    session::MemberState& state = Access::state(room);
    if (!state.founded()) return std::nullopt;
    return state.people().current();
  });
}

void begin_people(Room& room, const people::Rule& rule) {
  translated(Access::members(room), [&] {
    session::MemberState& state = member_with_log(room);
    // No run is between the operator's approval and its START: behind a rule that would be one
    // that its people had not approved.
    store::SessionLock lock(state.member().state_dir);
    lock.require_alone();
    store::AuditLog log = state.log();
    state.people().begin(log, rule);
    return true;
  });
}

void reset_people(Room& room, const people::Rule& rule) {
  translated(Access::members(room), [&] {
    session::MemberState& state = member_with_log(room);
    store::AuditLog log = state.log();
    state.people().reset(log, rule);
    return true;
  });
}

std::vector<std::pair<std::string, people::Request>> propose_people(Room& room, people::Rule rule) {
  return translated(Access::members(room), [&] {
    session::MemberState& state = member_with_log(room);
    people::RuleStore rules = state.people();
    if (const auto now = rules.current()) rule.standing = now->rule.standing;
    people::Desk desk(rules, people::local_relying_parties(std::nullopt));
    const auto pending = people::propose_change(rules, desk, std::move(rule), seconds_now());
    std::vector<std::pair<std::string, people::Request>> out;
    for (const Bytes& st : pending.statements) {
      out.emplace_back(people::PersonStatement::decode(st, "people propose").person,
                       people::Request{st, pending.next.encode()});
    }
    return out;
  });
}

uint32_t apply_people(Room& room, const std::vector<people::Voice>& voices) {
  return translated(Access::members(room), [&] {
    session::MemberState& state = member_with_log(room);
    people::RuleStore rules = state.people();
    const auto pending = rules.pending(seconds_now());
    if (!pending) {
      throw InputError("people apply", "no change waits here",
                       "`flexroom people propose` makes one; it waits for a week");
    }
    std::vector<people::Voice> counted;
    std::vector<Bytes> spent;
    for (const people::Voice& voice : voices) {
      const auto& open = pending->statements;
      if (std::find(open.begin(), open.end(), voice.st) == open.end()) {
        throw people::VoiceRefused(people::VoiceCheck::kTicket, "people apply",
                                   "a signature is on a statement that was not made here for the "
                                   "change that waits",
                                   "sign the newest request");
      }
      if (std::find(spent.begin(), spent.end(), voice.st) != spent.end()) continue;
      spent.push_back(voice.st);
      counted.push_back(voice);
    }
    store::AuditLog log = state.log();
    rules.apply(log, pending->next, people::Evidence::of(counted),
                people::local_relying_parties(std::nullopt));
    return pending->next.version;
  });
}

}  // namespace flexroom::room
