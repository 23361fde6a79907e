#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "flow/keys.h"

namespace flexroom::flow {
namespace {

using Json = nlohmann::ordered_json;

std::string_view name_of(Table table) {
  constexpr std::array<std::string_view, 15> kNames = {
      "file",   "flow", "argument", "input",       "born",   "step", "keep", "open",
      "assert", "code", "on",       "recipe-file", "recipe", "sign", "slot"};
  return kNames[static_cast<size_t>(table)];
}

Json object_of(std::span<const Key> keys) { return config::schema_of_table(keys, name_of); }

}  // namespace

std::string json_schema() {
  Json definitions = Json::object();
  for (const Table table : {Table::kFlow, Table::kArgument, Table::kInput, Table::kBorn,
                            Table::kStep, Table::kKeep, Table::kOpen, Table::kAssert, Table::kCode,
                            Table::kRecipe, Table::kRecipeSign, Table::kRecipeSlot}) {
    definitions[std::string(name_of(table))] = object_of(keys_of(table));
  }
  definitions["on"] = {
      {"type", "object"},
      {"additionalProperties",
       {{"type", "string"},
        {"pattern",
         "^(next|stop|again|(back|after|branch) [A-Z][A-Za-z0-9]*)( x[1-9][0-9]{0,2})?$"}}}};
  Json flow_file = object_of(keys_of(Table::kFile)),
       recipe_file = object_of(keys_of(Table::kRecipeFile));
  return Json{{"$schema", "http://json-schema.org/draft-07/schema#"},
              {"title", "Flexroom flow files and recipes"},
              {"definitions", definitions},
              {"if", {{"required", Json::array({"recipe"})}}},
              {"then", recipe_file},
              {"else", flow_file}}
             .dump(2) +
         "\n";
}

}  // namespace flexroom::flow
