#include "inbox/inbox.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/display.h"
#include "base/error.h"
#include "inbox/impl.h"
#include "store/row_reader.h"

// What this member says: each is a statement in its log.

namespace flexroom::inbox {

using agreement::ApproveBody;
using agreement::InputBody;
using agreement::NoteBody;
using agreement::Proposal;
using agreement::RejectBody;
using agreement::RuleBody;
using agreement::Statement;
using agreement::StatementKind;
using agreement::WithdrawBody;

namespace {

constexpr std::string_view kPlace = "proposal";

[[noreturn]] void refuse(std::string_view problem, std::string_view remedy = "") {
  throw InputError(kPlace, problem, remedy);
}

}  // namespace

Inbox::Impl::Impl(store::SealedDb& state, store::OnceDb& once, const net::Identity& identity,
                  Settings settings)
    : settings_(std::move(settings)),
      state_(state),
      once_(once),
      identity_(identity),
      log_(state, once, identity, settings_.room, settings_.self),
      ledger_(once, settings_.room),
      chains_(state, log_, settings_.room, settings_.self, settings_.quotas),
      board_(state, settings_.room, [this](const MemberId& author, const StatementRef& ref) {
        return chains_.statement(author, ref);
      }) {
  FLEXROOM_ASSERT(!settings_.configurations.empty() && settings_.secret && settings_.check);
  // Behind a lost once.db peers would take the session numbers of the old log for a copy's.
  (void)log_.begin_anew_if_once_lost();
  catch_up();
  complete_pending();
  std::vector<Digest> all;
  for (const auto& [id, entry] : board_.entries()) all.push_back(id);
  close_by_statements(all);
}

std::string Inbox::Impl::name_of(const MemberId& member) const {
  for (auto c = settings_.configurations.rbegin(); c != settings_.configurations.rend(); ++c) {
    if (const auto i = c->index_of(member)) return c->members[*i].name;
  }
  for (const auto& joiner : joiners_) {
    if (joiner.id == member) return joiner.name;
  }
  return to_hex(member);
}

void Inbox::Impl::catch_up() {
  size_t caught_up = 0;
  try {
    caught_up = chains_.catch_up([&](const Statement& one) { apply_own(one); });
  } catch (...) {
    chains_.reload();
    board_.reload();
    throw;
  }
  if (caught_up > 0 && log_.is_whole()) mark_consents();
}

// One under an earlier key of this member's counts as little as another's would.
void Inbox::Impl::apply_own(const Statement& one) {
  const Chains::Authors all = authors();
  const auto own = all.find(self());
  if (own == all.end()) return;
  for (const net::SigningKey& key : own->second.keys) {
    if (one.verify(key)) {
      (void)board_.apply(one, key, one.time);
      return;
    }
  }
}

void Inbox::Impl::require_can_sign() {
  if (!log_.is_whole()) {
    throw InputError("audit log", "state.db is of before what this member signed last",
                     "meet another member, who gives it back; if it is lost for good, `flexroom "
                     "peer accept`");
  }
  if (chains_.is_forked(self())) {
    throw InputError("audit log",
                     "this member signed two statements with one number: its state "
                     "was copied",
                     "find the copy and end it, then `flexroom peer accept`");
  }
}

Statement Inbox::Impl::sign(StatementKind kind, Bytes body, uint64_t now) {
  require_can_sign();
  catch_up();
  fault("statement");
  try {
    // What another process entered meanwhile comes first, in the same step.
    Statement s = log_.append_statement(kind, std::move(body), now, [&](const Statement& one) {
      (void)chains_.catch_up([&](const Statement& own) {
        if (own.incarnation != one.incarnation || own.number != one.number) return apply_own(own);
        if (own.kind == StatementKind::kApprove &&
            ApproveBody::decode(own.body, kPlace).rule_version != board_.rule(self()).version) {
          refuse("is approved under an older version of this member's rule", "look at it again");
        }
        (void)board_.apply(own, identity_.signing_key(), own.time);
      });
    });
    fault("statement is signed");
    return s;
  } catch (...) {
    chains_.reload();
    board_.reload();
    throw;
  }
}

const Entry& Inbox::Impl::known(const Digest& id) const {
  const Entry* entry = board_.find(id);
  if (entry == nullptr) refuse("is not known here", "`flexroom inbox` lists those that are");
  return *entry;
}

const Entry& Inbox::Impl::complete(const Digest& id) const {
  const Entry& entry = known(id);
  if (!entry.complete) refuse("is not complete: inputs are missing", "wait for them");
  if (*entry.complete != id) {
    refuse("is named by its first digest", "only the digest of the complete proposal is approved");
  }
  return entry;
}

std::vector<std::pair<Digest, Closed>> Inbox::Impl::both_ids(const Entry& entry, Closed why) const {
  std::vector<std::pair<Digest, Closed>> out = {{entry.proposal, why}};
  if (entry.complete) out.emplace_back(*entry.complete, why);
  return out;
}

void Inbox::Impl::require_open(const Entry& entry, uint64_t now) const {
  if (const auto why = closed(entry)) {
    refuse(*why == Closed::kRejected    ? "was refused, for good"
           : *why == Closed::kWithdrawn ? "was withdrawn by who proposed it"
                                        : "has expired",
           "propose it anew");
  }
  if (is_late(entry, now)) refuse("has expired", "propose it anew");
}

Digest Inbox::propose(const Proposal& proposal, uint64_t now) {
  const Terms terms = Terms::read(proposal, kPlace);
  Impl& in = *impl_;
  if (terms.proposer != in.self()) refuse("names another member as the one who proposes it");
  if (proposal.room != in.settings_.room) refuse("is of another room");
  if (proposal.terms != in.conf().terms()) {
    refuse("names other terms of the room than those in force", "make it anew");
  }
  std::optional<size_t> before;
  for (const WantedInput& input : terms.inputs) {
    const auto index = in.conf().index_of(input.member);
    if (!index) refuse("wants an input of who is no member");
    if (before && *index < *before) refuse("lists inputs in another order than the members");
    before = index;
  }
  if (now > terms.window.last) refuse("would have expired already", "choose a later `not after`");
  const Bytes bytes = proposal.canonical();
  const Digest id = agreement::proposal_digest(bytes);
  if (in.board_.find(id) != nullptr) refuse("was proposed before", "change something in it");
  const auto [open, open_bytes] = in.open_of(in.self(), now);
  if (open >= in.settings_.quotas.open_proposals ||
      open_bytes + bytes.size() > in.settings_.quotas.open_bytes) {
    refuse("would be one too many of this member's open ones", "withdraw one that is not needed");
  }
  (void)in.sign(StatementKind::kPropose, bytes, now);
  return id;
}

void Inbox::input(const Digest& proposal, std::string_view slot, ByteView public_part,
                  const Digest& commitment, uint64_t now) {
  Impl& in = *impl_;
  const Entry& entry = in.known(proposal);
  in.require_open(entry, now);
  for (uint32_t i = 0; i < entry.terms.inputs.size(); ++i) {
    const WantedInput& wanted = entry.terms.inputs[i];
    if (wanted.member != in.self() || wanted.slot != slot) continue;
    if (entry.inputs.contains(i)) {
      refuse("has this input already", "another value is another proposal");
    }
    if (public_part.size() > agreement::kMaxInputBytes ||
        !fits_pattern(wanted.pattern, to_text(public_part))) {
      throw InputError(display(slot),
                       "does not look as the proposal says: " + display_short(wanted.pattern, 120));
    }
    if ((commitment != Digest{}) == wanted.value_class.empty()) {
      throw InputError(display(slot), wanted.value_class.empty() ? "has no private part"
                                                                 : "lacks its private part");
    }
    InputBody body;
    body.proposal = entry.proposal;
    body.slot = wanted.slot;
    body.public_part.assign(public_part.begin(), public_part.end());
    body.commitment = commitment;
    (void)in.sign(StatementKind::kInput, body.encode(), now);
    return;
  }
  throw InputError(display(slot), "is not wanted of this member");
}

void Inbox::Impl::require_approvable(const Entry& entry, uint64_t now) {
  require_can_sign();
  require_open(entry, now);
  if (entry.room_terms != conf().terms()) {
    refuse("was made under other terms of the room", "propose it anew");
  }
  if (!conf().index_of(entry.author)) refuse("is of who is no member any more");
  if (!versions_hold(entry)) {
    refuse("names versions of secrets that are not those in the room", "propose it anew");
  }
  refill(entry);
}

void Inbox::Impl::refill(const Entry& entry) {
  const auto s = chains_.statement(entry.author, entry.propose);
  if (!s) refuse("is here without its bytes", "another member has them");
  settings_.check(Proposal::decode(s->body, kPlace), entry.terms, board_.inputs(entry));
}

void Inbox::Impl::approve(const Entry& entry, const Window& window, uint32_t rule_version,
                          const std::string& automatic, const Digest& evidence, uint64_t now) {
  ApproveBody body;
  body.proposal = *entry.complete;
  body.terms = conf().terms();
  body.versions = entry.versions;
  body.not_before = window.first;
  body.not_after = window.last;
  body.rule_version = rule_version;
  body.automatic = automatic;
  body.evidence = evidence;
  const Statement s = sign(StatementKind::kApprove, body.encode(), now);
  // Killed before: complete_pending() does it.
  ledger_.set_consent(body.proposal, {s.incarnation, s.number});
  fault("consent is marked");
}

void Inbox::approve(const Digest& complete, const Consent& consent, uint64_t now) {
  Impl& in = *impl_;
  const Entry& entry = in.complete(complete);
  in.require_approvable(entry, now);
  if (consent.rule_version != rule_version()) {
    refuse("is approved under an older version of this member's rule", "look at it again");
  }
  if (consent.rule_version > 0 && consent.evidence == Digest{}) {
    refuse("is approved without this member's people, who have a rule", "let them sign it");
  }
  const Window window = consent.window.value_or(entry.terms.window);
  if (window.first > window.last || window.first < entry.terms.window.first ||
      window.last > entry.terms.window.last || window.last < now) {
    refuse("is approved for a time that is not within its own");
  }
  in.approve(entry, window, consent.rule_version, "", consent.evidence, now);
}

void Inbox::Impl::say_no(StatementKind kind, Bytes body, const Digest& about,
                         const std::vector<std::pair<Digest, Closed>>& ids,
                         const std::optional<Digest>& consent_of, uint64_t now) {
  require_can_sign();
  complete_pending();  // there is room for one: what was said no to before is said first
  if (is_said({kind, now, about, body})) return;
  fault("refusal");
  ledger_.intend({kind, now, about, body}, ids, consent_of);
  fault("refusal is marked");
  (void)sign(kind, std::move(body), now);
  ledger_.forget_intent();
}

void Inbox::reject(const Digest& proposal, const std::string& reason, uint64_t now) {
  Impl& in = *impl_;
  const Entry& entry = in.known(proposal);
  if (reason.size() > agreement::kMaxReasonBytes) {
    refuse("is refused with a reason of more than 1 KiB", "make it shorter");
  }
  in.require_open(entry, now);
  const Digest about = entry.complete.value_or(entry.proposal);
  in.say_no(StatementKind::kReject, RejectBody{about, reason}.encode(), about,
            in.both_ids(entry, Closed::kRejected), entry.complete, now);
}

void Inbox::withdraw_proposal(const Digest& proposal, uint64_t now) {
  Impl& in = *impl_;
  const Entry& entry = in.known(proposal);
  if (entry.author != in.self()) {
    refuse("is another member's", "reject it, or take your approval back");
  }
  in.require_open(entry, now);
  const Digest about = entry.complete.value_or(entry.proposal);
  in.say_no(StatementKind::kWithdraw, WithdrawBody{about, WithdrawBody::What::kProposal}.encode(),
            about, in.both_ids(entry, Closed::kWithdrawn), entry.complete, now);
}

void Inbox::withdraw_approval(const Digest& complete, uint64_t now) {
  Impl& in = *impl_;
  const Entry& entry = in.complete(complete);
  const Said said = in.board_.said(entry, in.self());
  if (!said.approval || said.newest.number != said.approval->number) {
    refuse("is not approved by this member now");
  }
  in.say_no(StatementKind::kWithdraw,
            WithdrawBody{complete, WithdrawBody::What::kApproval}.encode(), complete, {}, complete,
            now);
}

void Inbox::rule(ByteView body, uint64_t now) {
  Impl& in = *impl_;
  const RuleBody head = RuleBody::decode(body, "rule");
  in.catch_up();
  const Board::Rule last = in.board_.rule(in.self());
  const bool follows = last.version == 0 || head.previous == last.digest;
  if (head.version != last.version + 1 || !follows) {
    throw InputError("rule",
                     fmt::format("is version {}, the last one was {}", head.version, last.version),
                     "make it from the newest one");
  }
  (void)in.sign(StatementKind::kRule, Bytes(body.begin(), body.end()), now);
}

uint32_t Inbox::rule_version() const {
  impl_->catch_up();
  return impl_->board_.rule(impl_->self()).version;
}

std::vector<Digest> Inbox::apply(const StandingRules& rules, uint32_t version, uint64_t now) {
  Impl& in = *impl_;
  std::vector<Digest> out;
  if (version != rule_version()) {
    throw InputError("rules.toml",
                     "belongs to another version of this member's rule than its "
                     "newest",
                     "sign the new one first");
  }
  std::vector<Digest> waiting;
  for (const auto& [id, entry] : in.board_.entries()) waiting.push_back(id);
  for (const Digest& id : waiting) {
    const Entry& entry = *in.board_.find(id);
    if (!entry.complete || in.closed(entry) || in.is_late(entry, now)) continue;
    const bool versions = in.versions_hold(entry);
    const Counts own = first_of(in.failures(entry, in.self(), versions, now));
    // People who took it back are not overruled; a window that lapsed may be given again (6.5).
    if (own != Counts::kNone && own != Counts::kLate) continue;
    const auto propose = in.chains_.statement(entry.author, entry.propose);
    if (!propose) continue;
    const Proposal proposal = Proposal::decode(propose->body, kPlace);
    const auto approval = rules.judge(
        {proposal, entry.terms, in.self(), in.name_of(entry.author), now,
         [&](const std::string& rule, int64_t day) { return in.ledger_.given(rule, day); }});
    if (!approval) continue;
    try {
      in.require_approvable(entry, now);
    } catch (const store::DamagedState&) {
      throw;
    } catch (const InputError&) {
      continue;  // people see it in the inbox
    }
    in.ledger_.count(approval->rule, approval->day);
    in.fault("rule is counted");
    const Digest complete = *entry.complete;
    in.approve(entry, approval->window, version, approval->rule, {}, now);
    out.push_back(complete);
  }
  return out;
}

void Inbox::go_on_after(const Digest& fork, uint64_t now) {
  Impl& in = *impl_;
  const auto author = in.chains_.author_of_fork(fork);
  if (!author) throw InputError("fork", "is not known here");
  if (*author == in.self()) {
    throw InputError("fork", "is this member's own", "the people of the others say so");
  }
  NoteBody body;
  body.proposal = fork;
  body.text = std::string(Board::kGoOn);
  (void)in.sign(StatementKind::kNote, body.encode(), now);
}

bool Inbox::Impl::is_said(const Ledger::Intent& intent) const {
  const Entry* entry = board_.find(intent.about);
  if (entry == nullptr) return false;
  const Said said = board_.said(*entry, self());
  if (intent.kind == StatementKind::kReject) return said.rejected.has_value();
  const WithdrawBody body = WithdrawBody::decode(intent.body, "once.db, a refusal");
  if (body.what == WithdrawBody::What::kProposal) return said.withdrew_proposal;
  return !said.approval || said.newest.number != said.approval->number;
}

void Inbox::Impl::complete_pending() {
  if (!log_.is_whole() || chains_.is_forked(self())) return;  // when it is
  if (const auto intent = ledger_.intent()) {
    if (!is_said(*intent)) (void)sign(intent->kind, intent->body, intent->time);
    ledger_.forget_intent();
  }
  mark_consents();
}

void Inbox::Impl::mark_consents() {
  const auto last = log_.last();
  const auto signed_head = once_.log_head(settings_.room);
  // After a loss of once.db no earlier approval counts (members.md §5.1).
  if (!last || !signed_head || signed_head->incarnation != last->incarnation) return;
  for (const auto& [id, entry] : board_.entries()) {
    if (!entry.complete) continue;
    const Said said = board_.said(entry, self());
    if (!said.approval || said.newest.number != said.approval->number || said.rejected) continue;
    const Ledger::Consent consent{said.approval->incarnation, said.approval->number};
    if (consent.incarnation != last->incarnation) continue;
    const auto marked = ledger_.consent(*entry.complete);
    // Killed between the statement and its mark: it is the last one, or the first about this D.
    if (!marked || (last->number == consent.number && *marked != consent)) {
      ledger_.set_consent(*entry.complete, consent);
    }
  }
}

Inbox::Inbox(store::SealedDb& state, store::OnceDb& once, const net::Identity& identity,
             Settings settings)
    : impl_(std::make_unique<Impl>(state, once, identity, std::move(settings))) {}
Inbox::~Inbox() = default;

const agreement::Configuration& Inbox::configuration() const { return impl_->conf(); }
const net::Identity& Inbox::identity() const { return impl_->identity_; }
store::AuditLog& Inbox::log() { return impl_->log_; }

}  // namespace flexroom::inbox
