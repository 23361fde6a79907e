#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// A table of the keys of a TOML file, and the JSON schema (for editors) that is written from it.

namespace flexroom::config {

enum class KeyType : uint8_t {
  kText,
  kInteger,
  kFlag,
  kTexts,
  kIntegers,
  kLength,  // n or [min, max]
  kTable,   // one table
  kNamed,   // [key.NAME]
  kList,    // [[key]]
  kLists,   // [[key.NAME]]
};

/// `Table`: an enumeration of the tables of a kind of file.
template <typename Table>
struct BasicKey {
  std::string_view name;
  KeyType type = KeyType::kText;
  std::string_view about;        // one sentence, for editors
  std::string_view values = {};  // of a text, or of each of several: all that it may be, parted by
                                 // '|'; empty: any
  Table table = {};              // of a kind of table: which
  bool required = false;
  int64_t min = 0, max = 0;  // of an integer; of a list of tables how many; both 0: any
};

/// The parts of `values`.
inline std::vector<std::string_view> parts_of(std::string_view values) {
  std::vector<std::string_view> out;
  while (!values.empty()) {
    const size_t end = std::min(values.find('|'), values.size());
    out.push_back(values.substr(0, end));
    values.remove_prefix(std::min(end + 1, values.size()));
  }
  return out;
}

/// The schema of one key's value. `name_of`: of a table, below #/definitions.
template <typename Table, typename NameOf>
nlohmann::ordered_json schema_of_value(const BasicKey<Table>& key, const NameOf& name_of) {
  using Json = nlohmann::ordered_json;
  const auto reference = [&]() -> Json {
    return {{"$ref", "#/definitions/" + std::string(name_of(key.table))}};
  };
  const auto list = [](Json of) -> Json { return {{"type", "array"}, {"items", std::move(of)}}; };
  switch (key.type) {
    case KeyType::kText:
      return {{"type", "string"}};
    case KeyType::kInteger:
      return {{"type", "integer"}};
    case KeyType::kFlag:
      return {{"type", "boolean"}};
    case KeyType::kTexts:
      return list({{"type", "string"}});
    case KeyType::kIntegers:
      return list({{"type", "integer"}});
    case KeyType::kLength: {
      Json pair = {
          {"type", "array"}, {"items", {{"type", "integer"}}}, {"minItems", 2}, {"maxItems", 2}};
      return {{"anyOf", Json::array({Json{{"type", "integer"}}, pair})}};
    }
    case KeyType::kTable:
      return reference();
    case KeyType::kNamed:
      return {{"type", "object"}, {"additionalProperties", reference()}};
    case KeyType::kList:
      return list(reference());
    case KeyType::kLists:
      return {{"type", "object"}, {"additionalProperties", list(reference())}};
  }
  return {};
}

/// The schema of a table with these keys and no others.
template <typename Table, typename NameOf>
nlohmann::ordered_json schema_of_table(std::span<const BasicKey<Table>> keys,
                                       const NameOf& name_of) {
  using Json = nlohmann::ordered_json;
  Json properties = Json::object(), required = Json::array();
  for (const BasicKey<Table>& key : keys) {
    Json one = schema_of_value(key, name_of);
    one["description"] = key.about;
    Json& texts = key.type == KeyType::kTexts ? one["items"] : one;
    for (const std::string_view value : parts_of(key.values)) texts["enum"].push_back(value);
    if (key.min != 0 || key.max != 0) {
      const bool list = key.type == KeyType::kList;
      one[list ? "minItems" : "minimum"] = key.min;
      one[list ? "maxItems" : "maximum"] = key.max;
    }
    properties[std::string(key.name)] = std::move(one);
    if (key.required) required.push_back(key.name);
  }
  Json out = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = required;
  return out;
}

}  // namespace flexroom::config
