#include <fmt/core.h>

#include <ctime>
#include <thread>

#include "agent/phases.h"
#include "base/codec.h"
#include "call/link_check.h"
#include "call/open_call.h"
#include "call/provider_connection.h"
#include "call/run_script.h"
#include "call/script_text.h"
#include "call/service_error.h"
#include "room/access.h"
#include "room/agreed_call.h"
#include "room/classic_run.h"
#include "room/failure.h"
#include "room/named_secrets.h"
#include "room/run_proposal.h"
#include "room/runs.h"
#include "room/script_begin.h"
#include "room/service_probe.h"
#include "room/slots.h"
#include "room/suite_costs.h"
#include "room/waiting_script.h"
#include "session/signing_keys.h"

namespace flexroom {
namespace room {
namespace {

/// Waits, with an eye on the operator and on the others, and makes what one more attempt needs.
void before_again(Joined& joined, const RunScriptCost& cost, const RunScriptResult& refused,
                  std::chrono::seconds wait, agent::Timeline& timeline) {
  joined.note(
      fmt::format("the service answered {}; attempt {} of {}, with the same client token, "
                  "in {} s",
                  answer_words(refused.status, refused.body), refused.attempts + 1, kMaxAttempts,
                  wait.count()));
  const auto end = std::chrono::steady_clock::now() + wait;
  while (std::chrono::steady_clock::now() < end) {
    joined.throw_if_cancelled();
    joined.session().party().transport().check();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  make_triples(joined, timeline,
               {0, "", 0, cost.handshake_ands, cost.request_ands, cost.request_bytes});
}

CallAnswer log_words(const RunScriptResult& answer, const std::string& run) {
  const std::string attempts =
      answer.attempts > 1 ? fmt::format(" at attempt {}", answer.attempts) : "";
  return {answer.status,
          fmt::format("status {}{}{}, run {}", answer_words(answer.status, answer.body),
                      answer.instance_id.empty() ? "" : " " + answer.instance_id, attempts, run),
          answer.unclear};
}

void enter_answer(runs::Run& run, const RunScriptResult& answer) {
  run.instance_id = answer.instance_id;
  run.state = runs::RunState::kRunning;
  run.machine_since = std::time(nullptr);
  if (!answer.instance_id.empty()) return;
  run.state = answer.unclear ? runs::RunState::kUnknown : runs::RunState::kRefused;
  run.detail = answer_words(answer.status, answer.body);
  if (answer.unclear) {
    run.detail +=
        "; the service does not say whether a machine was started: look for one with "
        "client token " +
        run.client_token;
  }
}

/// Every member filled the request in by itself: from one program, it is one request.
void require_same_request(net::Party& party, const RoomConfig& room,
                          const agreement::Proposal& own) {
  constexpr std::string_view kLabel = "run/filled in";
  const Digest digest = sha256(own.canonical());
  const std::vector<Bytes> all = party.exchange(kLabel, digest);
  party.echo(kLabel, AbortCode::kDisagreement);
  for (PartyId j = 0; j < all.size(); ++j) {
    if (all[j] == Bytes(digest.begin(), digest.end())) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, kLabel,
                        room.members[j].name + " makes another request of the same inputs", j);
  }
}

/// A try of before may have left a record; one behind which a machine may be is never begun anew.
void require_void(const runs::RunHistory& history, const runs::Run& run) {
  for (const runs::Run& before : history.all()) {
    const bool is_void =
        before.state == runs::RunState::kNotStarted || before.state == runs::RunState::kStarting;
    if (before.id != run.id || is_void) continue;
    throw ProtocolAbort(
        AbortCode::kReuse, "run",
        fmt::format("run {} was begun before: {}", run.short_id(), runs::to_string(before.state)));
  }
}

/// run-script, step by step.
class ScriptRun {
 public:
  /// Looks at everything that can be wrong, then joins the others.
  ScriptRun(Session& session, const RunScriptRequest& request)
      : ScriptRun{session, JobConfig::load(request.job),  // before the links: braces keep the order
                  LinksConfig::load(request.links), request.links.string(), nullptr} {}
  /// Of a run that waited: what all members gave is known.
  ScriptRun(Session& session, const WaitingScript& waiting)
      : ScriptRun(session, waiting.job, waiting.links.links, "links of the proposal", &waiting) {}
  RunStarted run();

 private:
  ScriptRun(Session& session, JobConfig job, LinksConfig links, std::string place,
            const WaitingScript* waiting)
      : session_(session),
        waiting_(waiting),
        job_(std::move(job)),
        links_(std::move(links)),
        place_(std::move(place)),
        own_(links_, place_,
             waiting != nullptr ? waiting->links.key.clone() : OwnLinks::draw_key(prg_)),
        state_(Access::state(session)),
        host_(ec2_host(job_.region)),
        provider_(room().provider_for(job_.provider, host_)),
        history_(history_of(state_)) {
    tell_of_links(session, links_, place_, job_);
    take_key();
    script_ = agreed_script(job_, room(), Access::cancel(session_));
    for (const auto& one : history_.damaged()) Access::decider(session).note(one.text);
    joined_ = &Access::join(session_, Access::kAsks, "run-script");
  }
  const RoomConfig& room() const { return state_.room(); }
  void take_key() { key_ = key_of_job(state_, job_, names_key_); }
  net::Party& party() { return joined_->session().party(); }
  AgreedCall as_call();
  void take_terms();
  agreement::Proposal propose();
  void prepare(const Digest& proposal, agent::Timeline& timeline);
  /// Its record is on disk, and this member's links were tried.
  void begin(const Digest& proposal, bool carries);
  void look_for_key(agent::Timeline& timeline);
  CallAnswer perform(agent::Timeline& timeline);
  std::filesystem::path keep_partial(const http::PartialAnswer& partial);
  bool released() const { return made_ && made_->released(); }
  void enter_failure(Error::Fields& fields);
  RunStarted started();

  Session& session_;
  Prg prg_ = Prg::from_system();
  const WaitingScript* const waiting_;
  JobConfig job_;
  LinksConfig links_;
  std::string place_;
  OwnLinks own_;
  session::MemberState& state_;
  std::string host_;
  const Provider& provider_;
  runs::RunHistory history_;
  std::string script_;
  bool names_key_ = job_.names_key();
  KeyOfJob key_;
  Joined* joined_ = nullptr;
  RunScriptTerms terms_;
  store::RecordMeta secret_;
  std::shared_ptr<const RunScriptLayout> layout_;
  RunScriptCost cost_;
  std::optional<runs::Run> run_;
  std::optional<RunScriptCall> made_;
  RunScriptResult answer_;
};

void ScriptRun::take_terms() {
  terms_.job = job_;
  if (waiting_ == nullptr) {
    terms_.links =
        exchange_links(party(), room(), own_.public_part(room().members[party().id()].name));
    terms_.client_token = client_token_of(party().coin("run/client token"));
  } else {
    terms_.links = waiting_->all;
    terms_.client_token = client_token_of(waiting_->run);
  }
}

agreement::Proposal ScriptRun::propose() {
  take_key();  // as it is now that no flow can replace it any more
  secret_ = key_.secret;
  take_terms();
  state_.secrets().agree(party(), std::vector<store::RecordMeta>{secret_});
  const ConnectionShape shape = connection_shape(provider_, host_, room().members.size());
  layout_ = lay_out_run_script(terms_, shape);
  const CallSecrets secrets =
      check_rules(layout_->call, room(), [&](const std::string&) { return secret_; });
  cost_ = run_script_cost(*layout_, shape);
  joined_->note(cost_note(cost_.total(), cost_.request_bytes));
  agreement::Proposal out = run_proposal(
      room(), {terms_, layout_->call, secrets, script_, std::nullopt, secret_, key_.origin});
  if (waiting_ != nullptr) require_same_request(party(), room(), out);
  return out;
}

void ScriptRun::begin(const Digest& proposal, bool carries) {
  RunPlace place = agree_on_place(
      party(), waiting_ != nullptr ? waiting_->index : history_.count(to_hex(proposal)));
  if (waiting_ != nullptr) place.index = waiting_->index;
  run_ = begin_run(job_, links_, terms_, state_.rid(), party().scope().sid, place);
  if (waiting_ != nullptr) require_void(history_, *run_);
  history_.begin(*run_, links_.result_get_url.value_or(""));
  try_own_links(session_, history_, *run_, terms_, {links_, place_, carries});
}

void ScriptRun::look_for_key(agent::Timeline& timeline) {
  timeline.begin("look for a signing key");
  session::ObtainedKey key = session::obtain_signing_key(
      joined_->session(), secret_, job_.region, "ec2", [&](bool cached) {
        const uint64_t key_ands = cached ? 0 : cost_.signing_key_ands;
        make_triples(*joined_, timeline,
                     {key_ands, agent::phase::kSlots, cost_.payload_ands, cost_.handshake_ands,
                      cost_.request_ands, cost_.request_bytes});
        if (!cached) timeline.begin(agent::phase::kSigningKey, key_ands);
      });
  made_->prepare(std::move(key.key), key.date, timeline);
}

void ScriptRun::prepare(const Digest& proposal, agent::Timeline& timeline) {
  terms_.proposal = proposal;
  timeline.begin("look at the service");
  probe_service(*joined_, provider_, host_, 443);
  timeline.begin("try the links");
  const bool carries = carrier_of(terms_.links) == party().id();
  begin(proposal, carries);
  made_.emplace(joined_->session().context(), terms_,
                connection_config(*joined_, provider_, host_, proposal, "run-script " + job_.name),
                own_.private_part(carries), layout_);
  look_for_key(timeline);
}

CallAnswer ScriptRun::perform(agent::Timeline& timeline) {
  const auto again = [&](const RunScriptResult& refused, std::chrono::seconds wait) {
    before_again(*joined_, cost_, refused, wait, timeline);
    wait_for_slot(*joined_, provider_, host_, timeline);
  };
  wait_for_slot(*joined_, provider_, host_, timeline);
  answer_ = made_->call(connector(*joined_, provider_, host_, 443), timeline, again);
  return log_words(answer_, run_->short_id());
}

std::filesystem::path ScriptRun::keep_partial(const http::PartialAnswer& partial) {
  // By which `stop` ends the machine, once all members approved that.
  run_->instance_id = instance_id_in(as_text(partial.body()));
  const std::string kept = history_.keep(*run_, "answer.partial", partial.received);
  return history_.folder(*run_) / kept;
}

void ScriptRun::enter_failure(Error::Fields& fields) {
  if (!run_) return;
  run_->state = released() ? runs::RunState::kUnknown : runs::RunState::kNotStarted;
  run_->detail = fields.text.substr(0, 500);
  if (!run_->instance_id.empty()) {
    fields.text += fmt::format(
        "\n  What came of the answer names instance {}: `flexroom stop {}` at all members ends it.",
        run_->instance_id, run_->short_id());
  } else if (released() && fields.text.find(run_->client_token) == std::string::npos) {
    fields.text += fmt::format(
        "\n  Its client token is {}: DescribeInstances finds the machine by it, if there is one.",
        run_->client_token);
  }
  const std::string not_written = remember(history_, *run_);
  if (!not_written.empty()) joined_->note(not_written);
}

RunStarted ScriptRun::started() {
  enter_answer(*run_, answer_);
  RunStarted out;
  out.not_written = remember(history_, *run_);
  out.run = run_->id;
  out.status = answer_.status;
  out.instance_id = answer_.instance_id;
  out.error_code = answer_.error_code;
  out.error_message = answer_.error_message;
  if (answer_.instance_id.empty()) out.body = answer_.body;
  out.attempts = answer_.attempts;
  out.unclear = answer_.unclear;
  out.client_token = terms_.client_token;
  return out;
}

AgreedCall ScriptRun::as_call() {
  AgreedCall call;
  call.what = "run-script " + job_.name;
  call.propose = [this](agent::Timeline&) { return propose(); };
  call.prepare = [this](const Digest& proposal, agent::Timeline& timeline) {
    prepare(proposal, timeline);
  };
  call.perform = [this](agent::Timeline& timeline) { return perform(timeline); };
  call.keep_partial = [this](const http::PartialAnswer& partial) { return keep_partial(partial); };
  call.released = [this] { return released(); };
  call.refused_before = [this] { return made_ ? made_->refused_before() : std::string(); };
  return call;
}

RunStarted ScriptRun::run() {
  try {
    make_agreed_call(*joined_, as_call());
  } catch (const Error& error) {
    Error::Fields fields = error.fields();
    enter_failure(fields);
    throw Error(std::move(fields));
  }
  return started();
}

}  // namespace

RunStarted run_waiting_script(Session& session, const WaitingScript& waiting) {
  return translated(Access::members(session), [&] { return ScriptRun(session, waiting).run(); });
}

}  // namespace room

RunStarted Session::run_script(const RunScriptRequest& request) {
  return room::translated(room::Access::members(*this), [&] {
    return request.classic ? room::run_classic(*this, request)
                           : room::ScriptRun(*this, request).run();
  });
}

FlowEnd Session::abandon_script(const RunScriptRequest& request) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::abandon_classic(*this, request); });
}

RunScriptPlan plan_run_script(Room& opened, const RunScriptRequest& request) {
  return room::translated(room::Access::members(opened), [&] {
    if (request.classic) return room::plan_classic(opened, request);
    JobConfig job = JobConfig::load(request.job);
    const LinksConfig links = LinksConfig::load(request.links);
    session::MemberState& state = room::Access::state(opened);
    const RoomConfig& config = state.room();
    const std::string host = ec2_host(job.region);
    const Provider& provider = config.provider_for(job.provider, host);
    (void)require_good_links(links, request.links.string(),
                             std::chrono::minutes(job.deadline_minutes),
                             std::chrono::system_clock::now());
    const room::KeyOfJob key = room::key_of_job(state, job, job.names_key());
    const store::RecordMeta& secret = key.secret;
    const std::string script = agreed_script(job, config, room::Access::cancel(opened));
    const RunScriptTerms terms = room::terms_of_plan(config, job, links, request.links);
    const ConnectionShape shape = connection_shape(provider, host, terms.links.size());
    const auto layout = lay_out_run_script(terms, shape);
    const CallSecrets secrets =
        check_rules(layout->call, config, [&](const std::string&) { return secret; });
    const RunScriptCost cost = run_script_cost(*layout, shape);
    RunScriptPlan plan;
    plan.summary = room::summary_of(session::shown(
        state, session::of_this_room(
                   state, room::run_proposal(config, {terms, layout->call, secrets, script,
                                                      state.self(), secret, key.origin}))));
    plan.not_known_yet = room::not_known_before_meeting();
    plan.region = job.region;
    plan.group = shown_groups(provider, ec2_host(job.region));
    plan.suite = shape.suite->setting;
    plan.suites = room::suite_costs(config, layout->call, *layout->layout, shape);
    plan.padding = room::padding_plan(layout->layout->plan, shape);
    plan.secret = job.secret;
    plan.request_bytes = cost.request_bytes;
    plan.payload_ands = cost.payload_ands;
    plan.signing_key_ands = cost.signing_key_ands;
    plan.handshake_ands = cost.handshake_ands;
    plan.client_flight_ands = cost.client_flight_ands;
    plan.request_ands = cost.request_ands;
    plan.bytes_each_way = plan.suites.front().bytes_each_way;
    return plan;
  });
}

}  // namespace flexroom
