#include <ctime>

#include "base/codec.h"
#include "node/api.h"

// The objects that the API and the command line show.

namespace flexroom::node {
namespace {

nlohmann::json decision(const inbox::Decision& one) {
  nlohmann::json out = {{"member", one.name},
                        {"counts", one.counts == inbox::Counts::kYes},
                        {"why", std::string(to_string(one.counts))},
                        {"time", one.time}};
  if (one.approval) {
    out["not_before"] = one.approval->not_before;
    out["not_after"] = one.approval->not_after;
    out["automatic"] = one.approval->automatic;  // the standing rule; empty: people looked
  }
  if (one.rejected) out["rejected"] = *one.rejected;
  return out;
}

}  // namespace

nlohmann::json to_json(const inbox::Item& item, const Core& core) {
  nlohmann::json decisions = nlohmann::json::array(), missing = nlohmann::json::array();
  for (const inbox::Decision& one : item.decisions) decisions.push_back(decision(one));
  for (const inbox::WantedInput& one : item.missing_inputs) {
    missing.push_back({{"member", core.name_of(one.member)}, {"slot", one.slot}});
  }
  nlohmann::json secrets = nlohmann::json::array();
  for (const inbox::NamedSecret& one : item.terms.secrets) {
    secrets.push_back({{"name", one.name}, {"version", one.version}, {"newest", one.newest}});
  }
  nlohmann::json out = {{"id", to_hex(item.proposal)},
                        {"proposer", item.proposer_name},
                        {"kind", item.kind},
                        {"title", item.title},
                        {"time", item.time},
                        {"bytes", item.bytes},
                        {"state", std::string(inbox::to_string(item.state))},
                        {"why", item.why},
                        {"arguments", item.terms.arguments},
                        {"secrets", secrets},
                        {"not_before", item.terms.window.first},
                        {"not_after", item.terms.window.last},
                        {"times", item.terms.repetition.times},
                        {"decisions", decisions},
                        {"missing_inputs", missing},
                        {"runs", item.runs}};
  if (item.complete) out["complete"] = to_hex(*item.complete);
  if (item.terms.repetition.every) out["every"] = item.terms.repetition.every->text();
  return out;
}

}  // namespace flexroom::node
