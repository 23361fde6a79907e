#include "node/runner.h"

#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <ctime>
#include <exception>

#include "base/codec.h"
#include "base/display.h"
#include "base/hex_digest.h"
#include "call/recipe.h"
#include "flexroom/session.h"
#include "net/receive_wait.h"
#include "room/access.h"
#include "room/call.h"
#include "room/runs.h"
#include "room/waiting_script.h"

namespace flexroom::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kMaxBackOff{60}, kLook{30}, kStartPatience{20}, kStockPause{600};
constexpr uint64_t kPruneEvery = 86400;
constexpr uint64_t kSlice = uint64_t{1} << 18;  // triples: a run waits for no more than these
constexpr std::string_view kStep = "request";

/// Of run-script: the request left, and what came of it is not known.
bool may_have_machine(const RunRecords::Record& record) {
  return record.kind == room::kWaitingScript && record.state == "unknown" &&
         !record.client_token.empty();
}

}  // namespace

/// What every member says it has to do, once a session stands: equal at all but for the order of
/// what follows.
struct Runner::Agenda {
  bool has_run = false;
  uint64_t stock = 0, target = 0;
  std::vector<PartyId> lacking = {};  // those that have no run

  Bytes encode() const { return Writer().u8(has_run ? 1 : 0).u64(stock).u64(target).take(); }
  /// All alike derive it: a run only where all have one, else the stock that all want and the least
  /// lacks.
  static Agenda common(net::Party& party, const Agenda& own) {
    constexpr std::string_view kLabel = "node/agenda";
    const std::vector<Bytes> all = party.exchange(kLabel, own.encode());
    party.echo(kLabel, AbortCode::kDisagreement);
    Agenda out = own;
    for (PartyId i = 0; i < all.size(); ++i) {
      Reader in(all[i], kLabel, i);
      const bool its = in.u8() != 0;
      if (!its) out.lacking.push_back(i);
      out.has_run = its && out.has_run;
      out.stock = std::min(out.stock, in.u64());
      out.target = std::min(out.target, in.u64());
      in.finish();
    }
    return out;
  }
};

/// Answers from the stored approvals of one run: yes if it counts now, else not now. Waits for
/// nobody (members.md §8.2).
class Runner::StoredApproval final : public Decider {
 public:
  explicit StoredApproval(Runner& runner) : runner_(runner) {}
  void set_run(const inbox::ReadyRun& run, const std::string& proposal, uint64_t now) {
    run_ = run;
    proposal_ = proposal;
    now_ = now;
  }
  Answer approve(const Summary& summary) override {
    if (!run_ || summary.digest != proposal_) return Answer::kNotNow;
    try {
      runner_.core_.with([&](const Core::Open& open) {
        open.inbox.require_startable(*run_, now_);
        return 0;
      });
      return Answer::kYes;
    } catch (const InputError& error) {
      note(error.what());
      return Answer::kNotNow;
    }
  }
  std::optional<std::string> human_input(const Question&) override { return std::nullopt; }
  void progress(const Progress& progress) override {
    {
      const std::lock_guard lock(runner_.mutex_);
      runner_.state_.phase = progress.phase;
      runner_.state_.share = progress.share.value_or(0);
    }
    nlohmann::json fields = nlohmann::json::object({{"phase", progress.phase}});
    if (progress.share) fields["share"] = *progress.share;
    if (run_) fields["run"] = to_hex(run_->id);
    runner_.core_.events().add("progress", std::move(fields));
  }
  void note(std::string_view text) override {
    runner_.core_.events().add("note", nlohmann::json::object({{"text", display_text(text)}}));
  }
  void timeline(const std::vector<Phase>& phases) override {
    for (const Phase& phase : phases) {
      phases_.push_back({{"name", phase.name},
                         {"start_seconds", phase.start_seconds},
                         {"seconds", phase.seconds},
                         {"bytes_sent", phase.bytes_sent},
                         {"half_rounds", phase.half_rounds},
                         {"ands", phase.ands}});
    }
  }
  const nlohmann::json& phases() const { return phases_; }

 private:
  Runner& runner_;
  std::optional<inbox::ReadyRun> run_;
  std::string proposal_;
  uint64_t now_ = 0;
  nlohmann::json phases_ = nlohmann::json::array();
};

Runner::Runner(Core& core, Listener& listener, std::function<void()> ask_all_to_meet,
               std::function<bool()> all_up)
    : core_(core),
      listener_(listener),
      ask_all_to_meet_(std::move(ask_all_to_meet)),
      all_up_(std::move(all_up)),
      records_(core.member().state_dir),
      follower_(core, records_) {
  state_.doing = "idle";
  for (RunRecords::Record& record : records_.list(SIZE_MAX)) {
    if (record.state == "running") {
      settle(std::move(record));
    } else if (record.state == "machine runs" || may_have_machine(record)) {
      follower_.follow(record);
    }
  }
  hooks_.incoming = &listener_.of_sessions();
}

// A run whose node was killed: what became of it is in the log, and here it is not "running". It is
// resolved: it never runs again once it was armed, and keeps no other waiting.
void Runner::settle(RunRecords::Record record) {
  record.state = "unknown";
  record.detail = "this node was stopped while it ran; the log says what may have happened";
  record.ended = static_cast<int64_t>(now_seconds());
  agreement::Outcome outcome = agreement::Outcome::kEffectMayHaveHappened;
  if (record.kind == room::kWaitingScript) {
    const auto known = core_.with([&](const Core::Open& open) -> std::optional<RunInfo> {
      for (const RunInfo& run : open.room.runs()) {
        if (run.id == record.id) return run;
      }
      return std::nullopt;
    });
    if (known) {
      record.client_token = known->client_token;
      record.instance_id = known->instance_id;
      if (!known->means.empty()) record.detail = display_text(known->means);
    }
    if (known && known->state == "running") {
      record.state = "machine runs";
      record.detail.clear();
      outcome = agreement::Outcome::kDone;
    }
  }
  const auto id = digest_of_hex(record.id), proposal = digest_of_hex(record.proposal);
  const bool armed = core_.with([&](const Core::Open& open) {
    const auto item = proposal ? open.inbox.show(*proposal, now_seconds()) : std::nullopt;
    if (!id || !item) return true;
    if (std::find(item->runs.begin(), item->runs.end(), record.index) == item->runs.end()) {
      return false;
    }
    open.inbox.finish(*id, outcome);
    return true;
  });
  if (!armed) {
    record.state = "nothing happened";
    record.detail = "this node was stopped before anything left; the run is tried again";
  }
  records_.put(record);
  if (record.state == "machine runs" || may_have_machine(record)) follower_.follow(record);
}

void Runner::start() {
  follower_.start();
  thread_ = std::thread([this] { run(); });
}

Runner::~Runner() { finish(); }

void Runner::finish() {
  drain();
  if (thread_.joinable()) thread_.join();
}

void Runner::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  wake_.notify_all();
}

// Who asked ten times in ten minutes for nothing waits, and is named by `node status` (members.md
// §5.3): a session costs all members.
void Runner::meet(const agreement::MemberId& peer) {
  const uint64_t until = core_.with(
      [&](const Core::Open& open) { return open.inbox.pause_until(peer, now_seconds()); });
  if (until > now_seconds()) return;
  const std::lock_guard lock(mutex_);
  asked_ = peer;
  wake_.notify_all();
}

void Runner::drain() {
  follower_.stop();
  const std::lock_guard lock(mutex_);
  draining_ = state_.draining = true;
  wake_.notify_all();
}

Runner::State Runner::state() {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Runner::set_doing(const std::string& doing) {
  const std::lock_guard lock(mutex_);
  state_.doing = doing;
  state_.phase.clear();
  state_.share = 0;
}

uint64_t Runner::stock_target() const {
  const NodeTerms& terms = core_.member().node;
  const size_t n = core_.room_config().members.size();
  const uint64_t triple_bytes = 96 * (n - 1);  // session/pool_source.h
  return (uint64_t{terms.stock_max_mib} << 20) / triple_bytes;
}

bool Runner::stock_is_due() {
  const NodeTerms& terms = core_.member().node;
  if (terms.stock_max_mib == 0 || Clock::now() < stock_not_before_) return false;
  const bool in_hours =
      terms.stock_hours.empty() ||
      std::any_of(terms.stock_hours.begin(), terms.stock_hours.end(), [](const std::string& hours) {
        return inbox::WeeklyHours::parse(hours, "stock_hours of [node]")
            .around(now_seconds())
            .has_value();
      });
  if (!in_hours) return false;
  const uint64_t have =
      core_.with([](const Core::Open& open) { return open.room.stock().triples; });
  // Not for every portion that a run took.
  return have < stock_target() - stock_target() / 4;
}

// Private parts of what can run no more.
void Runner::forget_inputs(const Core::Open& open, uint64_t now) {
  using Is = inbox::State;
  room::OwnInputs kept(open.state);
  for (const Digest& id : kept.proposals()) {
    const auto item = open.inbox.show(id, now);
    const bool waits = item && (item->state == Is::kProposed || item->state == Is::kComplete ||
                                item->state == Is::kReady || item->state == Is::kVoid ||
                                item->state == Is::kRunning);
    if (!waits) kept.forget(id);
  }
}

bool Runner::is_due() {
  if (!all_up_()) return false;
  const uint64_t now = now_seconds();
  const bool has_run = core_.with([&](const Core::Open& open) {
    for (const agreement::MemberId& peer : core_.mids()) {
      if (peer != core_.mids()[core_.self()] && open.inbox.pause_until(peer, now) > now) {
        return false;
      }
    }
    // Once a day what is long over (members.md §5.3).
    if (now >= prune_at_) {
      (void)open.inbox.prune(now);
      forget_inputs(open, now);
      prune_at_ = now + kPruneEvery;
    }
    return !open.inbox.ready(now).empty();
  });
  return has_run || stock_is_due();
}

void Runner::run() {
  seconds back_off{0};
  Clock::time_point not_before = Clock::now();
  while (true) {
    std::optional<agreement::MemberId> asked;
    {
      std::unique_lock lock(mutex_);
      const auto wait = back_off.count() > 0 ? not_before : Clock::now() + kLook;
      wake_.wait_until(lock, wait, [&] {
        return draining_ || asked_.has_value() || (woken_ && back_off.count() == 0);
      });
      if (draining_) return;
      asked = std::exchange(asked_, std::nullopt);
      woken_ = false;
    }
    try {
      if (core_.apply_rules()) core_.changed();
      if (!asked && !is_due()) {
        back_off = seconds(0);
        continue;
      }
      if (!asked) ask_all_to_meet_();
      set_doing("meeting");
      if (!hold_session() && asked) note_failed(*asked);
      core_.follow_configuration();
      core_.changed();
      back_off = seconds(0);
      wake();  // there may be more to do
      const std::lock_guard lock(mutex_);
      ++state_.sessions;
      state_.problem.clear();
    } catch (const std::exception& error) {
      room_.reset();
      listener_.of_sessions().clear();
      back_off = std::clamp(back_off * 2, seconds(1), kMaxBackOff);
      not_before = Clock::now() + back_off;
      const std::string problem = display_text(error.what());
      core_.events().add("session", nlohmann::json::object({{"problem", problem}}));
      const std::lock_guard lock(mutex_);
      ++state_.failures;
      state_.problem = problem;
      woken_ = true;
    }
    set_doing("idle");
    // What preprocessing took is the system's again: a node idles for most of its life.
    (void)::malloc_trim(0);
  }
}

bool Runner::hold_session() {
  if (!room_) {
    RoomOptions options;
    options.member_file = core_.member_file();
    options.cancel = &cancelled_;
    options.hooks = &hooks_;
    room_ = std::make_unique<Room>(options);
  }
  hooks_.begun = nullptr;
  StoredApproval decider(*this);
  Session session(*room_, decider);
  room::Joined& joined = room::Access::open(session, "node");
  net::Party& party = joined.session().party();
  std::optional<inbox::Started> started;
  Agenda agenda;
  bool has_run = false;  // here
  try {
    joined.session().guard([&] {
      joined.start();
      agenda.stock = room_->stock().triples;
      agenda.target = stock_is_due() ? stock_target() : 0;
      agenda.has_run = has_run = core_.with(
          [](const Core::Open& open) { return !open.inbox.ready(now_seconds()).empty(); });
      agenda = Agenda::common(party, agenda);
      if (!agenda.has_run) return;
      const net::ReceiveWait patience(party.transport(), milliseconds(kStartPatience));
      started = core_.with([&](const Core::Open& open) {
        inbox::StartContext context;
        const auto number = open.inbox.next_session();
        context.incarnation = number.incarnation;
        context.session_counter = number.counter;
        context.clock = now_seconds();
        return inbox::start(party, open.inbox, context);
      });
    });
  } catch (const ProtocolAbort& abort) {
    if (abort.peer() && *abort.peer() < core_.mids().size() && *abort.peer() != core_.self()) {
      note_failed(core_.mids()[*abort.peer()]);
    }
    throw;
  }
  if (started) {
    stock_not_before_ = {};  // it takes from the stock, at all members
    carry_out(session, *started, decider);
  } else if (has_run) {
    std::string names;
    for (const PartyId i : agenda.lacking) {
      names += (names.empty() ? "" : ", ") + core_.room_config().members[i].name;
    }
    throw InputError("a run", "is ready here and not at " + names,
                     "it fetches the approvals, and the next try follows; or it lacks its private "
                     "input: `flexroom proposal show` there says why");
  } else if (agenda.stock < agenda.target) {
    fill(session, agenda);
  } else {
    stock_not_before_ = Clock::now() + kStockPause;  // somebody wants no more, or not now
    return false;
  }
  return true;
}

void Runner::note_failed(const agreement::MemberId& peer) {
  core_.with([&](const Core::Open& open) {
    open.inbox.note_failed_start(peer, now_seconds());
    return 0;
  });
}

void Runner::fill(Session& session, const Agenda& agenda) {
  set_doing("stock");
  const Stock now = session.fill_stock(std::min(agenda.target, agenda.stock + kSlice));
  core_.events().add("stock", {{"triples", now.triples}, {"bytes", now.bytes}});
}

/// A run that all members began, until its outcome is known.
struct Runner::InHand {
  inbox::ReadyRun run;
  uint64_t now = 0;  // agreed
  Digest id{};       // D0
  agreement::Proposal proposal;
  room::Waiting what;
  std::map<std::string, SecretBytes> values;  // of a call, this member's
  std::optional<room::WaitingScript> script;  // of run-script, and what it must make
  agreement::Proposal filled;
  RunRecords::Record record;
  unsigned releases =
      0;  // of this attempt: run-script makes its request again where it was refused
  bool armed() const { return releases > 0; }
  uint32_t attempt = 1;  // by once.db
  agreement::Outcome outcome = agreement::Outcome::kNothingHappened;
};

Runner::InHand Runner::take_in_hand(const inbox::Started& started) {
  InHand out;
  out.run = started.run;
  out.now = started.now;
  core_.with([&](const Core::Open& open) {
    const auto item = open.inbox.show(out.run.complete, out.now);
    if (!item) throw InputError("run " + to_hex(out.run.id), "is of no proposal known here");
    out.id = item->proposal;
    out.attempt = open.inbox.attempt(out.run);
    out.proposal = open.inbox.proposal(out.id);
    out.what = room::waiting_of(open.state, out.proposal, item->terms);
    const room::Inputs inputs = open.inbox.inputs(out.id);
    if (out.what.kind == room::kWaitingScript) {
      const room::ScriptToRun script =
          room::script_to_run(open.state, out.what.arguments, out.what.script);
      const auto links = room::links_given(open.state, inputs);
      out.filled = room::filled_in(open.state, script, links, out.run.id);
      out.script = room::WaitingScript{
          script.job, room::own_links_given(open.state, out.id, script.job, inputs), links,
          out.run.id, out.run.index};
    } else {
      out.values = room::own_values(open.state, out.id, inputs);
    }
    return 0;
  });
  RunRecords::Record& record = out.record;
  record.id = to_hex(out.run.id);
  record.proposal = to_hex(out.id);
  record.kind = out.proposal.kind;
  record.title = out.proposal.title;
  record.index = out.run.index;
  if (out.script) record.client_token = room::client_token_of(out.run.id);
  record.started = static_cast<int64_t>(now_seconds());
  records_.put(record);
  return out;
}

// Durable before this member's own share of a release (members.md §8.2, 8.3).
void Runner::arm(InHand& run) {
  // The same request again, of which the service said that it did nothing, is a step of its own.
  const std::string step =
      run.releases == 0 ? std::string(kStep) : fmt::format("{} {}", kStep, run.releases + 1);
  const bool may = core_.with(
      [&](const Core::Open& open) { return open.inbox.arm(run.run, step, run.attempt); });
  if (!may) {
    throw ProtocolAbort(AbortCode::kReuse, "run",
                        fmt::format("run {} was armed before, or its approval was taken back: "
                                    "nothing leaves",
                                    run.record.id.substr(0, 12)));
  }
  ++run.releases;
}

void Runner::take_answer(const ServiceAnswer& answer, InHand& run) {
  run.outcome = answer.refused() ? agreement::Outcome::kFailed : agreement::Outcome::kDone;
  run.record.state = answer.refused() ? "refused" : "done";
  run.record.status = answer.status;
  run.record.body_bytes = answer.body.size();
  records_.put_body(run.record.id, answer.body);
}

void Runner::take_start(const RunStarted& started, InHand& run) {
  RunRecords::Record& record = run.record;
  record.status = started.status;
  record.instance_id = started.instance_id;
  record.client_token = started.client_token;
  record.detail = display_text(started.not_written);
  if (!started.instance_id.empty()) {
    run.outcome = agreement::Outcome::kDone;
    record.state = "machine runs";
    return;
  }
  run.outcome =
      started.unclear ? agreement::Outcome::kEffectMayHaveHappened : agreement::Outcome::kFailed;
  record.state = started.unclear ? "unknown" : "refused";
  record.detail = display_text(started.error_code + ": " + started.error_message);
  record.body_bytes = started.body.size();
  records_.put_body(record.id, started.body);
}

void Runner::perform(Session& session, InHand& run) {
  if (run.script) return take_start(room::run_waiting_script(session, *run.script), run);
  if (run.what.kind == room::kWaitingGet) return take_answer(session.get(run.what.get), run);
  const Recipe recipe = Recipe::parse(run.what.recipe, run.proposal.title);
  const ServiceAnswer answer =
      room::call_of_proposal(session, recipe, run.what.arguments, std::move(run.values));
  take_answer(answer, run);
  const auto ended = core_.with(
      [&](const Core::Open& open) { return room::take_stop(open.state, run.what.recipe, answer); });
  if (ended) follower_.stopped(*ended);
}

// What came of it; an exception goes on once that is written.
std::exception_ptr Runner::try_to_perform(Session& session, InHand& run) {
  using agreement::Outcome;
  RunRecords::Record& record = run.record;
  const auto failed = [&](bool may_have_happened, const std::exception& error) {
    run.outcome = may_have_happened ? Outcome::kEffectMayHaveHappened : Outcome::kNothingHappened;
    record.state = may_have_happened ? "unknown" : "nothing happened";
    record.detail = display_text(error.what());
    return std::current_exception();
  };
  try {
    perform(session, run);
  } catch (const Error& error) {
    return failed(error.may_have_happened(), error);
  } catch (const std::exception& error) {
    return failed(run.armed(), error);
  }
  return nullptr;
}

void Runner::tell(const InHand& run) {
  core_.events().add("run", {{"run", run.record.id},
                             {"proposal", run.record.proposal},
                             {"state", run.record.state},
                             {"status", run.record.status},
                             {"detail", run.record.detail}});
}

void Runner::carry_out(Session& session, const inbox::Started& started, StoredApproval& decider) {
  InHand run = take_in_hand(started);
  tell(run);
  set_doing("running " + run.record.id.substr(0, 12));
  room::Hooks::Begun begun;
  begun.complete = run.run.complete;
  begun.proposal = run.id;
  begun.framed = [&](const agreement::Proposal& own) {
    if (!run.script) return room::framed(run.proposal, own);
    const bool same = own.kind == run.filled.kind && own.title == run.filled.title &&
                      own.fields == run.filled.fields;
    return same ? run.proposal : own;
  };
  begun.before_release = [&] { arm(run); };
  decider.set_run(run.run, run.record.proposal, run.now);
  hooks_.begun = &begun;
  const std::exception_ptr failed = try_to_perform(session, run);
  hooks_.begun = nullptr;
  room::Access::state(*room_).once().set_before_release(nullptr);
  run.record.ended = static_cast<int64_t>(now_seconds());
  run.record.phases = decider.phases();
  core_.with([&](const Core::Open& open) {
    open.inbox.finish(run.run.id, run.outcome);
    forget_inputs(open, now_seconds());
    return 0;
  });
  records_.put(run.record);
  if (run.record.state == "machine runs" || may_have_machine(run.record)) {
    follower_.follow(run.record);
  }
  tell(run);
  if (failed) std::rethrow_exception(failed);
}

}  // namespace flexroom::node
