#pragma once

#include <filesystem>

#include "cloud/message.h"

namespace flexroom::cloud {

/// A token in a file of the state folder (0600), made at the first start, which a request must
/// bear.
class BearerToken {
 public:
  explicit BearerToken(const std::filesystem::path& file);
  /// Compared in constant time.
  bool borne_by(const Request& request) const;

 private:
  std::string expected_;  // the whole header field
};

}  // namespace flexroom::cloud
