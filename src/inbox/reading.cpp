#include <fmt/core.h>

#include <algorithm>

#include "base/display.h"
#include "base/error.h"
#include "inbox/impl.h"

// What is shown, and how it is judged (members.md §6.2, §6.3).

namespace flexroom::inbox {

using agreement::Proposal;

bool Inbox::Impl::versions_hold(const Entry& entry) const {
  return std::all_of(entry.terms.secrets.begin(), entry.terms.secrets.end(),
                     [&](const NamedSecret& s) {
                       const auto now = settings_.secret(s.record);
                       if (!now) return false;
                       if (now->version == s.version) return now->provenance == s.provenance;
                       // A later one only if a run of this very proposal made it (a rotated
                       // session).
                       return s.newest && now->version > s.version && entry.complete &&
                              now->provenance == *entry.complete;
                     });
}

bool Inbox::Impl::forked(const MemberId& member) {
  if (chains_.is_forked(member)) return true;
  const std::vector<Digest> forks = chains_.forks_of(member);
  return std::any_of(forks.begin(), forks.end(), [&](const Digest& fork) {
    const std::vector<MemberId> said = board_.gone_on(fork);
    return std::any_of(conf().members.begin(), conf().members.end(), [&](const auto& m) {
      return m.id != member && std::find(said.begin(), said.end(), m.id) == said.end();
    });
  });
}

Failures Inbox::Impl::failures(const Entry& entry, const MemberId& member, bool versions,
                               uint64_t now) {
  const Said said = board_.said(entry, member);
  Asked asked;
  asked.complete = entry.complete.value_or(Digest{});
  asked.terms = conf().terms();
  asked.versions = versions ? entry.versions : Digest{};
  asked.now = now;
  if (const auto i = conf().index_of(member)) asked.key = conf().members[*i].key;
  asked.incarnation = chains_.incarnation(member);
  asked.newest = said.newest.number;
  asked.refused = said.rejected.has_value() || (said.withdrew_proposal && member == entry.author);
  asked.rule_version = board_.rule(member).version;
  asked.forked = forked(member);
  return fails(said.approval, asked);
}

std::optional<Closed> Inbox::Impl::closed(const Entry& entry) const {
  if (const auto why = ledger_.closed(entry.proposal)) return why;
  if (entry.complete) {
    if (const auto why = ledger_.closed(*entry.complete)) return why;
  }
  return refused(entry);
}

std::optional<Closed> Inbox::Impl::refused(const Entry& entry) const {
  for (const auto& member : conf().members) {
    const Said said = board_.said(entry, member.id);
    if (said.rejected) return Closed::kRejected;
    if (said.withdrew_proposal && member.id == entry.author) return Closed::kWithdrawn;
  }
  return std::nullopt;
}

bool Inbox::Impl::is_late(const Entry& entry, uint64_t now) const {
  return std::max(now, ledger_.floor()) > entry.terms.window.last;
}

std::vector<std::pair<Digest, Closed>> Inbox::Impl::expired_by(uint64_t time) const {
  std::vector<std::pair<Digest, Closed>> out;
  for (const auto& [id, entry] : board_.entries()) {
    if (entry.terms.window.last < time && !ledger_.closed(id)) {
      out.emplace_back(id, Closed::kExpired);
    }
  }
  return out;
}

void Inbox::Impl::close_by_statements(const std::vector<Digest>& proposals) {
  std::vector<std::pair<Digest, Closed>> out;
  for (const Digest& id : proposals) {
    const Entry* entry = board_.find(id);
    if (entry == nullptr || ledger_.closed(entry->proposal)) continue;
    if (const auto why = closed(*entry)) out.emplace_back(entry->proposal, *why);
  }
  if (!out.empty()) ledger_.close(out);
}

std::optional<State> Inbox::Impl::outcome_of(const Entry& entry) const {
  std::optional<State> out;
  if (!entry.complete) return out;
  for (const uint32_t index : ledger_.used(*entry.complete)) {
    const auto* run = ledger_.run(agreement::run_id(settings_.room, *entry.complete, index));
    if (run == nullptr || run->status != Ledger::RunStatus::kEnded) continue;
    switch (run->outcome) {
      case agreement::Outcome::kDone:
        out = State::kDone;
        break;
      case agreement::Outcome::kEffectMayHaveHappened:
        out = State::kUnknown;
        break;
      default:
        out = State::kFailed;
    }
  }
  return out;
}

void Inbox::Impl::put_state(const Entry& entry, Item& item, uint64_t now) {
  const auto running = std::any_of(item.runs.begin(), item.runs.end(), [&](uint32_t index) {
    const auto* run = ledger_.run(agreement::run_id(settings_.room, *entry.complete, index));
    return run != nullptr && run->status == Ledger::RunStatus::kArmed;
  });
  const auto outcome = outcome_of(entry);
  const auto why = closed(entry);
  const bool late = is_late(entry, now) || why == Closed::kExpired;
  item.state = State::kComplete;
  if (running) {
    item.state = State::kRunning;
  } else if (outcome && (item.runs.size() >= entry.terms.repetition.times || late)) {
    item.state = *outcome;
  } else if (why == Closed::kRejected) {
    item.state = State::kRejected;
  } else if (why == Closed::kWithdrawn) {
    item.state = State::kWithdrawn;
  } else if (late) {
    item.state = State::kExpired;
  } else if (!entry.complete) {
    item.state = State::kProposed;
  } else if (entry.room_terms != conf().terms()) {
    item.state = State::kVoid;
    item.why = "the terms of the room are others now";
  } else if (std::all_of(item.decisions.begin(), item.decisions.end(),
                         [](const Decision& d) { return d.counts == Counts::kYes; })) {
    item.state = State::kReady;
  }
  for (const Decision& d : item.decisions) {
    if (d.rejected) {
      item.why =
          d.name + " said no" + (d.rejected->empty() ? "" : ": " + display_text(*d.rejected, 200));
    }
    const bool is_void = d.counts == Counts::kKey || d.counts == Counts::kTerms ||
                         d.counts == Counts::kVersions || d.counts == Counts::kIncarnation ||
                         d.counts == Counts::kRule || d.counts == Counts::kFork;
    if (item.state != State::kComplete || !is_void) continue;
    item.state = State::kVoid;
    item.why = d.name + " " + std::string(to_string(d.counts));
  }
}

Item Inbox::Impl::item(const Entry& entry, uint64_t now) {
  Item out;
  out.proposal = entry.proposal;
  out.complete = entry.complete;
  out.proposer = entry.author;
  out.proposer_name = name_of(entry.author);
  out.kind = entry.kind;
  out.title = entry.title;
  out.time = entry.time;
  out.bytes = entry.bytes;
  out.terms = entry.terms;
  for (uint32_t i = 0; i < entry.terms.inputs.size(); ++i) {
    if (!entry.inputs.contains(i)) out.missing_inputs.push_back(entry.terms.inputs[i]);
  }
  const bool versions = versions_hold(entry);
  for (const auto& member : conf().members) {
    const Said said = board_.said(entry, member.id);
    Decision& d = out.decisions.emplace_back();
    d.member = member.id;
    d.name = member.name;
    d.counts = first_of(failures(entry, member.id, versions, now));
    if (said.approval) d.approval = said.approval->body;
    d.time = said.time;
    d.rejected = said.rejected;
  }
  if (entry.complete) {
    const std::set<uint32_t> used = ledger_.used(*entry.complete);
    out.runs.assign(used.begin(), used.end());
    const std::vector<uint32_t> free = free_indices(entry, now);
    if (!free.empty()) out.next = free.front();
  }
  put_state(entry, out, now);
  return out;
}

std::vector<Item> Inbox::list(uint64_t now) {
  std::vector<Item> out;
  impl_->catch_up();
  for (const auto& [id, entry] : impl_->board_.entries()) out.push_back(impl_->item(entry, now));
  std::stable_sort(out.begin(), out.end(),
                   [](const Item& a, const Item& b) { return a.time > b.time; });
  return out;
}

std::optional<Item> Inbox::show(const Digest& proposal, uint64_t now) {
  impl_->catch_up();
  const Entry* entry = impl_->board_.find(proposal);
  if (entry == nullptr) return std::nullopt;
  return impl_->item(*entry, now);
}

Proposal Inbox::proposal(const Digest& proposal) {
  const Entry& entry = impl_->known(proposal);
  const auto s = impl_->chains_.statement(entry.author, entry.propose);
  if (!s) throw InputError("proposal", "is here without its bytes", "another member has them");
  return Proposal::decode(s->body, "proposal");
}

std::vector<agreement::GivenInput> Inbox::inputs(const Digest& proposal) {
  return impl_->board_.inputs(impl_->known(proposal));
}

std::vector<Fork> Inbox::forks() const {
  std::vector<Fork> out;
  for (const auto& [id, fork] : impl_->chains_.forks()) {
    out.push_back(impl_->chains_.fork(id));
    out.back().gone_on = impl_->board_.gone_on(id);
  }
  return out;
}

std::optional<Bytes> Inbox::statement(const MemberId& author, uint32_t incarnation,
                                      uint64_t number) {
  return impl_->chains_.bytes(author, {incarnation, number});
}

}  // namespace flexroom::inbox
