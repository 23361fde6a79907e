#pragma once

#include "http/outline.h"

namespace flexroom::http {

struct JsonNode {
  enum class Kind : uint8_t { kObject, kArray, kString, kToken };
  Kind kind = Kind::kToken;
  Span text;                       // contents of a string without quotes, a token; else empty
  std::vector<Span> keys;          // of an object, contents without quotes
  std::vector<JsonNode> children;  // one for each key, or the elements
  bool operator==(const JsonNode&) const = default;
};
inline constexpr size_t kMaxJsonDepth = 64;

/// One JSON value and nothing but blanks around it, at most 64 deep. What strings and tokens hold
/// is not looked at. Throws OutlineError.
JsonNode read_json_outline(size_t size, const Marks& marks);

/// The same of a text in the clear, strict (RFC 8259): strings hold no control character and known
/// escapes only, tokens are true, false, null or numbers. A name may stand twice, and UTF-8 is not
/// looked at: that is for what selects. Throws OutlineError.
JsonNode read_json(std::string_view text);

}  // namespace flexroom::http
