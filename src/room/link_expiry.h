#pragma once

#include <ctime>
#include <optional>
#include <string_view>

namespace flexroom::room {

/// When a pre-signed link of S3 ends: X-Amz-Date plus X-Amz-Expires seconds (SigV4 query signing),
/// or Expires of the older form. Nothing if the link does not say.
std::optional<std::time_t> link_expiry(std::string_view url);

}  // namespace flexroom::room
