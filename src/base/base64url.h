#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace flexroom {

/// RFC 4648 §5 without padding, of public bytes.
std::string base64url_encode(ByteView bytes);

/// Strict: only the one text that encoding gives; nullopt for any other. Of public text.
std::optional<Bytes> base64url_decode(std::string_view text);

}  // namespace flexroom
