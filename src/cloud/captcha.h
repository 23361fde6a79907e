#pragma once

#include <ctime>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "cloud/web.h"

namespace flexroom::cloud {

/// Pictures of six characters for a person to read. Not thread-safe.
class Captchas {
 public:
  /// Returns the id; the answer is recorded.
  std::string make(const Visit& visit, std::time_t now);
  /// {"id", "image"}, the image a data: URL of a PNG. Throws ApiError(404) for an id that is
  /// unknown, over or answered.
  Response image(const std::string& id, unsigned lifetime_s, std::time_t now);
  /// True once, for the right answer in time, in either case; a wrong one ends it too.
  bool solve(const std::string& id, const std::string& answer, unsigned lifetime_s,
             std::time_t now);
  /// The form of id and answer to the one that the session was shown, `held`, which is over then.
  /// Throws ApiError(400) if it is not solved.
  void redeem(const Visit& visit, std::string& held, unsigned lifetime_s, std::time_t now);

 private:
  struct One {
    std::string answer, image;
  };
  Tokens<One> all_;
};

/// A PNG of one bit a pixel (1: black), rows of whole bytes; as stored blocks, uncompressed.
Bytes png(size_t width, size_t height, const Bytes& rows);
/// A gzip member (RFC 1952) of stored blocks.
std::string gzip(std::string_view text);

}  // namespace flexroom::cloud
