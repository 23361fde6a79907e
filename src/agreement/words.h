#pragma once

#include <string>

#include "base/bytes.h"

namespace flexroom::agreement {

/// How many words stand for a key or certificate, and how many for a proposal (members.md §1.1): a
/// key that somebody would put in its place has to match one that is there, of two proposals both
/// can be chosen.
inline constexpr size_t kKeyWords = 4, kProposalWords = 8;

/// words(x): `count` (1 to 8) plain words, 11 bits each, that people compare aloud, by telephone,
/// in place of the bytes x: Argon2id of x, so that each guess at other bytes with the same words
/// costs a second and 128 MiB (members.md §1.1). Words are separated by a blank. Takes about a
/// second. x is public. Fewer words of the same x are the first ones of more.
/// Throws InputError if the memory is not there.
std::string words(ByteView x, size_t count);

}  // namespace flexroom::agreement
