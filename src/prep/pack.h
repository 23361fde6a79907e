#pragma once

#include <string_view>

#include "net/party.h"
#include "prep/field_ops.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// [[x_h]] -> 128 authenticated bits each (boolean-engine.md §9.2); the inverse of pack().
///
/// Guarantee  correct or abort; x stays hidden behind 128 fresh bits
/// Cost       128 aBit(all) an element; one opening of 16 bytes an element and a tag, under `label`
/// Aborts     kMac, and what the source throws
AuthBits unpack(net::Party& party, Source& source, const AuthField& field, std::string_view label);

}  // namespace flexroom::prep
