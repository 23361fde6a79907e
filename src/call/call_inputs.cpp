#include "call/call_inputs.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/near_name.h"
#include "base/private_file.h"

namespace flexroom {
namespace {

constexpr size_t kMaxFileBytes = 1 << 16;

/// file:line:column of a byte.
std::string place_at(const std::string& file, std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, std::min(at, text.size()));
  const size_t start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return fmt::format("{}:{}:{}", file, std::count(before.begin(), before.end(), '\n') + 1,
                     before.size() - start + 1);
}

/// Of a key; of the file if it cannot be told.
std::string place_of(const std::string& file, std::string_view text, const std::string& key) {
  const size_t at = text.find(nlohmann::json(key).dump());
  return at == std::string_view::npos ? file : place_at(file, text, at);
}

/// A parsed object whose strings are wiped in place, however reading it ends.
class WipedJson {
 public:
  WipedJson(const SecretBytes& text, const std::string& file) {
    try {
      json_ = nlohmann::json::parse(text.reveal().begin(), text.reveal().end());
    } catch (const nlohmann::json::parse_error& error) {  // its words show the text
      throw InputError(place_at(file, as_text(text.reveal()), error.byte == 0 ? 0 : error.byte - 1),
                       "is no JSON from here on",
                       "write {\"SLOT\": \"value\"}; texts in double quotes, commas between");
    }
  }
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
  const SecretBytes content = read_private_file(
      *file, kMaxFileBytes,
      "write this member's private values there (docs/recipes.md), or pass --inputs");
  const std::string_view text = as_text(content.reveal());
  WipedJson json(content, place);
  if (!json->is_object()) {
    throw InputError(place, "is not a JSON object", "write {\"SLOT\": \"value\"}");
  }
  std::vector<std::string> asked;
  for (const Recipe::Slot* slot : mine) asked.push_back(slot->slot.name);
  for (const auto& [key, value] : json->items()) {
    if (std::find(asked.begin(), asked.end(), key) != asked.end()) continue;
    throw InputError(place_of(place, text, key),
                     fmt::format("the recipe does not ask {} for `{}`{}", member_name,
                                 display_short(key), did_you_mean(key, asked)),
                     "correct the names of the slots");
  }
  for (const Recipe::Slot* slot : mine) {
    const auto it = json->find(slot->slot.name);
    if (it == json->end()) throw InputError(place, fmt::format("has no `{}`", slot->slot.name));
    const std::string at = place_of(place, text, slot->slot.name);
    if (!it->is_string()) throw InputError(at, fmt::format("`{}` is no text", slot->slot.name));
    out.emplace(slot->slot.name, value_for(*slot, it->get_ref<const std::string&>(), at));
  }
  return out;
}

}  // namespace flexroom
