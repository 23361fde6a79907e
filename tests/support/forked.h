#pragma once

#include <functional>
#include <optional>

#include "base/bytes.h"

namespace flexroom::support {

/// Runs `work` in a copy of this process and gives what it returned; nothing if the copy crashed.
/// The caller has no threads running. One preparation can so serve many runs.
std::optional<Bytes> run_in_copy(const std::function<Bytes()>& work);

}  // namespace flexroom::support
