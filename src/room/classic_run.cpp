#include "room/classic_run.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/codec.h"
#include "room/access.h"
#include "room/classic_job.h"
#include "room/failure.h"
#include "room/flow_task.h"
#include "room/named_secrets.h"
#include "room/runs.h"
#include "room/script_begin.h"
#include "room/shipped_flows.h"

namespace flexroom::room {
namespace {

constexpr size_t kSeedBytes = 32, kMostDetail = 500;
// Of the step that starts the machine: what it leaves.
constexpr std::string_view kMachineLeft = "an instance";
constexpr uint32_t kDigestDigits = 2 * sizeof(Digest);

/// The job and its run, beside the flow.
class ClassicRun final : public FlowTask {
 public:
  /// Looks at everything of the job that can be wrong.
  ClassicRun(Session& session, const RunScriptRequest& request);
  RunStarted run();

  std::string command() const override { return "run-script --classic"; }
  void read(const flow::Flow& file) override;
  std::map<std::string, std::string> arguments() const override { return job_.arguments(); }
  const BootScript* script() const override { return &job_.boot; }
  SecretBytes own_private() const override;
  void meet(Joined& joined, const flow::RunId& open) override;
  void show(agreement::Proposal& proposal) const override { job_.show(proposal, room(), armed_); }
  void approved(const Digest& proposal, const flow::Outlook& outlook) override;
  void told(const flow::LogLine& line,
            const std::map<std::string, std::string>& opened) noexcept override;
  void ended(const flow::RunId& run, const std::string& why, const std::string& in_doubt,
             const std::map<std::string, std::string>& opened) noexcept override;

 private:
  const RoomConfig& room() const { return state_.room(); }
  Prg keys_of(const flow::RunId& run);
  /// Which run all go on with, as this member's disk and the others' words have it.
  flow::RunId open_run(const flow::RunId& own);
  void compare_records();
  std::string met_words() const;
  std::string way_out() const;
  [[noreturn]] void refuse_stopped(const std::string& who) const;
  void begin_record(const Digest& proposal, const flow::RunId& run);
  bool is_started(const flow::Outlook& outlook) const;
  void take_instance(const std::map<std::string, std::string>& opened);
  void take_instance_of_room();
  uint32_t id_version();
  void close_done();
  RunStarted started();
  [[noreturn]] void end_gone();
  void write_down() noexcept;

  Session& session_;
  const RunScriptRequest& request_;
  session::MemberState& state_;
  ClassicJob job_;
  LinksConfig links_;
  const std::string place_;
  runs::RunHistory history_;
  std::string prefix_;
  std::set<std::string> behind_;  // steps of the main line behind the machine's start
  Joined* joined_ = nullptr;
  SecretBytes seed_;
  std::optional<OwnLinks> own_;
  bool carries_ = false;
  flow::RunId met_;       // the run that goes on, or none
  bool armed_ = false;    // its StartEC2Instance was, at some member: a machine may run
  bool is_same_ = false;  // all have the same record of it, of a machine that gets the same
  std::optional<runs::Run> run_;
  std::string not_written_;
  bool committed_ = false;  // the flow has the machine's id, not this member's answer alone
};

ClassicRun::ClassicRun(Session& session, const RunScriptRequest& request)
    : session_(session),
      request_(request),
      state_(Access::state(session)),
      job_(state_, request.job, Access::cancel(session)),
      links_(good_links(session, request.links, job_.job)),
      place_(request.links.string()),
      history_(history_of(state_)) {
  for (const auto& one : history_.damaged()) Access::decider(session).note(one.text);
  job_.take_links(terms_of_plan(room(), job_.job, links_, place_).links);
}

void ClassicRun::read(const flow::Flow& file) {
  job_.require_fits(file);
  prefix_ = file.prefix;
  bool behind = false;
  for (const flow::Step& step : file.lines.front().steps) {
    if (behind) behind_.insert(step.name);
    behind |= step.name == kMachineStep;
  }
}

SecretBytes ClassicRun::own_private() const {
  std::string text = own_->private_part(carries_);
  SecretBytes out = SecretBytes::copy_of(as_bytes(text));
  wipe(text.data(), text.size());
  return out;
}

/// What this member's keys are drawn from: of an open run the seed of its record, of these links.
Prg ClassicRun::keys_of(const flow::RunId& run) {
  std::optional<SecretBytes> kept;
  if (const auto before = history_.find_flow(run)) kept = history_.seed(*before);
  const bool has_one = kept && kept->size() == kSeedBytes;
  seed_ = has_one ? std::move(*kept) : SecretBytes(kSeedBytes);
  if (!has_one) Prg::from_system().fill(seed_.writable());
  // A key seals one text: of other links it is another one.
  return Prg(RandomOracle("run links", RoScope{})
                 .field(seed_.reveal())
                 .field(links_.data_url)
                 .field(links_.result_url)
                 .field(links_.result_get_url.value_or(""))
                 .field(links_.loader_url.value_or(""))
                 .block());
}

void ClassicRun::meet(Joined& joined, const flow::RunId& open) {
  joined_ = &joined;
  close_done();
  job_.take_key(state_);  // as it is now that no flow can replace it any more
  met_ = open_run(open);
  Prg prg = keys_of(met_);
  own_.emplace(links_, place_, prg);
  net::Party& party = joined.session().party();
  job_.take_links(exchange_links(party, room(), own_->public_part(joined.members()[party.id()])));
  carries_ = carrier_of(job_.terms.links) == party.id();
  compare_records();
}

/// A member whose run is at its end already goes on with the one that another one names, if it has
/// its record: which is then compared.
flow::RunId ClassicRun::open_run(const flow::RunId& own) {
  constexpr std::string_view kLabel = "run/open";
  net::Party& party = joined_->session().party();
  // All of one length.
  const std::string none(flow::kRunIdChars, '-');
  const std::vector<Bytes> said =
      party.exchange(kLabel, Writer().field(own.empty() ? none : own).bytes());
  party.echo(kLabel, AbortCode::kDisagreement);
  flow::RunId out = own;
  for (PartyId j = 0; j < said.size(); ++j) {
    Reader in(said[j], kLabel, j);
    const std::string id = to_text(in.field(flow::kRunIdChars));
    in.finish();
    if (id == none) continue;
    if (!flow::is_run_id(id)) {
      throw ProtocolAbort(AbortCode::kBadFrame, kLabel, "what is no id of a run", j);
    }
    if (out.empty() && history_.find_flow(id)) out = id;
  }
  return out;
}

/// Once the machine's start was armed anywhere nothing of it changes any more, whatever anybody
/// says: another job, script, loader or record is refused before the approval. Before that they
/// only mean that the record begins anew.
void ClassicRun::compare_records() {
  constexpr std::string_view kLabel = "run/record";
  net::Party& party = joined_->session().party();
  const std::optional<runs::Run> own = history_.find_flow(met_);
  const std::string none(kDigestDigits, '-');
  const bool is_armed = !met_.empty() && flow_store(state_).armed(met_, kMachineStep).has_value();
  const bool is_stopped = own && own->state == runs::RunState::kStopped;
  const std::vector<Bytes> said =
      party.exchange(kLabel, Writer()
                                 .field(own ? own->id : none)
                                 .field(own && !own->machine.empty() ? own->machine : none)
                                 .u8(is_armed ? 1 : 0)
                                 .u8(is_stopped ? 1 : 0)
                                 .bytes());
  party.echo(kLabel, AbortCode::kDisagreement);
  const std::string machine = job_.machine_digest();
  std::string another;  // who has another record
  std::string stopped;  // who says that it was stopped
  bool same_machine = true;
  for (PartyId j = 0; j < said.size(); ++j) {
    Reader in(said[j], kLabel, j);
    const std::string id = to_text(in.field(kDigestDigits));
    same_machine &= to_text(in.field(kDigestDigits)) == machine;
    armed_ |= in.u8() != 0;
    if (in.u8() != 0 && stopped.empty()) stopped = joined_->members()[j];
    in.finish();
    if (!own || id != own->id) another = joined_->members()[j];
  }
  is_same_ = own && another.empty() && same_machine;
  if (!stopped.empty()) refuse_stopped(stopped);
  if (!armed_ || is_same_) return;
  const std::string why =
      !another.empty()
          ? fmt::format("{} has another record of it than this member, or one of them has none",
                        another)
          : "the job, its script or a member's links are others than those that the machine got, "
            "or a member's seed is lost";
  throw flow::FlowStop(
      flow::FlowStop::Kind::kRefused,
      fmt::format("the machine of run {} may run already, and {}. Nothing was changed. Run it with "
                  "the job, the script and the links.toml of before at all members, or end it with "
                  "`{}`",
                  met_words(), why, way_out()));
}

std::string ClassicRun::met_words() const {
  return met_.empty() ? "that another member names" : met_;
}

std::string ClassicRun::way_out() const {
  return fmt::format("flexroom run-script {} --classic --abandon {}", request_.job.string(),
                     met_.empty() ? "RUN" : met_);
}

/// `stop` found no machine or ended it: no later session of the run starts another one.
void ClassicRun::refuse_stopped(const std::string& who) const {
  throw flow::FlowStop(
      flow::FlowStop::Kind::kRefused,
      fmt::format("run {} was stopped by agreement, as {} has it. Nothing was changed. End it with "
                  "`{}`; then the same command begins a new run",
                  met_words(), who, way_out()));
}

void ClassicRun::begin_record(const Digest& proposal, const flow::RunId& run) {
  net::Party& party = joined_->session().party();
  const RunPlace place = agree_on_place(party, history_.count(to_hex(proposal)));
  if (is_same_ && run == met_) {
    run_ = history_.find_flow(met_);
    return;
  }
  if (auto before = history_.find_flow(run); before && before->instance_id.empty()) {
    before->state = runs::RunState::kNotStarted;
    before->detail = "begun anew";
    before->flow_run.clear();
    history_.update(*before);
  }
  run_ = begin_run(job_.job, links_, job_.terms, state_.rid(), party.scope().sid, place);
  run_->flow_run = run_->client_token = run;
  run_->machine = job_.machine_digest();
  run_->id_before = id_version();
  history_.begin(*run_, links_.result_get_url.value_or(""), seed_.reveal());
}

bool ClassicRun::is_started(const flow::Outlook& outlook) const {
  return !outlook.id.empty() && (outlook.step.empty() || behind_.contains(outlook.step));
}

void ClassicRun::approved(const Digest& proposal, const flow::Outlook& outlook) {
  job_.terms.proposal = proposal;
  if (armed_ && outlook.id != met_) {
    throw InputError("run " + met_, "is not the run that the members go on with",
                     "end it with --abandon of its flow");
  }
  begin_record(proposal, outlook.id);
  // The key may have been rotated since.
  run_->access_key_id = job_.job.access_key_id;
  run_->secret = job_.job.secret;
  const std::string loader = job_.loader_digest();
  // What lies at the links of before is what this run put there, or its result; once a machine may
  // run it is never written again.
  if (!armed_ && run_->loader != loader) {
    try_own_links(session_, history_, *run_, job_.terms, {links_, place_, carries_});
  }
  run_->loader = loader;
  run_->detail.clear();
  const bool open =
      run_->state == runs::RunState::kUnknown || run_->state == runs::RunState::kNotStarted;
  if (open) run_->state = runs::RunState::kStarting;
  if (is_started(outlook)) take_instance_of_room();
  history_.update(*run_);
}

/// Of the room's instance-id; 0: there is none.
uint32_t ClassicRun::id_version() {
  const auto instance = flow_store(state_).room_value(prefix_, kInstance);
  return instance ? instance->meta.version : 0;
}

/// The room's is of this run only if it came since: a run whose machine is gone ends without one.
void ClassicRun::take_instance_of_room() {
  const auto instance = flow_store(state_).room_value(prefix_, kInstance);
  if (!instance || instance->meta.version <= run_->id_before) return;
  take_instance({{kInstance, std::string(as_text(instance->bytes.reveal()))}});
}

/// Runs whose flow is at its end though no session could write that down: their seeds go.
void ClassicRun::close_done() {
  flow::RunStore store = flow_store(state_);
  for (runs::Run& run : history_.all()) {
    if (run.flow_run.empty() || run.flow_done) continue;
    const auto flow = store.run(run.flow_run);
    if (!store.is_closed(run.flow_run) && !(flow && flow->done)) continue;
    run.flow_done = true;
    history_.update(run);
    history_.forget_seed(run);
  }
}

void ClassicRun::take_instance(const std::map<std::string, std::string>& opened) {
  const auto it = opened.find(kInstance);
  if (it == opened.end()) return;
  run_->instance_id = it->second;
  committed_ = true;
  if (run_->state == runs::RunState::kStarting) run_->state = runs::RunState::kRunning;
}

void ClassicRun::write_down() noexcept {
  not_written_ = remember(history_, *run_);
  if (!not_written_.empty()) joined_->note(not_written_);
}

void ClassicRun::told(const flow::LogLine& line,
                      const std::map<std::string, std::string>& opened) noexcept {
  if (!run_ || !line.committed) return;
  try {
    run_->flow_run = run_->client_token = line.run;
    take_instance(opened);
  } catch (...) {
    joined_->note(words_of_caught());
  }
  write_down();
}

void ClassicRun::ended(const flow::RunId& run, const std::string& why, const std::string& in_doubt,
                       const std::map<std::string, std::string>& opened) noexcept {
  if (!run_) return;
  try {
    if (in_doubt == kMachineStep) {
      run_->state = runs::RunState::kUnknown;
      // By which `stop` ends the machine, though no commit tells of it.
      const auto it = opened.find(kInstance);
      if (it != opened.end()) run_->instance_id = it->second;
    } else if (run.empty() && !why.empty() && !armed_ && run_->flow_run.empty() &&
               run_->instance_id.empty()) {
      run_->state = runs::RunState::kNotStarted;
    }
    run_->flow_done = why.empty();
    if (run_->flow_done && !committed_) run_->state = runs::RunState::kGone;
    run_->detail = why.substr(0, kMostDetail);
  } catch (...) {
    joined_->note(words_of_caught());
  }
  write_down();
  if (!run_->flow_done) return;
  try {
    // No session draws keys of it any more.
    history_.forget_seed(*run_);
    // `result` took it while the flow went on.
    if (!run_->result.empty()) history_.forget_link(*run_);
  } catch (...) {
    joined_->note(words_of_caught());
  }
}

/// IdempotentInstanceTerminated, or nothing listed for its token: the flow ended without an id.
void ClassicRun::end_gone() {
  Error::Fields fields;
  fields.kind = "error";
  fields.exit = Exit::kUnknown;
  fields.text = fmt::format(
      "the machine of run {0} was started, and the service lists it no more: it ended before its "
      "id was known. The run is at its end.\n  -> `flexroom result {0}` looks for what it put, "
      "`flexroom stop {0}` looks for it once more; the same command begins a new run, with another "
      "machine",
      run_->short_id());
  throw Error(std::move(fields));
}

RunStarted ClassicRun::run() {
  FlowRequest request;
  request.file = shipped_flows() / kClassicFile;
  request.arguments = request_.arguments;
  request.go_on = request_.go_on;
  if (job_.names_key) request.key = {job_.job.secret, job_.job.access_key_id};
  (void)run_flow(session_, request, this);
  return started();
}

RunStarted ClassicRun::started() {
  if (!committed_) end_gone();
  RunStarted out;
  out.run = run_->id;
  out.status = 200;
  out.instance_id = run_->instance_id;
  out.client_token = run_->client_token;
  out.not_written = not_written_;
  return out;
}

}  // namespace

namespace {

/// As the flow's own commands name it, or as `runs` does.
flow::RunId flow_run_of(session::MemberState& state, const std::string& run) {
  if (run.empty() || flow::is_run_id(run)) return run;
  const runs::Run found = history_of(state).find(run);
  if (!found.flow_run.empty()) return found.flow_run;
  throw InputError("run " + found.short_id(), "is none of --classic", "`flexroom runs` lists them");
}

/// What the flow's end means for the run that it was of.
void enter_abandoned(session::MemberState& state, const FlowEnd& end) {
  runs::RunHistory history = history_of(state);
  std::optional<runs::Run> run = history.find_flow(end.run);
  if (!run) return;
  const bool asked = flow_store(state).armed(end.run, kMachineStep).has_value() ||
                     std::any_of(end.left.begin(), end.left.end(), [](const std::string& one) {
                       return one.ends_with(kMachineLeft);
                     });
  const bool open =
      run->state == runs::RunState::kStarting || run->state == runs::RunState::kUnknown;
  if (open) run->state = asked ? runs::RunState::kUnknown : runs::RunState::kNotStarted;
  run->flow_done = true;
  if (open) run->detail = "its flow was abandoned";
  history.update(*run);
  history.forget_seed(*run);
}

}  // namespace

RunStarted run_classic(Session& session, const RunScriptRequest& request) {
  RunScriptRequest with = request;
  with.go_on = flow_run_of(Access::state(session), request.go_on);
  return ClassicRun(session, with).run();
}

FlowEnd abandon_classic(Session& session, const RunScriptRequest& request) {
  FlowRequest flow;
  flow.file = shipped_flows() / kClassicFile;
  flow.abandon = flow_run_of(Access::state(session), request.abandon);
  FlowEnd out = run_flow(session, flow);
  try {
    enter_abandoned(Access::state(session), out);
  } catch (...) {  // it is abandoned all the same
    Access::decider(session).note(words_of_caught());
  }
  return out;
}

}  // namespace flexroom::room
