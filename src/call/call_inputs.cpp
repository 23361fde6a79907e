#include "call/call_inputs.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/display.h"
#include "base/error.h"
#include "base/near_name.h"
#include "config/private_json.h"

namespace flexroom {
namespace {

constexpr size_t kMaxFileBytes = 1 << 16;

SecretBytes value_for(const Recipe::Slot& declared, const std::string& text,
                      const std::string& place) {
  const http::Slot& slot = declared.slot;
  const std::string name = fmt::format("`{}`", slot.name);
  const bool fits = declared.fill ? text.size() <= slot.length : text.size() == slot.length;
  if (!fits) {
    throw InputError(place, fmt::format("{} has {} bytes, the recipe says {}{}", name, text.size(),
                                        declared.fill ? "at most " : "", slot.length));
  }
  const http::CharSet allowed = slot.checked_set();
  if (!std::all_of(text.begin(), text.end(), [&](char c) { return allowed.contains(c); })) {
    throw InputError(
        place, fmt::format("{} has a byte outside class {}", name, to_string(slot.char_class)));
  }
  SecretBytes out(slot.length);
  const auto rest = std::copy(text.begin(), text.end(), out.writable().begin());
  std::fill(rest, out.writable().end(), static_cast<uint8_t>(declared.fill.value_or(0)));
  return out;
}

}  // namespace

std::map<std::string, SecretBytes> load_call_inputs(
    const Recipe& recipe, const std::string& member_name,
    const std::optional<std::filesystem::path>& file) {
  std::vector<const Recipe::Slot*> mine;
  for (const Recipe::Slot& slot : recipe.slots) {
    if (slot.slot.source == http::SlotSource::kMember && slot.slot.from == member_name) {
      mine.push_back(&slot);
    }
  }
  std::map<std::string, SecretBytes> out;
  if (mine.empty()) return out;
  if (!file) {
    throw InputError("recipe " + recipe.name,
                     fmt::format("asks {} for its slot '{}'", member_name, mine[0]->slot.name),
                     "pass --inputs FILE with this member's private values");
  }
  PrivateJson json(*file, kMaxFileBytes,
                   "write this member's private values there (docs/recipes.md), or pass --inputs",
                   "write {\"SLOT\": \"value\"}");
  std::vector<std::string> asked;
  for (const Recipe::Slot* slot : mine) asked.push_back(slot->slot.name);
  for (const auto& [key, value] : json.root().items()) {
    if (std::find(asked.begin(), asked.end(), key) != asked.end()) continue;
    throw InputError(json.place_of(key),
                     fmt::format("the recipe does not ask {} for `{}`{}", member_name,
                                 display_short(key), did_you_mean(key, asked)),
                     "correct the names of the slots");
  }
  for (const Recipe::Slot* slot : mine) {
    const auto it = json.root().find(slot->slot.name);
    if (it == json.root().end())
      throw InputError(json.name(), fmt::format("has no `{}`", slot->slot.name));
    const std::string at = json.place_of(slot->slot.name);
    if (!it->is_string()) throw InputError(at, fmt::format("`{}` is no text", slot->slot.name));
    out.emplace(slot->slot.name, value_for(*slot, it->get_ref<const std::string&>(), at));
  }
  return out;
}

}  // namespace flexroom
