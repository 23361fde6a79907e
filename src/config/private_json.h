#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace flexroom {

/// A JSON object in a file that nobody but its user may read: this member's share of a secret, its
/// private inputs. All of its texts are wiped at the end, however reading it ends, and errors show
/// none of them, keys only. The same key twice is refused, at any depth.
class PrivateJson {
 public:
  /// At most `max_bytes`. Throws InputError with line and column; `shape` says what such a file
  /// looks like, `missing_remedy` what to do if there is none.
  PrivateJson(const std::filesystem::path& file, size_t max_bytes, std::string_view missing_remedy,
              std::string_view shape);
  ~PrivateJson();
  PrivateJson(const PrivateJson&) = delete;
  PrivateJson& operator=(const PrivateJson&) = delete;

  nlohmann::json& root() { return root_; }
  const std::string& name() const { return name_; }
  /// "file:line:column" of a key; of the object itself if the key is not there.
  std::string place_of(const std::string& key) const;

 private:
  void parse(std::string_view shape);

  std::string name_;
  SecretBytes text_;
  nlohmann::json root_;
};

}  // namespace flexroom
