#pragma once

#include <atomic>
#include <string>

#include "call/fetch.h"
#include "config/config.h"

namespace flexroom::room {

inline constexpr size_t kMaxResultBytes = size_t{64} << 20;
inline constexpr std::chrono::seconds kResultTimeout{30};

/// Version of what lies at this member's result link before the run, so that it is not taken for
/// its result. Empty: nothing, or no link to look at.
std::string result_before(const Provider& provider, const LinksConfig& links,
                          const std::atomic<bool>* cancel);

}  // namespace flexroom::room
