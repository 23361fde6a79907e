#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "base/codec.h"
#include "call/link_check.h"
#include "call/loader.h"
#include "call/open_call.h"
#include "call/result_link.h"
#include "call/run_script.h"
#include "room/access.h"
#include "room/agreed_call.h"
#include "room/failure.h"
#include "room/service_probe.h"
#include "runs/history.h"
#include "session/signing_keys.h"

namespace flexroom {
namespace room {
namespace {

std::string client_token(net::Party& party) {
  const std::string hex = to_hex(party.coin("run/client token"));
  return fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3),
                     hex.substr(17, 3), hex.substr(20, 12));
}

std::string describe(const PublicLink& link) {
  return fmt::format(
      "{}({} private bytes){}{}", link.public_prefix, link.path_bytes, link.public_query,
      link.tail_bytes == 0 ? "" : fmt::format("({} private bytes)", link.tail_bytes));
}

agreement::Proposal run_proposal(const RoomConfig& room, const RunScriptTerms& terms,
                                 const store::RecordMeta& secret, const RunScriptCost& cost) {
  agreement::Proposal out;
  const auto add = [&](std::string name, std::string_view value) {
    out.fields.push_back({std::move(name), to_bytes(value), false});
  };
  const JobConfig& job = terms.job;
  add("command", "run-script (lean)");
  add("room", room.name);
  add("job", job.name);
  add("provider", job.provider);
  add("call", fmt::format("RunInstances at ec2.{}.amazonaws.com", job.region));
  add("image", job.image_id);
  add("instance type", job.instance_type);
  add("instance profile", job.instance_profile.empty() ? "(none)" : job.instance_profile);
  add("script", job.script_url);
  add("script sha256", job.script_sha256);
  add("interpreter", job.interpreter);
  for (const std::string& argument : job.arguments) add("script argument", argument);
  add("output if it fails", job.failure_output_to_all
                                ? "its end to all members"
                                : "to nobody (which step failed, and the exit status, to all)");
  add("deadline", fmt::format("{} minutes", job.deadline_minutes));
  add("signed with",
      fmt::format("{} (secret {} version {})", job.access_key_id, secret.name, secret.version));
  for (size_t i = 0; i < terms.links.size(); ++i) {
    add("data of " + room.members[i].name, describe(terms.links[i].data));
    add("result of " + room.members[i].name, describe(terms.links[i].result));
  }
  const size_t carrier = carrier_of(terms.links);
  add("loader", fmt::format("carried by {} at {}; sha256 {}", room.members[carrier].name,
                            describe(*terms.links[carrier].carrier),
                            to_hex(sha256(as_bytes(loader_text(job, terms.links))))));
  add("opened to all", "the answer to RunInstances, the hash of the request body");
  add("kept", "nothing");
  add("client token", terms.client_token);
  add("cost", fmt::format("{} ANDs, request of {} bytes", cost.total(), cost.request_bytes));
  return out;
}

/// The runs of this proposal so far, by whoever remembers most.
uint64_t agree_on_index(net::Party& party, uint64_t own) {
  uint64_t most = own;
  for (const Bytes& bytes : party.exchange("run/index", Writer().u64(own).bytes())) {
    most = std::max(most, Reader(bytes, "run/index", party.id()).u64());
  }
  party.echo("run/index", AbortCode::kDisagreement);
  constexpr uint64_t kMost = 1'000'000;  // nobody counts so far; a liar's number wraps nothing
  return std::min(most, kMost);
}

runs::Run begin_run(const JobConfig& job, const LinksConfig& links, const RunScriptTerms& terms,
                    const Digest& rid, uint64_t index) {
  runs::Run run;
  run.id = runs::run_id(rid, terms.proposal, index);
  run.job = job.name;
  run.provider = job.provider;
  run.region = job.region;
  run.access_key_id = job.access_key_id;
  run.secret = job.secret;
  run.proposal = to_hex(terms.proposal);
  run.client_token = terms.client_token;
  run.started = std::time(nullptr);
  run.deadline_minutes = job.deadline_minutes;
  run.result_name = runs::result_name(links.result_url);
  return run;
}

/// Once the request may have left, what came of it counts more than whether it can be written down.
void remember(runs::RunHistory& history, const runs::Run& run, Decider& decider) noexcept {
  try {
    history.update(run);
  } catch (const std::exception& error) {
    try {
      decider.note(
          fmt::format("run {} could not be written down: {}", run.short_id(), error.what()));
    } catch (const std::exception&) {  // a screen that fails changes nothing either
    }
  }
}

RunStarted run_script(Session& session, const RunScriptRequest& request) {
  const JobConfig job = JobConfig::load(request.job);
  const LinksConfig links = LinksConfig::load(request.links);
  const std::string place = request.links.string();
  for (const std::string& word :
       require_good_links(links, place, std::chrono::minutes(job.deadline_minutes),
                          std::chrono::system_clock::now())) {
    Access::decider(session).note(word);
  }
  Prg prg = Prg::from_system();
  const OwnLinks own(links, place, prg);
  session::MemberState& state = Access::state(session);
  const RoomConfig& room = state.room();
  const std::string host = ec2_host(job.region);
  const Provider& provider = room.provider_for(job.provider, host);
  check_key(job, state.secret(job.secret));
  Joined& joined = Access::join(session, Access::kAsks, "run-script");
  RunScriptTerms terms;
  store::RecordMeta secret;
  std::shared_ptr<const RunScriptLayout> layout;
  RunScriptCost cost;
  std::optional<RunScriptCall> made;
  RunScriptResult answer;
  RunStarted out;
  runs::RunHistory history(state.member().state_dir, state.rid());
  std::optional<runs::Run> run;
  AgreedCall call;
  call.what = "run-script " + job.name;
  call.propose = [&](agent::Timeline&) {
    net::Party& party = joined.session().party();
    terms.job = job;
    terms.links = exchange_links(party, room, own.public_part(room.members[party.id()].name));
    terms.client_token = client_token(party);
    secret = state.secret(job.secret);
    check_key(job, secret);
    state.secrets().agree(party, std::vector<store::RecordMeta>{secret});
    layout = lay_out_run_script(terms);
    (void)check_rules(layout->call, room, [&](const std::string&) { return secret; });
    cost = run_script_cost(*layout, group_of(provider), room.members.size());
    return run_proposal(room, terms, secret, cost);
  };
  call.prepare = [&](const Digest& proposal, agent::Timeline& timeline) {
    terms.proposal = proposal;
    timeline.begin("look at the service");
    probe_service(joined, provider, host, 443);
    timeline.begin("try the links");
    const bool carries = carrier_of(terms.links) == joined.session().party().id();
    net::Party& party = joined.session().party();
    run = begin_run(job, links, terms, state.rid(),
                    agree_on_index(party, history.count(to_hex(proposal))));
    history.begin(*run, links.result_get_url.value_or(""));
    const BeforeRun before =
        try_links(provider, links, carries ? loader_text(job, terms.links) : "", place,
                  Access::cancel(session));
    run->before = before.version;
    if (before.earlier) {
      const std::string kept = history.keep(*run, "earlier-" + run->result_name, *before.earlier);
      Access::decider(session).note(
          fmt::format("an earlier result lay at result_url; it is kept as {}",
                      (history.folder(*run) / kept).string()));
    }
    history.update(*run);
    made.emplace(joined.session().context(), terms,
                 connection_config(room, provider, host, proposal), own.private_part(carries),
                 layout);
    timeline.begin("look for a signing key");
    session::ObtainedKey key =
        session::obtain_signing_key(joined.session(), secret, job.region, "ec2", [&](bool cached) {
          const uint64_t key_ands = cached ? 0 : cost.signing_key_ands;
          make_triples(joined, timeline,
                       {key_ands, "slots", cost.payload_ands, cost.handshake_ands,
                        cost.request_ands, cost.request_bytes});
          if (!cached) timeline.begin("signing key", key_ands);
        });
    made->prepare(std::move(key.key), key.date, timeline);
  };
  call.perform = [&](agent::Timeline& timeline) {
    answer = made->call(connector(joined, provider, host, 443), timeline);
    return fmt::format("status {} {}, run {}", answer.status, answer.instance_id, run->short_id());
  };
  call.released = [&] { return made && made->released(); };
  try {
    make_agreed_call(joined, call);
  } catch (const std::exception& error) {
    if (run) {
      run->state = call.released() ? runs::RunState::kUnknown : runs::RunState::kNotStarted;
      run->detail = std::string(error.what()).substr(0, 500);
      remember(history, *run, Access::decider(session));
    }
    throw;
  }
  run->instance_id = answer.instance_id;
  run->state = answer.instance_id.empty() ? runs::RunState::kRefused : runs::RunState::kRunning;
  if (answer.instance_id.empty()) {
    run->detail = fmt::format("{} {}", answer.status, answer.error_code);
  }
  remember(history, *run, Access::decider(session));
  out.run = run->id;
  out.status = answer.status;
  out.instance_id = answer.instance_id;
  out.error_code = answer.error_code;
  out.error_message = answer.error_message;
  if (answer.instance_id.empty()) out.body = answer.body;
  return out;
}

}  // namespace
}  // namespace room

RunStarted Session::run_script(const RunScriptRequest& request) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::run_script(*this, request); });
}

RunScriptPlan plan_run_script(Room& opened, const RunScriptRequest& request) {
  return room::translated(room::Access::members(opened), [&] {
    const JobConfig job = JobConfig::load(request.job);
    const LinksConfig links = LinksConfig::load(request.links);
    const RoomConfig& config = room::Access::state(opened).room();
    const Provider& provider = config.provider(job.provider);
    (void)require_good_links(links, request.links.string(),
                             std::chrono::minutes(job.deadline_minutes),
                             std::chrono::system_clock::now());
    Prg prg = Prg::from_system();
    PublicLinks own =
        OwnLinks(links, request.links.string(), prg).public_part(config.members[0].name);
    if (!own.carrier) own.carrier = own.result;  // another member's, then; its length is not known
    RunScriptTerms terms;
    terms.job = job;
    terms.links.assign(config.members.size(), own);  // the others' lengths are not known yet
    terms.client_token = "00000000-0000-4000-8000-000000000000";
    const RunScriptCost cost =
        run_script_cost(*lay_out_run_script(terms), room::group_of(provider), terms.links.size());
    RunScriptPlan plan;
    plan.region = job.region;
    plan.group = provider.group;
    plan.secret = job.secret;
    plan.request_bytes = cost.request_bytes;
    plan.payload_ands = cost.payload_ands;
    plan.signing_key_ands = cost.signing_key_ands;
    plan.handshake_ands = cost.handshake_ands;
    plan.request_ands = cost.request_ands;
    plan.bytes_each_way =
        static_cast<double>(cost.total()) * 84 * static_cast<double>(config.members.size() - 1);
    return plan;
  });
}

}  // namespace flexroom
