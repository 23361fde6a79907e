#pragma once

#include "prep/bit_supply.h"
#include "prep/field_ops.h"

namespace flexroom::prep {

/// [[x_h]] -> 128 authenticated bits each (boolean-engine.md §9.2); the inverse of pack().
///
/// Guarantee  correct or abort; x stays hidden behind 128 fresh bits
/// Cost       128 aBit(all) an element; one opening of 16 bytes an element and a tag
/// Aborts     kMac
AuthBits unpack(Context& context, const AuthField& field, std::string_view label = "unpack");

}  // namespace flexroom::prep
