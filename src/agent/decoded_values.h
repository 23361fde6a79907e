#pragma once

#include <optional>
#include <span>
#include <vector>

#include "boolean/engine.h"
#include "circuits/decode.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// A text that all members have shares of, 8 bits a byte, every byte already shown to be in the
/// class of its code.
struct EncodedValue {
  TextCode code = TextCode::kHex;
  const prep::AuthBits* text = nullptr;
};

/// ANDs of decoding a text of so many characters, at most.
uint64_t decode_ands(TextCode code, uint32_t chars);

/// What the texts stand for, as authenticated bits (operations.md (a) `decode`), in one instance
/// that is confirmed when this returns. No process ever holds one of them.
///
/// Opened     of base64 alone: whether '=' stands where it may, and how often, which is part of the
///            value's length. Of hex and base32 nothing
/// Returns    nothing where a text is none of its code: a length that no text has, or a '=' out of
///            place. Then nothing of it may be stored
/// Errors     what the engine throws
std::optional<std::vector<prep::AuthBits>> decode_values(net::Party& party, boolean::Engine& engine,
                                                         std::span<const EncodedValue> values);

}  // namespace flexroom::agent
