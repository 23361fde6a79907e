#include "room/waiting.h"

#include <fmt/core.h>

#include <algorithm>

#include "agreement/render.h"
#include "base/hash.h"
#include "config/of_proposal.h"
#include "room/run_proposal.h"
#include "room/waiting_script.h"
#include "session/approval.h"

namespace flexroom::room {
namespace {

using agreement::Proposal;

constexpr std::string_view kRecipeField = "recipe text", kScriptField = "script";
constexpr std::string_view kUrl = "url", kProvider = "provider";
constexpr std::string_view kPlace = "proposal";

inbox::NamedSecret named(const store::RecordMeta& meta) {
  inbox::NamedSecret out;
  out.name = meta.name;
  out.record = meta.id;
  out.version = static_cast<uint32_t>(meta.version);
  out.provenance = meta.provenance;
  return out;
}

/// A private value of each slot that the recipe gives a member, in the order of CONF.
std::vector<inbox::WantedInput> inputs_of_call(session::MemberState& state, const Recipe& recipe) {
  std::vector<inbox::WantedInput> out;
  for (const auto& member : state.configuration().members) {
    for (const Recipe::Slot& declared : recipe.slots) {
      const http::Slot& slot = declared.slot;
      if (slot.source != http::SlotSource::kMember || slot.from != member.name) continue;
      inbox::WantedInput input;
      input.member = member.id;
      input.slot = slot.name;
      input.value_class = std::string(to_string(slot.char_class));
      out.push_back(std::move(input));
    }
  }
  return out;
}

Recipe waiting_recipe(const Waiting& what) {
  return Recipe::parse(what.recipe, "the proposed recipe");
}

/// The operation's own proposal; of a call, the secrets it names.
Proposal own_proposal(session::MemberState& state, const Waiting& what, inbox::Terms& terms) {
  if (what.kind == kWaitingGet) {
    terms.definition = sha256(as_bytes(what.get.url));
    terms.arguments = {{std::string(kUrl), what.get.url}};
    if (!what.get.provider.empty()) terms.arguments[std::string(kProvider)] = what.get.provider;
    return proposal_of_get(state, what.get);
  }
  if (what.kind == kWaitingScript) {
    const ScriptToRun script = script_to_run(state, what.arguments, what.script);
    terms.definition = sha256(as_bytes(what.script));
    terms.arguments = what.arguments;
    terms.secrets = {named(script.key.secret)};
    terms.inputs = inputs_of_script(state);
    return run_before_inputs(state.room(), script.job, script.key.secret, script.key.origin);
  }
  if (what.kind != kWaitingCall) {
    throw InputError(
        kPlace, fmt::format("is of the kind '{}', which cannot wait", what.kind),
        "get, call and run-script can (docs/node.md); of the rest, every member runs the command "
        "at the same time");
  }
  const Recipe recipe = waiting_recipe(what);
  terms.definition = recipe.digest;
  terms.inputs = inputs_of_call(state, recipe);
  terms.arguments = what.arguments;
  CallProposal made = proposal_of_call(state, recipe, what.arguments);
  std::map<std::string, inbox::NamedSecret> secrets;
  for (const auto& [slot, meta] : made.secrets.slots) secrets[meta.name] = named(meta);
  if (made.secrets.signing) secrets[made.secrets.signing->name] = named(*made.secrets.signing);
  terms.secrets.clear();
  for (auto& [name, secret] : secrets) terms.secrets.push_back(std::move(secret));
  return std::move(made.proposal);
}

Proposal put_together(const Waiting& what, const inbox::Terms& terms, const Proposal& own) {
  Proposal out;
  out.kind = own.kind;
  out.title = own.title;
  terms.add_to(out);
  if (what.kind == kWaitingCall) out.block(std::string(kRecipeField), what.recipe);
  out.fields.insert(out.fields.end(), own.fields.begin(), own.fields.end());
  return out;
}

std::string text_in(const Proposal& proposal, std::string_view name, std::string_view what) {
  for (const Proposal::Field& field : proposal.fields) {
    if (field.name == name && field.form == Proposal::Form::kBlock && !field.secret) {
      return to_text(field.value);
    }
  }
  throw InputError(kPlace, fmt::format("holds no text of its {}", what));
}

Waiting read(const Proposal& proposal, const inbox::Terms& terms) {
  Waiting out;
  out.kind = proposal.kind;
  if (out.kind == kWaitingGet) {
    const auto value = [&](std::string_view name) {
      const auto found = terms.arguments.find(std::string(name));
      return found == terms.arguments.end() ? std::string() : found->second;
    };
    out.get = {value(kUrl), value(kProvider)};
  } else if (out.kind == kWaitingCall) {
    out.recipe = text_in(proposal, kRecipeField, "recipe");
    out.arguments = terms.arguments;
  } else if (out.kind == kWaitingScript) {
    out.script = text_in(proposal, kScriptField, "script");
    out.arguments = terms.arguments;
  }
  return out;
}

}  // namespace

Proposal waiting_proposal(session::MemberState& state, const Waiting& what, inbox::Terms terms) {
  const Proposal own = own_proposal(state, what, terms);
  Proposal out = put_together(what, terms, own);
  out.room = state.rid();
  out.terms = state.configuration().terms();
  return out;
}

Waiting waiting_of(session::MemberState& state, const Proposal& proposal,
                   const inbox::Terms& terms) {
  Waiting what = read(proposal, terms);
  inbox::Terms mine = terms;
  const Proposal own = own_proposal(state, what, mine);
  const Proposal same = put_together(what, mine, own);
  if (mine == terms && same.fields == proposal.fields && same.title == proposal.title &&
      same.kind == proposal.kind) {
    return what;
  }
  Proposal here = same;
  here.room = proposal.room;
  here.terms = proposal.terms;
  throw InputError(
      kPlace,
      "does not say what its arguments make here: " + agreement::differences(here, proposal),
      "room.toml, the secrets or the programs differ between the members; propose "
      "again");
}

void check_inputs(session::MemberState& state, const Digest& proposal, const Waiting& what,
                  const Inputs& inputs) {
  if (what.kind == kWaitingScript) {
    const ScriptToRun script = script_to_run(state, what.arguments, what.script);
    (void)filled_in(state, script, links_given(state, inputs));
    (void)own_links_given(state, proposal, script.job, inputs);
  } else if (what.kind == kWaitingCall) {
    (void)own_values(state, proposal, inputs);
  }
}

std::string filled_in_text(session::MemberState& state, const Waiting& what, const Inputs& inputs) {
  if (what.kind != kWaitingScript) return {};
  const ScriptToRun script = script_to_run(state, what.arguments, what.script);
  const Proposal filled =
      session::of_this_room(state, filled_in(state, script, links_given(state, inputs)));
  return agreement::render(filled.canonical(), kPlace);
}

std::map<std::string, SecretBytes> own_values(session::MemberState& state, const Digest& proposal,
                                              const Inputs& inputs) {
  std::map<std::string, SecretBytes> out;
  OwnInputs kept(state);
  for (const agreement::GivenInput& one : inputs) {
    if (one.member != state.mids()[state.self()]) continue;
    OwnInput mine = kept.get(proposal, one.body.slot, one.body.commitment);
    out.emplace(one.body.slot, std::move(mine.value));
  }
  return out;
}

OwnInput input_for(session::MemberState& state, const Waiting& what, const std::string& slot,
                   std::string_view text) {
  if (what.kind == kWaitingScript && slot == kLinksInput) {
    return input_of_links(state, text, job_of_proposal(what.arguments, what.script));
  }
  if (what.kind == kWaitingCall) return input_of_slot(state, waiting_recipe(what), slot, text);
  throw InputError(kPlace, "wants no such input",
                   "`flexroom proposal show` names those that are missing");
}

Proposal framed(const Proposal& waiting, const Proposal& own) {
  Proposal out = own;
  out.fields = waiting.fields;
  const size_t before = waiting.fields.size() - std::min(waiting.fields.size(), own.fields.size());
  out.fields.resize(before);
  out.fields.insert(out.fields.end(), own.fields.begin(), own.fields.end());
  return out;
}

}  // namespace flexroom::room
