#include <fmt/core.h>

#include <ctime>

#include "agent/phases.h"
#include "agreement/time.h"
#include "call/call_inputs.h"
#include "call/provider_connection.h"
#include "call/recipe_call.h"
#include "call/shown_request.h"
#include "http/url.h"
#include "room/access.h"
#include "room/agreed_call.h"
#include "room/call.h"
#include "room/call_proposal.h"
#include "room/failure.h"
#include "room/named_secrets.h"
#include "room/service_probe.h"
#include "room/slots.h"
#include "room/suite_costs.h"
#include "room/waiting.h"
#include "session/signing_keys.h"
#include "session/totp_step.h"

namespace flexroom {
namespace room {
namespace {

/// Everything that this member's own rules say about the call (tls-in-mpc.md §4.6 R2-3, §5.1).
/// `key`: the room's own, where the recipe names none; the record, whatever else has its name.
CallSecrets rules_of(session::MemberState& state, const OpenCall& call,
                     const std::optional<store::RecordMeta>& key) {
  return check_rules(call, state.room(), [&](const std::string& name) {
    return key && name == key->name ? *key : state.secret(name);
  });
}

std::function<PartyId(const std::string&)> ids_of(const RoomConfig& room) {
  return [&room](const std::string& name) { return room.member_id(name); };
}

/// A call as this member makes it: without a named key, with the room's own (JointKey).
struct Wanted {
  Recipe recipe;
  std::map<std::string, std::string> arguments;
  std::string key;  // of the proposal; empty: the recipe names it, or signs nothing
  std::optional<store::RecordMeta> secret = {};  // of that key
};

/// The key that stands in the room now, in a recipe that names none.
void take_key(session::MemberState& state, const std::map<std::string, std::string>& arguments,
              Wanted& wanted) {
  Recipe& recipe = wanted.recipe;
  if (wanted.key.empty() && (!recipe.sign || recipe.sign->names_key())) return;
  if (arguments.contains(Recipe::kAccessKeyId)) {
    throw InputError("argument " + std::string(Recipe::kAccessKeyId),
                     "is that of the room's own key, as the recipe names none",
                     "leave it out, or name the secret in [sign] as well");
  }
  const JointKey key = joint_key(state, recipe.provider, "recipe " + recipe.name);
  recipe.sign->secret = key.secret.name;
  wanted.arguments[Recipe::kAccessKeyId] = key.id;
  wanted.key = fmt::format("{} (secret {} v{}, {})", key.id, key.secret.name, key.secret.version,
                           key.origin());
  wanted.secret = key.secret;
}

Wanted wanted_of(session::MemberState& state, Recipe recipe,
                 const std::map<std::string, std::string>& arguments) {
  Wanted out{std::move(recipe), arguments, ""};
  take_key(state, arguments, out);
  return out;
}

/// What a running `call` has, step by step.
struct Running {
  OpenCall call;
  CallSecrets secrets;
  std::shared_ptr<const CallLayout> layout;
  CallCost cost;
  std::optional<AgreedRequest> made;
  agent::Reply reply;
};

const Provider& provider_of(const RoomConfig& room, const Recipe& recipe) {
  return room.provider(recipe.provider);
}

agreement::Proposal propose(Joined& joined, const Wanted& wanted, Running& run) {
  const Recipe& recipe = wanted.recipe;
  net::Party& party = joined.session().party();
  const RoomConfig& room = joined.state().room();
  run.call = fill_recipe(recipe, wanted.arguments, amz_date(agree_on_time(party)));
  run.secrets = rules_of(joined.state(), run.call, wanted.secret);
  const ConnectionShape shape =
      connection_shape(room.provider(recipe.provider), recipe.host, room.members.size());
  run.layout = lay_out_call(run.call, shape, ids_of(room));
  run.cost = call_cost(run.call, *run.layout, shape);
  joined.note(cost_note(run.cost.total(), run.call.bytes));
  return call_proposal(room, recipe, run.call, run.secrets, wanted.key);
}

void prepare(Joined& joined, const Wanted& wanted, std::map<std::string, SecretBytes>& inputs,
             const Digest& proposal, agent::Timeline& timeline, Running& run) {
  const Recipe& recipe = wanted.recipe;
  session::MemberSession& session = joined.session();
  const RoomConfig& room = joined.state().room();
  timeline.begin("look at the service");
  probe_service(joined, room.provider(recipe.provider), recipe.host, 443);
  // What the summary named is what all have.
  std::vector<store::RecordMeta> used;
  for (const auto& [slot, secret] : run.secrets.slots) used.push_back(secret);
  if (recipe.sign) used.push_back(*run.secrets.signing);
  joined.state().secrets().agree(session.party(), used);
  const auto triples = [&](uint64_t key_ands) {
    make_triples(joined, timeline,
                 {key_ands, agent::phase::kSlots, run.cost.slot_ands, run.cost.handshake_ands,
                  run.cost.request_ands, run.layout->plan.bytes});
  };
  std::optional<DatedKey> key;
  if (recipe.sign) {
    timeline.begin("look for a signing key");
    const store::RecordMeta& secret = *run.secrets.signing;
    const auto decided = [&](bool cached) {
      if (cached) used.pop_back();  // nothing is asked of the secret itself
      session.load(used);           // all that this call needs, in one test
      const uint64_t key_ands = cached ? 0 : run.cost.signing_key_ands;
      triples(key_ands);
      if (!cached) timeline.begin(agent::phase::kSigningKey, key_ands);
    };
    session::ObtainedKey obtained = session::obtain_signing_key(
        session, secret, recipe.sign->region, recipe.sign->service, decided);
    key = DatedKey{std::move(obtained.key), std::move(obtained.date)};
  } else {
    session.load(used);
    triples(0);
  }
  std::map<std::string, prep::AuthBits> shares;
  agent::SlotValues values;
  for (const auto& [slot, secret] : run.secrets.slots) {
    values.secrets[slot] = &(shares[slot] = session.shares(secret));
  }
  values.own.swap(inputs);
  agent::ConnectionConfig config = connection_config(joined, room.provider(recipe.provider),
                                                     recipe.host, proposal, "call " + recipe.name);
  config.no_secret = run.call.has_no_secret();
  const auto dated = [&wanted](const std::string& date_time) {
    return fill_recipe(wanted.recipe, wanted.arguments, date_time);
  };
  run.made.emplace(session.context(), run.call, dated, std::move(config), run.layout, proposal);
  if (run.layout->has_code())
    wait_for_slot(joined, provider_of(room, recipe), recipe.host, timeline);
  run.made->prepare(values, std::move(key), timeline, [&] {
    std::vector<session::TotpKey> keys;
    for (const CallSlot& slot : run.call.slots) {
      if (slot.slot.source != http::SlotSource::kTotp) continue;
      keys.push_back(session::totp_key(run.secrets.slots.at(slot.slot.name)));
    }
    return session::agree_on_totp_step(session, keys, [&] { joined.throw_if_cancelled(); });
  });
}

}  // namespace

CallProposal proposal_of_call(session::MemberState& state, const Recipe& recipe,
                              const std::map<std::string, std::string>& arguments) {
  const Wanted wanted = wanted_of(state, recipe, arguments);
  const OpenCall call = fill_recipe(wanted.recipe, wanted.arguments, amz_date(0));
  CallSecrets secrets = rules_of(state, call, wanted.secret);
  agreement::Proposal proposal =
      call_proposal(state.room(), wanted.recipe, call, secrets, wanted.key);
  return {std::move(proposal), std::move(secrets)};
}

ServiceAnswer call_recipe(Session& session, const CallRequest& request,
                          const std::string& command) {
  Recipe recipe = Recipe::load(request.recipe);
  std::optional<std::filesystem::path> inputs_file;
  if (!request.inputs.empty()) inputs_file = request.inputs;
  const std::string& self = Access::state(session).member().name;
  std::map<std::string, SecretBytes> inputs = load_call_inputs(recipe, self, inputs_file);
  return call_recipe(session, std::move(recipe), request.arguments, std::move(inputs), command);
}

ServiceAnswer call_recipe(Session& session, Recipe given,
                          const std::map<std::string, std::string>& arguments,
                          std::map<std::string, SecretBytes> inputs, const std::string& command) {
  // Everything that can be wrong, before joining.
  session::MemberState& state = Access::state(session);
  Wanted wanted = wanted_of(state, std::move(given), arguments);
  const Recipe& recipe = wanted.recipe;
  const OpenCall draft = fill_recipe(recipe, wanted.arguments, amz_date(0));
  (void)rules_of(state, draft, wanted.secret);
  Joined& joined = Access::join(session, Access::kAsks, command);
  const RoomConfig& room = state.room();
  const bool matters = recipe.sign || !recipe.slots.empty();
  Running run;
  AgreedCall call;
  call.what = "call " + recipe.name;
  call.propose = [&](agent::Timeline&) {
    take_key(state, arguments,
             wanted);  // as it is now that no flow can replace it any more
    return propose(joined, wanted, run);
  };
  call.prepare = [&](const Digest& proposal, agent::Timeline& timeline) {
    prepare(joined, wanted, inputs, proposal, timeline, run);
  };
  call.perform = [&](agent::Timeline& timeline) {
    if (!run.layout->has_code())
      wait_for_slot(joined, provider_of(room, recipe), recipe.host, timeline);
    run.reply = run.made->call(connector(joined, room.provider(recipe.provider), recipe.host, 443),
                               timeline);
    require_whole(run.reply, recipe.name);
    return answered(run.reply);
  };
  call.matters = matters;
  call.released = [&] { return matters && run.made && run.made->released(); };
  make_agreed_call(joined, call);
  return answer_of(run.reply);
}

ServiceAnswer call_of_proposal(Session& session, Recipe recipe,
                               const std::map<std::string, std::string>& arguments,
                               std::map<std::string, SecretBytes> inputs) {
  return translated(Access::members(session), [&] {
    return call_recipe(session, std::move(recipe), arguments, std::move(inputs), "call");
  });
}

agreement::Proposal proposal_of_get(session::MemberState& state, const GetRequest& wanted) {
  const http::Url url = http::parse_url(wanted.url, "URL");
  const RoomConfig& room = state.room();
  const Provider& provider = wanted.provider.empty() ? room.provider_of(url.host)
                                                     : room.provider_for(wanted.provider, url.host);
  return get_proposal(room, wanted.url, get_call(url, provider.name));
}

namespace {

ServiceAnswer get_url(Session& session, const GetRequest& wanted) {
  const http::Url url = http::parse_url(wanted.url, "URL");
  const RoomConfig& room = Access::state(session).room();
  const Provider& provider = wanted.provider.empty() ? room.provider_of(url.host)
                                                     : room.provider_for(wanted.provider, url.host);
  const OpenCall request = get_call(url, provider.name);
  Joined& joined = Access::join(session, Access::kAsks, "get");
  std::optional<AgreedRequest> made;
  agent::Reply reply;
  AgreedCall call;
  call.what = "get " + wanted.url;
  call.propose = [&](agent::Timeline&) { return get_proposal(room, wanted.url, request); };
  call.prepare = [&](const Digest& proposal, agent::Timeline& timeline) {
    timeline.begin("look at the service");
    probe_service(joined, provider, url.host, url.port);
    agent::ConnectionConfig config =
        connection_config(joined, provider, url.host, proposal, "get " + wanted.url);
    config.no_secret = request.has_no_secret();
    const ConnectionShape shape = connection_shape(provider, url.host, room.members.size());
    const auto layout = lay_out_call(request, shape, nullptr);
    const CallCost cost = call_cost(request, *layout, shape);
    make_triples(joined, timeline,
                 {0, "", 0, cost.handshake_ands, cost.request_ands, request.bytes});
    made.emplace(joined.session().context(), request, nullptr, std::move(config), layout, proposal);
    made->prepare({}, std::nullopt, timeline);
  };
  call.perform = [&](agent::Timeline& timeline) {
    wait_for_slot(joined, provider, url.host, timeline);
    reply = made->call(connector(joined, provider, url.host, url.port), timeline);
    require_whole(reply, "get");
    return answered(reply);
  };
  call.matters = false;  // no secret, no effect
  call.released = [] { return false; };
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
                          [&] { return room::call_recipe(*this, request, "call"); });
}

CallPlan plan_call(Room& opened, const CallRequest& request) {
  return room::translated(room::Access::members(opened), [&] {
    session::MemberState& state = room::Access::state(opened);
    const room::Wanted wanted =
        room::wanted_of(state, Recipe::load(request.recipe), request.arguments);
    const Recipe& recipe = wanted.recipe;
    const RoomConfig& config = state.room();
    const Provider& provider = config.provider(recipe.provider);
    const OpenCall call = fill_recipe(recipe, wanted.arguments, amz_date(std::time(nullptr)));
    const CallSecrets secrets = room::rules_of(state, call, wanted.secret);
    const ConnectionShape shape = connection_shape(provider, recipe.host, config.members.size());
    const auto layout = lay_out_call(call, shape, room::ids_of(config));
    const CallCost cost = call_cost(call, *layout, shape);
    CallPlan plan;
    plan.summary = room::summary_of(session::shown(
        state, session::of_this_room(
                   state, room::call_proposal(config, recipe, call, secrets, wanted.key))));
    plan.address = call.address;
    plan.group = shown_groups(provider, recipe.host);
    plan.suite = shape.suite->setting;
    plan.suites = room::suite_costs(config, call, *layout, shape);
    plan.padding = room::padding_plan(layout->plan, shape);
    for (const CallSlot& slot : call.slots) {
      plan.slots.push_back({slot.slot.name, describe_slot(slot.slot, secrets)});
    }
    plan.signed_with = recipe.sign ? recipe.sign->secret : "";
    plan.opens_body_hash = call.hidden_body_at.has_value();
    plan.request_bytes = call.bytes;
    plan.slot_ands = cost.slot_ands;
    plan.signing_key_ands = cost.signing_key_ands;
    plan.handshake_ands = cost.handshake_ands;
    plan.client_flight_ands = cost.client_flight_ands;
    plan.request_ands = cost.request_ands;
    return plan;
  });
}

}  // namespace flexroom
