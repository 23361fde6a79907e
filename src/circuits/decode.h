#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "circuits/text.h"

namespace flexroom::circuits {

/// Texts that stand for bytes (operations.md (a) `decode`; RFC 4648).
enum class TextCode : uint8_t { kHex, kBase32, kBase64 };
std::optional<TextCode> text_code_of(std::string_view name);

/// How many bytes so many characters stand for; nothing where no text has that length. Of base64
/// with `pads` characters of padding among them; the other two have none.
std::optional<uint32_t> decoded_bytes(TextCode code, uint32_t chars, uint32_t pads = 0);

/// What a text stands for, all of it from characters that are of the code's class, either case of
/// letters in hex and base32. Of base64 a '=' stands for something: the bytes behind the last whole
/// one are the caller's to leave out (padding_of()). Bits that fill the last character
/// up are dropped, as decoders of TOTP keys do. The length is one that decoded_bytes() knows.
Text decode(TextCode code, const Text& text);

/// Of a base64 text: whether '=' stands only where it may, at the end of a whole group of four, and
/// how often.
struct Padding {
  Bit fits, one_or_two, two;
};
Padding padding_of(const Text& base64);

}  // namespace flexroom::circuits
