#include <ctime>
#include <functional>
#include <set>

#include "base/private_file.h"
#include "call/link_check.h"
#include "call/provider_connection.h"
#include "config/toml.h"
#include "flow/loader.h"
#include "room/access.h"
#include "room/classic_job.h"
#include "room/classic_run.h"
#include "room/flow_cost.h"
#include "room/flow_proposal.h"
#include "room/joined.h"
#include "room/run_proposal.h"
#include "room/script_begin.h"
#include "room/shipped_flows.h"

namespace flexroom::room {
namespace {

/// To the plan's costs, whose suites are there: the first of a step's as room.toml offers it to its
/// host, and each suite's as if all hosts were offered it.
void add_costs(const std::vector<flow::StepCost>& costs, size_t num_peers, RunScriptPlan& plan) {
  if (costs.empty()) return;
  plan.handshake_ands += costs.front().handshake;
  plan.client_flight_ands += costs.front().client_flight;
  plan.request_ands += costs.front().request + costs.front().answer;
  const auto add = [&](SuiteCost& sum, const flow::StepCost& cost) {
    sum.ands += cost.total();
    sum.bytes_each_way += cost.bytes * static_cast<double>(num_peers);
  };
  add(plan.suites.front(), costs.front());
  for (size_t k = 1; k < plan.suites.size(); ++k) {
    for (const flow::StepCost& cost : costs) {
      if (cost.suite == plan.suites[k].suite) add(plan.suites[k], cost);
    }
  }
}

/// What the hosts of these steps are offered, each once: a suite, or several, and so the groups.
std::string offered_to(const std::vector<flow::Step>& steps,
                       const std::function<std::string(const std::string& host)>& offered) {
  std::string out;
  std::set<std::string> names;
  for (const flow::Step& step : steps) {
    if (!step.asks()) names.insert(offered(step.host));
  }
  for (const std::string& name : names) out += (out.empty() ? "" : " and ") + name;
  return out;
}

}  // namespace

RunScriptPlan plan_classic(Room& opened, const RunScriptRequest& request) {
  session::MemberState& state = Access::state(opened);
  const RoomConfig& room = state.room();
  const LinksConfig links = LinksConfig::load(request.links);
  ClassicJob job(state, request.job, Access::cancel(opened));
  (void)require_good_links(links, request.links.string(),
                           std::chrono::minutes(job.job.deadline_minutes),
                           std::chrono::system_clock::now());
  job.take_links(terms_of_plan(room, job.job, links, request.links).links);
  const std::filesystem::path path = shipped_flows() / kClassicFile;
  const std::string text = read_own_file(path, TomlTable::kMaxBytes, "check the path");
  flow::RoomView view;
  view.providers = room.providers;
  const flow::Flow file = flow::parse_flow(text, path, view);
  job.require_fits(file);
  std::map<std::string, std::string> arguments = request.arguments;
  for (const auto& [name, value] : job.arguments()) arguments[name] = value;
  arguments = flow::check_arguments(file, arguments);
  require_bound(room, file, arguments, &job.boot);
  agreement::Proposal proposal =
      flow_proposal(room, file, text, arguments, {}, nullptr, "", &job.boot);
  job.show(proposal, room, false, state.self());
  RunScriptPlan plan;
  plan.summary = summary_of(session::shown(state, session::of_this_room(state, proposal)));
  plan.not_known_yet = not_known_before_meeting();
  plan.not_known_yet.emplace_back(
      "whether a run of this flow is open, at which it would go on: `flexroom runs`");
  plan.region = job.job.region;
  const Provider& provider = room.provider(file.provider);
  // Of the main line: branches are taken only where something is there already.
  const std::vector<flow::Step>& steps = file.lines.front().steps;
  plan.group = offered_to(
      steps, [&](const std::string& host) { return to_string(provider.groups_for(host)); });
  plan.suite = offered_to(steps, [&](const std::string& host) {
    return std::string(provider.suite_for(host).setting);
  });
  plan.secret = job.job.secret;
  plan.calls = static_cast<unsigned>(steps.size());
  plan.suites.push_back({plan.suite, 0, 0});
  for (const tls::CipherSuite& suite : tls::cipher_suites()) {
    if (suite.setting != plan.suite) plan.suites.push_back({std::string(suite.setting), 0, 0});
  }
  for (const flow::Step& step : steps) {
    plan.request_bytes += step.request.size();
    add_costs(step_costs(room, file, step, arguments, &job.boot), room.members.size() - 1, plan);
  }
  plan.bytes_each_way = plan.suites.front().bytes_each_way;
  return plan;
}

}  // namespace flexroom::room
