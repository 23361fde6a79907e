#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace flexroom {

// Decoding is strict: of each string of bytes only the one text that encoding gives, without white
// space; nothing for any other. No branch or index depends on the bytes (libsodium's codecs).

/// RFC 4648 §4, padded.
std::string base64_encode(ByteView bytes);
std::optional<Bytes> base64_decode(std::string_view text);

/// RFC 4648 §5, without padding.
std::string base64url_encode(ByteView bytes);
std::optional<Bytes> base64url_decode(std::string_view text);

}  // namespace flexroom
