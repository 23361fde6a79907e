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

}  // namespace

SecretBytes private_value(const AskedValue& asked, std::string_view text, const std::string& place,
                          const Asking& asking) {
  const bool fits = asked.fill ? text.size() <= asked.length : text.size() == asked.length;
  if (!fits) {
    throw InputError(place,
                     fmt::format("`{}` has {} bytes, the {} says {}{}", asked.name, text.size(),
                                 asking.what, asked.fill ? "at most " : "", asked.length));
  }
  if (!std::all_of(text.begin(), text.end(), [&](char c) { return asked.set.contains(c); })) {
    throw InputError(place,
                     fmt::format("`{}` has a byte outside class {}", asked.name, asked.class_name));
  }
  SecretBytes out(asked.length);
  const auto rest = std::copy(text.begin(), text.end(), out.writable().begin());
  std::fill(rest, out.writable().end(), static_cast<uint8_t>(asked.fill.value_or(0)));
  return out;
}

std::map<std::string, SecretBytes> read_private_values(const std::vector<AskedValue>& asked,
                                                       const std::filesystem::path& file,
                                                       const Asking& asking) {
  PrivateJson json(file, kMaxFileBytes,
                   "write this member's private values there (docs/recipes.md), or pass --inputs",
                   "write {\"SLOT\": \"value\"}");
  std::vector<std::string> names;
  for (const AskedValue& one : asked) names.push_back(one.name);
  for (const auto& [key, value] : json.root().items()) {
    if (std::find(names.begin(), names.end(), key) != names.end()) continue;
    throw InputError(json.place_of(key),
                     fmt::format("the {} does not ask {} for `{}`{}", asking.what, asking.member,
                                 display_short(key), did_you_mean(key, names)),
                     "correct the names of the slots");
  }
  std::map<std::string, SecretBytes> out;
  for (const AskedValue& one : asked) {
    const auto it = json.root().find(one.name);
    if (it == json.root().end()) continue;
    const std::string at = json.place_of(one.name);
    if (!it->is_string()) throw InputError(at, fmt::format("`{}` is no text", one.name));
    out.emplace(one.name, private_value(one, it->get_ref<const std::string&>(), at, asking));
  }
  return out;
}

std::map<std::string, SecretBytes> load_call_inputs(
    const Recipe& recipe, const std::string& member_name,
    const std::optional<std::filesystem::path>& file) {
  std::vector<AskedValue> mine;
  for (const Recipe::Slot& declared : recipe.slots) {
    const http::Slot& slot = declared.slot;
    if (slot.source != http::SlotSource::kMember || slot.from != member_name) continue;
    mine.push_back({slot.name, slot.checked_set(), std::string(to_string(slot.char_class)),
                    slot.length, declared.fill});
  }
  if (mine.empty()) return {};
  if (!file) {
    throw InputError("recipe " + recipe.name,
                     fmt::format("asks {} for its slot '{}'", member_name, mine[0].name),
                     "pass --inputs FILE with this member's private values");
  }
  auto out = read_private_values(mine, *file, {"recipe", member_name});
  for (const AskedValue& one : mine) {
    if (out.contains(one.name)) continue;
    throw InputError(file->string(), fmt::format("has no `{}`", one.name));
  }
  return out;
}

}  // namespace flexroom
