#include "call/links_text.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace flexroom {
namespace {

using nlohmann::json;

constexpr size_t kMaxText = 32768;

json of_link(const PublicLink& link) {
  return {{"host", link.public_prefix},
          {"path_bytes", link.path_bytes},
          {"query", link.public_query},
          {"tail_bytes", link.tail_bytes},
          {"says_end", link.says_end}};
}

PublicLink read_link(const json& object) {
  PublicLink out;
  object.at("host").get_to(out.public_prefix);
  object.at("query").get_to(out.public_query);
  const auto number = [&](const char* key) {
    const json& value = object.at(key);
    if (!value.is_number_unsigned()) throw InputError(key, "is no number");
    return value.get<uint64_t>();
  };
  const uint64_t path = number("path_bytes"), tail = number("tail_bytes");
  const uint64_t end = number("says_end");
  if (path > UINT32_MAX || tail > UINT32_MAX || end > INT64_MAX) {
    throw InputError("a link", "has an impossible length");
  }
  out.path_bytes = static_cast<uint32_t>(path);
  out.tail_bytes = static_cast<uint32_t>(tail);
  out.says_end = static_cast<int64_t>(end);
  return out;
}

}  // namespace

std::string public_links_text(const PublicLinks& links) {
  json out = {
      {"data", of_link(links.data)}, {"result", of_link(links.result)}, {"sealed", links.sealed}};
  if (links.carrier) out["loader"] = of_link(*links.carrier);
  return out.dump();
}

PublicLinks read_public_links(std::string_view text, const std::string& member) {
  PublicLinks out;
  out.member = member;
  bool same = false;
  try {
    const json object =
        text.size() > kMaxText ? json() : json::parse(text.begin(), text.end(), nullptr, false);
    out.data = read_link(object.at("data"));
    out.result = read_link(object.at("result"));
    object.at("sealed").get_to(out.sealed);
    if (object.contains("loader")) out.carrier = read_link(object.at("loader"));
    same = public_links_text(out) == text;
  } catch (const std::exception&) {
    same = false;
  }
  if (!same) {
    throw InputError(fmt::format("links of member {}", member), "are not written as links are",
                     "propose again; that member's program differs");
  }
  check_public_links(out);
  return out;
}

}  // namespace flexroom
