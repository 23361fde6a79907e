#include "store/log_verifier.h"

#include <fmt/core.h>

#include <utility>

#include "base/error.h"

namespace flexroom::store {

using agreement::ChangeBody;
using agreement::Configuration;
using agreement::NoteBody;
using agreement::RejectBody;
using agreement::ResultBody;
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
  if (first) configuration_.reset();
  if (s.kind == StatementKind::kChange) change(ChangeBody::decode(s.body, place), place);
  if (!configuration_) fail("has no configuration of the room before it");
  const auto own = configuration_->index_of(author_);
  if (!own) fail("is of a member that is not in the configuration before it");
  if (!s.verify(configuration_->members[*own].key)) fail("is not signed by this member");
  VerifiedEntry out;
  out.entry.unix_seconds = s.time;
  read(s, out, place);
  any_ = true;
  last_ = {s.incarnation, s.number, s.digest()};
  out.head = last_.digest;
  out.statement = s;
  return out;
}

void LogVerifier::change(ChangeBody body, const std::string& place) {
  const Configuration& next = body.configuration;
  if (next.room != room_) throw InputError(place, "is a configuration of another room");
  if (!body.verify()) {
    throw InputError(place, "is a configuration that not all its members signed");
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
      return;
    }
    case StatementKind::kNote:
      return note(NoteBody::decode(s.body, place), out, place);
    case StatementKind::kPropose:
    case StatementKind::kInput:
    case StatementKind::kApprove:
    case StatementKind::kWithdraw:
    case StatementKind::kRule:
      return about_proposal(s, out, place);
    default:
      throw InputError(place, "is of a kind that this program does not write",
                       "use the program that wrote it, or a newer one");
  }
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
  } else if (s.kind == StatementKind::kApprove) {
    const auto body = agreement::ApproveBody::decode(s.body, place);
    out.entry.proposal = body.proposal;
    out.entry.text =
        body.automatic.empty() ? "approved" : "approved by the standing rule " + body.automatic;
  } else if (s.kind == StatementKind::kWithdraw) {
    const auto body = agreement::WithdrawBody::decode(s.body, place);
    out.entry.proposal = body.complete;
    out.entry.text = body.what == agreement::WithdrawBody::What::kProposal
                         ? "withdrew its proposal"
                         : "took its approval back";
  } else {
    const auto head = agreement::RuleBody::decode(s.body, place);
    out.entry.text = fmt::format("people and rules, version {}{}", head.version,
                                 head.reset ? ": reset by this machine's administrator" : "");
  }
}

void LogVerifier::start(StartBody body, VerifiedEntry& out, const std::string& place) {
  if (body.configuration != configuration_->digest()) {
    throw InputError(place, "was approved under another configuration");
  }
  if (!verify_approval(body.approval, configuration_->keys())) {
    throw InputError(place, "its proposal is not signed by all members");
  }
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
  if (body.configuration != configuration_->digest()) {
    throw InputError(place, "was started under another configuration");
  }
  if (!body.verify(configuration_->keys())) {
    throw InputError(place, "is not signed by all members");
  }
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
  if (body.signatures.size() != configuration_->members.size()) {
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
  const auto who = configuration_->index_of(refusal.author);
  if (!who || refusal.room != room_ || refusal.kind != StatementKind::kReject ||
      RejectBody::decode(refusal.body, place).proposal != body.proposal ||
      !refusal.verify(configuration_->members[*who].key)) {
    throw InputError(place, "the refusal in it is not signed by a member");
  }
  out.entry.outcome = LogOutcome::kRefused;
}

}  // namespace flexroom::store
