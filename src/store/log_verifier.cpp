#include "store/log_verifier.h"

#include <fmt/core.h>

#include <utility>

#include "base/error.h"

namespace flexroom::store {

using agreement::ApproveBody;
using agreement::ChangeBody;
using agreement::ChangeStart;
using agreement::Configuration;
using agreement::NoteBody;
using agreement::RejectBody;
using agreement::ResultBody;
using agreement::RuleBody;
using agreement::StartBody;
using agreement::Statement;
using agreement::StatementKind;

VerifiedEntry LogVerifier::next(const Statement& s, const std::string& place) {
  const auto fail = [&](std::string_view problem) { throw InputError(place, problem); };
  if (s.room != room_ || s.author != author_) fail("is of another room or member");
  const bool first = s.number == 1 && (!any_ || s.incarnation > last_.incarnation);
  if (!first && (!any_ || s.incarnation != last_.incarnation || s.number != last_.number + 1)) {
    fail("is missing, or out of its place");
  }
  if (s.previous != (first ? Digest{} : last_.digest)) {
    fail("does not follow from the one before");
  }
  if (first) {
    configuration_.reset();
    attempt_.reset();
    approved_.clear();
  }
  VerifiedEntry out;
  out.entry.unix_seconds = s.time;
  const bool begins = s.kind == StatementKind::kStart && ChangeStart::is(s.body);
  if (s.kind == StatementKind::kChange) change(ChangeBody::decode(s.body, place), place);
  // Who joins has no configuration yet: its chain begins with what all approved.
  if (begins) begin_change(ChangeStart::decode(s.body, place), out, place);
  if (!configuration_ && !attempt_) fail("has no configuration of the room before it");
  const net::SigningKey* const key = key_of_author();
  if (key == nullptr) fail("is of a member that is not in the configuration before it");
  if (!s.verify(*key)) fail("is not signed by this member");
  if (!begins) read(s, out, place);
  any_ = true;
  last_ = {s.incarnation, s.number, s.digest()};
  out.head = last_.digest;
  out.statement = s;
  return out;
}

// In everything about a change a member signs with its key of CONF_{g+1}, if it has one there.
const net::SigningKey* LogVerifier::key_of_author() const {
  const auto in = [&](const Configuration& c) -> const net::SigningKey* {
    const auto own = c.index_of(author_);
    return own ? &c.members[*own].key : nullptr;
  };
  const net::SigningKey* key = attempt_ ? in(attempt_->next) : nullptr;
  if (key == nullptr && attempt_) key = in(attempt_->before);
  if (key == nullptr && configuration_) key = in(*configuration_);
  return key;
}

void LogVerifier::begin_change(const ChangeStart& start, VerifiedEntry& out,
                               const std::string& place) {
  if (start.before.room != room_) throw InputError(place, "changes another room");
  start.verify(place);
  start_once(start.approval.session, start.approval.digest, place);
  if (configuration_ && start.before.digest() != configuration_->digest()) {
    throw InputError(place, "changes another configuration than the one in force");
  }
  attempt_ = Attempt{start.attempt(), start.before, start.next, {}};
  out.entry.outcome = LogOutcome::kApproved;
  out.entry.proposal = start.approval.digest;
  out.entry.run = start.approval.session;
  out.entry.text =
      fmt::format("change of room {} to configuration {}", start.next.name, start.next.number);
  out.entry.approval = start.approval;
  out.joint = true;
}

// READY, BIND and LEFT are of the attempt that this chain holds; VOID and OLD also of one that this
// member did not come to (members.md §4.2).
void LogVerifier::said_of_change(const Statement& s, VerifiedEntry& out, const std::string& place) {
  const Digest id = s.kind == StatementKind::kReady
                        ? agreement::ReadyBody::decode(s.body, place).attempt
                        : agreement::AttemptBody::decode(s.body, place).attempt;
  out.entry.outcome = LogOutcome::kNote;
  const bool known = attempt_ && attempt_->id == id;
  const bool takes_back = s.kind == StatementKind::kVoid || s.kind == StatementKind::kOld;
  if (!known && !takes_back) {
    throw InputError(place, "is about a change that is not approved before it");
  }
  out.entry.text =
      known ? fmt::format("{}: the change to configuration {}", agreement::to_string(s.kind),
                          attempt_->next.number)
            : fmt::format("{}: a change that this member was not in", agreement::to_string(s.kind));
  if (!known) return;
  attempt_->said.insert(s.kind);
  if (attempt_->said.contains(StatementKind::kBind) &&
      attempt_->said.contains(StatementKind::kVoid)) {
    throw InputError(place, "signs BIND and VOID about one change: this member stopped the room");
  }
  if (s.kind == StatementKind::kOld && configuration_) attempt_.reset();
}

void LogVerifier::change(ChangeBody body, const std::string& place) {
  const Configuration& next = body.configuration;
  if (next.room != room_) throw InputError(place, "is a configuration of another room");
  body.require_valid(place);
  if (body.start && known_ && next.number == known_->number + 1 &&
      body.start->before.digest() != known_->digest()) {
    throw InputError(place, "changes another configuration than the one in force");
  }
  if (!body.start && known_ && known_from_switch_ && agreement::needs_rows(*known_, next)) {
    throw InputError(place, "changes members without READY and BIND of all");
  }
  if (known_ && next.number == known_->number && next.digest() == known_->digest()) {
    // A new incarnation begins with the one in force.
  } else if (known_ && (next.number <= known_->number ||
                        (next.number == known_->number + 1 && next.previous != known_->digest()))) {
    throw InputError(place, "is a configuration that does not follow from the one before");
  }
  news_.clear();
  size_t kept = 0;
  for (const Configuration::Member& member : next.members) {
    const auto before = known_ ? known_->index_of(member.id) : std::nullopt;
    const bool same = before && known_->members[*before].key == member.key;
    kept += same ? 1 : 0;
    if (known_ && !same) news_ += (news_.empty() ? "; new key: " : ", ") + member.name;
  }
  if (known_ && kept == 0) news_ += "; no key of the one before signed it";
  known_ = configuration_ = next;
  known_from_switch_ = known_from_switch_ || body.start;
  attempt_.reset();
}

void LogVerifier::read(const Statement& s, VerifiedEntry& out, const std::string& place) {
  switch (s.kind) {
    case StatementKind::kChange:
      out.entry.outcome = LogOutcome::kChange;
      out.entry.text = fmt::format("configuration {} of room {}{}", configuration_->number,
                                   configuration_->name, news_);
      out.joint = true;
      return;
    case StatementKind::kStart:
      if (agreement::is_joint_start(s.body)) {
        return joint_start(agreement::JointStart::decode(s.body, place), out, place);
      }
      return start(StartBody::decode(s.body, place), out, place);
    case StatementKind::kResult:
      return result(s, ResultBody::decode(s.body, place), out, place);
    case StatementKind::kReject: {
      RejectBody body = RejectBody::decode(s.body, place);
      out.entry.outcome = LogOutcome::kRefused;
      out.entry.proposal = body.proposal;
      out.entry.text = "this member said no" + (body.reason.empty() ? "" : ": " + body.reason);
      approved_[body.proposal] = false;
      return;
    }
    case StatementKind::kApprove:
      return approve(ApproveBody::decode(s.body, place), out, place);
    case StatementKind::kRule:
      return rule(RuleBody::decode(s.body, place), out, place);
    case StatementKind::kNote:
      return note(NoteBody::decode(s.body, place), out, place);
    case StatementKind::kPropose:
    case StatementKind::kInput:
    case StatementKind::kWithdraw:
      return about_proposal(s, out, place);
    case StatementKind::kReady:
    case StatementKind::kBind:
    case StatementKind::kLeft:
    case StatementKind::kVoid:
    case StatementKind::kOld:
      return said_of_change(s, out, place);
    default:
      throw InputError(place, "is of a kind that this program does not write",
                       "use the program that wrote it, or a newer one");
  }
}

void LogVerifier::approve(const ApproveBody& body, VerifiedEntry& out, const std::string& place) {
  if (body.rule_version != (rule_ ? rule_->version : 0)) {
    throw InputError(place, "approves under a rule of its people that was not the newest");
  }
  if (rule_ && body.automatic.empty() && body.evidence == Digest{}) {
    throw InputError(place, "approves without its people, who have a rule");
  }
  approved_[body.proposal] = true;
  out.entry.outcome = LogOutcome::kConsent;
  out.entry.proposal = body.proposal;
  out.entry.text = body.automatic.empty()
                       ? fmt::format("approved by people under rule version {}", body.rule_version)
                       : "approved by the standing rule " + body.automatic;
}

// A chain that follows a lost one goes on with whatever version was the newest then.
void LogVerifier::rule(const RuleBody& body, VerifiedEntry& out, const std::string& place) {
  const bool next = rule_ ? body.version == rule_->version + 1 && body.previous == rule_->digest
                          : body.version == 1;
  const bool lost = last_.incarnation > (rule_ ? rule_incarnation_ : 1);
  if (!next && !(lost && body.version > (rule_ ? rule_->version : 0))) {
    throw InputError(place, "is a rule that does not follow from the one before");
  }
  rule_incarnation_ = last_.incarnation;
  rule_ = body;
  out.entry.outcome = LogOutcome::kRule;
  out.entry.text =
      fmt::format("rule version {} of this member's people{}", body.version,
                  body.reset          ? ", reset by its machine's administrator"
                  : body.version == 1 ? ", the first one, by its machine's administrator"
                                      : "");
}

// What members state while proposals wait (members.md §5.4): their bytes are those that are read.
void LogVerifier::about_proposal(const Statement& s, VerifiedEntry& out, const std::string& place) {
  out.entry.outcome = LogOutcome::kNote;
  if (s.kind == StatementKind::kPropose) {
    const auto proposal = agreement::Proposal::decode(s.body, place);
    if (proposal.room != room_) throw InputError(place, "proposes in another room");
    out.entry.proposal = agreement::proposal_digest(s.body);
    out.entry.text = "proposed: " + proposal.kind + " " + proposal.title;
  } else if (s.kind == StatementKind::kInput) {
    const auto body = agreement::InputBody::decode(s.body, place);
    out.entry.proposal = body.proposal;
    out.entry.text = "gave input " + body.slot;
  } else {
    const auto body = agreement::WithdrawBody::decode(s.body, place);
    out.entry.proposal = body.complete;
    approved_[body.complete] = false;
    out.entry.text = body.what == agreement::WithdrawBody::What::kProposal
                         ? "withdrew its proposal"
                         : "took its approval back";
  }
}

// What this member said last about it is that it wants it.
void LogVerifier::require_approved(const Digest& proposal, const std::string& place) const {
  const auto said = approved_.find(proposal);
  if (said == approved_.end() || !said->second) {
    throw InputError(place, "begins what this member had not approved, or took back");
  }
}

// `signed_digest`: what all signed in that session.
void LogVerifier::start_once(const Digest& session, const Digest& signed_digest,
                             const std::string& place) {
  if (!starts_.insert({session, signed_digest}).second) throw InputError(place, "stands twice");
}

const Configuration& LogVerifier::in_force(const std::string& place) const {
  if (!configuration_) throw InputError(place, "has no configuration of the room before it");
  return *configuration_;
}

void LogVerifier::start(StartBody body, VerifiedEntry& out, const std::string& place) {
  if (body.configuration != in_force(place).digest()) {
    throw InputError(place, "was approved under another configuration");
  }
  if (!verify_approval(body.approval, configuration_->keys())) {
    throw InputError(place, "its proposal is not signed by all members");
  }
  if (rule_) require_approved(body.approval.digest, place);
  start_once(body.approval.session, body.approval.digest, place);
  const auto proposal = agreement::Proposal::decode(body.approval.proposal, place);
  out.entry.outcome = LogOutcome::kApproved;
  out.entry.proposal = body.approval.digest;
  out.entry.run = body.approval.session;
  out.entry.text = proposal.kind + (proposal.title.empty() ? "" : " " + proposal.title);
  if (proposal.kind.empty() && !proposal.fields.empty()) {
    out.entry.text = to_text(proposal.fields.front().value);
  }
  out.entry.approval = std::move(body.approval);
  out.joint = true;
}

void LogVerifier::joint_start(const agreement::JointStart& body, VerifiedEntry& out,
                              const std::string& place) {
  if (body.configuration != in_force(place).digest()) {
    throw InputError(place, "was started under another configuration");
  }
  if (!body.verify(configuration_->keys())) {
    throw InputError(place, "is not signed by all members");
  }
  require_approved(body.complete, place);
  start_once(body.session, body.digest(), place);
  out.entry.outcome = LogOutcome::kNote;
  out.entry.proposal = body.complete;
  out.entry.run = body.session;
  out.entry.text = fmt::format("run {} of the proposal was started by all", body.index);
  out.joint = true;
}

void LogVerifier::result(const Statement& s, ResultBody body, VerifiedEntry& out,
                         const std::string& place) {
  out.entry.outcome = log_outcome_of(body.outcome);
  out.entry.proposal = body.proposal;
  out.entry.run = body.run;
  out.entry.status = body.status;
  out.entry.text = body.text;
  out.joint = body.joint();
  if (!out.joint) return;
  if (body.signatures.size() != in_force(place).members.size()) {
    throw InputError(place, "is not signed by all members");
  }
  const Bytes text = body.joint_text(s.room, s.time);
  for (size_t i = 0; i < body.signatures.size(); ++i) {
    const Configuration::Member& member = configuration_->members[i];
    if (!agreement::verify_result(member.key, text, body.signatures[i])) {
      throw InputError(place, "the signature of " + member.name + " is wrong");
    }
  }
  if (!places_.insert({body.session, body.place}).second) {
    throw InputError(place, "stands twice");
  }
}

void LogVerifier::note(NoteBody body, VerifiedEntry& out, const std::string& place) {
  out.entry.outcome = LogOutcome::kNote;
  out.entry.proposal = body.proposal;
  out.entry.text = body.text;
  if (body.statement.empty()) return;
  const Statement refusal = Statement::decode(body.statement, place);
  const auto who = in_force(place).index_of(refusal.author);
  if (!who || refusal.room != room_ || refusal.kind != StatementKind::kReject ||
      RejectBody::decode(refusal.body, place).proposal != body.proposal ||
      !refusal.verify(configuration_->members[*who].key)) {
    throw InputError(place, "the refusal in it is not signed by a member");
  }
  out.entry.outcome = LogOutcome::kRefused;
}

}  // namespace flexroom::store
