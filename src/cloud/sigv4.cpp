#include "cloud/sigv4.h"

#include <algorithm>

namespace flexroom::cloud {

std::string CredentialScope::scope() const {
  return date + "/" + region + "/" + service + "/" + terminator;
}

std::optional<CredentialScope> CredentialScope::parse(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() != 5 || parts[0].empty()) return std::nullopt;
  return CredentialScope{parts[0], parts[1], parts[2], parts[3], parts[4]};
}

PathRules path_rules(Service service) {
  return service == Service::kS3 ? PathRules{false, false} : PathRules{true, true};
}

namespace {

/// RFC 3986 §5.2.4, and empty segments dropped; a trailing slash is kept.
std::string remove_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  bool directory = true;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    directory = segment.empty() || segment == "." || segment == "..";
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!directory) {
      kept.push_back(segment);
    }
    at = end + 1;
  }
  std::string out;
  for (const std::string_view segment : kept) out += "/" + std::string(segment);
  if (out.empty() || directory) out += "/";
  return out;
}

/// Outer spaces off, inner runs of white space to one space.
std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : trim(value)) {
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (space && !out.empty() && out.back() == ' ') continue;
    out += space ? ' ' : c;
  }
  return out;
}

}  // namespace

std::string canonical_path(std::string_view raw_path, PathRules rules) {
  const std::string path = rules.normalize ? remove_dot_segments(raw_path) : std::string(raw_path);
  return percent_encode(rules.double_encode ? path : percent_decode(path), true);
}

std::string canonical_query(std::string_view raw_query) {
  Pairs pairs;
  for (const auto& [name, value] : split_query(raw_query)) {
    const std::string decoded = percent_decode(name);
    if (decoded == "X-Amz-Signature") continue;
    pairs.emplace_back(percent_encode(decoded, false),
                       percent_encode(percent_decode(value), false));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) out += (out.empty() ? "" : "&") + name + "=" + value;
  return out;
}

std::string canonical_request(const Request& request,
                              const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash, PathRules rules) {
  std::string headers;
  std::string names;
  for (const std::string& name : signed_headers) {
    std::string values;
    bool found = false;
    for (const auto& [field, value] : request.headers) {
      if (lower(field) != name) continue;
      values += (found ? "," : "") + canonical_value(value);
      found = true;
    }
    if (!found) {
      throw ApiError(400, "IncompleteSignature",
                     "'" + name + "' is named in SignedHeaders but is not a header of the request");
    }
    headers += name + ":" + values + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  return request.method + "\n" + canonical_path(request.path, rules) + "\n" +
         canonical_query(request.query) + "\n" + headers + "\n" + names + "\n" +
         std::string(payload_hash);
}

std::string string_to_sign(std::string_view date_time, const CredentialScope& scope,
                           std::string_view canonical) {
  return "AWS4-HMAC-SHA256\n" + std::string(date_time) + "\n" + scope.scope() + "\n" +
         to_hex(sha256(as_bytes(canonical)));
}

Digest signing_key(std::string_view secret, const CredentialScope& scope) {
  const std::string seed = "AWS4" + std::string(secret);
  Digest key = hmac_sha256(as_bytes(seed), as_bytes(scope.date));
  for (const std::string* part : {&scope.region, &scope.service, &scope.terminator}) {
    key = hmac_sha256(key, as_bytes(*part));
  }
  return key;
}

std::string signature(const Digest& key, std::string_view text) {
  return to_hex(hmac_sha256(key, as_bytes(text)));
}

}  // namespace flexroom::cloud
