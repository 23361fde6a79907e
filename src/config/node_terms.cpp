#include "config/node_terms.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "config/config.h"
#include "config/file_keys.h"

namespace flexroom {
namespace {

constexpr int64_t kMaxStockMib = int64_t{1} << 20;
constexpr size_t kMaxPersons = 256;

NodeTerms::Person person_of(const TomlTable& table) {
  NodeTerms::Person out;
  out.name = table.text("name");
  if (!is_name(out.name)) table.fail("name", "is no name", kNameRemedy);
  out.unix = table.text("unix");
  if (!is_name(out.unix)) table.fail("unix", "is no name of a user", kNameRemedy);
  out.roles = table.texts_or_empty("roles");
  for (const std::string& role : out.roles) {
    if (role == "see" || role == "propose") continue;
    table.fail("roles", fmt::format("'{}' is none of see, propose", role),
               "a voice is given by a signature alone (docs/node.md)");
  }
  config::finish(table, config::FileTable::kPerson);
  return out;
}

}  // namespace

NodeTerms NodeTerms::load(const TomlTable& root, const std::filesystem::path& file,
                          const std::filesystem::path& state_dir) {
  NodeTerms out;
  out.socket = state_dir / "node.sock";
  if (root.has("node")) {
    const TomlTable node = root.table("node");
    if (node.has("socket")) {
      const std::filesystem::path given = node.text("socket");
      out.socket = given.is_absolute() ? given : file.parent_path() / given;
    }
    out.stock_max_mib =
        static_cast<uint32_t>(node.integer_or("stock_max_mib", out.stock_max_mib, 0, kMaxStockMib));
    out.stock_hours = node.texts_or_empty("stock_hours");
    config::finish(node, config::FileTable::kNode);
  }
  std::set<std::string> names, users;
  const std::vector<TomlTable> persons = root.tables("person");
  if (persons.size() > kMaxPersons) root.fail("person", "are too many", "at most 256");
  for (const TomlTable& table : persons) {
    out.persons.push_back(person_of(table));
    if (!names.insert(out.persons.back().name).second) table.fail("name", "stands twice");
    if (!users.insert(out.persons.back().unix).second) table.fail("unix", "stands twice");
  }
  return out;
}

}  // namespace flexroom
