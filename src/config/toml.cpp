#include "config/toml.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/display.h"
#include "base/near_name.h"
#include "base/private_file.h"
#include "config/text_file.h"

namespace flexroom {
namespace {

std::string at(std::string_view name, const toml::source_region& where) {
  return fmt::format("{}:{}:{}", name, where.begin.line, where.begin.column);
}

}  // namespace

TomlTable::TomlTable(std::shared_ptr<const toml::table> root, const toml::table* table,
                     std::string name)
    : root_(std::move(root)),
      table_(table),
      name_(std::move(name)),
      seen_(std::make_shared<std::set<std::string, std::less<>>>()) {}

TomlTable TomlTable::load(const std::filesystem::path& path, std::string_view missing_remedy) {
  return parse(read_own_file(path, kMaxBytes, missing_remedy), path.string());
}

TomlTable TomlTable::parse(std::string_view text, std::string_view name) {
  require_utf8_text(text, name);
  try {
    auto root = std::make_shared<const toml::table>(toml::parse(text, std::string(name)));
    const toml::table* table = root.get();
    return {std::move(root), table, std::string(name)};
  } catch (const toml::parse_error& error) {
    throw InputError(at(name, error.source()), std::string(error.description()),
                     "correct the TOML syntax there");
  }
}

std::string TomlTable::place(std::string_view key) const {
  const toml::node* node = table_->get(key);
  return at(name_, node != nullptr ? node->source() : table_->source());
}

void TomlTable::fail(std::string_view key, std::string_view problem,
                     std::string_view remedy) const {
  throw InputError(place(key), fmt::format("`{}` {}", key, problem), remedy);
}

std::string TomlTable::content(std::string_view key, const std::filesystem::path& file,
                               size_t max_bytes, std::string_view missing_remedy) const {
  try {
    return read_own_file(file, max_bytes, missing_remedy);
  } catch (const InputError& error) {
    fail(key, fmt::format("names {}, which {}", display(file.string()), error.problem()),
         error.remedy());
  }
}

const toml::node* TomlTable::find(std::string_view key, bool required) const {
  seen_->emplace(key);
  const toml::node* node = table_->get(key);
  if (node != nullptr || !required) return node;
  std::vector<std::string> there;
  for (const auto& [name, value] : *table_) there.emplace_back(name.str());
  const std::string near = near_name(key, there);
  if (!near.empty() && !seen_->contains(near)) {
    throw InputError(place(near),
                     fmt::format("unknown key `{}`; `{}` is missing", display(near), key),
                     fmt::format("did you mean `{}`?", key));
  }
  fail(key, "is missing", fmt::format("add `{} = ...`", key));
}

std::string TomlTable::text(std::string_view key) const {
  const auto value = find(key, true)->value_exact<std::string>();
  if (!value) fail(key, "is not a text", fmt::format("write {} = \"...\"", key));
  return *value;
}

std::string TomlTable::text_or(std::string_view key, std::string_view fallback) const {
  return find(key, false) == nullptr ? std::string(fallback) : text(key);
}

int64_t TomlTable::integer(std::string_view key, int64_t min, int64_t max) const {
  (void)find(key, true);
  return integer_or(key, 0, min, max);
}

int64_t TomlTable::integer_or(std::string_view key, int64_t fallback, int64_t min,
                              int64_t max) const {
  const toml::node* node = find(key, false);
  if (node == nullptr) return fallback;
  const auto value = node->value_exact<int64_t>();
  if (!value || *value < min || *value > max) {
    fail(key, fmt::format("is not an integer from {} to {}", min, max));
  }
  return *value;
}

std::string TomlTable::date(std::string_view key) const {
  const auto value = find(key, true)->value_exact<toml::date>();
  if (!value) fail(key, "is not a date", fmt::format("write {} = 2027-06-30", key));
  return fmt::format("{:04}-{:02}-{:02}", value->year, value->month, value->day);
}

bool TomlTable::flag_or(std::string_view key, bool fallback) const {
  const toml::node* node = find(key, false);
  if (node == nullptr) return fallback;
  const auto value = node->value_exact<bool>();
  if (!value) fail(key, "is neither true nor false");
  return *value;
}

std::vector<std::string> TomlTable::texts_or_empty(std::string_view key) const {
  std::vector<std::string> out;
  const toml::node* node = find(key, false);
  if (node == nullptr) return out;
  if (!node->is_array()) fail(key, "is not a list", fmt::format("write {} = [\"...\"]", key));
  for (const toml::node& item : *node->as_array()) {
    const auto value = item.value_exact<std::string>();
    if (!value) fail(key, "has an item that is not a text");
    out.push_back(*value);
  }
  return out;
}

TomlTable TomlTable::table(std::string_view key) const {
  const toml::node* node = find(key, true);
  if (!node->is_table()) fail(key, "is not a table", fmt::format("write [{}]", key));
  return {root_, node->as_table(), name_};
}

std::vector<std::pair<std::string, TomlTable>> TomlTable::named_tables(std::string_view key) const {
  std::vector<std::pair<std::string, TomlTable>> out;
  const toml::node* node = find(key, false);
  if (node == nullptr) return out;
  if (!node->is_table()) fail(key, "is not a table of tables", fmt::format("write [{}.NAME]", key));
  for (const auto& [name, item] : *node->as_table()) {
    if (!item.is_table()) fail(key, "holds something that is not a table");
    out.emplace_back(std::string(name.str()), TomlTable{root_, item.as_table(), name_});
  }
  return out;
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) const {
  std::vector<TomlTable> out;
  const toml::node* node = find(key, false);
  if (node == nullptr) return out;
  if (!node->is_array_of_tables())
    fail(key, "is not a list of tables", fmt::format("write [[{}]]", key));
  for (const toml::node& item : *node->as_array()) out.push_back({root_, item.as_table(), name_});
  return out;
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::pair<toml::source_position, std::string>> all;
  for (const auto& [key, value] : *table_) {
    all.emplace_back(key.source().begin, std::string(key.str()));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  for (auto& [where, key] : all) out.push_back(std::move(key));
  return out;
}

TomlTable::Type TomlTable::type_of(std::string_view key) const {
  const toml::node* const node = table_->get(key);
  if (node == nullptr) return Type::kNone;
  if (node->is_string()) return Type::kText;
  if (node->is_integer()) return Type::kInteger;
  if (node->is_boolean()) return Type::kFlag;
  if (node->is_table()) return Type::kTable;
  if (node->is_array_of_tables()) return Type::kTables;
  return node->is_array() ? Type::kList : Type::kOther;
}

std::vector<int64_t> TomlTable::integers(std::string_view key) const {
  const toml::node* const node = find(key, true);
  std::vector<int64_t> out;
  const auto take = [&](const toml::node& item) {
    const auto value = item.value_exact<int64_t>();
    if (!value) fail(key, "is neither an integer nor a list of integers");
    out.push_back(*value);
  };
  if (!node->is_array()) {
    take(*node);
  } else {
    for (const toml::node& item : *node->as_array()) take(item);
  }
  return out;
}

void TomlTable::finish() const {
  for (const auto& [key, value] : *table_) {
    if (!seen_->contains(key.str())) {
      const std::vector<std::string> known(seen_->begin(), seen_->end());
      throw InputError(at(name_, value.source()),
                       fmt::format("unknown key `{}`{}", display_short(key.str()),
                                   did_you_mean(key.str(), known)),
                       "remove it, or correct its spelling");
    }
  }
}

}  // namespace flexroom
