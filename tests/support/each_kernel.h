#pragma once

#include <gtest/gtest.h>

#include "base/cpu.h"

namespace flexroom::support {

/// Runs `body` once with every width of kernel that this CPU has: as it is, without registers of
/// 512 bits, and without those of 256 either. No other thread may run meanwhile.
template <typename Body>
void with_each_kernel(Body body) {
  struct Restore {
    CpuFeatures features = cpu_features();
    ~Restore() { cpu_features_in_use() = features; }
  } const before;
  CpuFeatures& now = cpu_features_in_use();
  {
    SCOPED_TRACE("all kernels");
    body();
  }
  now.vaes512 = now.vpclmul512 = now.gfni512 = false;
  {
    SCOPED_TRACE("without 512 bits");
    body();
  }
  now = {};
  SCOPED_TRACE("without 256 bits");
  body();
}

}  // namespace flexroom::support
