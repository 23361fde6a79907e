#include <fmt/core.h>

#include <ctime>

#include "agreement/time.h"
#include "call/call_inputs.h"
#include "call/recipe_call.h"
#include "http/url.h"
#include "room/access.h"
#include "room/agreed_call.h"
#include "room/failure.h"
#include "room/service_probe.h"
#include "session/signing_keys.h"

namespace flexroom {
namespace room {
namespace {

/// The secrets of a call's slots, by slot.
using SlotSecrets = std::map<std::string, store::RecordMeta>;

/// Everything that this member's own rules say about the call (tls-in-mpc.md §4.6 R2-3, §5.1).
SlotSecrets check_rules(session::MemberState& state, const Recipe& recipe, const OpenCall& call) {
  check_open_call(call, state.room().provider(recipe.provider));
  if (recipe.sign) check_signing_secret(state.secret(recipe.sign->secret));
  SlotSecrets out;
  for (const CallSlot& slot : call.slots) {
    if (slot.slot.source == http::SlotSource::kMember) (void)state.room().member_id(slot.slot.from);
    if (slot.slot.source != http::SlotSource::kSecret) continue;
    const store::RecordMeta secret = state.secret(slot.slot.from);
    check_secret_slot(call, slot, secret);
    out.emplace(slot.slot.name, secret);
  }
  return out;
}

std::string describe_slot(const CallSlot& placed, const SlotSecrets& secrets) {
  const http::Slot& slot = placed.slot;
  std::string source = "128-bit nonce that nobody knows";
  if (slot.source == http::SlotSource::kSecret) {
    source = fmt::format("secret {} version {}", slot.from, secrets.at(slot.name).version);
  } else if (slot.source == http::SlotSource::kMember) {
    source = fmt::format("private input of {}", slot.from);
  }
  return fmt::format("{}, {} bytes of class {}, encoding {}, at {}", source, slot.length,
                     to_string(slot.char_class), to_string(slot.encoding), placed.position);
}

agreement::Proposal call_proposal(const RoomConfig& room, const Recipe& recipe,
                                  const OpenCall& call, const SlotSecrets& secrets,
                                  const RecipeCost& cost) {
  agreement::Proposal out;
  const auto add = [&](std::string name, ByteView value) {
    out.fields.push_back({std::move(name), Bytes(value.begin(), value.end()), false});
  };
  const auto say = [&](std::string name, const std::string& value) {
    add(std::move(name), as_bytes(value));
  };
  say("command", "call");
  say("room", room.name);
  say("recipe", recipe.name);
  add("recipe sha256", recipe.digest);
  say("provider", recipe.provider);
  say("request to", recipe.host);
  add("request sha256", call.request.digest());  // text, slots and their places
  say("first line", fmt::format("{} {}", call.request.method, call.request.target));
  say("signed with", recipe.sign ? recipe.sign->secret : "(nothing)");
  for (const CallSlot& slot : call.slots) {
    say("slot " + slot.slot.name, describe_slot(slot, secrets));
    const auto secret = secrets.find(slot.slot.name);
    if (secret != secrets.end()) add("record of " + slot.slot.name, secret->second.digest());
  }
  if (call.hidden_body_at) say("opened first", "the hash of the body, hidden by a nonce");
  say("opened to all", "everything: every member reads the whole answer");
  say("kept", "nothing");
  say("cost", fmt::format("{} ANDs, request of {} bytes", cost.total(), call.bytes));
  return out;
}

std::function<PartyId(const std::string&)> ids_of(const RoomConfig& room) {
  return [&room](const std::string& name) { return room.member_id(name); };
}

/// What a running `call` has, step by step.
struct Running {
  OpenCall call;
  SlotSecrets secrets;
  std::shared_ptr<const RecipeLayout> layout;
  RecipeCost cost;
  std::optional<RecipeCall> made;
  agent::Reply reply;
};

agreement::Proposal propose(Joined& joined, const Recipe& recipe,
                            const std::map<std::string, std::string>& arguments, Running& run) {
  net::Party& party = joined.session().party();
  const RoomConfig& room = joined.state().room();
  run.call = fill_recipe(recipe, arguments, amz_date(agree_on_time(party)));
  run.secrets = check_rules(joined.state(), recipe, run.call);
  run.layout = lay_out_recipe(run.call, ids_of(room));
  run.cost = recipe_cost(run.call, *run.layout, group_of(room.provider(recipe.provider)),
                         room.members.size());
  return call_proposal(room, recipe, run.call, run.secrets, run.cost);
}

void prepare(Joined& joined, const Recipe& recipe, std::map<std::string, SecretBytes>& inputs,
             const Digest& proposal, agent::Timeline& timeline, Running& run) {
  session::MemberSession& session = joined.session();
  const RoomConfig& room = joined.state().room();
  timeline.begin("look at the service");
  probe_service(joined, room.provider(recipe.provider), recipe.host, 443);
  // What the summary named is what all have.
  std::vector<store::RecordId> ids;
  for (const auto& [slot, secret] : run.secrets) ids.push_back(secret.id);
  joined.state().secrets().agree(session.party(), ids);
  const auto triples = [&](uint64_t key_ands) {
    make_triples(joined, timeline,
                 {key_ands, "slots", run.cost.slot_ands, run.cost.handshake_ands,
                  run.cost.request_ands, run.layout->plan.bytes});
  };
  std::optional<agent::SigningKey> key;
  if (recipe.sign) {
    timeline.begin("look for a signing key");
    const store::RecordMeta secret = joined.state().secret(recipe.sign->secret);
    joined.state().secrets().agree(session.party(), {secret.id});
    const auto decided = [&](bool cached) {
      const uint64_t key_ands = cached ? 0 : run.cost.signing_key_ands;
      triples(key_ands);
      if (!cached) timeline.begin("signing key", key_ands);
    };
    key = session::obtain_signing_key(session, secret, recipe.sign->region, recipe.sign->service,
                                      decided)
              .key;
  } else {
    triples(0);
  }
  std::map<std::string, prep::AuthBits> shares;
  agent::SlotValues values;
  for (const auto& [slot, secret] : run.secrets) {
    values.secrets[slot] = &(shares[slot] = session.shares(secret));
  }
  values.own.swap(inputs);
  agent::ConnectionConfig config =
      connection_config(room, room.provider(recipe.provider), recipe.host, proposal);
  config.no_secret = !recipe.sign && run.call.slots.empty();  // R2-6
  run.made.emplace(session.context(), run.call, std::move(config), run.layout, proposal);
  run.made->prepare(values, std::move(key), timeline);
  if (recipe.sign) {
    http::check_scope(*run.call.signing, recipe.sign->region, recipe.sign->service,
                      std::chrono::system_clock::now());
  }
}

ServiceAnswer call_recipe(Session& session, const CallRequest& request) {
  // Everything that can be wrong, before joining.
  const Recipe recipe = Recipe::load(request.recipe);
  const OpenCall draft = fill_recipe(recipe, request.arguments, amz_date(0));
  session::MemberState& state = Access::state(session);
  std::optional<std::filesystem::path> inputs_file;
  if (!request.inputs.empty()) inputs_file = request.inputs;
  std::map<std::string, SecretBytes> inputs =
      load_call_inputs(recipe, state.member().name, inputs_file);
  (void)check_rules(state, recipe, draft);
  Joined& joined = Access::join(session, Access::kAsks, "call");
  const RoomConfig& room = state.room();
  const bool matters = recipe.sign || !recipe.slots.empty();
  Running run;
  AgreedCall call;
  call.what = "call " + recipe.name;
  call.propose = [&](agent::Timeline&) { return propose(joined, recipe, request.arguments, run); };
  call.prepare = [&](const Digest& proposal, agent::Timeline& timeline) {
    prepare(joined, recipe, inputs, proposal, timeline, run);
  };
  call.perform = [&](agent::Timeline& timeline) {
    run.reply = run.made->call(connector(joined, room.provider(recipe.provider), recipe.host, 443),
                               timeline);
    require_whole(run.reply, recipe.name);
    return fmt::format("status {}", run.reply.response.status);
  };
  call.released = [&] { return matters && run.made && run.made->released(); };
  make_agreed_call(joined, call);
  return answer_of(run.reply);
}

ServiceAnswer get_url(Session& session, const GetRequest& wanted) {
  const http::Url url = http::parse_url(wanted.url, "URL");
  const RoomConfig& room = Access::state(session).room();
  if (room.providers.empty()) {
    throw InputError(room.file.string(), "has no provider", "add [provider.NAME]");
  }
  const Provider& provider =
      wanted.provider.empty() ? room.providers.front() : room.provider(wanted.provider);
  Joined& joined = Access::join(session, Access::kAsks, "get");
  agent::Request request;
  request.text =
      to_bytes(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: flexroom\r\n"
                           "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
                           url.target(), url.authority()));
  std::optional<agent::Connection> connection;
  agent::Reply reply;
  AgreedCall call;
  call.what = "get " + wanted.url;
  call.propose = [&](agent::Timeline&) {
    agreement::Proposal proposal;
    proposal.fields = {{"command", to_bytes("get"), false},
                       {"room", to_bytes(room.name), false},
                       {"url", to_bytes(wanted.url), false},
                       {"provider", to_bytes(provider.name), false},
                       {"opened to all", to_bytes("everything"), false}};
    return proposal;
  };
  call.prepare = [&](const Digest& proposal, agent::Timeline& timeline) {
    timeline.begin("look at the service");
    probe_service(joined, provider, url.host, url.port);
    agent::ConnectionConfig config = connection_config(room, provider, url.host, proposal);
    config.no_secret = true;
    agent::RequestPlan plan;
    plan.bytes = request.text.size();
    const std::shared_ptr<const mpc::Program> program = agent::request_program(plan);
    CallWork work;
    work.handshake_ands = agent::handshake_circuit(config.group, room.members.size()).num_ands;
    work.request_ands = program->num_ands();
    work.request_bytes = plan.bytes;
    make_triples(joined, timeline, work);
    connection.emplace(joined.session().context(), config, plan, program);
    connection->prepare(timeline);
    request.id = RandomOracle("request", joined.session().party().scope())
                     .field(proposal)
                     .field(request.text)
                     .digest();
  };
  call.perform = [&](agent::Timeline& timeline) {
    reply = connection->call(request, connector(joined, provider, url.host, url.port), timeline);
    require_whole(reply, "get");
    return fmt::format("status {}", reply.response.status);
  };
  call.released = [] { return false; };  // no secret, no effect
  make_agreed_call(joined, call);
  return answer_of(reply);
}

}  // namespace
}  // namespace room

ServiceAnswer Session::get(const GetRequest& request) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::get_url(*this, request); });
}

ServiceAnswer Session::call(const CallRequest& request) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::call_recipe(*this, request); });
}

CallPlan plan_call(Room& opened, const CallRequest& request) {
  return room::translated(room::Access::members(opened), [&] {
    const Recipe recipe = Recipe::load(request.recipe);
    session::MemberState& state = room::Access::state(opened);
    const RoomConfig& config = state.room();
    const Provider& provider = config.provider(recipe.provider);
    const OpenCall call = fill_recipe(recipe, request.arguments, amz_date(std::time(nullptr)));
    const room::SlotSecrets secrets = room::check_rules(state, recipe, call);
    const auto layout = lay_out_recipe(call, room::ids_of(config));
    const RecipeCost cost =
        recipe_cost(call, *layout, room::group_of(provider), config.members.size());
    CallPlan plan;
    plan.address = call.address;
    plan.group = provider.group;
    for (const CallSlot& slot : call.slots) {
      plan.slots.push_back({slot.slot.name, room::describe_slot(slot, secrets)});
    }
    plan.signed_with = recipe.sign ? recipe.sign->secret : "";
    plan.opens_body_hash = call.hidden_body_at.has_value();
    plan.request_bytes = call.bytes;
    plan.slot_ands = cost.slot_ands;
    plan.signing_key_ands = cost.signing_key_ands;
    plan.handshake_ands = cost.handshake_ands;
    plan.request_ands = cost.request_ands;
    return plan;
  });
}

}  // namespace flexroom
