#pragma once

#include <cstddef>
#include <cstdlib>
#include <vector>

namespace flexroom::support {

/// `./check --long`, where sweeps take all there is.
inline bool long_run() { return std::getenv("FLEXROOM_LONG") != nullptr; }

/// Tries of a random sweep: `usual` in every run, a hundred times that where `./check --long` says
/// so (FLEXROOM_LONG). Such a test has `Sweep` in its name: that is how the long run finds it.
inline size_t tries(size_t usual) { return long_run() ? 100 * usual : usual; }

/// Numbers of members that a test takes in the long run only, where the code under test is the same
/// for each of them and a test of its kind runs at that number always. For
/// INSTANTIATE_TEST_SUITE_P(LongSweep, SUITE, ::testing::ValuesIn(...)).
template <typename Room = size_t>
std::vector<Room> in_long_runs(std::vector<Room> members) {
  return long_run() ? members : std::vector<Room>{};
}

}  // namespace flexroom::support
