#pragma once

#include "base/text_code.h"
#include "circuits/text.h"

namespace flexroom::circuits {

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
