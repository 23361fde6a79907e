#include <fmt/core.h>

#include "base/display.h"
#include "cli/commands.h"
#include "cli/run_history.h"
#include "cli/screen.h"

namespace flexroom::cli {
namespace {

/// What only the ten calls take.
void require_classic(const RunScriptRequest& request) {
  if (request.classic) return;
  if (!request.arguments.empty()) {
    throw InputError("--arg " + request.arguments.begin()->first, "is of run-script --classic",
                     "leave it out, or say --classic");
  }
  if (!(request.go_on + request.abandon).empty()) {
    throw InputError("--continue and --abandon", "are of run-script --classic",
                     "leave them out, or say --classic");
  }
}

int service_refused(Output& out, const RunStarted& started) {
  // Not every refusal is of the service's own form: a load balancer answers with HTML.
  const std::string said = started.error_code.empty()
                               ? display_short(started.body.substr(0, 300))
                               : fmt::format("{}: {}", display_short(started.error_code),
                                             display_short(started.error_message));
  out.line(fmt::format("The service refused{}: {} {}",
                       started.attempts > 1 ? fmt::format(" {} attempts", started.attempts) : "",
                       started.status, said));
  if (started.unclear) {
    out.line(
        fmt::format("It does not say whether a machine was started. Look for one with client "
                    "token {} before you run again: a new run has another token and starts "
                    "another machine.",
                    started.client_token));
  }
  if (!started.not_written.empty()) out.note(started.not_written);
  out.result({{"ok", false},
              {"status", started.status},
              {"code", started.error_code},
              {"message", started.error_message},
              {"attempts", started.attempts},
              {"unclear", started.unclear},
              {"client_token", started.client_token}});
  return started.unclear ? kUnknown : kServiceRefused;
}

}  // namespace

int run_script(Output& out, const Common& common, const RunScriptRequest& request, bool follow) {
  require_classic(request);
  Joint joint(out, common);
  joint.screen().show_phases();
  if (!request.abandon.empty()) {
    return show_flow_end(out, joint->abandon_script(request), true);
  }
  const RunStarted started = joint->run_script(request);
  if (started.instance_id.empty()) return service_refused(out, started);
  out.line(fmt::format("\nInstance {} runs the agreed script: run {}.", started.instance_id,
                       started.run.substr(0, 12)));
  out.event("started", {{"instance_id", started.instance_id}, {"run", started.run}});
  int code = started.not_written.empty() ? kOk : kOutputLost;
  std::string error = started.not_written;
  if (follow) {
    if (!started.not_written.empty()) out.note(started.not_written);
    const RunResult got = joint.room().follow(started, joint.screen());
    code = show_result(out, got);
    error = got.text;
  } else if (code != kOk && !out.json()) {
    out.problem(error);
  }
  end_of_run(out, code, error, {{"instance_id", started.instance_id}, {"run", started.run}});
  return code;
}

namespace {

void show_costs(Output& out, const RunScriptPlan& plan, bool classic) {
  if (classic) {
    out.line(fmt::format("connections  {} calls in region {}, TLS 1.3, {}, {}", plan.calls,
                         plan.region, plan.group, plan.suite));
    out.line(fmt::format("ANDs         up to {}: handshakes {}, requests and answers {}",
                         plan.ands(), plan.handshake_ands, plan.request_ands));
    return;
  }
  out.line(fmt::format("connection   one RunInstances at ec2.{}.amazonaws.com, TLS 1.3, {}, {}",
                       plan.region, plan.group, plan.suite));
  out.line(fmt::format("ANDs         {}: payload {}, signing key {}, handshake {}, request {}",
                       plan.ands(), plan.payload_ands, plan.signing_key_ands, plan.handshake_ands,
                       plan.request_ands));
}

}  // namespace

int plan_job(Output& out, const Common& common, const RunScriptRequest& request) {
  require_classic(request);
  OpenRoom room(common, true);
  const RunScriptPlan plan = plan_run_script(*room, request);
  show_plan(out, common, plan.summary, plan.not_known_yet);
  show_costs(out, plan, request.classic);
  show_client_auth(out, plan.client_flight_ands);
  show_suites(out, plan.suites);
  show_padding(out, plan.padding);
  out.line(
      fmt::format("traffic      about {:.0f} MB each way before the call, 0.3 MB during it "
                  "(others' links taken as long as yours)",
                  plan.bytes_each_way / 1e6));
  nlohmann::json result = plan_fields(plan.summary, plan.not_known_yet);
  result.update({{"ok", true},
                 {"calls", plan.calls},
                 {"ands", plan.ands()},
                 {"payload_ands", plan.payload_ands},
                 {"signing_key_ands", plan.signing_key_ands},
                 {"handshake_ands", plan.handshake_ands},
                 {"client_flight_ands", plan.client_flight_ands},
                 {"request_ands", plan.request_ands},
                 {"request_bytes", plan.request_bytes},
                 {"suite", plan.suite},
                 {"suites", suite_fields(plan.suites)},
                 {"preprocessing_bytes_each_way", plan.bytes_each_way}});
  if (plan.padding.pad != "none") result["padding"] = padding_fields(plan.padding);
  out.result(std::move(result));
  return kOk;
}

}  // namespace flexroom::cli
