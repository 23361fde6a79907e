#include "room/flow_proposal.h"

#include <fmt/core.h>

#include "flow/plan.h"

namespace flexroom::room {

agreement::Proposal flow_proposal(const RoomConfig& room, const FlowRequest& request,
                                  const flow::Flow& flow, std::string_view file_text,
                                  const std::map<std::string, std::string>& arguments,
                                  const flow::KnownValues& known) {
  agreement::Proposal out;
  out.kind = "flow";
  out.title = flow.name;
  out.text("room", room.name).text("provider", flow.provider).text("prefix", flow.prefix);
  if (!request.abandon.empty()) {
    out.text("run", fmt::format("{} is abandoned, and every other open run of this flow",
                                request.abandon));
    out.text("erased", "what they kept; what is left at the providers is printed");
    return out;
  }
  out.text("run", request.go_on.empty() ? "goes on with the open one, or a new one"
                                        : fmt::format("{} goes on, with this file", request.go_on));
  out.bytes("file and lists", flow.digest);
  if (!arguments.empty()) out.section("Arguments");
  for (const auto& [name, value] : arguments) out.text(name, value);
  if (!flow.born.empty()) out.section("Born secrets");
  for (const auto& [name, birth] : flow.born) {
    const std::string drawn =
        birth.alphabet
            ? fmt::format("{} characters of {}", birth.length, flow::to_string(*birth.alphabet))
            : fmt::format("one of the {} entries of {}", birth.entries.size(), birth.list);
    out.text(name, birth.suffix.empty() ? drawn : fmt::format("{}, then {}", drawn, birth.suffix));
  }
  out.section("Plan");
  out.block("plan", flow::plan_text(flow, arguments, known));
  out.section("File");
  out.block("file", file_text);
  return out;
}

}  // namespace flexroom::room
