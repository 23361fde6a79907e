#include "room/waiting.h"

#include <fmt/core.h>

#include <algorithm>

#include "agreement/render.h"
#include "base/hash.h"

namespace flexroom::room {
namespace {

using agreement::Proposal;

constexpr std::string_view kRecipeField = "recipe text";
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

/// A recipe that needs nothing of a member's own beside its state.
Recipe waiting_recipe(const std::string& text) {
  Recipe recipe = Recipe::parse(text, "the proposed recipe");
  for (const Recipe::Slot& slot : recipe.slots) {
    if (slot.slot.source != http::SlotSource::kMember) continue;
    throw InputError(slot.place,
                     fmt::format("slot '{}' is a private value of {}, which no node has",
                                 slot.slot.name, slot.slot.from),
                     "`flexroom call` at all members at the same time");
  }
  return recipe;
}

/// The operation's own proposal; of a call, the secrets it names.
Proposal own_proposal(session::MemberState& state, const Waiting& what, inbox::Terms& terms) {
  if (what.kind == kWaitingGet) {
    terms.definition = sha256(as_bytes(what.get.url));
    terms.arguments = {{std::string(kUrl), what.get.url}};
    if (!what.get.provider.empty()) terms.arguments[std::string(kProvider)] = what.get.provider;
    return proposal_of_get(state, what.get);
  }
  if (what.kind != kWaitingCall) {
    throw InputError(kPlace, fmt::format("is of the kind '{}', which cannot wait", what.kind),
                     "get and call can (docs/node.md); of the rest, every member runs the command "
                     "at the same time");
  }
  const Recipe recipe = waiting_recipe(what.recipe);
  terms.definition = recipe.digest;
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

std::string recipe_text(const Proposal& proposal) {
  for (const Proposal::Field& field : proposal.fields) {
    if (field.name == kRecipeField && field.form == Proposal::Form::kBlock && !field.secret) {
      return to_text(field.value);
    }
  }
  throw InputError(kPlace, "holds no text of its recipe");
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
    out.recipe = recipe_text(proposal);
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

Proposal framed(const Proposal& waiting, const Proposal& own) {
  Proposal out = own;
  out.fields = waiting.fields;
  const size_t before = waiting.fields.size() - std::min(waiting.fields.size(), own.fields.size());
  out.fields.resize(before);
  out.fields.insert(out.fields.end(), own.fields.begin(), own.fields.end());
  return out;
}

}  // namespace flexroom::room
