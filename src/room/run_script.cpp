#include <fmt/core.h>

#include "base/codec.h"
#include "call/fetch.h"
#include "call/open_call.h"
#include "call/run_script.h"
#include "room/access.h"
#include "room/agreed_call.h"
#include "room/failure.h"
#include "room/result_link.h"
#include "room/service_probe.h"
#include "session/signing_keys.h"

namespace flexroom {
namespace room {
namespace {

void put_link(Writer& writer, const PublicLink& link) {
  writer.field(link.public_prefix)
      .u32(link.path_bytes)
      .field(link.public_query)
      .u32(link.tail_bytes);
}
PublicLink read_link(Reader& reader) {
  PublicLink link;
  link.public_prefix = to_text(reader.field(512));
  link.path_bytes = reader.u32();
  link.public_query = to_text(reader.field(2048));
  link.tail_bytes = reader.u32();
  return link;
}

/// Every member tells the others the public part of its links.
std::vector<PublicLinks> exchange_links(net::Party& party, const RoomConfig& room,
                                        const PublicLinks& own) {
  Writer message;
  put_link(message, own.data);
  put_link(message, own.result);
  party.echo("run/before links");  // earlier equivocation is a cheat, not a disagreement
  party.broadcast("run/links", message.bytes());
  std::vector<PublicLinks> all(party.num_parties());
  all[party.id()] = own;
  for (const PartyId j : party.peers()) {
    const Bytes bytes = party.receive_broadcast_up_to(j, "run/links", 8192);
    Reader reader(bytes, "run/links", j);
    all[j].data = read_link(reader);
    all[j].result = read_link(reader);
    reader.finish();
    try {
      check_public_links(all[j], room.members[j].name);
    } catch (const InputError& error) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "run/links", error.problem(), j);
    }
  }
  party.echo("run/links", AbortCode::kDisagreement);
  return all;
}

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
  add("deadline", fmt::format("{} minutes", job.deadline_minutes));
  add("signed with",
      fmt::format("{} (secret {} version {})", job.access_key_id, secret.name, secret.version));
  for (size_t i = 0; i < terms.links.size(); ++i) {
    add("data of " + room.members[i].name, describe(terms.links[i].data));
    add("result of " + room.members[i].name, describe(terms.links[i].result));
  }
  add("opened to all", "the answer to RunInstances, the hash of the request body");
  add("kept", "nothing");
  add("client token", terms.client_token);
  add("cost", fmt::format("{} ANDs, request of {} bytes", cost.total(), cost.request_bytes));
  return out;
}

RunStarted run_script(Session& session, const RunScriptRequest& request) {
  const JobConfig job = JobConfig::load(request.job);
  const LinksConfig links = LinksConfig::load(request.links);
  const std::string place = request.links.string();
  const PrivateUrl data = split_private_url(links.data_url, place + ": data_url");
  const PrivateUrl result = split_private_url(links.result_url, place + ": result_url");
  session::MemberState& state = Access::state(session);
  const RoomConfig& room = state.room();
  const Provider& provider = room.provider(job.provider);
  check_signing_secret(state.secret(job.secret));
  Joined& joined = Access::join(session, Access::kAsks, "run-script");
  RunScriptTerms terms;
  store::RecordMeta secret;
  std::shared_ptr<const RunScriptLayout> layout;
  RunScriptCost cost;
  std::optional<RunScriptCall> made;
  RunScriptResult answer;
  RunStarted out;
  AgreedCall call;
  call.what = "run-script " + job.name;
  call.propose = [&](agent::Timeline&) {
    net::Party& party = joined.session().party();
    terms.job = job;
    terms.links = exchange_links(party, room, public_part(data, result));
    terms.client_token = client_token(party);
    secret = state.secret(job.secret);
    state.secrets().agree(party, {secret.id});
    layout = lay_out_run_script(terms);
    cost = run_script_cost(*layout, group_of(provider), room.members.size());
    return run_proposal(room, terms, secret, cost);
  };
  const std::string host = fmt::format("ec2.{}.amazonaws.com", job.region);
  call.prepare = [&](const Digest& proposal, agent::Timeline& timeline) {
    terms.proposal = proposal;
    timeline.begin("look at the service");
    probe_service(joined, provider, host, 443);
    if (request.watch_result) {
      out.result_before = result_before(provider, links, Access::cancel(session));
    }
    made.emplace(joined.session().context(), terms,
                 connection_config(room, provider, host, proposal), private_part(data, result),
                 layout);
    timeline.begin("look for a signing key");
    session::ObtainedKey key =
        session::obtain_signing_key(joined.session(), secret, job.region, "ec2", [&](bool cached) {
          const uint64_t key_ands = cached ? 0 : cost.signing_key_ands;
          make_triples(joined, timeline,
                       {key_ands, "garble payload circuit", cost.payload_ands, cost.handshake_ands,
                        cost.request_ands, cost.request_bytes});
          if (!cached) timeline.begin("signing key", key_ands);
        });
    made->prepare(std::move(key.key), key.date, timeline);
  };
  call.perform = [&](agent::Timeline& timeline) {
    answer = made->call(connector(joined, provider, host, 443), timeline);
    return fmt::format("status {} {}", answer.status, answer.instance_id);
  };
  call.released = [&] { return made && made->released(); };
  make_agreed_call(joined, call);
  out.status = answer.status;
  out.instance_id = answer.instance_id;
  out.error_code = answer.error_code;
  out.error_message = answer.error_message;
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
    const PublicLinks own = public_part(split_private_url(links.data_url, "data_url"),
                                        split_private_url(links.result_url, "result_url"));
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
