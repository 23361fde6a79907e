#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/display.h"
#include "flow/accounts.h"
#include "flow/loader.h"
#include "flow/run_parts.h"
#include "flow/stop_words.h"
#include "net/receive_wait.h"

namespace flexroom::flow {
namespace {

constexpr size_t kMaxReady = 64 * 1024, kMaxAnswer = 65'536;
constexpr uint64_t kClockDifference = 300;            // seconds between members' clocks
constexpr uint64_t kMostSeconds = uint64_t{1} << 40;  // of any clock
constexpr uint32_t kMostAttempts = 1'000'000;         // of one step in one run

}  // namespace

/// What a member says before each step, and what all together follow from it.
struct FlowRun::State::Ready {
  uint32_t tried = 0;     // most attempts that any member's once.db knows
  int64_t remaining = 0;  // seconds until the last one has settled, at any member
  int64_t time = 0;       // agreed: the median of all clocks
  std::string problem;    // of the first member that has one
  FlowStop::Kind kind = FlowStop::Kind::kRefused;
};

// ------------------------------------------------------------------ values

std::optional<StoredValue> FlowRun::State::value(std::string_view name) {
  if (terms.given) {
    if (auto given = terms.given(name)) return given;
  }
  if (const auto input = flow.inputs.find(std::string(name)); input != flow.inputs.end()) {
    return value_of_input(input->first, input->second);
  }
  return store.value(run.id, flow.prefix, name);
}

/// Of a value of the room under another prefix, or of a secret that was imported or drawn; a
/// member's own no store has.
std::optional<StoredValue> FlowRun::State::value_of_input(const std::string& name,
                                                          const Input& input) {
  const std::string source = source_of(input);
  if (const auto prefix = prefix_of_source(source)) return store.room_value(*prefix, name);
  const auto secret = secret_of_source(source);
  if (!secret || !terms.secret) return std::nullopt;
  auto out = terms.secret(*secret);
  if (!out) return std::nullopt;
  out->meta.name = name;
  out->meta.account = "secret " + *secret;
  return out;
}

/// The account of the ledger: a place, never a version (tls-in-mpc.md §5.6).
std::string FlowRun::State::account_of(const std::string& name) {
  if (const auto stored = value(name)) return stored->meta.account;
  if (const auto input = flow.inputs.find(name); input != flow.inputs.end()) {
    return account_of_input(input->second, arguments);
  }
  if (const auto born = flow.born.find(name); born != flow.born.end()) {
    return fmt::format("born {} {}", flow.prefix, name);
  }
  return "";
}

/// What the step's request and the tests on its answer name.
std::vector<std::string> FlowRun::State::names_of(const Step& step) const {
  std::set<std::string> out;
  const auto add = [&](const std::string& name) {
    if (!is_built_in(name) && !flow.arguments.contains(name)) out.insert(name);
  };
  for (const SlotUse& use : step.slots) {
    add(use.name);
    for (const std::string_view part : {".n", ".e", ".kid"}) {
      if (!use.key.empty()) add(use.key + std::string(part));
    }
  }
  for (const Assertion& one : step.asserts) {
    for (const std::string& name :
         names_in(one.equals.value_or("")).value_or(std::vector<std::string>()))
      add(name);
  }
  for (const std::string& name : step.show) add(name);
  if (step.item) {
    for (const Filter& filter : step.item->filters) {
      if (!filter.equal) continue;  // `!=`: one that does not exist excludes nothing
      for (const std::string& name : names_in(filter.value).value_or(std::vector<std::string>()))
        add(name);
    }
  }
  if (!step.sign_service.empty()) {
    add(flow.key + "/secret");
    add(flow.key + "/id");
  }
  return {out.begin(), out.end()};
}

/// What READY compares: those, and the names that the step makes. Their next version follows from
/// what each has, so members that differ would find out behind the release only (§5.12).
std::vector<std::string> FlowRun::State::names_to_compare(const Step& step) const {
  const std::vector<std::string> named = names_of(step);
  std::set<std::string> out(named.begin(), named.end());
  for (const Keep& keep : step.keeps) out.insert(keep.name);
  for (const Open& open : step.opens) {
    if (open.to_all()) out.insert(open.name);
  }
  return {out.begin(), out.end()};
}

ValueMeta FlowRun::State::meta_of(const std::string& name, bool is_public, const Digest& tag) {
  ValueMeta out;
  out.name = name;
  out.is_public = is_public;
  out.tag = tag;
  out.provider = flow.provider;
  const auto before = store.value(run.id, flow.prefix, name);
  out.version = before ? before->meta.version + 1 : 1;
  return out;
}

// ------------------------------------------------------------------ READY

int64_t FlowRun::State::agreed_time() {
  const int64_t now = terms.clock.now();
  const std::vector<Bytes> all =
      members.say("flow/time", Writer().u64(static_cast<uint64_t>(now)).bytes(), 8);
  std::vector<int64_t> times;
  for (PartyId i = 0; i < all.size(); ++i) {
    Reader in(all[i], "flow/time", i);
    times.push_back(static_cast<int64_t>(in.u64()));
    in.finish();
    // Without a sign: a peer's number may be any.
    const uint64_t theirs = static_cast<uint64_t>(times.back()), ours = static_cast<uint64_t>(now);
    if (theirs > kMostSeconds || theirs > ours + kClockDifference ||
        theirs + kClockDifference < ours) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "flow/time",
                          fmt::format("the clock of {} differs from ours by more than {} s",
                                      members.name(i), kClockDifference),
                          i);
    }
  }
  std::sort(times.begin(), times.end());
  return times[(times.size() - 1) / 2];
}

/// The ledger: an account that has too few bits left for this release.
std::string FlowRun::State::ledger_problem(const Step& step) {
  for (const auto& [name, bits] : bits_of_release(flow, step, room)) {
    if (store.booked(account_of(name)) + bits <= kLifeBits) continue;
    if (store.ledger_is_lost()) {
      return fmt::format(
          "LEDGER: {}: once.db was lost, so every account counts as full, that of {} too; "
          "--continue with a file without the test",
          step.name, name);
    }
    return fmt::format(
        "LEDGER: {}: {} has used its {} bits (a member that aborts behind "
        "`armed` can do that); --continue with a file without the test",
        step.name, name, kLifeBits);
  }
  return "";
}

/// How long a release of the step may still arrive: what was said when it was armed counts, an
/// edited file only raises it.
int64_t FlowRun::State::settle_of(const Step& step) {
  const auto armed = store.armed(run.id, step.name);
  return std::max(flow.settle_of(step), armed ? armed->settle_seconds : 0);
}

void FlowRun::State::hear_ready(const Step& step, const std::vector<std::string>& names,
                                ByteView said, PartyId i, Ready& out) {
  Reader in(said, "flow/ready", i);
  const uint32_t tried = in.u32();
  if (tried > kMostAttempts) {
    throw ProtocolAbort(AbortCode::kBadFrame, "flow/ready",
                        fmt::format("{} says {} attempts of {}", members.name(i), tried, step.name),
                        i);
  }
  out.tried = std::max(out.tried, tried);
  // Nobody can make the others wait longer than the step's own time.
  const auto most = static_cast<uint64_t>(settle_of(step));
  out.remaining = std::max(out.remaining, static_cast<int64_t>(std::min(in.u64(), most)));
  const std::string problem = to_text(in.field(512));
  if (!problem.empty() && out.problem.empty()) {
    out.problem = fmt::format("{}: {}", members.name(i), display(problem));
    out.kind = FlowStop::Kind::kLedger;
  }
  if (in.u32() != names.size()) {
    throw ProtocolAbort(AbortCode::kBadFrame, "flow/ready",
                        fmt::format("{} names another number of values", members.name(i)), i);
  }
  for (const std::string& expected : names) {
    const std::string name = to_text(in.field(64));
    const uint32_t version = in.u32();
    const Digest sharing = in.digest();
    const auto stored = value(expected);
    const bool same = name == expected && version == (stored ? stored->meta.version : 0) &&
                      sharing == (stored ? sharing_of(*stored) : Digest{});
    if (same || !out.problem.empty()) continue;
    out.problem = fmt::format(
        "READY: {} has another version at some member, or other rows: a restored backup; "
        "--continue; of a value that another flow makes, that flow and its --continue",
        expected);
    out.kind = FlowStop::Kind::kRestored;
  }
  in.finish();
}

FlowRun::State::Ready FlowRun::State::ready(const Step& step) {
  Ready out;
  out.time = agreed_time();
  room = room_now();
  const auto armed = store.armed(run.id, step.name);
  const uint32_t tried = armed ? armed->attempt : 0;
  const int64_t left =
      armed ? std::max<int64_t>(0, armed->time + settle_of(step) - terms.clock.now()) : 0;
  Writer mine;
  mine.u32(tried).u64(static_cast<uint64_t>(left)).field(ledger_problem(step).substr(0, 512));
  const std::vector<std::string> names = names_to_compare(step);
  mine.u32(static_cast<uint32_t>(names.size()));
  for (const std::string& name : names) {
    const auto stored = value(name);
    mine.field(name)
        .u32(stored ? stored->meta.version : 0)
        .raw(stored ? sharing_of(*stored) : Digest{});
  }
  const std::vector<Bytes> all = members.say("flow/ready", mine.bytes(), kMaxReady);
  for (PartyId i = 0; i < all.size(); ++i) hear_ready(step, names, all[i], i, out);
  return out;
}

/// The step against what the room has now: what it had when the run was approved is not enough.
std::string FlowRun::State::problem_of_room(const Step& step) const {
  try {
    check_step_against(flow, room, step);
  } catch (const InputError& error) {
    return error.place() + ": " + error.problem();
  }
  for (const auto& [name, bits] : bits_of_release(flow, step, room)) {
    const auto bound = approved.find(name), before = used.find(name);
    const unsigned shown = bits + (before == used.end() ? 0 : before->second);
    if (bound != approved.end() && shown <= bound->second) continue;
    return fmt::format("{} would show more bits of {} than were approved", step.name, name);
  }
  return "";
}

/// All that stands in the way before anything is contacted, the same at all members.
void FlowRun::State::check_ready(const Step& step, const Ready& ready) {
  if (!ready.problem.empty()) throw FlowStop(ready.kind, ready.problem);
  for (const std::string& name : names_of(step)) {
    const auto input = flow.inputs.find(name);
    const bool of_member = input != flow.inputs.end() && is_of_member(input->second, arguments);
    if (!of_member && !value(name)) {
      throw FlowStop(FlowStop::Kind::kRefused, fmt::format("READY: {} is not there", name));
    }
  }
  for (const SlotUse& use : step.slots) {
    const auto stored = value(use.name);
    if (!stored || !stored->meta.is_public || flow.arguments.contains(use.name)) continue;
    if (!fits(use.where, as_text(stored->bytes.reveal()))) {
      throw FlowStop(FlowStop::Kind::kRefused, fmt::format("READY: {{{{{}}}}} does not fit a {}",
                                                           use.name, to_string(use.where)));
    }
  }
  members.object("flow/step", FlowStop::Kind::kRefused, "READY: ", problem_of_room(step));
}

/// Waits, and says for what.
void FlowRun::State::wait_until(int64_t seconds, const std::string& step, const std::string& what) {
  const int64_t left = seconds - terms.clock.now();
  if (left > 0 && terms.waits) terms.waits({step, what, left});
  terms.clock.wait_until(seconds);
}

/// Every `unknown` waits, by each member's own clock since its own `armed`; then all know that all
/// have waited.
void FlowRun::State::settle(const Step& step, int64_t remaining) {
  const auto armed = store.armed(run.id, step.name);
  const int64_t now = terms.clock.now();
  wait_until(std::max(now + remaining, armed ? armed->time + settle_of(step) : now), step.name,
             "its outcome is unknown, until it can no longer arrive");
  (void)members.say("flow/settled", {}, 0);
}

// ------------------------------------------------------------------ one step

StepAnswer FlowRun::State::release(const Step& step, const Ready& ready, bool& armed) {
  const auto known = run.attempts.find(step.name);
  const uint32_t attempt = (known == run.attempts.end() ? 0 : known->second) + 1;
  const auto refused = run.refused.find(step.name);
  std::map<std::string, unsigned> bits;
  for (const auto& [name, count] : bits_of_release(flow, step, room)) {
    bits[account_of(name)] += count;
    used[name] += count;
    // What was approved is the bound of the file: more is our own bug.
    const auto bound = approved.find(name);
    FLEXROOM_ASSERT(bound != approved.end() && used[name] <= bound->second);
  }
  StepCall call{
      flow,
      step,
      run.id,
      attempt,
      idempotency_id(run.id, step.name, refused == run.refused.end() ? 0 : refused->second),
      base32_name(terms.self.rid),
      arguments,
      ready.time,
      [this](std::string_view name) { return value(name); },
      [this](std::string_view name) {
        std::vector<std::string> out;
        if (const auto own = store.run_value(run.id, name)) {
          out.emplace_back(as_text(own->bytes.reveal()));
        }
        if (const auto current = store.room_value(flow.prefix, name)) {
          out.emplace_back(as_text(current->bytes.reveal()));
        }
        return out;
      },
      [&] {
        FLEXROOM_ASSERT(!armed);
        store.arm(run.id, step.name,
                  {step.name, attempt, terms.clock.now(), flow.prefix, flow.name, step.leaves,
                   flow.settle_of(step)},
                  bits);
        armed = released = true;
        doubt = step.name;
      }};
  StepAnswer answer = terms.executor.make(call);
  FLEXROOM_ASSERT(armed || (answer.status == 0 && answer.kept.empty()));
  if (terms.fault) terms.fault("flow/answered");
  return answer;
}

std::string FlowRun::State::event_of(const Step& step, const StepAnswer& answer) const {
  if (step.is_ok(answer.status)) return answer.none ? "none" : "ok";
  std::string out = fmt::format("{}", answer.status);
  const bool looked_at = step.code && answer.status != 429 && answer.status < 500;
  if (!looked_at) return out;
  const auto& list = step.code->one_of;
  const bool listed = std::find(list.begin(), list.end(), answer.code) != list.end();
  return out + " " + (listed ? answer.code : "other");
}

void FlowRun::State::step(const Step& step) {
  const Ready now = ready(step);
  const auto known = run.attempts.find(step.name);
  const uint32_t committed = known == run.attempts.end() ? 0 : known->second;
  if (now.tried > committed) {
    // Armed at some member, and no commit: nobody knows what became of it.
    settle(step, now.remaining);
    return follow(step, "unknown", {}, now.tried, now.time);
  }
  check_ready(step, now);
  check_page_keys(step);
  bool armed = false;
  StepAnswer answer = release(step, now, armed);
  if (!armed) {
    throw FlowStop(FlowStop::Kind::kStep, fmt::format("{}: nothing was released", step.name));
  }
  // 408 is no answer: an idle server sends it unasked (operations.md (c)). The next turn finds the
  // step armed.
  if (answer.status == 0 || answer.status == 408) return log_no_answer(step, answer, now.time);
  if (!answer.failure.empty()) {
    throw FlowStop(FlowStop::Kind::kStep,
                   fmt::format("{}: {}", step.name, words_of_failure(answer.failure)));
  }
  const std::string event = event_of(step, answer);
  follow(step, event, std::move(answer), committed + 1, now.time);
}

/// Why a request that was released has no answer: the only one who knows is this session.
void FlowRun::State::log_no_answer(const Step& step, const StepAnswer& answer, int64_t time) {
  if (!terms.log) return;
  LogLine line;
  line.run = run.id;
  line.step = step.name;
  line.event = answer.status == 0 ? "no answer" : fmt::format("{}, which is none", answer.status);
  if (!answer.reason.empty()) line.event += ": " + display(answer.reason);
  line.time = time;
  line.committed = false;
  terms.log(line);
}

void FlowRun::State::follow(const Step& step, const std::string& event, StepAnswer answer,
                            uint32_t attempt, int64_t time) {
  const Decision decision = decide(flow, step, event, fired);
  if (decision.settle) settle(step, 0);
  if (decision.pause_seconds > 0) {
    const Line* const line = flow.line(decision.at.line);
    const bool goes = decision.kind != Decision::Kind::kStop && line != nullptr &&
                      decision.at.index < line->steps.size();
    wait_until(terms.clock.now() + decision.pause_seconds, step.name,
               fmt::format("{}, then {}", event,
                           goes ? line->steps[decision.at.index].name : "the end of this run"));
  }
  const bool stays = decision.kind != Decision::Kind::kGo;
  Change change = next_change(stays ? run.at : decision.at);
  change.step = step.name;
  change.event = event;
  change.time = static_cast<uint64_t>(time);
  if (attempt > 0) change.attempts[step.name] = attempt;
  // Answered, and with no: the next request is another one. Not behind 429 and 5xx.
  const bool refused = event[0] >= '2' && event[0] <= '4' && event.substr(0, 3) != "429";
  if (refused) ++change.refused[step.name];
  ValueBytes bytes;
  if (decision.kind == Decision::Kind::kGo && event == "ok") {
    add_values(step, answer, change, bytes);
    change.proves = step.proves;
  }
  const bool answered = event == "ok" || event == "none" || refused;
  if (answered && !decision.undecided) add_page_keys(step, change, bytes);
  if (decision.undecided) {
    // Armed, and no commit tells of it: the doubt stays.
    log(change, false);
  } else {
    commit(change, bytes);
  }
  if (decision.kind == Decision::Kind::kStop) {
    std::string text = fmt::format("{}: {}{}", step.name, words_of_event(event),
                                   decision.rule == event ? "" : " (" + decision.rule + ")");
    if (decision.undecided) {
      text += ": the outcome is unknown; running it again follows the rule for that";
    } else if (decision.rule == "unknown") {
      text += ": the outcome is unknown; running it again sends it again";
    }
    throw FlowStop(FlowStop::Kind::kStep, text);
  }
}

void FlowRun::State::add_values(const Step& step, StepAnswer& answer, Change& change,
                                ValueBytes& bytes) {
  for (const Keep& keep : step.keeps) {
    const auto it = answer.kept.find(keep.name);
    if (it == answer.kept.end()) {
      FLEXROOM_ASSERT(keep.missing_same);
      continue;
    }
    Change::NewValue value;
    value.meta = meta_of(keep.name, false, it->second.tag);
    value.meta.value_class = keep.stored_class();
    value.meta.entropy = keep.entropy;
    value.meta.purposes = keep.purposes;
    value.meta.min = keep.stored_min();
    value.meta.max = keep.stored_max();
    value.meta.account = account_of_kept(step, keep.at);
    value.to_room = !is_of_run(keep.name) && flow.proof_of(keep.name) == nullptr;
    bytes[keep.name] = secret_bytes(it->second);
    change.values.push_back(std::move(value));
  }
  for (const Open& open : step.opens) {
    if (!open.to_all()) continue;  // neither stored nor logged
    const auto it = answer.opened.find(open.name);
    FLEXROOM_ASSERT(it != answer.opened.end());
    const std::string& text = it->second;
    const http::CharSet& set = set_of(open.value_class);
    const bool fit = text.size() <= open.max &&
                     std::all_of(text.begin(), text.end(), [&](char c) { return set.contains(c); });
    if (!fit) throw FlowStop(FlowStop::Kind::kStep, fmt::format("{}: outside class", step.name));
    Change::NewValue value;
    value.meta = meta_of(open.name, true, sha256(as_bytes(text)));
    value.meta.value_class = open.value_class;
    value.to_room = !is_of_run(open.name) && flow.proof_of(open.name) == nullptr;
    bytes[open.name] = SecretBytes::copy_of(as_bytes(text));
    change.values.push_back(std::move(value));
  }
}

// ------------------------------------------------------------------ people

/// The one member's person is asked; all members see the answer and hold it to its class.
void FlowRun::State::ask(const Step& step) {
  const Ready now = ready(step);
  check_ready(step, now);
  const std::string member = member_of(step.ask, arguments);
  const auto& names = members.self().names;
  const auto found = std::find(names.begin(), names.end(), member);
  if (found == names.end()) {
    throw FlowStop(FlowStop::Kind::kRefused,
                   fmt::format("{} asks {}, who is no member", step.name, member));
  }
  const auto who = static_cast<PartyId>(found - names.begin());
  const std::optional<std::string> text = hear_answer(step, who);
  const Open& open = step.opens.front();
  const http::CharSet& set = set_of(open.value_class);
  const bool fit = text && !text->empty() && text->size() <= open.max &&
                   std::all_of(text->begin(), text->end(), [&](char c) { return set.contains(c); });
  StepAnswer answer;
  if (fit) answer.opened[open.name] = *text;
  follow(step, fit ? "ok" : "none", std::move(answer), 0, now.time);
}

std::optional<std::string> FlowRun::State::hear_answer(const Step& step, PartyId who) {
  net::Party& party = terms.self.party;
  // While a person has time to answer, that much later is not too late. A member that is gone shows
  // as a lost connection long before; one that says nothing at all is named once it is over.
  net::ReceiveWait patience(party.transport());
  patience.set(patience.usual() + std::chrono::seconds(step.within_seconds));
  Bytes said;
  if (who == party.id()) {
    Person::Question question{step.name, flow.name, {}, step.within_seconds};
    for (const std::string& name : step.show) {
      if (const auto shown = value(name)) question.shown[name] = as_text(shown->bytes.reveal());
    }
    const auto answer = terms.person.answer(question);
    Writer out;
    out.u8(answer ? 1 : 0).field(answer.value_or(""));
    said = out.take();
    party.broadcast("flow/answer", said);
  } else {
    if (terms.waits) {
      terms.waits(
          {step.name, fmt::format("{} asks its person", members.name(who)), step.within_seconds});
    }
    said = party.receive_broadcast_up_to(who, "flow/answer", 5 + kMaxAnswer);
  }
  party.echo("flow/answer/echo", AbortCode::kViewMismatch);
  Reader in(said, "flow/answer", who);
  const bool there = in.u8() != 0;
  std::string text = to_text(in.field(kMaxAnswer));
  in.finish();
  return there ? std::optional(std::move(text)) : std::nullopt;
}

void FlowRun::State::log(const Change& change, bool is_committed) {
  if (terms.log) terms.log(line_of(change, is_committed));
}

LogLine FlowRun::State::line_of(const Change& change, bool is_committed) const {
  // A change of another file than ours may hold a person's answer.
  const Step* const step = change.step.empty() ? nullptr : flow.step(change.step);
  const bool of_person = step == nullptr || step->asks();
  LogLine line;
  line.run = change.run;
  line.step = change.step;
  line.event = change.event;
  line.time = static_cast<int64_t>(change.time);
  line.committed = is_committed;
  for (const auto* const list : {&change.voided, &change.voided_of_run}) {
    line.voided.insert(line.voided.end(), list->begin(), list->end());
  }
  for (const Change::NewValue& value : change.values) {
    if (!value.meta.is_public) {
      line.kept.push_back(fmt::format("{} v{}", value.meta.name, value.meta.version));
    } else if (!of_person) {
      // A code of six digits is found from its digest.
      line.opened.emplace_back(value.meta.name, value.meta.tag);
    }
  }
  return line;
}

}  // namespace flexroom::flow
