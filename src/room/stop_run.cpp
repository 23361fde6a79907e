#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/codec.h"
#include "base/display.h"
#include "base/private_file.h"
#include "call/run_script.h"
#include "call/service_error.h"
#include "room/call.h"
#include "room/failure.h"
#include "room/named_secrets.h"
#include "room/runs.h"
#include "room/state.h"

namespace flexroom {

Exit RunStopped::exit() const {
  if (status != 200 || !job_ends) return Exit::kServiceRefused;
  if (may_arrive) return Exit::kUnknown;
  return not_written.empty() ? Exit::kOk : Exit::kOutputLost;
}

namespace room {
namespace {

/// One agreed call of a stop, as a recipe: the same text at every member, from what all of them
/// approved, compared and shown.
struct StopCall {
  std::string name, host, service, type, target;  // target: of services that take JSON
  std::string body;
};

std::string recipe_of(const StopCall& call, const runs::Run& run) {
  const bool json = !call.target.empty();
  return fmt::format(
      "[recipe]\nname = \"{0}\"\nprovider = \"{1}\"\nhost = \"{2}\"\n"
      "open = \"everything to all\"\nrequest = \"\"\"\nPOST / HTTP/1.1\nHost: {2}\n"
      "Content-Type: {3}\nX-Amz-Date: {{{{amz-date}}}}\n{4}"
      "Authorization: AWS4-HMAC-SHA256 Credential={5}/{{{{amz-day}}}}/{6}/{7}/aws4_request, "
      "SignedHeaders=content-type;host;x-amz-date{8}, Signature={{{{signature}}}}\nConnection: "
      "close\nContent-Length: {{{{content-length}}}}\n\n{9}\"\"\"\n\n"
      "[sign]\nsecret = \"{10}\"\nregion = \"{6}\"\nservice = \"{7}\"\n",
      call.name, run.provider, call.host, call.type,
      json ? fmt::format("X-Amz-Target: {}\n", call.target) : "", run.access_key_id, run.region,
      call.service, json ? ";x-amz-target" : "", call.body, run.secret);
}

StopCall ec2_call(const runs::Run& run, const std::string& name, const std::string& parameters) {
  return {name,  ec2_host(run.region),
          "ec2", "application/x-www-form-urlencoded; charset=utf-8",
          "",    parameters};
}

/// A flow may have replaced its key since: the machine is the account's, whichever key started it.
std::string recipe_as_now(session::MemberState& state, const StopCall& call, const runs::Run& run) {
  runs::Run as_now = run;
  as_now.access_key_id = id_of_key(state, run.secret).value_or(run.access_key_id);
  return recipe_of(call, as_now);
}

StopCall look_call(const runs::Run& run) {
  return ec2_call(run, "find-run",
                  "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=client-token&"
                  "Filter.1.Value.1=" +
                      run.client_token);
}

StopCall end_call(const runs::Run& run) {
  return ec2_call(run, "stop-run",
                  "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=" + run.instance_id);
}

/// A token that stands in a form and in a filter as it is.
bool is_plain_token(const std::string& token) {
  return !token.empty() && token.size() <= 64 &&
         std::all_of(token.begin(), token.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';
         });
}

/// A training job that is over, or never was, is no job to end.
bool has_no_job(const ServiceAnswer& answer) {
  if (answer.status != 400) return false;
  const auto error = nlohmann::json::parse(answer.body, nullptr, false);
  if (!error.is_object()) return false;
  const auto type = error.find("__type");
  if (type == error.end() || !type->is_string()) return false;
  const std::string name = type->get<std::string>();
  const std::string code =
      name.substr(name.find('#') == std::string::npos ? 0 : name.find('#') + 1);
  return code == "ValidationException" || code == "ResourceNotFound";
}

void require_machine(const runs::Run& run) {
  const bool never =
      run.state == runs::RunState::kRefused || run.state == runs::RunState::kNotStarted;
  if (run.instance_id.empty() && (never || !is_plain_token(run.client_token))) {
    throw InputError("run " + run.short_id(), "has no machine: " + tell_state(run));
  }
}

/// `stop`, in sessions one behind the other: the members say what they know of the machine, then
/// each call has a session and an approval of its own.
class Stopping {
 public:
  Stopping(Room& room, const std::string& id, Decider& decider);
  RunStopped stop();

 private:
  /// Whether all name the same machine. `classic_` is what any member says.
  bool agree_on_machine();
  void look_for_machine();
  void end_machine();
  void end_job();
  ServiceAnswer call(const StopCall& call);
  void enter(const std::string& detail);
  std::string words() const;

  Room& room_;
  Decider& decider_;
  session::MemberState& state_;
  runs::RunHistory history_;
  runs::Run run_;
  bool classic_;
  RunStopped out_;
};

Stopping::Stopping(Room& room, const std::string& id, Decider& decider)
    : room_(room),
      decider_(decider),
      state_(Access::state(room)),
      history_(history_of(state_)),
      run_(history_.find(id)),
      classic_(!run_.flow_run.empty()) {
  require_machine(run_);
}

/// What a peer says decides only whether the service is asked: which machine it is, the service
/// says.
bool Stopping::agree_on_machine() {
  constexpr std::string_view kLabel = "stop/machine";
  Session session(room_, decider_);
  // Which run each means is compared before anything else: "last" is resolved here.
  Joined& joined = Access::join(session, Access::kAsks, "stop run " + run_.id);
  bool same = !run_.instance_id.empty();
  joined.session().guard([&] {
    joined.start();
    net::Party& party = joined.session().party();
    const Digest machine = sha256(as_bytes(run_.instance_id));
    const std::vector<Bytes> said =
        party.exchange(kLabel, Writer()
                                   .raw(machine)
                                   .raw(sha256(as_bytes(run_.client_token)))
                                   .u8(classic_ ? 1 : 0)
                                   .bytes());
    party.echo(kLabel, AbortCode::kDisagreement);
    for (PartyId j = 0; j < said.size(); ++j) {
      Reader in(said[j], kLabel, j);
      same &= in.digest() == machine;
      if (in.digest() != sha256(as_bytes(run_.client_token))) {
        throw ProtocolAbort(AbortCode::kDisagreement, kLabel,
                            fmt::format("{} has another client token of run {}",
                                        joined.members()[j], run_.short_id()),
                            j);
      }
      classic_ |= in.u8() != 0;
      in.finish();
    }
  });
  return same;
}

ServiceAnswer Stopping::call(const StopCall& call) {
  const std::filesystem::path file = history_.folder(run_) / (call.name + ".toml");
  std::filesystem::remove(file);
  if (!write_new_file(file, as_bytes(recipe_as_now(state_, call, run_)))) {
    throw InputError(file.string(), std::string("cannot be written: ") + std::strerror(errno),
                     "free some space, or let this user write there");
  }
  Session session(room_, decider_);
  return call_recipe(session, {file, {}, {}}, "stop run " + run_.id);
}

void Stopping::look_for_machine() {
  const ServiceAnswer answer = call(look_call(run_));
  out_.status = answer.status;
  out_.body = answer.body;
  if (answer.status != 200) return;
  run_.instance_id = instance_id_in(answer.body);
  out_.found = !run_.instance_id.empty();
  if (out_.found) out_.not_written = remember(history_, run_);
}

void Stopping::end_machine() {
  const ServiceAnswer answer = call(end_call(run_));
  out_.status = answer.status;
  out_.body = answer.body;
}

void Stopping::end_job() {
  StopCall stop;
  stop.name = "stop-job";
  stop.service = "sagemaker";
  stop.host = fmt::format("api.sagemaker.{}.amazonaws.com", run_.region);
  stop.type = "application/x-amz-json-1.1";
  stop.target = "SageMaker.StopTrainingJob";
  stop.body = fmt::format(R"({{"TrainingJobName": "flexroom-{}"}})", run_.client_token);
  const ServiceAnswer answer = call(stop);
  out_.job_status = answer.status;
  out_.job_body = answer.body;
  out_.job_ends = answer.status == 200 || has_no_job(answer);
}

/// Of what was armed here, until it can no longer arrive (operations.md (c)). When the request of a
/// lean run left nobody wrote down: soon behind its start.
bool may_arrive(session::MemberState& state, const runs::Run& run, bool classic) {
  constexpr int64_t kHour = 3600;
  const int64_t now = std::time(nullptr);
  if (!classic) return run.started + kHour > now;
  const auto armed = flow_store(state).armed(run.client_token, kMachineStep);
  return armed && armed->time + armed->settle_seconds > now;
}

void Stopping::enter(const std::string& detail) {
  run_.state = runs::RunState::kStopped;
  run_.detail = detail;
  out_.not_written = remember(history_, run_);
  // No session of it goes on any more: compare_records() of classic_run.cpp refuses it.
  try {
    history_.forget_seed(run_);
  } catch (...) {
    if (out_.not_written.empty()) out_.not_written = words_of_caught();
  }
}

std::string Stopping::words() const {
  const std::string id = run_.short_id();
  std::string out;
  if (out_.status != 200) {
    return fmt::format("the service refused: {}", answer_words(out_.status, out_.body));
  }
  if (out_.found) {
    out = fmt::format("Instance {} of run {} ends.", run_.instance_id, id);
  } else {
    out = fmt::format("The service lists no machine of run {} (client token {}).", id,
                      run_.client_token);
  }
  if (out_.may_arrive) {
    out +=
        " A request that left a short time ago may still start one: run `stop` again in ten "
        "minutes.";
  }
  if (out_.job_status == 0) return out;
  const std::string job = fmt::format(" Its training job flexroom-{}", run_.client_token);
  if (out_.job_status == 200) return out + job + " ends.";
  const std::string said = answer_words(out_.job_status, out_.job_body);
  return out + job +
         (out_.job_ends ? fmt::format(" does not run ({}).", said)
                        : fmt::format(" was not ended: {}.", said));
}

RunStopped Stopping::stop() {
  if (!agree_on_machine()) look_for_machine();
  if (out_.found && (out_.status == 0 || out_.status == 200)) end_machine();
  if (out_.status == 200) {
    out_.may_arrive = !out_.found && may_arrive(state_, run_, classic_);
    if (out_.found) {
      enter("terminated by agreement");
    } else if (!out_.may_arrive) {
      enter("the service lists no machine of it");
    }
  }
  try {
    if (classic_) end_job();
  } catch (...) {
    decider_.note(words());  // of the machine: that stays
    throw;
  }
  out_.text = display_lines(words());
  out_.run = info_of(state_, run_);
  return std::move(out_);
}

std::string next_call(session::MemberState& state, const runs::Run& run) {
  return recipe_as_now(state, run.instance_id.empty() ? look_call(run) : end_call(run), run);
}

}  // namespace

std::string stop_recipe(session::MemberState& state, const std::string& id) {
  const runs::Run run = history_of(state).find(id);
  require_machine(run);
  if (!run.flow_run.empty()) {
    throw InputError("run " + run.short_id(), "is of run-script --classic",
                     "`flexroom stop` at all members, with the nodes stopped, ends both its parts");
  }
  return next_call(state, run);
}

std::optional<std::string> take_stop(session::MemberState& state, const std::string& recipe,
                                     const ServiceAnswer& answer) {
  if (answer.status != 200) return std::nullopt;
  runs::RunHistory history = history_of(state);
  for (runs::Run& run : history.all()) {
    if (!run.flow_run.empty() || next_call(state, run) != recipe) continue;
    if (run.instance_id.empty()) {
      run.instance_id = instance_id_in(answer.body);
      if (!run.instance_id.empty()) history.update(run);
      return std::nullopt;
    }
    run.state = runs::RunState::kStopped;
    run.detail = "terminated by agreement";
    history.update(run);
    return run.id;
  }
  return std::nullopt;
}

}  // namespace room

RunStopped Room::stop_run(const std::string& id, Decider& program) {
  return room::translated(room::Access::members(*this), [&] {
    room::GuardedDecider decider(program);
    room::require_use(*this);
    return room::Stopping(*this, id, decider).stop();
  });
}

}  // namespace flexroom
