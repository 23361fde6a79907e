#pragma once

#include <span>
#include <vector>

#include "prep/epoch.h"

namespace flexroom::support {

/// Epoch states of n parties as an honest set-up would leave them, without running it (no base OT):
/// for tests that need many sessions. State i belongs to party i.
std::vector<prep::EpochState> deal_epoch(size_t num_parties, unsigned subfield_bits = 4,
                                         uint64_t seed = 11);

/// Puts zeros at slot 0 and leaf x at slot x + alpha_v: what the COT sender keeps of `leaves`.
BlockVec punctured(std::span<const Block> leaves, unsigned subfield_bits, const Block& delta);

}  // namespace flexroom::support
