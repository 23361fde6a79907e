#pragma once

#include "prep/memory_safety.h"

namespace flexroom::support {

/// Counts the verdicts of class A that a member was told of (ot/verdict.h).
struct NotedSafety : prep::MemorySafety {
  void before_verdict() override { ++awaited; }
  void after_verdict() override { ++passed; }
  size_t awaited = 0, passed = 0;
};

}  // namespace flexroom::support
