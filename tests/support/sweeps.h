#pragma once

#include <cstddef>
#include <cstdlib>

namespace flexroom::support {

/// Tries of a random sweep: `usual` in every run, a hundred times that where `./check --long` says
/// so (FLEXROOM_LONG). Such a test has `Sweep` in its name: that is how the long run finds it.
inline size_t tries(size_t usual) {
  return std::getenv("FLEXROOM_LONG") != nullptr ? 100 * usual : usual;
}

}  // namespace flexroom::support
