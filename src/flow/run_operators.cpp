#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/display.h"
#include "flow/loader.h"
#include "flow/run_parts.h"

// What operators decide about a run that does not go on by itself (operations.md (c) "Resumption").
// Each is approved by all members before.

namespace flexroom::flow {
namespace {

constexpr size_t kMaxSaid = 256 * 1024, kMaxNamed = 512, kMaxVoided = 1000;
constexpr size_t kMaxAbandoned = 64, kMaxWords = 1024;
constexpr uint64_t kMostCommits = uint64_t{1} << 32;

/// A value as far as members compare it.
struct Seen {
  uint32_t version = 0;
  Digest sharing{};
  bool born = false;
};
using SeenValues = std::map<std::string, Seen>;

uint32_t count_of(Reader& in, size_t most, std::string_view what, PartyId peer) {
  const uint32_t out = in.u32();
  if (out > most) {
    throw ProtocolAbort(AbortCode::kBadFrame, what, fmt::format("a list of more than {}", most),
                        peer);
  }
  return out;
}

using StoredValues = std::vector<StoredValue>;

StoredValues room_values(RunStore& store, const std::string& prefix) {
  StoredValues out;
  for (const ValueMeta& meta : store.room_values(prefix)) {
    if (auto value = store.room_value(prefix, meta.name)) out.push_back(std::move(*value));
  }
  return out;
}

StoredValues run_values(RunStore& store, const RunId& run) {
  StoredValues out;
  for (const ValueMeta& meta : store.run_values(run)) {
    if (auto value = store.run_value(run, meta.name)) out.push_back(std::move(*value));
  }
  return out;
}

void put(Writer& out, const StoredValues& list) {
  out.u32(static_cast<uint32_t>(list.size()));
  for (const StoredValue& value : list) {
    const ValueMeta& meta = value.meta;
    out.field(meta.name).u32(meta.version).raw(sharing_of(value)).u8(meta.born ? 1 : 0);
  }
}

SeenValues get(Reader& in, PartyId peer) {
  SeenValues out;
  for (uint32_t k = count_of(in, kMaxNamed, "flow/values", peer); k > 0; --k) {
    const std::string name = to_text(in.field(64));
    if (!is_value_name(name) || out.contains(name)) {
      throw ProtocolAbort(AbortCode::kBadFrame, "flow/values", "no name, or one twice", peer);
    }
    Seen& one = out[name];
    one.version = in.u32();
    one.sharing = in.digest();
    one.born = in.u8() != 0;
  }
  return out;
}

/// Names, of the room or of the run, by whether all have the same version of them, in rows of one
/// set.
struct Compared {
  std::set<std::string> same, lost;
  std::set<std::string> lost_births;  // of the lost: born, as somebody has it
};

Compared compare(const std::vector<SeenValues>& all) {
  std::map<std::string, bool> names;  // and whether it is born
  for (const SeenValues& one : all) {
    for (const auto& [name, seen] : one) names[name] |= seen.born;
  }
  Compared out;
  for (const auto& entry : names) {
    const std::string& name = entry.first;
    const auto first = all.front().find(name);
    const bool equal = first != all.front().end() &&
                       std::all_of(all.begin(), all.end(), [&](const SeenValues& one) {
                         const auto it = one.find(name);
                         return it != one.end() && it->second.version == first->second.version &&
                                it->second.sharing == first->second.sharing;
                       });
    (equal ? out.same : out.lost).insert(name);
    if (!equal && entry.second) out.lost_births.insert(name);
  }
  return out;
}

/// Of these names those that the flow's file makes: what other flows made is not its to erase, nor
/// is the key of a page, which one member's word would make forgotten (operations.md (e)).
std::vector<std::string> own_names(const Flow& flow, const std::set<std::string>& names) {
  std::vector<std::string> out;
  std::copy_if(names.begin(), names.end(), std::back_inserter(out), [&](const std::string& name) {
    return flow.kept(name) != nullptr || flow.is_opened(name);
  });
  return out;
}

std::map<std::string, uint32_t> fewest(const std::vector<RunState>& runs, bool of_attempts) {
  const auto of = [&](const RunState& run) -> const std::map<std::string, uint32_t>& {
    return of_attempts ? run.attempts : run.refused;
  };
  std::map<std::string, uint32_t> out = of(runs.front());
  for (const RunState& run : runs) {
    for (auto& [step, count] : out) {
      const auto it = of(run).find(step);
      count = std::min(count, it == of(run).end() ? 0 : it->second);
    }
  }
  return out;
}

std::string replaced(std::string text, std::string_view hole, std::string_view value) {
  for (size_t at = text.find(hole); at != std::string::npos;
       at = text.find(hole, at + value.size())) {
    text.replace(at, hole.size(), value);
  }
  return text;
}

/// The room's names that not all have alike and that are erased, if the run can go on so at all.
std::vector<std::string> voided_names(const Flow& flow, const Compared& in_room,
                                      const Compared& in_run) {
  if (!in_room.lost_births.empty()) {
    throw FlowStop(
        FlowStop::Kind::kRestored,
        fmt::format("the born secret {} is lost: only --abandon", *in_room.lost_births.begin()));
  }
  std::vector<std::string> out = own_names(flow, in_room.lost);
  if (out.size() + in_run.lost.size() > kMaxVoided) {
    throw FlowStop(FlowStop::Kind::kRestored, "more than 1,000 names differ: only --abandon");
  }
  return out;
}

}  // namespace

// ------------------------------------------------------------------ --continue

/// The edited file may change only what lies ahead.
static void check_edit(const Flow& flow, const std::vector<RunState>& runs, uint32_t reached) {
  for (const RunState& run : runs) {
    if (run.head.births != flow.births_digest) {
      throw FlowStop(FlowStop::Kind::kRefused, "--continue: [born] or the prefix was edited");
    }
    for (size_t k = 0; k < std::min<size_t>(reached, run.head.steps.size()); ++k) {
      if (k < flow.step_digests.size() && flow.step_digests[k] == run.head.steps[k]) continue;
      throw FlowStop(FlowStop::Kind::kRefused, "--continue: a step behind us was edited");
    }
  }
}

/// The last step of the main line, up to `from`, whose needs are all there.
static uint32_t step_to_go_on(const Flow& flow, uint32_t from, std::set<std::string> have) {
  have.insert({"run", "room", "idempotency", "client-metadata"});
  for (const auto& [name, value] : flow.born) have.insert(name);
  for (const auto& [name, value] : flow.inputs) have.insert(name);
  for (const auto& [name, value] : flow.arguments) have.insert(name);
  have.insert(flow.uses.begin(), flow.uses.end());
  have.insert(flow.may_use.begin(), flow.may_use.end());
  const auto last = static_cast<uint32_t>(flow.lines.front().steps.size() - 1);
  uint32_t out = from;
  while (out > 0) {
    const auto known = flow.known.find({"main", std::min(out, last)});
    if (known != flow.known.end() &&
        std::includes(have.begin(), have.end(), known->second.begin(), known->second.end())) {
      break;
    }
    --out;
  }
  return out;
}

/// What a member says of the run that is to go on.
struct FlowRun::State::Told {
  RunState run;
  SeenValues room, own;
  std::vector<Armed> armed;
};

FlowRun::State::Told FlowRun::State::told_of(const RunId& id, ByteView said, PartyId i) {
  Reader in(said, "flow/continue", i);
  const ByteView state = in.field(kMaxSaid);
  if (state.empty()) {
    throw FlowStop(FlowStop::Kind::kRestored,
                   fmt::format("run {} is not open at {}: only --abandon", id, members.name(i)));
  }
  Told out{RunState::decode(state, i), {}, {}, {}};
  std::vector<net::Signature> oks(count_of(in, kMostMembers, "flow/continue", i));
  for (net::Signature& one : oks) {
    const ByteView bytes = in.raw(one.size());
    std::copy(bytes.begin(), bytes.end(), one.begin());
  }
  // The next number follows from these: a number is what all signed, never a word.
  if (out.run.id != id || out.run.commits > kMostCommits ||
      !members.proven(id, out.run.commits, out.run.last, oks)) {
    throw FlowStop(FlowStop::Kind::kRestored,
                   fmt::format("{} says commit {} of run {} without the ok's of all",
                               members.name(i), out.run.commits, id));
  }
  out.room = get(in, i);
  out.own = get(in, i);
  for (uint32_t k = count_of(in, kMaxNamed, "flow/continue", i); k > 0; --k) {
    Armed armed;
    armed.step = to_text(in.field(64));
    armed.attempt = in.u32();
    armed.leaves = to_text(in.field(kMaxWords));
    out.armed.push_back(std::move(armed));
  }
  in.finish();
  return out;
}

/// A release whose outcome nobody knows is found by the name of its step, and waits by what it
/// leaves: under another name it would be sent at once, beside the one that may still arrive.
void FlowRun::State::check_armed(const std::vector<Told>& all,
                                 const std::map<std::string, uint32_t>& committed) {
  for (PartyId i = 0; i < all.size(); ++i) {
    for (const Armed& armed : all[i].armed) {
      const auto known = committed.find(armed.step);
      if (armed.attempt <= (known == committed.end() ? 0 : known->second)) continue;
      const Step* const step = flow.step(armed.step);
      if (step != nullptr && !step->asks() && step->leaves == armed.leaves) continue;
      throw FlowStop(FlowStop::Kind::kRefused,
                     fmt::format("--continue: {} was armed at {} and its outcome is unknown: the "
                                 "file needs a step of that name with the same `leaves`",
                                 display(armed.step), members.name(i)));
    }
  }
}

Bytes FlowRun::State::tell(const RunId& id, const std::optional<RunState>& mine) {
  Writer out;
  out.field(mine ? mine->encode() : Bytes());
  const std::vector<net::Signature> oks = store.oks(id);
  out.u32(static_cast<uint32_t>(oks.size()));
  for (const net::Signature& one : oks) out.raw(one);
  put(out, room_values(store, flow.prefix));
  put(out, run_values(store, id));
  std::vector<Armed> armed = store.all_armed(id);
  std::erase_if(armed, [](const Armed& one) { return one.of_loss; });
  out.u32(static_cast<uint32_t>(armed.size()));
  for (const Armed& one : armed) out.field(one.step).u32(one.attempt).field(one.leaves);
  return out.take();
}

/// What all members said of the run that goes on; `digest` is of all of it.
struct FlowRun::State::Heard {
  std::vector<Told> all;
  std::vector<RunState> runs;
  std::vector<SeenValues> in_room, in_run;
  Digest digest{};
};

FlowRun::State::Heard FlowRun::State::heard_of(const RunId& id, const std::vector<Bytes>& said) {
  Heard out;
  Writer all;
  for (PartyId i = 0; i < said.size(); ++i) {
    out.all.push_back(told_of(id, said[i], i));
    out.runs.push_back(out.all.back().run);
    out.in_room.push_back(out.all.back().room);
    out.in_run.push_back(out.all.back().own);
    all.field(said[i]);
  }
  out.digest = sha256(all.bytes());
  return out;
}

Change FlowRun::State::merge(const RunId& id) {
  const auto mine = store.is_closed(id) ? std::nullopt : store.run(id);
  const Heard heard = heard_of(id, members.say("flow/continue", tell(id, mine), kMaxSaid));
  const std::vector<RunState>& runs = heard.runs;
  const bool any_done =
      std::any_of(runs.begin(), runs.end(), [](const RunState& r) { return r.done; });
  if (any_done && flow.born.empty()) {
    throw FlowStop(FlowStop::Kind::kRestored, "another run is newer: only --abandon");
  }
  uint32_t reached = UINT32_MAX;
  uint64_t commits = 0;
  for (const RunState& one : runs) {
    reached = std::min(reached, one.main);
    commits = std::max(commits, one.commits);
  }
  check_edit(flow, runs, reached);
  // Apart: the run's unproved version may differ where the room's current one is equal at all.
  const Compared room_names = compare(heard.in_room), run_names = compare(heard.in_run);
  const std::vector<std::string> voided = voided_names(flow, room_names, run_names);
  run = *mine;
  Change change;
  change.run = id;
  change.number = commits + 1;
  change.previous = heard.digest;
  change.head = head_of(flow);
  change.attempts = fewest(runs, true);
  change.refused = fewest(runs, false);
  check_armed(heard.all, change.attempts);
  // What the run had made anew is made again, also where an older version of it stays.
  std::set<std::string> have = room_names.same;
  for (const std::string& name : run_names.lost) have.erase(name);
  have.insert(run_names.same.begin(), run_names.same.end());
  change.at.index = step_to_go_on(flow, reached, std::move(have));
  change.voided = voided;
  change.voided_of_run.assign(run_names.lost.begin(), run_names.lost.end());
  change.event = "continue";
  change.time = static_cast<uint64_t>(agreed_time());
  return change;
}

GoingOn FlowRun::prepare_go_on(const std::optional<RunId>& expected) {
  State& s = *state_;
  s.members.agree("flow/file", s.flow.digest, "flow file");
  const Members::OpenRuns open = s.members.open_runs(s.flow.prefix, s.flow.name);
  if (open.open.empty()) {
    throw FlowStop(FlowStop::Kind::kRefused, "no run of this flow is open");
  }
  if (open.open.size() > 1) {
    throw FlowStop(FlowStop::Kind::kRestored, "two open runs: only --abandon");
  }
  const RunId id = open.open.front();
  if (expected && *expected != id) {
    throw FlowStop(FlowStop::Kind::kRefused,
                   fmt::format("--continue: the open run of this flow is {}", id));
  }
  try {
    s.members.contact(id);
  } catch (const FlowStop&) {
    // The same at all: a restored member. What not all have is void below.
  }
  const Change& change = s.going_on.emplace(s.merge(id));
  s.find_doubt();
  const std::vector<Step>& steps = s.flow.lines.front().steps;
  const std::string step = change.at.index < steps.size() ? steps[change.at.index].name : "";
  return {id, s.look_out(), step, change.voided, change.voided_of_run};
}

void FlowRun::go_on() {
  State& s = *state_;
  FLEXROOM_ASSERT(s.going_on.has_value());
  s.commit(*s.going_on, {});
  s.going_on.reset();
}

// ------------------------------------------------------------------ --abandon

namespace {

/// What a member says of the runs that are to be closed.
struct Abandoned {
  std::set<RunId> ids;
  int64_t remaining = 0;                           // seconds until all of them have settled
  std::set<std::pair<RunId, std::string>> leaves;  // in words, of what was armed
  SeenValues room;
};

Abandoned read_abandoned(ByteView said, PartyId peer, uint64_t most_seconds) {
  constexpr std::string_view kWhat = "flow/abandoned";
  Reader in(said, kWhat, peer);
  Abandoned out;
  for (uint32_t k = count_of(in, kMaxAbandoned, kWhat, peer); k > 0; --k) {
    out.ids.insert(read_run_id(in, kWhat, peer));
  }
  out.remaining = static_cast<int64_t>(std::min(in.u64(), most_seconds));
  for (uint32_t k = count_of(in, kMaxNamed, kWhat, peer); k > 0; --k) {
    RunId id = read_run_id(in, kWhat, peer);
    if (!out.ids.contains(id)) {
      throw ProtocolAbort(AbortCode::kBadFrame, kWhat, "what another run left", peer);
    }
    out.leaves.emplace(std::move(id), to_text(in.field(kMaxWords)));
  }
  out.room = get(in, peer);
  in.finish();
  return out;
}

Bytes put_abandoned(const Abandoned& mine, const StoredValues& room) {
  Writer out;
  out.u32(static_cast<uint32_t>(mine.ids.size()));
  for (const RunId& id : mine.ids) out.field(id);
  out.u64(static_cast<uint64_t>(mine.remaining));
  out.u32(static_cast<uint32_t>(mine.leaves.size()));
  for (const auto& [id, text] : mine.leaves) out.field(id).field(text);
  put(out, room);
  return out.take();
}

}  // namespace

/// This member's runs of the flow that are not over.
std::set<RunId> FlowRun::State::runs_to_abandon() {
  std::set<RunId> out;
  for (const RunState& one : store.runs()) {
    const bool same = one.head.prefix == flow.prefix && one.head.flow == flow.name;
    if (same && !one.done && !store.is_closed(one.id)) out.insert(one.id);
  }
  for (const RunId& id : store.staged_runs()) {
    const auto staged = store.staged(id);
    const auto& head = staged->change.head;
    if (head && head->prefix == flow.prefix && head->flow == flow.name) out.insert(id);
  }
  for (const KnownRun& known : store.known_runs()) {
    const auto state = store.run(known.id);
    const bool over = known.closed || (state && state->done);
    if (known.prefix == flow.prefix && known.flow == flow.name && !over) out.insert(known.id);
  }
  while (out.size() > kMaxAbandoned) out.erase(std::prev(out.end()));
  return out;
}

/// What was armed of them here, and how long it may still arrive.
static Abandoned own_abandoned(RunStore& store, const Flow& flow, std::set<RunId> ids,
                               int64_t now) {
  Abandoned out;
  for (const RunId& id : ids) {
    for (const Armed& armed : store.all_armed(id)) {
      out.remaining = std::max(out.remaining, armed.time + armed.settle_seconds - now);
      if (armed.of_loss) {
        flow.each_step([&](const Step& step) {
          if (!step.leaves.empty()) out.leaves.emplace(id, step.leaves);
        });
      } else if (!armed.leaves.empty()) {
        out.leaves.emplace(id, armed.leaves);
      }
    }
  }
  out.ids = std::move(ids);
  return out;
}

Ending FlowRun::prepare_abandon(const std::optional<RunId>& expected) {
  State& s = *state_;
  const Flow& flow = s.flow;
  // Which names are erased follows from the file.
  const Bytes of = Writer().field(flow.prefix).field(flow.name).raw(flow.digest).take();
  s.members.agree("flow/abandon", sha256(of), "prefix, flow or file");
  const int64_t now = s.terms.clock.now();
  const Abandoned mine = own_abandoned(s.store, flow, s.runs_to_abandon(), now);
  const std::vector<Bytes> all = s.members.say(
      "flow/abandoned", put_abandoned(mine, room_values(s.store, flow.prefix)), kMaxSaid);
  // Nobody makes the others wait longer than what they know of can take.
  int64_t longest = mine.remaining;
  flow.each_step([&](const Step& step) { longest = std::max(longest, flow.settle_of(step)); });
  const auto most = static_cast<uint64_t>(longest);
  Ending out;
  std::set<RunId> ids;
  std::vector<SeenValues> seen;
  std::map<std::pair<RunId, std::string>, std::set<PartyId>> made;
  std::string foreign;
  for (PartyId i = 0; i < all.size(); ++i) {
    const Abandoned said = read_abandoned(all[i], i, most);
    for (const RunId& id : said.ids) {
      const auto owner = s.store.owner_of(id);
      if (owner && *owner != std::pair(flow.prefix, flow.name)) {
        foreign = fmt::format("{} names run {}, which is one of {}", s.members.name(i), id,
                              owner->second);
      }
    }
    ids.insert(said.ids.begin(), said.ids.end());
    out.seconds = std::max(out.seconds, said.remaining);
    for (const auto& one : said.leaves) made[one].insert(i);
    seen.push_back(said.room);
  }
  if (expected && !ids.contains(*expected)) {
    throw FlowStop(FlowStop::Kind::kRefused,
                   fmt::format("--abandon: {} is no open run of this flow", *expected));
  }
  s.members.object("flow/may abandon", FlowStop::Kind::kRefused, "--abandon: ", foreign);
  out.runs.assign(ids.begin(), ids.end());
  std::set<std::string> words;
  for (const auto& [of_run, by] : made) words.insert(s.words_of(of_run.first, of_run.second, by));
  out.left.assign(words.begin(), words.end());
  const Compared names = compare(seen);
  for (const std::string& name : own_names(flow, names.lost)) {
    // By the value too, not by this file alone: a born one is never made again, and a newer backup
    // of the member that lacks it heals the room.
    if (!names.lost_births.contains(name)) out.erased.push_back(name);
  }
  s.ends_at = now + out.seconds;
  s.ending = out;
  return out;
}

void FlowRun::abandon(const std::function<void(const Ending&)>& before) {
  State& s = *state_;
  FLEXROOM_ASSERT(s.ending.has_value());
  const Ending ending = *std::exchange(s.ending, std::nullopt);
  s.wait_until(s.ends_at, "", "until nothing that was released can arrive any more");
  (void)s.members.say("flow/settled", {}, 0);
  if (before) before(ending);
  // In this order: killed anywhere, a run of which something is left to do is open here, and the
  // next --abandon finds it.
  for (const std::string& name : ending.erased) s.store.erase_room_value(s.flow.prefix, name);
  for (const RunId& id : ending.runs) {
    s.store.erase_run(id);
    s.store.close({id, s.flow.prefix, s.flow.name, true});
  }
}

/// What is left, in words, the same at all members; what only some say of it, and not the file, is
/// said to be their word.
std::string FlowRun::State::words_of(const RunId& id, const std::string& text,
                                     const std::set<PartyId>& by) const {
  bool known = by.size() == members.self().names.size();
  flow.each_step([&](const Step& step) { known |= step.leaves == text; });
  const std::string words =
      replaced(replaced(text, "{{run}}", id), "{{room}}", base32_name(terms.self.rid));
  if (known) return display(words);
  std::string who;
  for (const PartyId i : by) who += (who.empty() ? "" : ", ") + members.name(i);
  return fmt::format("{} says: {}", who, display(words));
}

}  // namespace flexroom::flow
