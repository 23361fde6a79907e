#include "base/text_code.h"

namespace flexroom {

std::optional<TextCode> text_code_of(std::string_view name) {
  if (name == "hex") return TextCode::kHex;
  if (name == "base32") return TextCode::kBase32;
  if (name == "base64") return TextCode::kBase64;
  return std::nullopt;
}

std::string_view to_string(TextCode code) {
  switch (code) {
    case TextCode::kHex:
      return "hex";
    case TextCode::kBase32:
      return "base32";
    case TextCode::kBase64:
      break;
  }
  return "base64";
}

uint32_t bits_of_char(TextCode code) {
  switch (code) {
    case TextCode::kHex:
      return 4;
    case TextCode::kBase32:
      return 5;
    case TextCode::kBase64:
      break;
  }
  return 6;
}

uint32_t most_decoded_bytes(TextCode code, uint32_t chars) {
  return static_cast<uint32_t>(uint64_t{chars} * bits_of_char(code) / 8);
}

std::optional<uint32_t> decoded_bytes(TextCode code, uint32_t chars, uint32_t pads) {
  const bool may_pad = code == TextCode::kBase64 && chars % 4 == 0 && pads <= 2;
  if ((pads > 0 && !may_pad) || chars <= pads) return std::nullopt;
  const uint64_t bits = uint64_t{chars - pads} * bits_of_char(code);
  // A whole character too many stands for nothing.
  if (bits < 8 || bits % 8 >= bits_of_char(code)) return std::nullopt;
  return static_cast<uint32_t>(bits / 8);
}

}  // namespace flexroom
