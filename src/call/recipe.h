#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "http/template.h"

namespace flexroom {

/// An agreed API call whose answer is open to all members (product.md §5, `open = "everything to
/// all"`; docs/recipes.md). Text with holes: `{{NAME}}` for the recipe's own public arguments,
/// `{{content-length}}`, `{{amz-date}}` and `{{amz-day}}` in the header lines of a signed request,
/// `{{signature}}` for a SigV4 signature with a stored key, and its slots: stored secrets, members'
/// private values, nonces.
struct Recipe {
  struct Sign {
    std::string secret, region, service;
    /// A file without `secret`: the key is the one that a flow left in the room for the provider,
    /// and `{{access-key-id}}` its id, which whoever fills the recipe gives with the arguments.
    bool names_key() const { return !secret.empty(); }
  };
  static constexpr const char* kAccessKeyId = "access-key-id";
  struct Slot {
    http::Slot slot;
    std::optional<char> fill;  // kMember: the member fills a shorter value up with it
    bool echo_ok = false;      // kMember: all members may read it, should an answer repeat it
    std::string place;         // file:line:column
  };
  std::string name;
  std::string provider;
  std::string host;
  std::string request;                           // raw text
  std::map<std::string, std::string> arguments;  // with defaults; empty: must be given
  std::optional<Sign> sign;
  std::vector<Slot> slots;
  std::string request_place;  // file:line:column of the request
  Digest digest{};            // of the file

  /// parse() of a file, which is read once, with the rules of read_own_file().
  static Recipe load(const std::filesystem::path& path);
  /// `name` stands in messages only: the digest, too, is of `text`. Throws InputError with line and
  /// column.
  static Recipe parse(std::string_view text, std::string_view name);
};

}  // namespace flexroom
