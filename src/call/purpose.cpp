#include "call/purpose.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/host_name.h"
#include "call/aws_services.h"

namespace flexroom {
namespace {

using http::Parameter;
using http::RequestModel;

constexpr size_t kMaxPurpose = 1024;
constexpr std::string_view kScheme = "https://";
constexpr std::string_view kAs = " as ";
constexpr std::string_view kKey = " key ";

std::vector<std::string> words(std::string_view text, size_t most) {
  std::vector<std::string> out;
  while (out.size() + 1 < most && text.find(' ') != std::string_view::npos) {
    const size_t end = text.find(' ');
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  out.emplace_back(text);
  return out;
}

Purpose parse_position(std::string_view purpose, std::string_view place) {
  const auto refuse = [&](std::string_view problem) {
    throw InputError(place, fmt::format("purpose '{}' {}", purpose, problem),
                     "write METHOD https://host/path POSITION, for example POST "
                     "https://api.example.com/v1/chat header authorization: Bearer {{}}; or sigv4 "
                     "SERVICE REGION, for example sigv4 ec2 us-east-1");
  };
  constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD",   "POST",
                                                        "PUT", "DELETE", "PATCH"};
  const std::vector<std::string> parts = words(purpose, 3);
  if (std::find(kMethods.begin(), kMethods.end(), parts[0]) == kMethods.end()) {
    refuse("does not begin with a method or a function");
  }
  if (parts.size() != 3) refuse("has no position");
  const std::string_view url = parts[1];
  std::string_view position = parts[2];
  const std::string_view function = function_of(position);
  if (!function.empty()) position.remove_suffix(kAs.size() + function.size());
  const size_t slash = url.find('/', kScheme.size());
  if (!url.starts_with(kScheme) || slash == std::string_view::npos ||
      url.find_first_of("?#") != std::string_view::npos) {
    refuse("does not name https://host/path without a query");
  }
  if (http::spell_path(url.substr(slash)) != url.substr(slash)) {
    refuse("has a path that is escaped where it need not be, or not where it must be");
  }
  Purpose out;
  if (function.starts_with("jwe ")) {
    out.function = Purpose::Function::kJwe;
    const size_t key = function.rfind(kKey);
    if (key != std::string_view::npos) out.key_host = function.substr(key + kKey.size());
  } else if (!function.empty()) {
    out.function = function == "totp" ? Purpose::Function::kTotp : Purpose::Function::kTotpNext;
  }
  out.host = url.substr(kScheme.size(), slash - kScheme.size());
  out.host = out.host.substr(0, out.host.find(':'));
  if (!is_host_name(out.host)) refuse("has a host that is not a lower-case DNS name");
  const bool known = position == "body" || position.starts_with("header ") ||
                     position.starts_with("query ") || position.starts_with("form ") ||
                     position.starts_with("json ");
  const size_t hole = position.find("{{}}");
  const bool one_hole =
      hole != std::string_view::npos && position.find("{{}}", hole + 4) == std::string_view::npos;
  if (!known || (position != "body" && !one_hole)) {
    refuse("has a position that is none of header, query, form, json (each with one {{}}), body");
  }
  return out;
}

std::string field_of(std::string_view kind, std::string_view name) {
  return fmt::format("{} {}", kind, name);
}

/// A position that the slot has in one of these; a name that stands there twice names nothing.
std::optional<SlotPosition> find_in(const std::vector<Parameter>& list, const http::Slot& slot,
                                    std::string_view kind, std::string_view separator,
                                    const std::string& place) {
  for (const Parameter& parameter : list) {
    if (!parameter.value.holds(slot.name)) continue;
    const auto same = std::count_if(list.begin(), list.end(),
                                    [&](const Parameter& p) { return p.name == parameter.name; });
    if (same != 1) {
      throw InputError(place, fmt::format("the name '{}' occurs more than once", parameter.name));
    }
    SlotPosition out;
    out.name = field_of(kind, parameter.name);
    out.exact = out.name + std::string(separator) + parameter.value.shown(slot.name);
    return out;
  }
  return std::nullopt;
}

/// An upper bound on the entropy of a value: its length and what its class leaves of a byte.
double most_entropy(const store::RecordMeta& secret) {
  const auto char_class = http::char_class_of(secret.value_class);
  if (!char_class) return 0;
  size_t count = 0;
  for (unsigned c = 0; c < 256; ++c) {
    count += http::char_set(*char_class).contains(static_cast<uint8_t>(c)) ? 1 : 0;
  }
  return static_cast<double>(secret.bits / 8) * std::log2(static_cast<double>(count));
}

}  // namespace

std::string_view function_of(std::string_view purpose) {
  std::string_view rest = purpose;
  const size_t key = rest.rfind(kKey);
  const bool keyed = key != std::string_view::npos && is_host_name(rest.substr(key + kKey.size()));
  if (keyed) rest = rest.substr(0, key);
  for (const std::string_view function : kSlotFunctions) {
    if (!rest.ends_with(function) || (keyed && !function.starts_with("jwe "))) continue;
    const std::string_view before = rest.substr(0, rest.size() - function.size());
    if (before.ends_with(kAs)) return purpose.substr(before.size());
  }
  return {};
}

Purpose parse_purpose(std::string_view purpose, std::string_view place) {
  if (purpose.size() > kMaxPurpose || !std::all_of(purpose.begin(), purpose.end(), [](char c) {
        return http::printable().contains(c);
      })) {
    throw InputError(place, "a purpose is longer than 1,024 bytes or is not printable ASCII");
  }
  const std::vector<std::string> parts = words(purpose, 4);
  if (parts[0] == "hmac-sha256") {
    throw InputError(place, fmt::format("function '{}' is not built yet", parts[0]),
                     "docs/status.md says what is");
  }
  if (parts[0] != "sigv4") return parse_position(purpose, place);
  const AwsService* const service = parts.size() == 3 ? aws_service(parts[1]) : nullptr;
  if (service == nullptr || !is_aws_region(parts[2]) ||
      (service->global && parts[2] != kAwsGlobalRegion)) {
    throw InputError(
        place,
        fmt::format("purpose '{}' names no service and region that can be signed for", purpose),
        fmt::format("write sigv4 SERVICE REGION with one of {}, for example sigv4 "
                    "ec2 us-east-1",
                    aws_service_names()));
  }
  Purpose out;
  out.function = Purpose::Function::kSigV4;
  out.service = parts[1];
  out.region = parts[2];
  out.host = aws_host(*service, out.region);
  return out;
}

void check_secret_terms(const store::RecordMeta& secret,
                        const std::function<bool(std::string_view host)>& serves,
                        std::string_view place) {
  if (static_cast<double>(secret.entropy) > most_entropy(secret)) {
    throw InputError(place,
                     fmt::format("claims {} bits of entropy; {} bytes of class {} hold {:.0f} at "
                                 "most",
                                 secret.entropy, secret.bits / 8, secret.value_class,
                                 std::floor(most_entropy(secret))),
                     "entropy is how many bits an attacker would have to guess");
  }
  if (!secret.purposes.empty() && secret.provider.empty()) {
    throw InputError(place, "has purposes, but names no provider",
                     "write \"provider\": the [provider.NAME] of room.toml whose hosts may get it");
  }
  for (const std::string& text : secret.purposes) {
    const Purpose purpose = parse_purpose(text, place);
    for (const std::string& host : {purpose.host, purpose.key_host}) {
      if (host.empty() || serves(host)) continue;
      throw InputError(
          place,
          fmt::format("purpose '{}' is at host '{}', which is none of provider '{}'", text, host,
                      secret.provider),
          fmt::format("`hosts` of [provider.{}] in room.toml lists them", secret.provider));
    }
    if (purpose.function == Purpose::Function::kSigV4) {
      check_signing_secret(secret, purpose.service, purpose.region);
    }
  }
}

bool may_sign_for(const std::vector<std::string>& purposes, std::string_view service,
                  std::string_view region) {
  constexpr std::string_view kSign = "sigv4 ";
  return std::any_of(purposes.begin(), purposes.end(), [&](const std::string& purpose) {
    const size_t blank = purpose.rfind(' ');
    if (!purpose.starts_with(kSign) || blank < kSign.size()) return false;
    if (purpose.substr(blank + 1) != region) return false;
    const std::string services = "," + purpose.substr(kSign.size(), blank - kSign.size()) + ",";
    return !service.empty() && service.find(',') == std::string_view::npos &&
           services.find("," + std::string(service) + ",") != std::string::npos;
  });
}

void check_signing_secret(const store::RecordMeta& secret, std::string_view service,
                          std::string_view region) {
  const std::string place = fmt::format("secret '{}'", secret.name);
  const std::string purpose = fmt::format("sigv4 {} {}", service, region);
  if (!may_sign_for(secret.purposes, service, region)) {
    throw InputError(place, fmt::format("may not sign: '{}' is none of its purposes", purpose),
                     secret.purposes.empty()
                         ? "a secret without purposes is usable nowhere; import it again with "
                           "\"purposes\": [\"" +
                               purpose + "\"]"
                         : "`flexroom secret show` lists its purposes");
  }
  if (secret.entropy < kSigningEntropy) {
    throw InputError(place,
                     fmt::format("may not sign: it claims {} bits of entropy, and a signature "
                                 "needs {}",
                                 secret.entropy, kSigningEntropy),
                     "a key that can be guessed is found from what signing opens "
                     "(tls-in-mpc.md §3.4(i)); if its issuer drew it at random, import it with "
                     "\"entropy\"");
  }
  if (secret.bits == 0 || secret.bits % 8 != 0 || secret.bits / 8 > kMaxSigningKeyBytes) {
    throw InputError(place, fmt::format("may not sign: it has {} bytes, a signing key has 1 to {}",
                                        secret.bits / 8, kMaxSigningKeyBytes));
  }
}

void check_totp_secret(const store::RecordMeta& secret) {
  const std::string place = fmt::format("secret '{}'", secret.name);
  if (secret.entropy < kSigningEntropy) {
    throw InputError(place,
                     fmt::format("may not make a code here: it claims {} bits of entropy, and an "
                                 "open answer needs {}",
                                 secret.entropy, kSigningEntropy),
                     "a key that can be guessed is found from the codes that it makes "
                     "(tls-in-mpc.md §3.4(i))");
  }
  if (secret.bits == 0 || secret.bits % 8 != 0 || secret.bits / 8 > kMaxTotpKeyBytes) {
    throw InputError(place, fmt::format("may not make a code: it has {} bytes, the key of TOTP has "
                                        "1 to {}",
                                        secret.bits / 8, kMaxTotpKeyBytes));
  }
}

std::string call_address(const http::RequestModel& request) {
  const std::string port = request.port == 443 ? "" : fmt::format(":{}", request.port);
  return fmt::format("{} https://{}{}{}", request.method, request.host, port, request.path_text());
}

SlotPosition slot_position(const http::RequestModel& request, const http::Slot& slot) {
  const std::string place = fmt::format("request to {}, slot '{}'", request.host, slot.name);
  const std::string_view body = request.body_kind == RequestModel::Body::kJson ? "json" : "form";
  if (auto found = find_in(request.headers, slot, "header", ": ", place)) return *found;
  if (auto found = find_in(request.query, slot, "query", "=", place)) return *found;
  if (auto found = find_in(request.body, slot, body, "=", place)) return *found;
  if (request.opaque && request.opaque->shown(slot.name) == "{{}}") return {"body", "body"};
  throw InputError(place, "the position of this slot cannot be named",
                   "slots stand in headers, query parameters, form fields and JSON strings");
}

}  // namespace flexroom
