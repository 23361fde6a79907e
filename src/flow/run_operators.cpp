#include <fmt/core.h>

#include <algorithm>

#include "flow/loader.h"
#include "flow/run_parts.h"

// What operators decide about a run that does not go on by itself (operations.md (c) "Resumption").
// Each is approved by all members before.

namespace flexroom::flow {
namespace {

constexpr size_t kMaxSaid = 256 * 1024, kMaxNamed = 4096;

/// A value as far as members compare it.
struct Seen {
  uint32_t version = 0;
  Digest tag{};
  bool operator==(const Seen&) const = default;
};
using SeenValues = std::map<std::string, Seen>;

void put(Writer& out, const std::vector<ValueMeta>& list) {
  out.u32(static_cast<uint32_t>(list.size()));
  for (const ValueMeta& meta : list) out.field(meta.name).u32(meta.version).raw(meta.tag);
}

SeenValues get(Reader& in, PartyId peer) {
  SeenValues out;
  const uint32_t count = in.u32();
  if (count > kMaxNamed) throw ProtocolAbort(AbortCode::kBadFrame, "flow/values", "too many", peer);
  for (uint32_t k = 0; k < count; ++k) {
    const std::string name = to_text(in.field(64));
    Seen& one = out[name];
    one.version = in.u32();
    one.tag = in.digest();
  }
  return out;
}

/// Names that not all have in the same version; the others are `same`.
std::set<std::string> differing(const std::vector<SeenValues>& all, std::set<std::string>& same) {
  std::set<std::string> names, out;
  for (const SeenValues& one : all) {
    for (const auto& [name, seen] : one) names.insert(name);
  }
  for (const std::string& name : names) {
    const auto first = all.front().find(name);
    const bool equal = first != all.front().end() &&
                       std::all_of(all.begin(), all.end(), [&](const SeenValues& one) {
                         const auto it = one.find(name);
                         return it != one.end() && it->second == first->second;
                       });
    (equal ? same : out).insert(name);
  }
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

void FlowRun::State::merge(const RunId& id) {
  const auto mine = store.run(id);
  Writer out;
  out.field(mine ? mine->encode() : Bytes());
  std::vector<ValueMeta> values = store.room_values(flow.prefix);
  for (ValueMeta& meta : store.run_values(id)) {
    std::erase_if(values, [&](const ValueMeta& other) { return other.name == meta.name; });
    values.push_back(std::move(meta));
  }
  put(out, values);
  const std::vector<Bytes> all = members.say("flow/continue", out.bytes(), kMaxSaid);
  std::vector<RunState> runs;
  std::vector<SeenValues> seen;
  Writer digest;
  for (PartyId i = 0; i < all.size(); ++i) {
    Reader in(all[i], "flow/continue", i);
    const ByteView state = in.field(kMaxSaid);
    if (state.empty()) {
      throw FlowStop(FlowStop::Kind::kRestored,
                     fmt::format("run {} is not at {}: only --abandon", id, members.name(i)));
    }
    runs.push_back(RunState::decode(state, i));
    seen.push_back(get(in, i));
    in.finish();
    digest.field(all[i]);
  }
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
  std::set<std::string> same;
  const std::set<std::string> lost = differing(seen, same);
  for (const std::string& name : lost) {
    if (flow.born.contains(name)) {
      throw FlowStop(FlowStop::Kind::kRestored,
                     fmt::format("the born secret {} is lost: only --abandon", name));
    }
  }
  run = *mine;
  Change change;
  change.run = id;
  change.number = commits + 1;
  change.previous = sha256(digest.bytes());
  change.head = head_of(flow);
  change.at.index = step_to_go_on(flow, reached, same);
  change.attempts = fewest(runs, true);
  change.refused = fewest(runs, false);
  change.voided.assign(lost.begin(), lost.end());
  change.event = "continue";
  change.time = static_cast<uint64_t>(agreed_time());
  commit(change, {});
  log(change, false);
}

void FlowRun::go_on() {
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
  try {
    s.members.contact(id);
  } catch (const FlowStop&) {
    // The same at all: a restored member. What not all have is void below.
  }
  s.merge(id);
}

// ------------------------------------------------------------------ --abandon

std::vector<std::string> FlowRun::abandon() {
  State& s = *state_;
  const Flow& flow = s.flow;
  s.members.agree("flow/abandon", sha256(Writer().field(flow.prefix).field(flow.name).bytes()),
                  "prefix or flow");
  std::set<RunId> mine;
  for (const RunState& run : s.store.runs()) {
    const bool same = run.head.prefix == flow.prefix && run.head.flow == flow.name;
    if (same && !run.done && !s.store.is_closed(run.id)) mine.insert(run.id);
  }
  for (const RunId& id : s.store.staged_runs()) {
    const auto staged = s.store.staged(id);
    const auto& head = staged->change.head;
    if (head && head->prefix == flow.prefix && head->flow == flow.name) mine.insert(id);
  }
  for (const KnownRun& run : s.store.known_runs()) {
    const auto state = s.store.run(run.id);
    const bool over = run.closed || (state && state->done);
    if (run.prefix == flow.prefix && run.flow == flow.name && !over) mine.insert(run.id);
  }
  // What was armed of them here, and how long it may still arrive.
  Writer out;
  int64_t remaining = 0;
  std::set<std::pair<RunId, std::string>> leaves;
  for (const RunId& id : mine) {
    for (const Armed& armed : s.store.all_armed(id)) {
      remaining = std::max(remaining, armed.time + armed.settle_seconds - s.terms.clock.now());
      if (armed.of_loss) {
        flow.each_step([&](const Step& step) {
          if (!step.leaves.empty()) leaves.emplace(id, step.leaves);
        });
      } else if (!armed.leaves.empty()) {
        leaves.emplace(id, armed.leaves);
      }
    }
  }
  out.u32(static_cast<uint32_t>(mine.size()));
  for (const RunId& id : mine) out.field(id);
  out.u64(static_cast<uint64_t>(std::max<int64_t>(0, remaining)));
  out.u32(static_cast<uint32_t>(leaves.size()));
  for (const auto& [id, text] : leaves) out.field(id).field(text);
  put(out, s.store.room_values(flow.prefix));
  const std::vector<Bytes> all = s.members.say("flow/abandoned", out.bytes(), kMaxSaid);
  std::set<RunId> ids;
  std::vector<SeenValues> seen;
  int64_t longest = 0;
  for (PartyId i = 0; i < all.size(); ++i) {
    Reader in(all[i], "flow/abandoned", i);
    for (uint32_t k = std::min<uint32_t>(in.u32(), kMaxNamed); k > 0; --k) {
      ids.insert(to_text(in.field(kRunIdChars)));
    }
    longest = std::max(longest, static_cast<int64_t>(std::min<uint64_t>(in.u64(), 86'400)));
    for (uint32_t k = std::min<uint32_t>(in.u32(), kMaxNamed); k > 0; --k) {
      const RunId id = to_text(in.field(kRunIdChars));
      leaves.emplace(id, to_text(in.field(512)));
    }
    seen.push_back(get(in, i));
    in.finish();
  }
  s.terms.clock.wait_until(s.terms.clock.now() + longest);
  (void)s.members.say("flow/settled", {}, 0);
  for (const RunId& id : ids) {
    s.store.close({id, flow.prefix, flow.name, true});
    s.store.erase_run(id);
  }
  std::set<std::string> same;
  for (const std::string& name : differing(seen, same)) {
    if (!flow.born.contains(name)) s.store.erase_room_value(flow.prefix, name);
  }
  std::vector<std::string> made;
  const std::string room = base32_name(s.terms.self.rid);
  for (const auto& [id, text] : leaves) {
    made.push_back(replaced(replaced(text, "{{run}}", id), "{{room}}", room));
  }
  return made;
}

void FlowRun::remove_value(const std::string& name) {
  State& s = *state_;
  s.members.agree("flow/remove", sha256(Writer().field(s.flow.prefix).field(name).bytes()), "name");
  s.store.erase_room_value(s.flow.prefix, name);
}

}  // namespace flexroom::flow
