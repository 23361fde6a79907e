#include "room/flow_proposal.h"

#include <fmt/core.h>

#include "base/display.h"
#include "flow/accounts.h"
#include "flow/plan.h"
#include "room/flow_cost.h"

namespace flexroom::room {

namespace {

agreement::Proposal head_of(const RoomConfig& room, const flow::Flow& flow) {
  agreement::Proposal out;
  out.kind = "flow";
  out.title = flow.name;
  out.text("room", room.name).text("provider", flow.provider).text("prefix", flow.prefix);
  out.bytes("file and lists", flow.digest);
  return out;
}

/// Which run is approved, and whether somebody new comes to be.
std::string words_of_run(const flow::Flow& flow, const flow::Outlook& outlook) {
  if (outlook.id.empty()) {
    return flow.born.empty() ? "a new one"
                             : "a new one: a new identity is born below " + flow.prefix;
  }
  return outlook.step.empty() ? outlook.id + ", which ends"
                              : fmt::format("{} goes on at {}", outlook.id, outlook.step);
}

std::string joined(const std::set<std::string>& texts, std::string_view between = " and ") {
  std::string out;
  for (const std::string& one : texts) {
    if (!out.empty()) out += between;
    out += one;
  }
  return out;
}

/// The keys; of one that not all members say, who does.
std::string joined(const std::set<std::string>& keys,
                   const std::map<std::string, std::set<std::string>>& said_by, size_t members) {
  std::set<std::string> out;
  for (const std::string& key : keys) {
    const auto by = said_by.find(key);
    const bool all = by == said_by.end() || by->second.size() == members;
    out.insert(all ? key : fmt::format("{} (as {} has it)", key, joined(by->second, ", ")));
  }
  return joined(out);
}

/// operations.md (e): what the page of a host had in earlier runs, and has now.
std::string words_of_key(const std::string& host, const flow::PageKey& key, size_t members) {
  const std::string before = joined(key.before, key.before_of, members);
  if (key.now.empty()) {
    return fmt::format("{}: {} in earlier runs; this one stops at another one", display(host),
                       before);
  }
  if (key.now == key.before)
    return fmt::format("{}: {}, as in earlier runs", display(host), before);
  return fmt::format("{}: ANOTHER ONE, {} in the place of {}, which earlier runs had",
                     display(host), joined(key.now, key.now_of, members), before);
}

}  // namespace

agreement::Proposal abandon_proposal(const RoomConfig& room, const flow::Flow& flow,
                                     const flow::Ending& ending) {
  agreement::Proposal out = head_of(room, flow);
  for (const flow::RunId& run : ending.runs) {
    out.text("run", run + " is abandoned, and what it kept is erased");
  }
  for (const std::string& name : ending.erased) {
    out.text("erased", name + " of the room, which not all members have alike");
  }
  for (const std::string& one : ending.left) out.text("made, or possibly made", one);
  out.text("waits",
           fmt::format("up to {} s, until nothing that was released can arrive", ending.seconds));
  return out;
}

agreement::Proposal flow_proposal(const RoomConfig& room, const flow::Flow& flow,
                                  std::string_view file_text,
                                  const std::map<std::string, std::string>& arguments,
                                  const flow::Outlook& outlook, const flow::GoingOn* going_on,
                                  const std::string& key, const BootScript* script) {
  agreement::Proposal out = head_of(room, flow);
  if (going_on == nullptr) {
    out.text("run", words_of_run(flow, outlook));
  } else {
    out.text("run", fmt::format("{} goes on at {}, with this file", going_on->id,
                                going_on->step.empty() ? "its end" : going_on->step));
    for (const std::string& name : going_on->voided) {
      out.text("erased", name + " of the room, which not all members have alike");
    }
    for (const std::string& name : going_on->voided_of_run) {
      out.text("erased", name + " of the run, which not all members have alike");
    }
  }
  for (const auto& [step, who] : outlook.unknown) {
    std::string names;
    for (const std::string& one : who) names += (names.empty() ? "" : ", ") + one;
    out.text("outcome unknown", fmt::format("{}, as {} has it", step, names));
  }
  for (const auto& [host, page] : outlook.page_keys) {
    out.text("page key", words_of_key(host, page, room.members.size()));
  }
  if (!key.empty()) out.text("signed with", key);
  if (!arguments.empty()) out.section("Arguments");
  for (const auto& [name, value] : arguments) out.text(name, value);
  if (!flow.inputs.empty()) out.section("Inputs");
  for (const auto& [name, input] : flow.inputs) {
    const std::string from = flow::member_of(input.from, arguments);
    out.text(
        name,
        fmt::format("{} bytes of class {}, {}{}", input.length, flow::to_string(input.value_class),
                    flow::is_of_member(input, arguments) ? "which only the giver knows: " : "of ",
                    from));
  }
  if (!flow.born.empty()) out.section("Born secrets");
  for (const auto& [name, birth] : flow.born) {
    const std::string drawn =
        birth.alphabet
            ? fmt::format("{} characters of {}", birth.length, flow::to_string(*birth.alphabet))
            : fmt::format("one of the {} entries of {}", birth.entries.size(), birth.list);
    out.text(name, birth.suffix.empty() ? drawn : fmt::format("{}, then {}", drawn, birth.suffix));
  }
  out.section("Plan");
  out.block("plan", flow::plan_text(flow, arguments, outlook.room, outlook.spent,
                                    costs_of(room, flow, arguments, script)));
  out.section("File");
  out.block("file", file_text);
  return out;
}

}  // namespace flexroom::room
