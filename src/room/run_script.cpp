#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "base/codec.h"
#include "call/link_check.h"
#include "call/loader.h"
#include "call/open_call.h"
#include "call/result_link.h"
#include "call/run_script.h"
#include "call/script_text.h"
#include "call/service_error.h"
#include "room/access.h"
#include "room/agreed_call.h"
#include "room/failure.h"
#include "room/run_proposal.h"
#include "room/runs.h"
#include "room/service_probe.h"
#include "session/signing_keys.h"

namespace flexroom {
namespace room {
namespace {

std::string client_token(net::Party& party) {
  const std::string hex = to_hex(party.coin("run/client token"));
  return fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3),
                     hex.substr(17, 3), hex.substr(20, 12));
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
                    const Digest& rid, const Digest& session, uint64_t index) {
  runs::Run run;
  run.id = runs::run_id(rid, terms.proposal, index);
  run.job = job.name;
  run.provider = job.provider;
  run.region = job.region;
  run.access_key_id = job.access_key_id;
  run.secret = job.secret;
  run.proposal = to_hex(terms.proposal);
  run.session = to_hex(session);
  run.client_token = terms.client_token;
  run.started = std::time(nullptr);
  run.deadline_minutes = job.deadline_minutes;
  run.result_name = runs::result_name(links.result_url);
  return run;
}

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

/// What came of an answer that is none is kept with the run, whole.
void keep_partial(runs::RunHistory& history, const runs::Run& run,
                  const agent::UnknownOutcome& unknown, Decider& decider) noexcept {
  if (unknown.partial().received.empty()) return;
  try {
    const std::string kept = history.keep(run, "answer.partial", unknown.partial().received);
    decider.note(fmt::format("what came of the answer is kept as {}",
                             (history.folder(run) / kept).string()));
  } catch (const std::exception& error) {
    try {
      decider.note(fmt::format("what came of the answer could not be kept: {}", error.what()));
    } catch (const std::exception&) {  // a screen that fails changes nothing
    }
  }
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
  const std::string script = agreed_script(job, room, Access::cancel(session));
  Joined& joined = Access::join(session, Access::kAsks, "run-script");
  RunScriptTerms terms;
  store::RecordMeta secret;
  std::shared_ptr<const RunScriptLayout> layout;
  RunScriptCost cost;
  std::optional<RunScriptCall> made;
  RunScriptResult answer;
  RunStarted out;
  runs::RunHistory history = history_of(state);
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
    const CallSecrets secrets =
        check_rules(layout->call, room, [&](const std::string&) { return secret; });
    cost = run_script_cost(*layout, group_of(provider), room.members.size());
    joined.note(cost_note(cost.total(), cost.request_bytes));
    return run_proposal(room, {terms, layout->call, secrets, script, std::nullopt});
  };
  call.prepare = [&](const Digest& proposal, agent::Timeline& timeline) {
    terms.proposal = proposal;
    timeline.begin("look at the service");
    probe_service(joined, provider, host, 443);
    timeline.begin("try the links");
    const bool carries = carrier_of(terms.links) == joined.session().party().id();
    net::Party& party = joined.session().party();
    run = begin_run(job, links, terms, state.rid(), party.scope().sid,
                    agree_on_index(party, history.count(to_hex(proposal))));
    history.begin(*run, links.result_get_url.value_or(""));
    const BeforeRun before = try_links(room, links, carries ? loader_text(job, terms.links) : "",
                                       place, Access::cancel(session));
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
    const auto again = [&](const RunScriptResult& refused, std::chrono::seconds wait) {
      before_again(joined, cost, refused, wait, timeline);
    };
    try {
      answer = made->call(connector(joined, provider, host, 443), timeline, again);
    } catch (const agent::UnknownOutcome& unknown) {
      keep_partial(history, *run, unknown, Access::decider(session));
      throw;
    }
    return log_words(answer, run->short_id());
  };
  call.released = [&] { return made && made->released(); };
  call.refused_before = [&] { return made ? made->refused_before() : std::string(); };
  try {
    make_agreed_call(joined, call);
  } catch (const std::exception& error) {
    if (run) {
      run->state = call.released() ? runs::RunState::kUnknown : runs::RunState::kNotStarted;
      run->detail = std::string(error.what()).substr(0, 500);
      const std::string not_written = remember(history, *run);
      if (!not_written.empty()) joined.note(not_written);
    }
    throw;
  }
  enter_answer(*run, answer);
  out.not_written = remember(history, *run);
  out.run = run->id;
  out.status = answer.status;
  out.instance_id = answer.instance_id;
  out.error_code = answer.error_code;
  out.error_message = answer.error_message;
  if (answer.instance_id.empty()) out.body = answer.body;
  out.attempts = answer.attempts;
  out.unclear = answer.unclear;
  out.client_token = terms.client_token;
  return out;
}

}  // namespace
}  // namespace room

RunStarted Session::run_script(const RunScriptRequest& request) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::run_script(*this, request); });
}

namespace room {
namespace {

/// Of a plan: the other members' links are taken as long as this one's.
RunScriptTerms terms_of_plan(const RoomConfig& room, const JobConfig& job, const LinksConfig& links,
                             const std::filesystem::path& file) {
  Prg prg = Prg::from_system();
  const OwnLinks own(links, file.string(), prg);
  RunScriptTerms terms;
  terms.job = job;
  for (const MemberEntry& member : room.members) {
    PublicLinks like = own.public_part(member.name);
    if (!like.carrier) like.carrier = like.result;  // another member's, then
    terms.links.push_back(std::move(like));
  }
  terms.client_token = "00000000-0000-4000-8000-000000000000";
  return terms;
}

}  // namespace
}  // namespace room

RunScriptPlan plan_run_script(Room& opened, const RunScriptRequest& request) {
  return room::translated(room::Access::members(opened), [&] {
    const JobConfig job = JobConfig::load(request.job);
    const LinksConfig links = LinksConfig::load(request.links);
    session::MemberState& state = room::Access::state(opened);
    const RoomConfig& config = state.room();
    const Provider& provider = config.provider_for(job.provider, ec2_host(job.region));
    (void)require_good_links(links, request.links.string(),
                             std::chrono::minutes(job.deadline_minutes),
                             std::chrono::system_clock::now());
    const store::RecordMeta secret = state.secret(job.secret);
    check_key(job, secret);
    const std::string script = agreed_script(job, config, room::Access::cancel(opened));
    const RunScriptTerms terms = room::terms_of_plan(config, job, links, request.links);
    const auto layout = lay_out_run_script(terms);
    const CallSecrets secrets =
        check_rules(layout->call, config, [&](const std::string&) { return secret; });
    const RunScriptCost cost =
        run_script_cost(*layout, room::group_of(provider), terms.links.size());
    RunScriptPlan plan;
    plan.summary = room::summary_of(session::shown(
        state,
        session::of_this_room(state, room::run_proposal(config, {terms, layout->call, secrets,
                                                                 script, state.self()}))));
    plan.not_known_yet = room::not_known_before_meeting();
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
