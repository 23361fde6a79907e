#include <algorithm>
#include <map>

#include "base/codec.h"
#include "base/wipe_text.h"
#include "node/api.h"
#include "node/api_body.h"
#include "node/request_body.h"
#include "room/runs.h"
#include "room/waiting_script.h"

// Inputs of members for proposals that wait: who gives what, and this member's own.

namespace flexroom::node {

using nlohmann::json;

namespace {

std::map<std::string, std::string> arguments_of(const json& body) {
  std::map<std::string, std::string> out;
  const auto arguments = body.find("arguments");
  if (arguments == body.end()) return out;
  if (!arguments->is_object()) throw HttpError(400, "'arguments' is no object");
  for (const auto& [name, value] : arguments->items()) {
    if (!value.is_string()) throw HttpError(400, "an argument's value is no text");
    out[name] = value.get<std::string>();
  }
  return out;
}

}  // namespace

room::Waiting waiting_of_body(const json& body) {
  room::Waiting out;
  out.kind = text_of(body, "kind");
  if (out.kind == room::kWaitingGet) {
    out.get = {text_of(body, "url"), text_of(body, "provider", "")};
  } else if (out.kind == room::kWaitingCall) {
    out.recipe = text_of(body, "recipe");
    out.arguments = arguments_of(body);
  } else if (out.kind == room::kWaitingScript) {
    out.script = text_of(body, "script");
    out.arguments = arguments_of(body);
  }
  return out;
}

room::Waiting waiting_stop(const Core::Open& open, const json& body) {
  room::Waiting out;
  out.kind = room::kWaitingCall;
  out.recipe = room::stop_recipe(open.state, text_of(body, "run"));
  return out;
}

json inputs_of(const Core::Open& open, const inbox::Item& item, const Core& core) {
  json out = json::array();
  for (const agreement::GivenInput& one : open.inbox.inputs(item.proposal)) {
    out.push_back({{"member", core.name_of(one.member)},
                   {"member_id", to_hex(one.member)},
                   {"slot", one.body.slot},
                   {"public_hex", to_hex(one.body.public_part)},
                   {"commitment", to_hex(one.body.commitment)}});
  }
  return out;
}

// The private part is on disk before its INPUT is signed: killed in between, it is given again.
HttpAnswer Api::give_input(const Call& call) {
  json body = body_of(call.request, {"slot", "text"});
  const std::string slot = text_of(body, "slot");
  std::string text = text_of(body, "text");
  wipe_text(body["text"].get_ref<std::string&>());
  json out;
  try {
    out = core_.with([&](const Core::Open& open) {
      const uint64_t now = now_seconds();
      const inbox::Item item = item_called(open.inbox, call.id);
      const agreement::MemberId self = core_.mids()[core_.self()];
      const bool wanted =
          std::any_of(item.missing_inputs.begin(), item.missing_inputs.end(),
                      [&](const auto& one) { return one.member == self && one.slot == slot; });
      if (!wanted) {
        throw HttpError(409, "no such input is wanted of this member any more",
                        "another value is another proposal");
      }
      const agreement::Proposal known = open.inbox.proposal(item.proposal);
      const room::Waiting what = room::waiting_of(open.state, known, item.terms);
      const room::OwnInput input = room::input_for(open.state, what, slot, text);
      room::OwnInputs(open.state).put(item.proposal, input);
      open.inbox.input(item.proposal, slot, input.public_part, input.commitment(), now);
      return to_json(*open.inbox.show(item.proposal, now), core_);
    });
  } catch (...) {
    wipe_text(text);
    throw;
  }
  wipe_text(text);
  core_.events().add("proposal",
                     {{"proposal", out["id"]}, {"by", call.authority.name}, {"said", "INPUT"}});
  core_.changed();
  return HttpAnswer::json({{"ok", true}, {"proposal", out}}, 201);
}

}  // namespace flexroom::node
