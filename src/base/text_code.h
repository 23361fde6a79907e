#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace flexroom {

/// Texts that stand for bytes (operations.md (a) `decode`; RFC 4648).
enum class TextCode : uint8_t { kHex, kBase32, kBase64 };

std::optional<TextCode> text_code_of(std::string_view name);
std::string_view to_string(TextCode code);

/// How many bits a character stands for.
uint32_t bits_of_char(TextCode code);

/// How many whole bytes so many characters stand for at most, be it that no text has that length.
uint32_t most_decoded_bytes(TextCode code, uint32_t chars);

/// How many bytes so many characters stand for; nothing where no text has that length. Of base64
/// with `pads` characters of padding among them; the other two have none.
std::optional<uint32_t> decoded_bytes(TextCode code, uint32_t chars, uint32_t pads = 0);

}  // namespace flexroom
