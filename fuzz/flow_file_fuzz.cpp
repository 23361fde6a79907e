#include <string>

#include "flow/flow.h"
#include "flow/plan.h"
#include "fuzz.h"

// A flow file (operations.md (a) to (c)), which comes from another member or from the web: loaded
// with a room whose provider has every host. What is accepted is planned, and reads the same again.

namespace flexroom {
namespace {

flow::RoomView any_room() {
  Provider provider;
  provider.name = "sandbox";
  provider.hosts = {"*"};
  flow::RoomView out;
  out.providers = std::vector<Provider>{provider};
  return out;
}

void load(std::string_view text) {
  const flow::Flow first = flow::parse_flow(text, "/nowhere/flow.toml", any_room());
  const flow::Flow again = flow::parse_flow(text, "/nowhere/flow.toml", any_room());
  FLEXROOM_ASSERT(first.digest == again.digest && !first.lines.empty());
  std::map<std::string, std::string> arguments;
  for (const auto& [name, argument] : first.arguments) {
    arguments[name] = argument.fallback.value_or("x");
  }
  FLEXROOM_ASSERT(!flow::plan_text(first, arguments).empty());
}

}  // namespace
}  // namespace flexroom

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  flexroom::fuzz::accepts([&] { flexroom::load(text); });
  return 0;
}
