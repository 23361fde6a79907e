#pragma once

#include <toml++/toml.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"

namespace flexroom {

/// A TOML table that is read strictly: every error names file, line and column; keys that nobody
/// asked for are refused by finish(), so that a typing error cannot silently change a policy.
class TomlTable {
 public:
  static constexpr size_t kMaxBytes = size_t{1} << 20;
  /// Parses a file of at most kMaxBytes. Throws InputError with line and column, or with
  /// `missing_remedy` if there is no such file.
  static TomlTable load(const std::filesystem::path& path,
                        std::string_view missing_remedy = "check the path");
  static TomlTable parse(std::string_view text, std::string_view name);

  bool has(std::string_view key) const { return table_->contains(key); }
  std::string text(std::string_view key) const;
  std::string text_or(std::string_view key, std::string_view fallback) const;
  int64_t integer(std::string_view key, int64_t min, int64_t max) const;
  int64_t integer_or(std::string_view key, int64_t fallback, int64_t min, int64_t max) const;
  /// A date without time, as "2027-06-30".
  std::string date(std::string_view key) const;
  bool flag_or(std::string_view key, bool fallback) const;
  std::vector<std::string> texts_or_empty(std::string_view key) const;
  TomlTable table(std::string_view key) const;
  /// Sub-tables of a table of tables ([provider.NAME]), with their names, in order of the file.
  std::vector<std::pair<std::string, TomlTable>> named_tables(std::string_view key) const;
  /// [[key]] ...; empty if there is none.
  std::vector<TomlTable> tables(std::string_view key) const;
  /// All keys, in the order of the file.
  std::vector<std::string> keys() const;
  enum class Type : uint8_t { kNone, kText, kInteger, kFlag, kList, kTable, kTables, kOther };
  /// kNone: the key is not there. A list of tables alone, not empty, is kTables.
  Type type_of(std::string_view key) const;
  /// The integers of a list; of a single one that alone.
  std::vector<int64_t> integers(std::string_view key) const;
  /// Refuses keys that were never read.
  void finish() const;
  /// The content of `file`, which `key` names, with the rules of read_own_file(); what is wrong
  /// with it is said where the key stands.
  std::string content(std::string_view key, const std::filesystem::path& file, size_t max_bytes,
                      std::string_view missing_remedy) const;
  [[noreturn]] void fail(std::string_view key, std::string_view problem,
                         std::string_view remedy = "") const;
  /// file:line:column of a key (of the table itself if the key is not there).
  std::string place(std::string_view key) const;

 private:
  TomlTable(std::shared_ptr<const toml::table> root, const toml::table* table, std::string name);
  const toml::node* find(std::string_view key, bool required) const;
  std::shared_ptr<const toml::table> root_;
  const toml::table* table_;
  std::string name_;
  std::shared_ptr<std::set<std::string, std::less<>>> seen_;
};

}  // namespace flexroom
