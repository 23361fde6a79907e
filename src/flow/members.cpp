#include "flow/members.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/display.h"

namespace flexroom::flow {
namespace {

constexpr std::string_view kOkDomain = "flexroom flow ok";
constexpr size_t kMaxRuns = 16, kMaxProblem = 1024;

net::Signature signature_of(ByteView bytes) {
  net::Signature out{};
  FLEXROOM_ASSERT(bytes.size() == out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

/// Ids in ascending order, at most kMaxRuns.
std::vector<RunId> read_runs(Reader& in, std::string_view what, PartyId peer) {
  const uint32_t count = in.u32();
  if (count > kMaxRuns) throw ProtocolAbort(AbortCode::kBadFrame, what, "too many runs", peer);
  std::vector<RunId> out;
  for (uint32_t k = 0; k < count; ++k) {
    RunId id = read_run_id(in, what, peer);
    if (!out.empty() && id <= out.back()) {
      throw ProtocolAbort(AbortCode::kBadFrame, what, "runs twice or out of order", peer);
    }
    out.push_back(std::move(id));
  }
  return out;
}

}  // namespace

std::vector<Bytes> Members::say(std::string_view label, ByteView mine, size_t max_bytes) {
  net::Party& party = self_.party;
  party.broadcast(label, mine);
  std::vector<Bytes> out(party.num_parties());
  out[party.id()] = Bytes(mine.begin(), mine.end());
  for (const PartyId peer : party.peers()) {
    out[peer] = party.receive_broadcast_up_to(peer, label, max_bytes);
  }
  // Members that were told different things must not act on them; nobody cheated the engine.
  party.echo(std::string(label) + "/echo", AbortCode::kViewMismatch);
  return out;
}

void Members::agree(std::string_view label, const Digest& mine, std::string_view what) {
  const std::vector<Bytes> all = say(label, mine, sizeof(Digest));
  for (PartyId i = 0; i < all.size(); ++i) {
    if (std::equal(all[i].begin(), all[i].end(), mine.begin(), mine.end())) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, label,
                        fmt::format("{} has another {}", name(i), what), i);
  }
}

void Members::object(std::string_view label, FlowStop::Kind kind, std::string_view before,
                     std::string_view problem) {
  const std::vector<Bytes> all = say(label, as_bytes(problem.substr(0, kMaxProblem)), kMaxProblem);
  for (PartyId i = 0; i < all.size(); ++i) {
    if (all[i].empty()) continue;
    throw FlowStop(kind, fmt::format("{}{}: {}", before, name(i), display(to_text(all[i]))));
  }
}

// ------------------------------------------------------------------ commits

void Members::apply(const RunId& run, const std::vector<net::Signature>& oks) {
  const Change change = store_.commit(run, oks, together_);
  if (committed_) committed_(change);
}

Bytes Members::ok_text(const RunId& run, uint64_t number, const Digest& change) const {
  const Digest digest = RandomOracle("flow ok", RoScope{})
                            .field(self_.rid)
                            .field(run)
                            .field(number)
                            .field(change)
                            .digest();
  return {digest.begin(), digest.end()};
}

void Members::commit(const Change& change, const ValueBytes& bytes) {
  const Digest digest = change.digest();
  // Before anything is on disk: a difference is no fault of the engine, and nothing is staged.
  agree("flow/change", digest, fmt::format("change {} of {}", change.number, change.step));
  store_.stage(change, bytes);
  finish(change.run, change.number, digest);
}

/// The change is staged here. n ok's, each by its member's key, then the commit.
void Members::finish(const RunId& run, uint64_t number, const Digest& change) {
  const Bytes text = ok_text(run, number, change);
  const net::Signature mine = self_.identity.sign(kOkDomain, text);
  const std::vector<Bytes> all = self_.party.exchange("flow/ok", mine);
  std::vector<net::Signature> oks;
  for (PartyId i = 0; i < all.size(); ++i) {
    if (all[i].size() != mine.size() ||
        !net::verify(self_.keys[i], kOkDomain, text, signature_of(all[i]))) {
      throw ProtocolAbort(AbortCode::kDisagreement, "flow/ok",
                          fmt::format("the ok of {} to commit {} is not signed", name(i), number),
                          i);
    }
    oks.push_back(signature_of(all[i]));
  }
  apply(run, oks);
}

// ------------------------------------------------------------------ contact

/// What a member says of a run, and whether it proves it.
struct Members::Claim {
  uint64_t commits = 0;
  Digest last{};
  std::vector<net::Signature> oks;
  uint64_t staged_number = 0;  // 0: nothing is staged
  Digest staged{};

  Bytes encode() const {
    Writer out;
    out.u64(commits).raw(last).u32(static_cast<uint32_t>(oks.size()));
    for (const net::Signature& one : oks) out.raw(one);
    out.u64(staged_number).raw(staged);
    return out.take();
  }
  static Claim decode(ByteView bytes, PartyId peer) {
    Reader in(bytes, "flow/contact", peer);
    Claim out;
    out.commits = in.u64();
    out.last = in.digest();
    const uint32_t count = in.u32();
    if (count > kMostMembers) {
      throw ProtocolAbort(AbortCode::kBadFrame, "flow/contact", "too many ok's", peer);
    }
    for (uint32_t k = 0; k < count; ++k) out.oks.push_back(signature_of(in.raw(64)));
    out.staged_number = in.u64();
    out.staged = in.digest();
    in.finish();
    return out;
  }
};

bool Members::proven(const RunId& run, uint64_t number, const Digest& change,
                     const std::vector<net::Signature>& oks) const {
  const Bytes text = ok_text(run, number, change);
  bool all = oks.size() == self_.keys.size();
  for (size_t k = 0; all && k < oks.size(); ++k) {
    all = net::verify(self_.keys[k], kOkDomain, text, oks[k]);
  }
  return all;
}

std::vector<Members::Claim> Members::claims(const RunId& run) {
  Claim mine;
  if (const auto state = store_.run(run)) {
    mine.commits = state->commits;
    mine.last = state->last;
    mine.oks = store_.oks(run);
  }
  if (const auto staged = store_.staged(run)) {
    mine.staged_number = staged->change.number;
    mine.staged = staged->digest;
  }
  const size_t most = 8 + 32 + 4 + 64 * kMostMembers + 8 + 32;
  const std::vector<Bytes> all = say("flow/contact", mine.encode(), most);
  std::vector<Claim> out;
  for (PartyId i = 0; i < all.size(); ++i) {
    Claim claim = Claim::decode(all[i], i);
    // Who says that it committed shows that all had staged it.
    const bool known = claim.commits == 0 || proven(run, claim.commits, claim.last, claim.oks);
    if (!known) {
      throw FlowStop(FlowStop::Kind::kRestored,
                     fmt::format("{} says commit {} of run {} without the ok's of all: nobody "
                                 "commits or erases",
                                 name(i), claim.commits, run));
    }
    out.push_back(std::move(claim));
  }
  return out;
}

void Members::contact(const RunId& run) {
  const std::vector<Claim> all = claims(run);
  const Claim& mine = all[self_.party.id()];
  for (PartyId i = 0; i < all.size(); ++i) {
    // The number stands in the change, and so in its digest: it is ours, never a word of theirs.
    const bool same = all[i].staged == mine.staged && mine.staged_number != 0;
    if (same && all[i].staged_number != mine.staged_number) {
      throw ProtocolAbort(AbortCode::kDisagreement, "flow/contact",
                          fmt::format("{} says number {} of a change that has number {}", name(i),
                                      all[i].staged_number, mine.staged_number),
                          i);
    }
  }
  // The newest commit that somebody proves: all had staged it.
  const auto newest = std::max_element(
      all.begin(), all.end(), [](const Claim& a, const Claim& b) { return a.commits < b.commits; });
  const uint64_t number = newest->commits;
  const Digest last = newest->last;
  const bool all_staged = std::all_of(all.begin(), all.end(), [&](const Claim& claim) {
    return claim.staged_number > number && claim.staged_number == mine.staged_number &&
           claim.staged == mine.staged;
  });
  if (all_staged) return finish(run, mine.staged_number, mine.staged);
  for (PartyId i = 0; i < all.size(); ++i) {
    const bool has = all[i].commits == number && all[i].last == last;
    const bool can = all[i].staged_number == number && all[i].staged == last && number > 0;
    if (has || can) continue;
    throw FlowStop(FlowStop::Kind::kRestored,
                   fmt::format("{} lacks what all had committed of run {} (a restored backup?): "
                               "nothing was erased; go on with --continue",
                               name(i), run));
  }
  if (mine.commits != number || mine.last != last) return apply(run, newest->oks);
  if (mine.staged_number != 0) store_.drop_staged(run);
}

std::pair<std::set<RunId>, std::set<RunId>> Members::own_runs(const std::string& prefix,
                                                              const std::string& flow) {
  std::set<RunId> open, lost;
  for (const RunState& run : store_.runs()) {
    const bool same = run.head.prefix == prefix && run.head.flow == flow;
    if (same && !run.done && !store_.is_closed(run.id)) open.insert(run.id);
  }
  // A first commit that is staged is a run too.
  for (const RunId& id : store_.staged_runs()) {
    const auto staged = store_.staged(id);
    const bool same = staged->change.head && staged->change.head->prefix == prefix &&
                      staged->change.head->flow == flow;
    if (same && !store_.is_closed(id)) open.insert(id);
  }
  for (const KnownRun& run : store_.known_runs()) {
    const bool same = run.prefix == prefix && run.flow == flow && !run.closed;
    if (same && !store_.run(run.id)) lost.insert(run.id);
  }
  return {std::move(open), std::move(lost)};
}

Members::OpenRuns Members::open_runs(const std::string& prefix, const std::string& flow) {
  const auto [mine, lost] = own_runs(prefix, flow);
  Writer out;
  for (const std::set<RunId>* list : {&mine, &lost}) {
    out.u32(static_cast<uint32_t>(std::min(list->size(), kMaxRuns)));
    size_t k = 0;
    for (const RunId& id : *list) {
      if (k++ < kMaxRuns) out.field(id);
    }
  }
  OpenRuns open;
  std::set<RunId> any;
  std::vector<std::pair<PartyId, RunId>> forgotten;
  const std::vector<Bytes> all =
      say("flow/runs", out.bytes(), 8 + 2 * kMaxRuns * (4 + kRunIdChars));
  for (PartyId i = 0; i < all.size(); ++i) {
    Reader in(all[i], "flow/runs", i);
    for (const RunId& id : read_runs(in, "flow/runs", i)) {
      any.insert(id);
      if (!mine.contains(id)) open.foreign.emplace(id, i);
    }
    for (RunId& id : read_runs(in, "flow/runs", i)) forgotten.emplace_back(i, std::move(id));
    in.finish();
  }
  open.open.assign(any.begin(), any.end());
  for (const auto& [who, id] : forgotten) {
    if (!any.contains(id) && !open.forgotten)
      open.forgotten = fmt::format("{}: run {}", name(who), id);
  }
  return open;
}

}  // namespace flexroom::flow
