#include "call/call_inputs.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/private_file.h"

namespace flexroom {
namespace {

constexpr size_t kMaxFileBytes = 1 << 16;

/// A parsed object whose strings are wiped in place, however reading it ends.
class WipedJson {
 public:
  explicit WipedJson(const SecretBytes& text)
      : json_(nlohmann::json::parse(text.reveal().begin(), text.reveal().end(), nullptr, false)) {}
  WipedJson(const WipedJson&) = delete;
  WipedJson& operator=(const WipedJson&) = delete;
  ~WipedJson() {
    if (!json_.is_object()) return;
    for (auto& item : json_) {
      if (!item.is_string()) continue;
      auto& text = item.get_ref<std::string&>();
      wipe(text.data(), text.size());
    }
  }
  nlohmann::json& operator*() { return json_; }
  nlohmann::json* operator->() { return &json_; }

 private:
  nlohmann::json json_;
};

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
  const std::string place = file->string();
  WipedJson json(read_private_file(
      *file, kMaxFileBytes,
      "write this member's private values there (docs/recipes.md), or pass --inputs"));
  if (!json->is_object()) {
    throw InputError(place, "is not a JSON object", "write {\"SLOT\": \"value\"}");
  }
  for (const Recipe::Slot* slot : mine) {
    const auto it = json->find(slot->slot.name);
    if (it == json->end() || !it->is_string()) {
      throw InputError(place, fmt::format("has no text `{}`", slot->slot.name));
    }
    out.emplace(slot->slot.name, value_for(*slot, it->get_ref<const std::string&>(), place));
  }
  if (json->size() != mine.size()) {
    throw InputError(place, "has values that the recipe does not ask this member for",
                     "correct the names of the slots");
  }
  return out;
}

}  // namespace flexroom
