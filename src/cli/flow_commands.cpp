#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/display.h"
#include "base/private_file.h"
#include "call/recipe.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "config/config.h"
#include "config/file_keys.h"
#include "config/toml.h"
#include "flow/capture.h"
#include "flow/keys.h"
#include "flow/plan.h"
#include "flow/run_store.h"
#include "http/text.h"
#include "room/flow_cost.h"
#include "room/flow_task.h"
#include "room/shipped_flows.h"

// Files of requests, looked at without any other member: flow files and the older recipes.

namespace flexroom::cli {
namespace {

/// The room of member.toml, where there is one; a file can be written before.
std::optional<RoomConfig> room_of(Output& out, const Common& common) {
  std::error_code ignored;
  if (std::filesystem::exists(common.member_file, ignored)) {
    return RoomConfig::load(MemberConfig::load(common.member_file).room_file);
  }
  out.note(fmt::format("no {} here: the entry of the provider is not looked at",
                       common.member_file.string()));
  return std::nullopt;
}

flow::RoomView view_of(const std::optional<RoomConfig>& room) {
  flow::RoomView out;
  if (room) out.providers = room->providers;
  return out;
}

void print_lines(Output& out, const std::string& text) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.line(display(line));
}

}  // namespace

bool is_flow_file(const std::filesystem::path& file) { return TomlTable::load(file).has("flow"); }

int recipe_check(Output& out, const Common& common, const std::filesystem::path& file) {
  if (!is_flow_file(file)) {
    const Recipe recipe = Recipe::load(file);
    out.line(fmt::format("{}: a recipe, nothing is wrong in its TOML", display(recipe.name)));
    out.result({{"ok", true}, {"kind", "recipe"}, {"name", recipe.name}});
    return kOk;
  }
  const flow::Flow flow = flow::load_flow(file, view_of(room_of(out, common)));
  size_t steps = 0;
  flow.each_step([&](const flow::Step&) { ++steps; });
  out.line(fmt::format("{}: a flow of {} steps, nothing is wrong", display(flow.name), steps));
  out.result({{"ok", true}, {"kind", "flow"}, {"name", flow.name}, {"steps", steps}});
  return kOk;
}

int recipe_new(Output& out, const std::filesystem::path& capture, const std::string& name,
               const std::string& provider, const std::vector<std::string>& show) {
  // It may hold a password: of its user alone, and of its values only what --show names is shown.
  const SecretBytes text = read_private_file(capture, TomlTable::kMaxBytes, "record a call first");
  std::set<std::string> shown;
  for (const std::string& one : show) shown.insert(http::to_lower(one));
  const std::string draft =
      flow::draft_flow(flow::parse_capture(as_text(text.reveal()), capture.string()), name,
                       provider, capture.string(), shown);
  print_lines(out, draft);
  out.result({{"ok", true}, {"draft", draft}});
  return kOk;
}

int recipe_schema(Output& out) { return file_schema(out, "flow"); }

int file_schema(Output& out, const std::string& name) {
  const std::string schema = name == "flow" ? flow::json_schema() : config::json_schema(name);
  print_lines(out, schema);
  out.result({{"ok", true}, {"schema", nlohmann::json::parse(schema)}});
  return kOk;
}

int plan_flow(Output& out, const Common& common, const std::filesystem::path& file,
              const std::map<std::string, std::string>& arguments) {
  const std::optional<RoomConfig> own = room_of(out, common);
  const flow::Flow flow = flow::load_flow(file, view_of(own));
  const std::map<std::string, std::string> given = flow::check_arguments(flow, arguments);
  const RoomConfig counted = own ? *own : room::nobodys_room(flow);
  const std::string text =
      flow::plan_text(flow, given, {}, {}, room::costs_of(counted, flow, given));
  print_lines(out, text);
  out.result({{"ok", true}, {"flow", flow.name}, {"plan", text}});
  return kOk;
}

int show_flow_end(Output& out, const FlowEnd& end, bool abandoned) {
  if (!abandoned) {
    out.line(fmt::format("{}: run {} is done.", display(end.flow), display(end.run)));
  } else {
    out.line(fmt::format("{}: run {} is abandoned.", display(end.flow), display(end.run)));
    for (const std::string& one : end.left) {
      out.line(fmt::format("made, or possibly made: {}", display(one)));
    }
  }
  for (const auto& [name, value] : end.opened) {
    out.line(fmt::format("{}: {}", display(name), display(value)));
  }
  out.result({{"ok", true},
              {"flow", end.flow},
              {"run", end.run},
              {"opened", end.opened},
              {"left", end.left}});
  return kOk;
}

int run_flow(Output& out, const Common& common, const std::filesystem::path& file,
             const std::map<std::string, std::string>& arguments, const std::string& go_on,
             const std::string& abandon, const FlowKey& key,
             const std::optional<std::filesystem::path>& inputs) {
  Joint joint(out, common);
  const FlowEnd end =
      joint->flow({file, arguments, go_on, abandon, key, inputs.value_or(std::filesystem::path())});
  return show_flow_end(out, end, !abandon.empty());
}

namespace {

std::filesystem::path shipped_file(const std::string& name) {
  return room::shipped_flows() / (name + ".toml");
}

// Of buy-card.toml.
constexpr const char* kBuyCard = "buy-card";
constexpr const char* kPayer = "payer";
constexpr const char* kCardPrefix = "card";
constexpr const char* kCardNumber = "card-number";

bool room_has(Room& room, const std::string& name) {
  const std::vector<SecretInfo> all = room.secrets();
  return std::any_of(all.begin(), all.end(),
                     [&](const SecretInfo& one) { return one.name == name; });
}

/// Two runs with all members in one room, each approved on its own: the card's, which goes on where
/// it was cut and is left out where the room has a card, then the account's, which it pays for.
int create_with_bought_card(Output& out, const Common& common, const ShippedFlow& given,
                            const CardPurchase& card) {
  std::map<std::string, std::string> arguments = given.arguments;
  std::string& payer = arguments[kPayer];
  const std::string buyer = payer;
  if (payer.empty() || payer.starts_with("room:")) {
    throw InputError("--buy-card", "needs the member whose own card pays for it",
                     "pass --arg payer=MEMBER; --arg payer=room:card without --buy-card uses a "
                     "card that was bought");
  }
  watch_signals();
  OpenRoom room(common);
  Screen screen(out, common.yes, common.diff, common.knows);
  const auto run = [&](const std::string& name, const std::map<std::string, std::string>& with,
                       const std::optional<std::filesystem::path>& inputs) {
    Session session(*room, screen);
    return session.flow(
        {shipped_file(name), with, "", "", FlowKey(), inputs.value_or(std::filesystem::path())});
  };
  payer = fmt::format("room:{}", kCardPrefix);
  const flow::Flow account = flow::load_flow(shipped_file(given.name), {});
  // Before anything is paid: all that the account's run would be refused for before it begins.
  room::check_flow(*room,
                   {shipped_file(given.name), arguments, "", "", FlowKey(),
                    given.inputs.value_or(std::filesystem::path())},
                   screen);
  // By what all members have: where one is cut behind GetCard the card is there at some of them.
  const bool lacks_card = !room_has(*room, flow::name_in_room(kCardPrefix, kCardNumber)) ||
                          room::has_open_run(*room, flow::load_flow(shipped_file(kBuyCard), {}));
  const bool any_lacks = [&] {
    Session session(*room, screen);
    return room::any_says(session, "create-account --buy-card", lacks_card);
  }();
  if (!any_lacks) {
    out.note("The room has a card that was bought before: none is bought.");
  } else if (room_has(*room, flow::name_in_room(account.prefix, account.born.begin()->first))) {
    throw InputError("--buy-card", "would buy a card for an account that there is, or that is made",
                     "leave it out; --arg payer names who pays for the one that is made");
  } else {
    const FlowEnd end = run(kBuyCard, {{kPayer, buyer}}, card.inputs);
    out.note(fmt::format("{}: run {} is done; nobody knows the card's number.", end.flow, end.run));
  }
  return show_flow_end(out, run(given.name, arguments, given.inputs), false);
}

int run_shipped(Output& out, const Common& common, const ShippedFlow& given) {
  return run_flow(out, common, shipped_file(given.name), given.arguments, given.go_on,
                  given.abandon, FlowKey(), given.inputs);
}

}  // namespace

int create_account(Output& out, const Common& common, const ShippedFlow& given,
                   const std::optional<CardPurchase>& card) {
  return card ? create_with_bought_card(out, common, given, *card)
              : run_shipped(out, common, given);
}

int create_session(Output& out, const Common& common, const ShippedFlow& given) {
  return run_shipped(out, common, given);
}

}  // namespace flexroom::cli
