#include <ctime>

#include "base/private_file.h"
#include "call/link_check.h"
#include "call/provider_connection.h"
#include "config/toml.h"
#include "flow/loader.h"
#include "flow/plan.h"
#include "prep/triple_parameters.h"
#include "room/access.h"
#include "room/classic_job.h"
#include "room/classic_run.h"
#include "room/flow_proposal.h"
#include "room/joined.h"
#include "room/run_proposal.h"
#include "room/script_begin.h"
#include "room/shipped_flows.h"

namespace flexroom::room {
namespace {

/// Of the main line, as the file's plan counts them: branches are taken only where something is
/// there already.
void add_costs(const RoomConfig& room, const flow::Flow& file, RunScriptPlan& plan) {
  for (const flow::Step& step : file.lines.front().steps) {
    const flow::StepCost cost = flow::cost_of(file, step);
    plan.handshake_ands += cost.handshake;
    plan.request_ands += cost.request + cost.answer;
    plan.request_bytes += step.request.size();
  }
  plan.calls = static_cast<unsigned>(file.lines.front().steps.size());
  plan.bytes_each_way =
      static_cast<double>(plan.ands()) *
      prep::and_bytes_to_each_peer(prep::triple_protocol(room.triples), room.link == "slow") *
      static_cast<double>(room.members.size() - 1);
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
  agreement::Proposal proposal = flow_proposal(room, file, text, arguments, {}, nullptr, "");
  job.show(proposal, room, false, state.self());
  RunScriptPlan plan;
  plan.summary = summary_of(session::shown(state, session::of_this_room(state, proposal)));
  plan.not_known_yet = not_known_before_meeting();
  plan.not_known_yet.emplace_back(
      "whether a run of this flow is open, at which it would go on: `flexroom runs`");
  plan.region = job.job.region;
  const Provider& provider = room.provider_for(job.job.provider, ec2_host(job.job.region));
  plan.group = to_string(provider.groups);
  plan.suite = provider.tls.suite->setting;
  plan.secret = job.job.secret;
  add_costs(room, file, plan);
  return plan;
}

}  // namespace flexroom::room
