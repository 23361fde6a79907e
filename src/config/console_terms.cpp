#include "config/console_terms.h"

#include <fmt/core.h>

#include "config/file_keys.h"

namespace flexroom {

ConsoleTerms ConsoleTerms::load(const TomlTable& root) {
  constexpr int64_t kLowestPort = 1024;
  ConsoleTerms out;
  if (!root.has("console")) return out;
  const TomlTable table = root.table("console");
  if (table.has("address")) {
    // A page beyond this machine needs TLS and people who sign in (members.md §9.1).
    const std::string address = table.text("address");
    if (address != "localhost" && address != "127.0.0.1" && address != "::1") {
      table.fail("address", fmt::format("'{}' is not this machine's loopback", address),
                 "leave it out: a console for other machines needs TLS and sign-in, which are not "
                 "built (docs/status.md); `ssh -L` brings it to another desk");
    }
  }
  out.port = static_cast<uint16_t>(table.integer("port", kLowestPort, 65535));
  config::finish(table, config::FileTable::kConsole);
  return out;
}

ConsoleTerms ConsoleTerms::load(const std::filesystem::path& member_file) {
  return load(TomlTable::load(member_file));
}

}  // namespace flexroom
