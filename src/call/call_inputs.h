#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/secret.h"
#include "call/recipe.h"

namespace flexroom {

/// This member's private values for the slots that the recipe gives it, by slot: a JSON object
/// {"SLOT": "value", ...} in a file that only its user can read (mode 0600). A value has the slot's
/// length, or less if the recipe names a character to fill up with. Nothing is read if the recipe
/// has no slot of this member. Throws InputError; never shows a value.
std::map<std::string, SecretBytes> load_call_inputs(
    const Recipe& recipe, const std::string& member_name,
    const std::optional<std::filesystem::path>& file);

}  // namespace flexroom
