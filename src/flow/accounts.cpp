#include "flow/accounts.h"

#include <fmt/core.h>

namespace flexroom::flow {

std::string account_of_kept(const Step& step, const Selector& at) {
  const std::string host = "kept " + step.host;
  if (at.kind == Selector::Kind::kCookie) {
    const std::string path = at.path.empty() ? "/" : at.path;
    return fmt::format("{} cookie {} path {} domain {}", host, at.name, path,
                       at.domain.empty() ? step.host : at.domain);
  }
  if (at.kind == Selector::Kind::kHeader) return fmt::format("{} header {}", host, at.name);
  // A string, a number and an element are one place; a pattern's is the body.
  std::string out = host + " body";
  if (at.in_item && step.item) {
    for (const std::string& name : step.item->array) out += "/" + name;
    out += "/*";
  }
  for (const std::string& name : at.steps) {
    // A number may be the index of the element that `item` finds.
    out += name.find_first_not_of("0123456789") == std::string::npos ? "/*" : "/" + name;
  }
  return out;
}

std::string member_of(const std::string& text,
                      const std::map<std::string, std::string>& arguments) {
  const auto names = names_in(text).value_or(std::vector<std::string>());
  const auto given = names.empty() ? arguments.end() : arguments.find(names.front());
  return given == arguments.end() ? text : given->second;
}

namespace {

std::optional<std::string> behind(std::string_view kind, const std::string& source) {
  if (!source.starts_with(kind)) return std::nullopt;
  return source.substr(kind.size());
}

}  // namespace

std::optional<std::string> prefix_of_source(const std::string& source) {
  return behind("room:", source);
}

std::optional<std::string> secret_of_source(const std::string& source) {
  return behind("secret:", source);
}

bool is_of_member(const Input& input, const std::map<std::string, std::string>& arguments) {
  const std::string source = member_of(input.from, arguments);
  return !prefix_of_source(source) && !secret_of_source(source);
}

std::string account_of_input(const Input& input,
                             const std::map<std::string, std::string>& arguments) {
  return fmt::format("input {} {}", member_of(input.from, arguments),
                     input.kind.empty() ? "other" : input.kind);
}

}  // namespace flexroom::flow
