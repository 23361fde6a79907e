#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "http/sigv4.h"
#include "http/template.h"

namespace flexroom {

/// An agreed API call whose answer is open to all members (product.md §5, `open = "everything to
/// all"`). Text with holes: `{{NAME}}` for the recipe's own public arguments, `{{amz-date}}`,
/// `{{amz-day}}` and `{{content-length}}`, and `{{signature}}` for a SigV4 signature with a stored
/// key.
///
/// Open mode is for answers without secrets: a signed recipe may make only the actions of
/// open_actions() (tls-in-mpc.md §4.6, R2-3). Anything with a secret or private slot needs a sealed
/// connection and is refused.
struct Recipe {
  std::string name;
  std::string provider;
  std::string host;
  std::string request;                           // raw text
  std::map<std::string, std::string> arguments;  // with defaults; empty: must be given
  struct Sign {
    std::string secret, region, service;
  };
  std::optional<Sign> sign;
  Digest digest{};  // of the file

  /// Throws InputError with line and column.
  static Recipe load(const std::filesystem::path& path);
};

/// The recipe with its arguments filled in, validated.
struct OpenCall {
  http::Template request;
  std::string method;
  size_t bytes = 0;
  std::optional<size_t> signature_offset;
  std::optional<http::SigV4Plan> signing;
  Bytes text() const;  // zeros in place of the signature
};
/// `given` NAME=VALUE; `date_time` as X-Amz-Date. Throws InputError.
OpenCall fill_recipe(const Recipe& recipe, const std::map<std::string, std::string>& given,
                     const std::string& date_time);

/// "service:Action" pairs whose answers hold no secret of the account or the request.
bool is_open_action(std::string_view service, std::string_view action);

}  // namespace flexroom
