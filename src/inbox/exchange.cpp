#include <algorithm>

#include "base/error.h"
#include "inbox/impl.h"
#include "store/room_store.h"
#include "store/row_reader.h"

// Chains of all members, exchanged with whom one meets (members.md §5.2, §5.3).

namespace flexroom::inbox {

Chains::Authors Inbox::Impl::authors() const {
  Chains::Authors out;
  for (const agreement::Configuration& c : settings_.configurations) {
    for (const auto& member : c.members) {
      Chains::Author& author = out[member.id];
      author.name = member.name;
      if (author.keys.empty() || author.keys.back() != member.key) {
        author.keys.push_back(member.key);
      }
    }
  }
  for (auto& [id, author] : out) author.left = !conf().index_of(id);
  for (const auto& joiner : joiners_) {
    const auto [author, is_new] = out.try_emplace(joiner.id);
    if (is_new) author->second = {joiner.name, {joiner.key}, true};
  }
  return out;
}

// Another member's PROPOSE whose time is over has no effect, unless it had one here before (M37).
bool Inbox::Impl::is_late_arrival(const agreement::Statement& s, uint64_t now) const {
  if (s.kind != agreement::StatementKind::kPropose || s.author == self()) return false;
  const auto terms = Board::readable(s);
  if (!terms || std::max(now, ledger_.floor()) <= terms->window.last) return false;
  return !ledger_.closed(agreement::proposal_digest(s.body));
}

std::pair<uint32_t, uint64_t> Inbox::Impl::open_of(const MemberId& author, uint64_t now) const {
  uint32_t open = 0;
  uint64_t bytes = 0;
  for (const auto& [id, entry] : board_.entries()) {
    if (entry.author != author || closed(entry) || is_late(entry, now)) continue;
    const bool over = entry.complete && outcome_of(entry) &&
                      ledger_.used(*entry.complete).size() >= entry.terms.repetition.times;
    if (over) continue;
    ++open;
    bytes += entry.bytes;
  }
  return {open, bytes};
}

Bytes Inbox::heads() {
  impl_->catch_up();
  return impl_->chains_.heads().encode();
}

Bytes Inbox::missing(ByteView heads, const MemberId& from, uint64_t now) {
  Impl& in = *impl_;
  in.catch_up();
  const Wants wants = in.chains_.missing(Heads::decode(heads), from, in.authors(), now);
  if (wants.ranges.empty() && wants.forks.empty()) return {};
  return wants.encode();
}

Bytes Inbox::give(ByteView missing, const MemberId& from) {
  (void)from;
  return impl_->chains_.give(Wants::decode(missing)).encode();
}

TakeReport Inbox::take(ByteView bytes, const MemberId& from, uint64_t now) {
  Impl& in = *impl_;
  const Bundle bundle = Bundle::decode(bytes);
  const Chains::Authors authors = in.authors();
  TakeReport report;
  const bool was_whole = in.log_.is_whole();
  in.catch_up();
  std::vector<Digest>& touched = report.touched;
  Chains::Taking taking{
      authors, now, [&](const MemberId& author) { return in.open_of(author, now); },
      [&](const agreement::Statement& s, const net::SigningKey& key) {
        if (in.is_late_arrival(s, now)) return;
        const auto about = in.board_.apply(s, key, now);
        if (about && std::find(touched.begin(), touched.end(), *about) == touched.end()) {
          touched.push_back(*about);
        }
      }};
  in.fault("bundle");
  try {
    in.state_.transaction([&] { in.chains_.take(bundle, from, taking, report); });
  } catch (...) {
    in.chains_.reload();
    in.board_.reload();
    throw;
  }
  in.fault("bundle is kept");
  in.log_.settle_head();
  in.close_by_statements(touched);
  report.own_log_is_whole_again = !was_whole && in.log_.is_whole();
  if (report.own_log_is_whole_again) in.complete_pending();
  return report;
}

bool Inbox::own_log_is_whole() { return impl_->log_.is_whole(); }

void Inbox::set_joiners(std::vector<agreement::Configuration::Member> joiners) {
  impl_->joiners_ = std::move(joiners);
}

size_t Inbox::prune(uint64_t now) {
  Impl& in = *impl_;
  std::vector<std::pair<Digest, std::pair<MemberId, StatementRef>>> old;
  for (const auto& [id, entry] : in.board_.entries()) {
    const bool over = in.closed(entry) || in.is_late(entry, now);
    const bool ran = entry.complete && !in.ledger_.used(*entry.complete).empty();
    // By this member's clock: what the author says of its own time keeps nothing here.
    const uint64_t last = std::max(entry.arrived, std::min(entry.terms.window.last, now));
    const uint64_t since = std::min(in.closed(entry) ? entry.arrived : last, now);
    if (entry.author == in.self() || !over || ran || now - since < Quotas::kPruneAfter) continue;
    old.push_back({id, {entry.author, entry.propose}});
  }
  try {
    in.state_.transaction([&] {
      for (const auto& [id, at] : old) {
        in.chains_.prune(at.first, at.second);
        in.board_.forget(id);
      }
    });
  } catch (...) {
    in.board_.reload();
    throw;
  }
  return old.size();
}

Inbox::SessionNumber Inbox::next_session() {
  Impl& in = *impl_;
  return {in.chains_.incarnation(in.self()), in.ledger_.next_session()};
}

void Inbox::check_session(const MemberId& member, const SessionNumber& number) {
  Impl& in = *impl_;
  const std::string kind = store::rows_of_room("session seen", in.settings_.room);
  SessionNumber last;
  if (const auto row = in.state_.get(kind, member)) {
    store::RowReader reader(row->meta, "state.db, the counter of a member's sessions");
    last.incarnation = reader.u32();
    last.counter = reader.u64();
    reader.finish();
  }
  const auto rank = [](const SessionNumber& n) { return std::pair(n.incarnation, n.counter); };
  if (rank(number) <= rank(last)) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "hello",
                        in.name_of(member) + " runs twice, or was restored: its session " +
                            std::to_string(number.counter) + " is not after " +
                            std::to_string(last.counter) +
                            ", which was here. End the copy, or `flexroom peer accept` there");
  }
  in.state_.put(kind, member, Writer().u32(number.incarnation).u64(number.counter).bytes(), {});
}

}  // namespace flexroom::inbox
