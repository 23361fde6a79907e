#pragma once

#include "base/error.h"

namespace flexroom::prep {

/// What a boolean cheat does to LIFE beside burning the epoch (boolean-engine.md §10.2, §10.3).
/// Class A failures have no innocent cause and may be guesses of bits of a global key: nothing is
/// preprocessed with that member again before its operator decides. They count where the message of
/// one member failed towards that member, and towards all where nobody can be named.
enum class CheatEffect : uint8_t { kOneMore, kFullTowardsPeer, kFullTowardsAll };

CheatEffect cheat_effect(AbortCode code);

}  // namespace flexroom::prep
