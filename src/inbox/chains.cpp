#include "inbox/chains.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>

#include "base/codec.h"
#include "base/error.h"
#include "store/room_store.h"
#include "store/row_reader.h"

namespace flexroom::inbox {
namespace {

using agreement::Statement;
using agreement::StatementKind;
using store::RowReader;

constexpr std::string_view kPlace = "statement";
constexpr size_t kRoomInBundle = 64 << 10;
constexpr uint64_t kRefusedFor = 60;  // seconds

MemberId read_member(RowReader& in) {
  MemberId out{};
  const ByteView id = in.raw(out.size());
  std::copy(id.begin(), id.end(), out.begin());
  return out;
}

Bytes statement_id(const MemberId& author, const StatementRef& ref) {
  return Writer().raw(author).u32(ref.incarnation).u64(ref.number).take();
}

// One a chain: whichever two statements prove it, all members name it alike.
Digest fork_id(const MemberId& author, uint32_t incarnation) {
  return RandomOracle("fork", RoScope{}).field(author).field(uint64_t{incarnation}).digest();
}

}  // namespace

Chains::Chains(store::SealedDb& db, store::AuditLog& log, const Digest& room, const MemberId& self,
               const Quotas& quotas)
    : db_(db), log_(log), room_(room), self_(self), quotas_(quotas) {
  reload();
}

std::string Chains::kind(std::string_view name) const { return store::rows_of_room(name, room_); }

void Chains::reload() {
  chains_.clear();
  days_.clear();
  forks_.clear();
  settled_ = 0;
  for (const auto& label : db_.labels(kind("chain"))) {
    RowReader id(label.id, "state.db, a chain"), in(label.meta, "state.db, a chain");
    const MemberId author = read_member(id);
    Chain& c = chains_[{author, id.u32()}];
    c.number = in.u64();
    c.digest = in.digest();
    c.time = in.u64();
    c.minute = in.u64();
    c.in_minute = in.u32();
    c.key = in.u32();
    c.forked = in.u8() == 1;
    in.finish();
  }
  for (const auto& label : db_.labels(kind("day"))) {
    RowReader id(label.id, "state.db, a quota"), in(label.meta, "state.db, a quota");
    Day& day = days_[read_member(id)];
    day.at = in.u64();
    day.statements = in.u64();
    day.bytes = in.u64();
    in.finish();
  }
  for (const auto& label : db_.labels(kind("fork"))) {
    RowReader id(label.id, "state.db, a fork"), in(label.meta, "state.db, a fork");
    Fork fork;
    fork.id = id.digest();
    fork.author = read_member(in);
    fork.incarnation = in.u32();
    fork.number = in.u64();
    in.finish();
    forks_[fork.id] = fork;
  }
}

void Chains::save(const ChainId& id, const Chain& c) {
  Writer out;
  out.u64(c.number).raw(c.digest).u64(c.time).u64(c.minute).u32(c.in_minute);
  out.u32(static_cast<uint32_t>(c.key)).u8(c.forked ? 1 : 0);
  db_.put(kind("chain"), Writer().raw(id.first).u32(id.second).bytes(), out.bytes(), {});
}

void Chains::save_day(const MemberId& author, const Day& day) {
  db_.put(kind("day"), author, Writer().u64(day.at).u64(day.statements).u64(day.bytes).bytes(), {});
}

std::optional<Bytes> Chains::bytes(const MemberId& author, const StatementRef& ref) {
  if (author == self_) return log_.signed_bytes(ref.incarnation, ref.number);
  const auto row = db_.get(kind("statement of"), statement_id(author, ref));
  if (!row || row->secret.size() == 0) return std::nullopt;
  const ByteView all = row->secret.reveal();
  return Bytes(all.begin(), all.end());
}

std::optional<Statement> Chains::statement(const MemberId& author, const StatementRef& ref) {
  const auto all = bytes(author, ref);
  if (!all) return std::nullopt;
  return Statement::decode(*all, "state.db, a statement");
}

std::optional<Digest> Chains::digest_of(const MemberId& author, const StatementRef& ref) {
  if (author == self_) {
    const auto s = statement(author, ref);
    if (!s) return std::nullopt;
    return s->digest();
  }
  const auto row = db_.get(kind("statement of"), statement_id(author, ref));
  if (!row) return std::nullopt;
  RowReader in(row->meta, "state.db, a statement");
  return in.digest();
}

uint32_t Chains::incarnation(const MemberId& author) {
  if (author == self_) {
    const auto last = log_.last();
    return last ? last->incarnation : 0;
  }
  uint32_t out = 0;
  for (const auto& [id, chain] : chains_) {
    if (id.first == author) out = std::max(out, id.second);
  }
  return out;
}

bool Chains::is_forked(const MemberId& author) {
  const auto found = chains_.find({author, incarnation(author)});
  return found != chains_.end() && found->second.forked;
}

std::vector<Digest> Chains::forks_of(const MemberId& author) const {
  std::vector<Digest> out;
  for (const auto& [id, chain] : chains_) {
    if (id.first == author && chain.forked) out.push_back(fork_id(id.first, id.second));
  }
  return out;
}

std::optional<MemberId> Chains::author_of_fork(const Digest& fork) const {
  for (const auto& [id, chain] : chains_) {
    if (chain.forked && fork_id(id.first, id.second) == fork) return id.first;
  }
  return std::nullopt;
}

size_t Chains::incarnations_of(const MemberId& author) const {
  return static_cast<size_t>(std::count_if(chains_.begin(), chains_.end(),
                                           [&](const auto& c) { return c.first.first == author; }));
}

Fork Chains::fork(const Digest& id) {
  Fork out = forks_.at(id);
  const auto row = db_.get(kind("fork"), id);
  if (!row) throw store::damaged_row("state.db, a fork", "it is missing");
  RowReader in(row->secret.reveal(), "state.db, a fork");
  for (Bytes* one : {&out.first, &out.second}) {
    const ByteView bytes = in.field(agreement::kMaxStatementBytes);
    one->assign(bytes.begin(), bytes.end());
  }
  in.finish();
  return out;
}

void Chains::note_own(const Statement& s) {
  const ChainId id{self_, s.incarnation};
  Chain next = chains_.contains(id) ? chains_[id] : Chain{};
  next.number = s.number;
  next.digest = s.digest();
  save(id, next);
  chains_[id] = next;
}

// Of earlier incarnations too: they may have been begun and left while no inbox was open.
size_t Chains::catch_up(const std::function<void(const Statement&)>& apply) {
  const auto last = log_.last();
  if (!last) return 0;
  const auto applied = [&](uint32_t incarnation) {
    const auto known = chains_.find({self_, incarnation});
    return known == chains_.end() ? 0 : known->second.number;
  };
  if (settled_ == last->incarnation && applied(last->incarnation) >= last->number) return 0;
  size_t count = 0;
  db_.transaction([&] {
    for (uint32_t in = settled_; in <= last->incarnation; ++in) {
      while (const auto s = statement(self_, {in, applied(in) + 1})) {
        apply(*s);
        note_own(*s);
        ++count;
      }
    }
    if (applied(last->incarnation) < last->number) {
      throw store::damaged_row("state.db, the log", "an entry is missing");
    }
  });
  settled_ = last->incarnation;
  return count;
}

Heads Chains::heads() {
  Heads out;
  for (const auto& [id, chain] : chains_) {
    if (chain.number > 0) out.chains.push_back({id.first, id.second, chain.number, chain.digest});
  }
  if (out.chains.size() > Quotas::kMaxHeads) out.chains.resize(Quotas::kMaxHeads);
  for (const auto& [id, fork] : forks_) out.forks.push_back(id);
  return out;
}

// What is missing here of one chain. Equal numbers with other digests, or an earlier number with
// another digest than ours, are two statements of one author: the other one is asked for.
std::optional<Wants::Range> Chains::wanted(const ChainHead& h, const MemberId& from, uint64_t now) {
  const ChainId id{h.author, h.incarnation};
  const auto found = chains_.find(id);
  const uint64_t have = found == chains_.end() ? 0 : found->second.number;
  if (found != chains_.end() && found->second.forked) return std::nullopt;
  if (h.number <= have) {
    const auto here = digest_of(h.author, {h.incarnation, h.number});
    if (!here || *here == h.digest) return std::nullopt;
    return Wants::Range{h.author, h.incarnation, h.number, h.number};
  }
  if (suspects_.contains(id) && have > 0) {
    return Wants::Range{h.author, h.incarnation, have, have};
  }
  const auto refused = refused_.find({from, h.author});
  if (refused != refused_.end() && now < refused->second) return std::nullopt;
  const auto waits = waits_.find(h.author);
  if (waits != waits_.end() && now < waits->second) return std::nullopt;
  if (found == chains_.end() && h.author != self_ &&
      incarnations_of(h.author) >= Quotas::kMaxIncarnations) {
    return std::nullopt;
  }
  return Wants::Range{h.author, h.incarnation, have + 1,
                      std::min(h.number, have + Bundle::kMaxStatements)};
}

Wants Chains::missing(const Heads& theirs, const MemberId& from, const Authors& authors,
                      uint64_t now) {
  Wants out;
  for (const ChainHead& h : theirs.chains) {
    if (!authors.contains(h.author)) continue;
    // Who has the proof gives that, and nothing more of the chain counts.
    const Digest fork = fork_id(h.author, h.incarnation);
    if (h.author != self_ && std::binary_search(theirs.forks.begin(), theirs.forks.end(), fork)) {
      continue;
    }
    if (const auto range = wanted(h, from, now)) out.ranges.push_back(*range);
  }
  for (const Digest& fork : theirs.forks) {
    if (!forks_.contains(fork) && forks_.size() < Quotas::kMaxForks) out.forks.push_back(fork);
  }
  return out;
}

// Authors in turn, one statement each, so that none fills the bundle alone (M37); then proofs, each
// whole or not this time. A pair of the longest statements fits where there is nothing else.
Bundle Chains::give(const Wants& wants) {
  Bundle out;
  size_t total = 0;
  const auto fits = [&](size_t size, size_t count) {
    return total + size <= Quotas::kMaxBundle - kRoomInBundle &&
           out.statements.size() + count <= Bundle::kMaxStatements;
  };
  const auto add = [&](Bytes bytes) {
    total += bytes.size() + 4;
    out.statements.push_back(std::move(bytes));
  };
  std::map<MemberId, std::deque<Wants::Range>> turns;
  for (const Wants::Range& r : wants.ranges) turns[r.author].push_back(r);
  while (!turns.empty()) {
    for (auto turn = turns.begin(); turn != turns.end();) {
      std::deque<Wants::Range>& ranges = turn->second;
      Wants::Range& r = ranges.front();
      auto one = bytes(r.author, {r.incarnation, r.first});
      const bool over = one && !fits(one->size() + 4, 1);
      if (one && !over) add(std::move(*one));
      if (!one || r.first++ == r.last) ranges.pop_front();
      turn = over || ranges.empty() ? turns.erase(turn) : std::next(turn);
    }
  }
  for (const Digest& id : wants.forks) {
    if (!forks_.contains(id)) continue;
    Fork whole = fork(id);
    if (!fits(whole.first.size() + whole.second.size() + 8, 2)) continue;
    add(std::move(whole.first));
    add(std::move(whole.second));
  }
  return out;
}

void Chains::prune(const MemberId& author, const StatementRef& ref) {
  const auto row = db_.get(kind("statement of"), statement_id(author, ref));
  if (row) db_.put(kind("statement of"), statement_id(author, ref), row->meta, {});
}

void Chains::take(const Bundle& bundle, const MemberId& from, const Taking& taking,
                  TakeReport& report) {
  from_ = from;
  now_ = taking.now;
  changed_.clear();
  spent_.clear();
  stopped_.clear();
  ahead_.clear();
  for (const Bytes& bytes : bundle.statements) take_one(bytes, taking, report);
  for (const ChainId& id : changed_) save(id, chains_[id]);
  for (const MemberId& author : spent_) save_day(author, days_[author]);
}

void Chains::stop(const MemberId& author, const std::string& name, std::string why,
                  TakeReport& report, uint64_t until) {
  if (!stopped_.insert(author).second) return;
  report.stopped.push_back({author, name, std::move(why), until});
  if (until > 0) {
    waits_[author] = until;
  } else if (!name.empty()) {  // who is no member is asked for by nobody
    refused_[{from_, author}] = now_ + kRefusedFor;
  }
}

void Chains::take_one(const Bytes& bytes, const Taking& taking, TakeReport& report) {
  Statement s;
  try {
    s = Statement::decode(bytes, kPlace);
  } catch (const InputError& error) {
    throw ProtocolAbort(AbortCode::kBadFrame, "statements/bundle", error.problem());
  }
  if (s.room != room_) {
    throw ProtocolAbort(AbortCode::kBadFrame, "statements/bundle",
                        "holds a statement of another room");
  }
  const auto author = taking.authors.find(s.author);
  if (author == taking.authors.end()) {
    return stop(s.author, "", "its author is no member of the room", report);
  }
  if (stopped_.contains(s.author)) return;
  if (s.author == self_) return take_own(s, bytes, taking, report);
  const auto chain = chains_.find({s.author, s.incarnation});
  if (chain != chains_.end() && s.number <= chain->second.number) {
    return take_again(s, bytes, author->second, report);
  }
  take_next(s, bytes, author->second, taking, report);
}

namespace {

/// The place of the key that signed it, not before `first`.
std::optional<size_t> signer(const Statement& s, const std::vector<net::SigningKey>& keys,
                             size_t first) {
  for (size_t k = first; k < keys.size(); ++k) {
    if (s.verify(keys[k])) return k;
  }
  return std::nullopt;
}

}  // namespace

// Of this member: comes back after a state.db of before was put back, or was signed by a copy.
void Chains::take_own(const Statement& s, const Bytes& bytes, const Taking& taking,
                      TakeReport& report) {
  const Author& self = taking.authors.at(self_);
  const auto last = log_.last();
  if (this->bytes(self_, {s.incarnation, s.number})) return take_again(s, bytes, self, report);
  const bool older = last && s.incarnation < last->incarnation;
  try {
    if (older) {
      const auto known = chains_.find({self_, s.incarnation});
      const Chain before = known == chains_.end() ? Chain{} : known->second;
      if (s.number != before.number + 1) return;  // asked for again, in order
      log_.take_back_older(s, before.digest, self.keys);
    } else {
      log_.take_back(s, self.keys);
    }
  } catch (const store::DamagedState&) {
    throw;
  } catch (const InputError& error) {
    return stop(self_, self.name, error.problem(), report);
  }
  const auto key = signer(s, self.keys, 0);
  taking.apply(s, self.keys[*key]);
  note_own(s);
  ++report.taken;
}

// A number that is here already: the same statement, or a proof (M28).
void Chains::take_again(const Statement& s, const Bytes& bytes, const Author& author,
                        TakeReport& report) {
  const StatementRef ref{s.incarnation, s.number};
  const auto here = digest_of(s.author, ref);
  if (here && *here == s.digest()) {
    ++report.known;
    suspects_.erase({s.author, s.incarnation});
    if (!this->bytes(s.author, ref)) pair_up(s, author, bytes, report);  // pruned
    return;
  }
  if (!signer(s, author.keys, 0)) {
    return stop(s.author, author.name, "is not signed by its author", report);
  }
  if (const auto first = this->bytes(s.author, ref)) {
    return add_fork(s, author, *first, bytes, report);
  }
  Chain& chain = chains_[{s.author, s.incarnation}];
  chain.forked = true;  // our own one was pruned: whoever has both gives the proof
  changed_.insert({s.author, s.incarnation});
  pair_up(s, author, bytes, report);
}

void Chains::pair_up(const Statement& s, const Author& author, const Bytes& bytes,
                     TakeReport& report) {
  if (!signer(s, author.keys, 0)) {
    return stop(s.author, author.name, "is not signed by its author", report);
  }
  const auto [other, first] =
      ahead_.try_emplace({ChainId{s.author, s.incarnation}, s.number}, bytes);
  // One statement may stand under two signatures: it is what they are of that counts.
  if (first || Statement::decode(other->second, kPlace).digest() == s.digest()) return;
  add_fork(s, author, other->second, bytes, report);
}

// One proof a chain, and as many chains of an author as there may be (M37).
void Chains::add_fork(const Statement& s, const Author& author, const Bytes& first,
                      const Bytes& second, TakeReport& report) {
  const ChainId id{s.author, s.incarnation};
  suspects_.erase(id);
  if (!chains_.contains(id) && incarnations_of(s.author) >= Quotas::kMaxIncarnations) {
    return stop(s.author, author.name, "it began a new chain too often", report);
  }
  Fork fork;
  fork.id = fork_id(s.author, s.incarnation);
  if (forks_.contains(fork.id)) return;
  chains_[id].forked = true;
  changed_.insert(id);
  fork.author = s.author;
  fork.incarnation = s.incarnation;
  fork.number = s.number;
  Writer meta, proof;
  meta.raw(fork.author).u32(fork.incarnation).u64(fork.number);
  proof.field(first).field(second);
  db_.put(kind("fork"), fork.id, meta.bytes(), proof.bytes());
  forks_[fork.id] = fork;
  report.forks.push_back(fork);
  report.forks.back().first = first;
  report.forks.back().second = second;
}

void Chains::take_next(const Statement& s, const Bytes& bytes, const Author& author,
                       const Taking& taking, TakeReport& report) {
  const ChainId id{s.author, s.incarnation};
  const auto known = chains_.find(id);
  Chain chain = known == chains_.end() ? Chain{} : known->second;
  if (chain.forked && !forks_.contains(fork_id(s.author, s.incarnation))) {
    return pair_up(s, author, bytes, report);
  }
  if (chain.forked) return stop(s.author, author.name, "its chain forks", report);
  const auto key = signer(s, author.keys, chain.key);
  if (!key) return stop(s.author, author.name, "is not signed by its author", report);
  if (s.number != chain.number + 1) return pair_up(s, author, bytes, report);
  if (s.previous != chain.digest) {
    suspects_.insert(id);
    return stop(s.author, author.name, "does not follow from the one before", report);
  }
  const bool is_joiners = s.kind == StatementKind::kApprove || s.kind == StatementKind::kReady;
  if (author.joiner && !is_joiners) {
    return stop(s.author, author.name, "is no member: it may approve and be ready alone", report);
  }
  const bool is_leavers = s.kind == StatementKind::kLeft || s.kind == StatementKind::kOld ||
                          s.kind == StatementKind::kVoid;
  if (author.left && !is_leavers) {
    return stop(s.author, author.name, "it left the room: nothing new of it counts", report);
  }
  if (auto over = over_quota(s, bytes.size(), taking, chain)) {
    return stop(s.author, author.name, over->why, report, over->until);
  }
  const StatementRef ref{s.incarnation, s.number};
  const Digest digest = s.digest();
  db_.put(kind("statement of"), statement_id(s.author, ref),
          Writer().raw(digest).u8(static_cast<uint8_t>(s.kind)).bytes(), bytes);
  chain.number = s.number;
  chain.digest = digest;
  chain.key = *key;
  chains_[id] = chain;
  changed_.insert(id);
  taking.apply(s, author.keys[*key]);
  ++report.taken;
}

namespace {

/// One more of at most `most` a day, in 1/86400: what is used leaks away evenly.
bool use(uint64_t& used, uint64_t amount, uint64_t most, uint64_t elapsed) {
  constexpr uint64_t kUnit = 86400;
  used -= std::min(used, elapsed * most);
  if (used + amount * kUnit > most * kUnit) return false;
  used += amount * kUnit;
  return true;
}

}  // namespace

std::optional<TakeReport::Stop> Chains::over_quota(const Statement& s, size_t size,
                                                   const Taking& taking, Chain& chain) {
  const auto stop_until = [&](std::string why, uint64_t until) {
    return TakeReport::Stop{s.author, "", std::move(why), until};
  };
  if (s.number == 1) {
    if (incarnations_of(s.author) >= Quotas::kMaxIncarnations) {
      return stop_until("it began a new chain too often", 0);
    }
  }
  if (s.kind == StatementKind::kPropose && Board::readable(s)) {
    const auto [open, open_bytes] = taking.open(s.author);
    if (open >= quotas_.open_proposals || open_bytes + s.body.size() > quotas_.open_bytes) {
      return stop_until("it has too many open proposals", taking.now + 60);
    }
  }
  // By its own time, so that who was away need not wait; never one of the future.
  chain.time = std::max(chain.time, std::min(s.time, taking.now));
  if (chain.minute < chain.time / 60) {
    chain.minute = chain.time / 60;
    chain.in_minute = 0;
  }
  if (chain.in_minute >= quotas_.statements_a_minute) {
    ++chain.minute;
    chain.in_minute = 0;
  }
  if (chain.minute > taking.now / 60) {
    return stop_until("it makes too many statements a minute", chain.minute * 60);
  }
  ++chain.in_minute;
  Day day = days_[s.author];
  const uint64_t elapsed = std::min<uint64_t>(day.at < taking.now ? taking.now - day.at : 0, 86400);
  day.at = taking.now;
  if (!use(day.statements, 1, quotas_.statements_a_day, elapsed) ||
      !use(day.bytes, size, quotas_.bytes_a_day, elapsed)) {
    return stop_until("it makes too many statements a day", taking.now + 60);
  }
  days_[s.author] = day;
  spent_.insert(s.author);
  return std::nullopt;
}

}  // namespace flexroom::inbox
