#include "http/sigv4.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "base/error.h"

namespace flexroom::http {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

// RFC 3986 §5.2.4, and runs of '/' made one, as the services other than S3 do.
std::string normalise_path(std::string_view path) {
  std::vector<std::string_view> kept;
  const bool directory = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
    at = end + 1;
  }
  std::string out;
  for (const std::string_view segment : kept) out.append("/").append(segment);
  if (out.empty() || directory) out += '/';
  return out;
}

std::string decoded(std::string_view text) {
  return percent_decode(text).value_or(std::string(text));
}

}  // namespace

std::string amz_date(SystemTime time) {
  const time_t seconds = std::chrono::system_clock::to_time_t(time);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

SystemTime parse_amz_date(std::string_view text, std::string_view place) {
  tm parts{};
  const std::string copy(text);
  const char* const end =
      copy.size() == 16 ? strptime(copy.c_str(), "%Y%m%dT%H%M%SZ", &parts) : nullptr;
  const SystemTime time =
      end == nullptr ? SystemTime() : std::chrono::system_clock::from_time_t(timegm(&parts));
  if (end == nullptr || *end != 0 || amz_date(time) != text) {
    throw InputError(place, "is not a time like 20250902T100000Z");
  }
  return time;
}

std::string SigV4Scope::text() const {
  return date() + "/" + region + "/" + service + "/aws4_request";
}

std::string canonical_path(std::string_view path, const PathRules& rules) {
  const std::string whole = rules.normalise ? normalise_path(path) : std::string(path);
  return percent_encode(rules.double_encode ? whole : decoded(whole), true);
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  for (size_t at = 0; at < query.size();) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string_view one = query.substr(at, end - at);
    const size_t equals = one.find('=');
    const std::string_view value = equals == std::string_view::npos ? "" : one.substr(equals + 1);
    if (!one.empty()) {
      parameters.emplace_back(percent_encode(decoded(one.substr(0, equals))),
                              percent_encode(decoded(value)));
    }
    at = end + 1;
  }
  std::sort(parameters.begin(), parameters.end());
  std::string out;
  for (const auto& [name, value] : parameters) {
    out.append(out.empty() ? "" : "&").append(name).append("=").append(value);
  }
  return out;
}

std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!blank) {
      out.push_back(c);
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

CanonicalHeaders canonical_headers(const Headers& headers) {
  std::map<std::string, std::string> joined;
  for (const auto& [name, value] : headers) {
    const auto [it, is_new] = joined.try_emplace(to_lower(name));
    it->second.append(is_new ? "" : ",").append(canonical_value(value));
  }
  CanonicalHeaders out;
  for (const auto& [name, value] : joined) {
    out.lines.append(name).append(":").append(value).append("\n");
    out.signed_names.append(out.signed_names.empty() ? "" : ";").append(name);
  }
  return out;
}

std::string canonical_request_head(std::string_view method, std::string_view path,
                                   std::string_view query, const Headers& headers,
                                   const PathRules& rules) {
  const CanonicalHeaders canonical = canonical_headers(headers);
  std::string out(method);
  out.append("\n").append(canonical_path(path, rules));
  out.append("\n").append(canonical_query(query));
  out.append("\n").append(canonical.lines);
  out.append("\n").append(canonical.signed_names).append("\n");
  return out;
}

std::string string_to_sign_head(const SigV4Scope& scope) {
  return std::string(kAlgorithm) + "\n" + scope.date_time + "\n" + scope.text() + "\n";
}

}  // namespace flexroom::http
