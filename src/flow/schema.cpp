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

Json reference(Table table) { return {{"$ref", "#/definitions/" + std::string(name_of(table))}}; }

Json type_of(const Key& key) {
  switch (key.type) {
    case KeyType::kText:
      return {{"type", "string"}};
    case KeyType::kInteger:
      return {{"type", "integer"}};
    case KeyType::kFlag:
      return {{"type", "boolean"}};
    case KeyType::kTexts:
      return {{"type", "array"}, {"items", {{"type", "string"}}}};
    case KeyType::kIntegers:
      return {{"type", "array"}, {"items", {{"type", "integer"}}}};
    case KeyType::kLength: {
      Json pair = {
          {"type", "array"}, {"items", {{"type", "integer"}}}, {"minItems", 2}, {"maxItems", 2}};
      return {{"anyOf", Json::array({Json{{"type", "integer"}}, pair})}};
    }
    case KeyType::kTable:
      return reference(key.table);
    case KeyType::kNamed:
      return {{"type", "object"}, {"additionalProperties", reference(key.table)}};
    case KeyType::kList:
      return {{"type", "array"}, {"items", reference(key.table)}};
    case KeyType::kLists:
      return {{"type", "object"},
              {"additionalProperties", {{"type", "array"}, {"items", reference(key.table)}}}};
  }
  return {};
}

Json object_of(std::span<const Key> keys) {
  Json properties = Json::object(), required = Json::array();
  for (const Key& key : keys) {
    Json one = type_of(key);
    one["description"] = key.about;
    for (std::string_view rest = key.values; !rest.empty();) {
      const size_t end = std::min(rest.find('|'), rest.size());
      one["enum"].push_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    properties[std::string(key.name)] = std::move(one);
    if (key.required) required.push_back(key.name);
  }
  Json out = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = required;
  return out;
}

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
