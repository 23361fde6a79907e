#include "flow/run.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/loader.h"
#include "flow/run_parts.h"

namespace flexroom::flow {
namespace {

/// No confirmed run is endless (rules are counted); this is our own bug, not a provider's.
constexpr unsigned kMaxTurns = 100'000;

}  // namespace

FlowRun::State::State(RunTerms given, const Flow& of, std::map<std::string, std::string> with)
    : terms(std::move(given)),
      flow(of),
      arguments(std::move(with)),
      store(terms.state, terms.once, terms.self.rid, terms.clock.now(), terms.fault),
      members(terms.self, store) {
  FLEXROOM_ASSERT(terms.self.keys.size() == terms.self.party.num_parties());
  FLEXROOM_ASSERT(terms.self.names.size() == terms.self.party.num_parties());
}

FlowRun::FlowRun(RunTerms terms, const Flow& flow, std::map<std::string, std::string> arguments)
    : state_(std::make_unique<State>(std::move(terms), flow, std::move(arguments))) {}
FlowRun::~FlowRun() = default;

const RunId& FlowRun::id() const { return state_->run.id; }

void FlowRun::State::reload() {
  const auto found = store.run(run.id);
  FLEXROOM_ASSERT(found.has_value());
  run = *found;
}

const Step* FlowRun::State::current() const {
  const Line* const line = flow.line(run.at.line);
  if (line == nullptr || run.at.index >= line->steps.size()) return nullptr;
  return &line->steps[run.at.index];
}

Change FlowRun::State::next_change(const Position& at) const {
  Change out;
  out.run = run.id;
  out.number = run.commits + 1;
  out.previous = run.last;
  out.at = at;
  out.attempts = run.attempts;
  out.refused = run.refused;
  return out;
}

void FlowRun::State::commit(Change change, const ValueBytes& bytes) {
  members.commit(change, bytes);
  run.id = change.run;
  reload();
}

/// A run's first commit: its id, a coin; births, all of them or none, before any request.
void FlowRun::State::start_new() {
  require_new_may_start();
  const Digest coin = terms.self.party.coin("flow/run");
  const Digest id = RandomOracle("flow run", terms.self.party.scope()).field(coin).digest();
  run = RunState();
  run.id = base32_name(id);
  std::map<std::string, NewSecret> drawn;
  if (!flow.born.empty()) drawn = terms.executor.draw(flow, run.id);
  Change change = next_change({});
  change.head = head_of(flow);
  change.event = "begin";
  ValueBytes bytes;
  for (const auto& [name, birth] : flow.born) {
    const auto it = drawn.find(name);
    FLEXROOM_ASSERT(it != drawn.end());
    Change::NewValue value;
    value.meta.name = name;
    value.meta.tag = it->second.tag;
    value.meta.value_class = birth.value_class();
    value.meta.entropy = static_cast<uint32_t>(birth.bits);
    value.meta.purposes = birth.purposes;
    value.meta.account = fmt::format("born {} {}", flow.prefix, name);
    value.to_room = true;
    change.values.push_back(std::move(value));
    bytes[name] = std::move(it->second.row);
  }
  change.time = static_cast<uint64_t>(agreed_time());
  commit(change, bytes);
  log(change, false);
}

void FlowRun::State::require_new_may_start() {
  const auto refuse_run = [&](const std::string& text) {
    throw FlowStop(FlowStop::Kind::kRefused, text);
  };
  std::string problem;
  if (!flow.born.empty() && !store.room_values(flow.prefix).empty()) {
    problem =
        fmt::format("the prefix {} is in use; a flow with births needs an empty one", flow.prefix);
  }
  flow.each_step([&](const Step& step) {
    for (const Keep& keep : step.keeps) {
      if (is_of_run(keep.name) || keep.replace) continue;
      if (store.room_value(flow.prefix, keep.name)) {
        problem = fmt::format("{} exists: `secret remove`, or replace = true", keep.name);
      }
    }
  });
  // All say it together: a member alone would leave the others waiting.
  const std::vector<Bytes> all = members.say("flow/may start", as_bytes(problem), 512);
  for (PartyId i = 0; i < all.size(); ++i) {
    if (!all[i].empty()) refuse_run(fmt::format("{}: {}", members.name(i), to_text(all[i])));
  }
}

void FlowRun::State::begin_or_resume() {
  Writer file;
  file.raw(flow.digest);
  for (const auto& [name, value] : arguments) file.field(name).field(value);
  members.agree("flow/file", sha256(file.bytes()), "flow file, list or argument");
  Members::OpenRuns open = members.open_runs(flow.prefix, flow.name);
  for (const RunId& id : open.open) members.contact(id);
  if (!open.open.empty()) {
    // What was staged may be void now, and what was open may be done.
    const std::vector<RunId> before = open.open;
    open = members.open_runs(flow.prefix, flow.name);
    if (open.open.empty() && std::all_of(before.begin(), before.end(), [&](const RunId& id) {
          const auto one = store.run(id);
          return one && one->done;
        })) {
      run = *store.run(before.front());
      return;
    }
  }
  if (open.open.size() > 1) {
    throw FlowStop(FlowStop::Kind::kRestored, "two open runs: only --abandon");
  }
  if (open.open.empty()) {
    if (open.forgotten) {
      throw FlowStop(
          FlowStop::Kind::kRestored,
          fmt::format("once.db of {} was armed, and state.db does not know it: a restored "
                      "backup; only --abandon, then a new run{}",
                      *open.forgotten, flow.born.empty() ? "" : " under a new prefix"));
    }
    return start_new();
  }
  run.id = open.open.front();
  reload();
  if (run.head.file != flow.digest) {
    throw FlowStop(FlowStop::Kind::kRefused,
                   fmt::format("run {} began with another file: --continue", run.id));
  }
}

/// The file against what the room has: purposes, entropy, the ledger's bound.
void FlowRun::State::check_room() {
  room.clear();
  for (const ValueMeta& meta : store.room_values(flow.prefix)) {
    const bool is_born = meta.account.starts_with("born ");
    room[meta.name] = {meta.is_public, meta.entropy, meta.value_class, meta.purposes, is_born};
  }
  std::string problem;
  try {
    approved = check_against(flow, room);
  } catch (const InputError& error) {
    problem = error.place() + ": " + error.problem();
  }
  const std::vector<Bytes> all = members.say("flow/room", as_bytes(problem.substr(0, 900)), 1024);
  for (PartyId i = 0; i < all.size(); ++i) {
    if (!all[i].empty()) {
      throw FlowStop(FlowStop::Kind::kRefused,
                     fmt::format("READY: {}: {}", members.name(i), to_text(all[i])));
    }
  }
}

void FlowRun::run() {
  State& s = *state_;
  s.arguments = check_arguments(s.flow, s.arguments);
  s.fired.clear();
  s.used.clear();
  s.begin_or_resume();
  s.check_room();
  for (unsigned turn = 0; turn < kMaxTurns; ++turn) {
    if (s.run.done) return;
    if (const Step* const step = s.current()) {
      step->asks() ? s.ask(*step) : s.step(*step);
      continue;
    }
    // Only the main line ends: branches say where they go.
    Change change = s.next_change(s.run.at);
    change.end = true;
    change.event = "end";
    change.time = static_cast<uint64_t>(s.agreed_time());
    s.commit(change, {});
    s.log(change, false);
  }
  FLEXROOM_ASSERT(false);
}

std::map<std::string, unsigned> FlowRun::spent() {
  std::map<std::string, unsigned> out;
  State& s = *state_;
  for (const auto& [name, bits] : s.flow.leaks) {
    const std::string account = s.account_of(name);
    if (!account.empty()) out[name] = s.store.booked(account);
  }
  return out;
}

}  // namespace flexroom::flow
