#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "call/recipe.h"
#include "http/text.h"

namespace flexroom {

/// One private value of this member, as a recipe or a flow asks for it.
struct AskedValue {
  std::string name;
  http::CharSet set;
  std::string class_name;
  uint32_t length = 0;
  std::optional<char> fill = std::nullopt;  // a shorter value is filled up with it
};

/// Who asks which member, for messages: "recipe", "flow".
struct Asking {
  std::string_view what;
  std::string_view member;
};

/// The value's length and class. Throws InputError at `place`; never shows a value.
SecretBytes private_value(const AskedValue& asked, std::string_view text, const std::string& place,
                          const Asking& asking);

/// Those of the values that stand in a file of this member: a JSON object {"NAME": "value", ...}
/// that only its user can read (mode 0600). Throws InputError, for a name that nobody asks for too.
std::map<std::string, SecretBytes> read_private_values(const std::vector<AskedValue>& asked,
                                                       const std::filesystem::path& file,
                                                       const Asking& asking);

/// This member's private values for the slots that the recipe gives it, by slot, all from the file.
/// Nothing is read if the recipe has no slot of this member. Throws InputError; never shows a
/// value.
std::map<std::string, SecretBytes> load_call_inputs(
    const Recipe& recipe, const std::string& member_name,
    const std::optional<std::filesystem::path>& file);

}  // namespace flexroom
