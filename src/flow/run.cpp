#include "flow/run.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/display.h"
#include "call/purpose.h"
#include "flow/accounts.h"
#include "flow/loader.h"
#include "flow/run_parts.h"

namespace flexroom::flow {
namespace {

/// No confirmed run is endless (rules are counted); this is our own bug, not a provider's.
constexpr unsigned kMaxTurns = 100'000;
constexpr size_t kMaxOutlook = 64 * 1024, kMaxName = 128;

}  // namespace

FlowRun::State::State(RunTerms given, const Flow& of, std::map<std::string, std::string> with)
    : terms(std::move(given)),
      flow(of),
      arguments(std::move(with)),
      store(terms.state, terms.once, terms.self.rid, terms.clock.now(), terms.fault),
      members(
          terms.self, store, [this](const Change& change) { committed(change); },
          [this](const Change& change, const std::function<void()>& write) {
            terms.record ? terms.record(line_of(change, true), write) : write();
          }) {
  FLEXROOM_ASSERT(terms.self.keys.size() == terms.self.party.num_parties());
  FLEXROOM_ASSERT(terms.self.names.size() == terms.self.party.num_parties());
}

FlowRun::FlowRun(RunTerms terms, const Flow& flow, std::map<std::string, std::string> arguments)
    : state_(std::make_unique<State>(std::move(terms), flow, std::move(arguments))) {}
FlowRun::~FlowRun() = default;

const RunId& FlowRun::id() const { return state_->run.id; }
const std::string& FlowRun::in_doubt() const { return state_->doubt; }
bool FlowRun::released() const { return state_->released; }

void FlowRun::State::reload() {
  const auto found = store.run(run.id);
  FLEXROOM_ASSERT(found.has_value());
  run = *found;
}

void FlowRun::State::find_doubt() {
  for (const Armed& armed : store.all_armed(run.id)) {
    const Step* const now = current();
    // A step that asks a person releases nothing.
    const bool may_be_armed = now != nullptr && !now->asks();
    const std::string step = !armed.of_loss ? armed.step : may_be_armed ? now->name : "";
    const auto known = run.attempts.find(step);
    const bool told = known != run.attempts.end() && known->second >= armed.attempt;
    if (!step.empty() && (armed.of_loss || !told)) doubt = step;
  }
}

void FlowRun::State::committed(const Change& change) {
  const Step* const step = change.step.empty() ? nullptr : flow.step(change.step);
  const std::string& event = change.event;
  if (event == "unknown" || event[0] == '5') {
    doubt = change.step;
  } else if (step != nullptr && !step->asks() && (doubt == change.step || event != "429")) {
    // Its own answer, or that of the step by which the file's rule for `unknown` finds out.
    doubt.clear();
  }
  log(change, true);
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
    value.meta.min = value.meta.max = birth.bytes();
    value.meta.born = true;
    value.meta.provider = flow.provider;
    value.meta.account = fmt::format("born {} {}", flow.prefix, name);
    value.to_room = true;
    change.values.push_back(std::move(value));
    bytes[name] = secret_bytes(it->second);
  }
  change.time = static_cast<uint64_t>(agreed_time());
  commit(change, bytes);
}

void FlowRun::State::require_new_may_start() {
  std::string problem;
  // A second identity under one prefix: once.db knows the first one, whatever a restored state.db
  // says and whichever flow made it (tls-in-mpc.md §5.8).
  for (const KnownRun& known : store.known_runs()) {
    if (flow.born.empty() || known.prefix != flow.prefix) continue;
    problem = fmt::format("run {} of {} was armed under the prefix {}: births need a new prefix",
                          known.id, known.flow, flow.prefix);
  }
  if (!flow.born.empty() && !store.room_values(flow.prefix).empty()) {
    problem =
        fmt::format("the prefix {} is in use; a flow with births needs an empty one", flow.prefix);
  }
  flow.each_step([&](const Step& step) {
    for (const Keep& keep : step.keeps) {
      if (is_of_run(keep.name) || keep.replace) continue;
      if (store.room_value(flow.prefix, keep.name)) {
        problem = fmt::format("{} exists: replace = true, or another prefix", keep.name);
      }
    }
  });
  members.object("flow/may start", FlowStop::Kind::kRefused, "", problem);
}

/// Every open run is brought to the same commit at all members.
///
/// Security  `ended` is the same at all honest members: a run that was open at one of them and done
///           at another is objected to in check_met(), by whoever has it done
Members::OpenRuns FlowRun::State::meet() {
  const Members::OpenRuns before = members.open_runs(flow.prefix, flow.name);
  if (before.open.empty()) return before;
  for (const RunId& id : before.open) members.contact(id);
  // What was staged may be void now, and what was open may be done.
  Members::OpenRuns now = members.open_runs(flow.prefix, flow.name);
  check_met(before, now);
  for (const RunId& id : before.open) {
    const auto one = store.run(id);
    // Another member's word alone makes no run of ours the one that was asked for.
    const bool own = !before.foreign.contains(id);
    if (own && one && one->done && !ended) ended = id;
  }
  return now;
}

/// All that the room has below the prefix.
KnownValues FlowRun::State::room_now() {
  KnownValues out;
  const auto add = [&out](const ValueMeta& meta) {
    out[meta.name] = {meta.is_public, meta.entropy, meta.value_class, meta.purposes,
                      meta.born,      meta.min,     meta.max,         meta.provider};
  };
  for (const ValueMeta& meta : store.room_values(flow.prefix)) add(meta);
  for (const std::string_view part : {"/secret", "/id"}) {
    if (!terms.given || flow.key.empty()) continue;
    if (const auto given = terms.given(flow.key + std::string(part))) add(given->meta);
  }
  return out;
}

Outlook FlowRun::contact() {
  State& s = *state_;
  const Members::OpenRuns open = s.meet();
  if (open.open.size() > 1) {
    throw FlowStop(FlowStop::Kind::kRestored, "two open runs: only --abandon");
  }
  if (!open.open.empty()) {
    s.run.id = open.open.front();
    s.reload();
    s.find_doubt();
  }
  Outlook out = s.look_out();
  out.id = open.open.empty() ? s.ended.value_or("") : s.run.id;
  const Step* const step = open.open.empty() ? nullptr : s.current();
  out.step = step != nullptr ? step->name : "";
  return out;
}

/// Bits booked here on the accounts of the flow's short secrets.
std::map<std::string, unsigned> FlowRun::State::spent() {
  std::map<std::string, unsigned> out;
  const KnownValues now = room_now();
  for (const auto& [name, bits] : now.empty() ? flow.leaks : leaks_of(flow, now)) {
    const std::string account = account_of(name);
    if (!account.empty()) out[name] = store.booked(account);
  }
  return out;
}

/// What each has booked, and holds in doubt: once.db of one member may know of releases that no
/// other one knows.
Outlook FlowRun::State::look_out() {
  constexpr std::string_view kWhat = "flow/outlook";
  const std::map<std::string, unsigned> mine = spent();
  Writer out;
  out.field(doubt).u32(static_cast<uint32_t>(mine.size()));
  for (const auto& [name, bits] : mine) out.field(name).u32(bits);
  pinned_keys.clear();
  tell_page_keys(out);
  const std::vector<Bytes> all = members.say(kWhat, out.bytes(), kMaxOutlook);
  Outlook told;
  told.room = room_now();
  for (PartyId i = 0; i < all.size(); ++i) {
    Reader in(all[i], kWhat, i);
    const std::string step = to_text(in.field(kMaxName));
    if (!step.empty()) told.unknown[display(step)].insert(members.name(i));
    const uint32_t count = in.u32();
    for (uint32_t k = 0; k < count; ++k) {
      const std::string name = to_text(in.field(kMaxName));
      const uint32_t bits = in.u32();
      if (bits > kLifeBits || !is_value_name(name)) {
        throw ProtocolAbort(AbortCode::kBadFrame, kWhat,
                            fmt::format("{} says {} bits of a value", members.name(i), bits), i);
      }
      unsigned& most = told.spent[name];
      most = std::max(most, bits);
    }
    hear_page_keys(in, i, told);
    in.finish();
  }
  show_page_keys(told);
  return told;
}

void FlowRun::State::begin_or_resume() {
  Writer file;
  file.raw(flow.digest);
  for (const auto& [name, value] : arguments) file.field(name).field(value);
  members.agree("flow/file", sha256(file.bytes()), "flow file, list or argument");
  const Members::OpenRuns open = meet();
  if (open.open.empty() && ended) {
    run = *store.run(*ended);
    ended.reset();
    return;
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
    // Before births are drawn and a run stands that could only be abandoned.
    check_room();
    return start_new();
  }
  run.id = open.open.front();
  reload();
  find_doubt();
  if (run.head.file != flow.digest) {
    throw FlowStop(FlowStop::Kind::kRefused,
                   fmt::format("run {} began with another file: --continue", run.id));
  }
  check_room();
}

/// No run goes on, and none counts as done, because another member names it.
void FlowRun::State::check_met(const Members::OpenRuns& before, const Members::OpenRuns& now) {
  std::string foreign, done;
  for (const auto& [id, who] : now.foreign) {
    foreign = fmt::format(
        "{} lists run {}, which is not open here: abandoned, or a restored backup; "
        "only --abandon",
        members.name(who), id);
  }
  for (const auto& [id, who] : before.foreign) {
    const auto one = store.run(id);
    if (!one || !one->done || now.foreign.contains(id)) continue;
    done = fmt::format(
        "run {} was done here before; {} had not ended it. Nothing else was run: run "
        "it again for a new one",
        id, members.name(who));
  }
  members.object("flow/met", FlowStop::Kind::kRestored, "", foreign);
  members.object("flow/met", FlowStop::Kind::kRefused, "", done);
}

/// Where an input comes from: a member, `room:PREFIX` or `secret:NAME`.
std::string FlowRun::State::source_of(const Input& input) const {
  return member_of(input.from, arguments);
}

/// An input that the room has already: what was approved with that value holds, not what this file
/// says of it. Empty: nothing is wrong.
std::string FlowRun::State::problem_of_input(const std::string& name, const Input& input) {
  const std::string source = source_of(input);
  if (is_of_member(input, arguments)) {
    const auto& names = members.self().names;
    const bool member = std::find(names.begin(), names.end(), source) != names.end();
    return member ? "" : fmt::format("input {}: {} is no member", name, source);
  }
  const auto stored = value_of_input(name, input);
  const auto prefix = prefix_of_source(source);
  const std::string called =
      prefix ? fmt::format("{}/{}", *prefix, name) : display(*secret_of_source(source));
  if (!stored) return fmt::format("input {}: the room has no {}", name, called);
  const ValueMeta& meta = stored->meta;
  if (meta.is_public) return fmt::format("input {}: {} is public", name, called);
  if (meta.provider != flow.provider) {
    return fmt::format("input {}: {} is kept for provider {}, the flow is for {}", name, called,
                       display(meta.provider), flow.provider);
  }
  if (meta.value_class != input.value_class || meta.min != input.length ||
      meta.max != input.length) {
    return fmt::format("input {} is {} of {} in the file, {} of {} to {} in the room", name,
                       to_string(input.value_class), input.length, to_string(meta.value_class),
                       meta.min, meta.max);
  }
  return problem_of_uses(name, source, meta);
}

/// A secret goes where its own purposes say, and a function is one of them; without any it is
/// usable nowhere (tls-in-mpc.md §3.4(i)).
std::string FlowRun::State::problem_of_uses(const std::string& name, const std::string& source,
                                            const ValueMeta& meta) const {
  std::string out;
  flow.each_step([&](const Step& step) {
    for (const SlotUse& use : step.slots) {
      if (use.name != name) continue;
      if (!allows(meta.purposes, step, use)) {
        out = fmt::format("{}: {} of {} has no purpose `{}`", step.name, name, display(source),
                          purposes_for(step, use).front());
      } else if (use.function.starts_with("totp") &&
                 (meta.entropy < kFullEntropy || meta.max > kMaxTotpKeyBytes)) {
        out = fmt::format(
            "{}: {} of {} makes codes: it needs 128 bits of entropy and {} bytes at "
            "most",
            step.name, name, display(source), kMaxTotpKeyBytes);
      }
    }
  });
  return out;
}

/// The file against what the room has: purposes, entropy, the ledger's bound.
void FlowRun::State::check_room() {
  room = room_now();
  std::string problem;
  try {
    approved = check_against(flow, room);
  } catch (const InputError& error) {
    problem = error.place() + ": " + error.problem();
  }
  for (const auto& [name, input] : flow.inputs) {
    if (problem.empty()) problem = problem_of_input(name, input);
  }
  members.object("flow/room", FlowStop::Kind::kRefused, "READY: ", problem);
}

void FlowRun::run() {
  State& s = *state_;
  s.arguments = check_arguments(s.flow, s.arguments);
  s.fired.clear();
  s.used.clear();
  s.begin_or_resume();
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
  }
  FLEXROOM_ASSERT(false);
}

}  // namespace flexroom::flow
