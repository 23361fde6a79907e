#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "config/key_schema.h"
#include "config/toml.h"

// The keys of a flow file (operations.md (a) to (c)), once: the parser takes no others, and the
// JSON schema for editors is written from the same table.

namespace flexroom::flow {

/// The tables of a flow file.
enum class Table : uint8_t {
  kFile,
  kFlow,
  kArgument,
  kInput,
  kBorn,
  kStep,
  kKeep,
  kOpen,
  kAssert,
  kCode,
  kOn,
  // of the older recipes (call/recipe.h), whose loader reads them by name
  kRecipeFile,
  kRecipe,
  kRecipeSign,
  kRecipeSlot,
};

using KeyType = config::KeyType;
using Key = config::BasicKey<Table>;

/// The keys of a table. Of kOn none: its keys are events.
std::span<const Key> keys_of(Table table);

/// Refuses, at its line and column, a key that the table does not have (with the nearest one that
/// it has), or of another type. Throws InputError.
void check_keys(const TomlTable& toml, Table table);

/// The JSON schema (draft-07) of flow files and of the older recipes, for editors; ends in a
/// newline. share/flows/flow.schema.json is this text.
std::string json_schema();

}  // namespace flexroom::flow
