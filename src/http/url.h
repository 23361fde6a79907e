#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flexroom::http {

/// An absolute https URL, split and checked, nothing decoded or normalised.
struct Url {
  std::string host;
  uint16_t port = 443;
  std::string path = "/";  // begins with '/'
  std::string query;       // without '?'
  bool has_query = false;

  /// What stands in a request line.
  std::string target() const { return has_query ? path + "?" + query : path; }
  /// What stands in a Host header.
  std::string authority() const { return port == 443 ? host : host + ":" + std::to_string(port); }
};

/// Accepts `https://host[:port][/path][?query]` with a lower-case DNS name, characters of RFC 3986
/// and whole %XX triplets; no user info, no fragment, no IP address. Throws InputError naming
/// `place`.
Url parse_url(std::string_view text, std::string_view place);

}  // namespace flexroom::http
