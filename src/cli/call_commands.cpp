#include <fmt/core.h>

#include "base/codec.h"
#include "cli/commands.h"
#include "cli/screen.h"

namespace flexroom::cli {
namespace {

/// UTF-8 without NUL: what a JSON text can hold as it is.
bool is_text(const std::string& body) {
  if (body.find('\0') != std::string::npos) return false;
  try {
    (void)nlohmann::json(body).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

int print_answer(Output& out, const ServiceAnswer& answer) {
  if (out.json()) {
    nlohmann::json headers = nlohmann::json::array();
    for (const auto& [name, value] : answer.headers) headers.push_back({name, value});
    nlohmann::json result = {{"ok", true},
                             {"status", answer.status},
                             {"headers", headers},
                             {"body_hex", to_hex(to_bytes(answer.body))}};
    if (is_text(answer.body)) result["body"] = answer.body;
    out.result(std::move(result));
  } else {
    out.body(to_bytes(answer.body));
    if (answer.refused()) out.problem(fmt::format("the service answered {}", answer.status));
  }
  return answer.refused() ? kServiceRefused : kOk;
}

CallRequest request_of(const std::filesystem::path& file,
                       const std::map<std::string, std::string>& arguments,
                       const std::optional<std::filesystem::path>& inputs) {
  return {file, arguments, inputs.value_or(std::filesystem::path())};
}

}  // namespace

int call_recipe(Output& out, const Common& common, const std::filesystem::path& file,
                const std::map<std::string, std::string>& arguments,
                const std::optional<std::filesystem::path>& inputs) {
  Joint joint(out, common);
  return print_answer(out, joint->call(request_of(file, arguments, inputs)));
}

int get_url(Output& out, const Common& common, const std::string& url,
            const std::string& provider) {
  Joint joint(out, common);
  return print_answer(out, joint->get({url, provider}));
}

int plan_recipe(Output& out, const Common& common, const std::filesystem::path& file,
                const std::map<std::string, std::string>& arguments) {
  OpenRoom room(common, true);
  const CallPlan plan = plan_call(*room, request_of(file, arguments, std::nullopt));
  show_plan(out, common, plan.summary, {});
  out.line(fmt::format("connection   {}, TLS 1.3, {}, {}", plan.address, plan.group, plan.suite));
  out.line(fmt::format("ANDs         {}: slots {}, signing key {}, handshake {}, request {}",
                       plan.ands(), plan.slot_ands, plan.signing_key_ands, plan.handshake_ands,
                       plan.request_ands));
  show_client_auth(out, plan.client_flight_ands);
  show_suites(out, plan.suites);
  show_padding(out, plan.padding);
  nlohmann::json slots = nlohmann::json::object();
  for (const CallPlan::Slot& slot : plan.slots) slots[slot.name] = slot.description;
  nlohmann::json result = plan_fields(plan.summary, {});
  result.update({{"ok", true},
                 {"ands", plan.ands()},
                 {"slot_ands", plan.slot_ands},
                 {"signing_key_ands", plan.signing_key_ands},
                 {"handshake_ands", plan.handshake_ands},
                 {"client_flight_ands", plan.client_flight_ands},
                 {"request_ands", plan.request_ands},
                 {"request_bytes", plan.request_bytes},
                 {"suite", plan.suite},
                 {"suites", suite_fields(plan.suites)},
                 {"slots", slots}});
  if (plan.padding.pad != "none") result["padding"] = padding_fields(plan.padding);
  out.result(std::move(result));
  return kOk;
}

}  // namespace flexroom::cli
