#include "flexroom/recipe.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "flexroom/toml.h"

namespace flexroom {
namespace {

constexpr std::string_view kOpen = "everything to all";

// Documented answers of these actions: ids, states and descriptions, no credentials, no user data
// (tls-in-mpc.md §4.6 R2-3 lists what may never be here).
constexpr std::array<std::string_view, 9> kOpenActions = {
    "ec2:RunInstances",    "ec2:DescribeInstances",      "ec2:TerminateInstances",
    "ec2:DescribeImages",  "ec2:DescribeKeyPairs",       "ec2:DescribeSecurityGroups",
    "ec2:DescribeRegions", "ec2:DescribeInstanceStatus", "sts:GetCallerIdentity"};

void replace_all(std::string& text, const std::string& hole, std::string_view value) {
  for (size_t at = text.find(hole); at != std::string::npos; at = text.find(hole, at)) {
    text.replace(at, hole.size(), value);
    at += value.size();
  }
}

bool is_argument_value(std::string_view value) {
  return value.size() <= 512 && std::all_of(value.begin(), value.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~';
         });
}

std::string action_of(std::string_view body, const std::string& place) {
  constexpr std::string_view kKey = "Action=";
  std::string action;
  for (size_t at = 0; at <= body.size();) {
    const size_t stop = std::min(body.find('&', at), body.size());
    const std::string_view field = body.substr(at, stop - at);
    if (field.starts_with(kKey)) {
      if (!action.empty()) throw InputError(place, "the body names two actions");
      action = std::string(field.substr(kKey.size()));
    }
    at = stop + 1;
  }
  return action;
}

}  // namespace

bool is_open_action(std::string_view service, std::string_view action) {
  const std::string name = fmt::format("{}:{}", service, action);
  return std::find(kOpenActions.begin(), kOpenActions.end(), name) != kOpenActions.end();
}

Recipe Recipe::load(const std::filesystem::path& path) {
  const TomlTable root = TomlTable::load(path);
  const TomlTable table = root.table("recipe");
  Recipe out;
  out.name = table.text("name");
  out.provider = table.text("provider");
  out.host = table.text("host");
  out.request = table.text("request");
  if (table.text_or("open", "") != kOpen) {
    table.fail("open", "is not \"everything to all\"",
               "answers that stay sealed are not built yet (docs/status.md); write open = "
               "\"everything to all\" if all members may read the whole answer");
  }
  table.finish();
  for (const auto& [name, argument] : root.named_tables("argument")) {
    out.arguments[name] = argument.text_or("default", "");
    argument.finish();
  }
  if (root.has("sign")) {
    const TomlTable sign = root.table("sign");
    out.sign = Sign{sign.text("secret"), sign.text("region"), sign.text("service")};
    sign.finish();
  }
  if (root.has("slot")) {
    root.fail("slot", "declares secret or private slots",
              "a request with such a slot needs a sealed connection, which is not built yet "
              "(docs/status.md)");
  }
  root.finish();
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  out.digest = sha256(as_bytes(text));
  return out;
}

OpenCall fill_recipe(const Recipe& recipe, const std::map<std::string, std::string>& given,
                     const std::string& date_time) {
  const std::string place = "recipe " + recipe.name;
  std::string text = recipe.request;
  for (const auto& [name, value] : given) {
    if (!recipe.arguments.contains(name)) {
      throw InputError(place, fmt::format("has no argument '{}'", name),
                       "the recipe declares its arguments as [argument.NAME]");
    }
    if (!is_argument_value(value)) {
      throw InputError(fmt::format("argument {}", name), "has a character that is not allowed",
                       "use letters, digits and - _ . ~");
    }
  }
  for (const auto& [name, fallback] : recipe.arguments) {
    const auto it = given.find(name);
    const std::string& value = it == given.end() ? fallback : it->second;
    if (value.empty()) {
      throw InputError(place, fmt::format("needs argument '{}'", name),
                       fmt::format("pass --arg {}=VALUE", name));
    }
    if (!is_argument_value(value)) throw InputError(place, "has a default that is not allowed");
    replace_all(text, "{{" + name + "}}", value);
  }
  replace_all(text, "{{amz-date}}", date_time);
  replace_all(text, "{{amz-day}}", date_time.substr(0, 8));

  std::vector<http::Slot> slots;
  if (recipe.sign) {
    http::Slot signature;
    signature.name = "signature";
    signature.source = http::SlotSource::kComputed;
    signature.from = "sigv4";
    signature.char_class = http::CharClass::kHex;
    signature.length = 64;
    slots.push_back(signature);
  }
  OpenCall out;
  out.request = http::template_from_text(recipe.host, 443, text, slots);
  http::validate(out.request);
  out.method = out.request.method;
  out.bytes = out.request.size();
  size_t at = 0;
  for (const http::Part& part : out.request.parts) {
    if (const auto* bytes = std::get_if<Bytes>(&part)) {
      at += bytes->size();
    } else {
      out.signature_offset = at;
      at += std::get<http::Slot>(part).encoded_length();
    }
  }
  if (recipe.sign) {
    out.signing = http::plan_sigv4(out.request);
    const std::string whole = to_text(out.text());
    const std::string action =
        action_of(std::string_view(whole).substr(whole.find("\r\n\r\n") + 4), place);
    if (!is_open_action(recipe.sign->service, action)) {
      throw InputError(place,
                       fmt::format("'{}:{}' is not on the list of actions whose answer may be open",
                                   recipe.sign->service, action),
                       "its answer could hold a secret and needs a sealed connection, which is not "
                       "built yet (docs/status.md)");
    }
  }
  return out;
}

Bytes OpenCall::text() const {
  Bytes out;
  for (const http::Part& part : request.parts) {
    if (const auto* known = std::get_if<Bytes>(&part)) {
      append(out, *known);
    } else {
      out.resize(out.size() + std::get<http::Slot>(part).encoded_length());
    }
  }
  return out;
}

}  // namespace flexroom
