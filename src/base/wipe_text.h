#pragma once

#include <string>

#include "base/secret.h"

namespace flexroom {

/// A short string lives in the object, a long one on the heap; both are overwritten, with what a
/// longer value left behind, and the text is empty.
inline void wipe_text(std::string& text) {
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  text.clear();
}

}  // namespace flexroom
