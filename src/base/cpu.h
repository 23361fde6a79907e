#pragma once

#include <cpuid.h>

namespace flexroom {

/// Wide kernels this CPU (and its operating system) can run. Asked of CPUID because the names that
/// __builtin_cpu_supports takes differ between compilers.
struct CpuFeatures {
  bool vaes256 = false;     // AVX2 and VAES
  bool vaes512 = false;     // AVX-512 F, BW and VAES
  bool vpclmul256 = false;  // AVX2 and VPCLMULQDQ
  bool vpclmul512 = false;  // AVX-512 F and VPCLMULQDQ
  bool gfni512 = false;     // AVX-512 F, BW, VBMI and GFNI
};

/// What cpu_features() answers. Tests take features away, to call the kernels of other CPUs;
/// nothing else writes it.
inline CpuFeatures& cpu_features_in_use() {
  static CpuFeatures features = [] {
    CpuFeatures out;
    unsigned a = 0, b = 0, c = 0, d = 0;
    // The builtin also checks that the system saves the wide registers.
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return out;
    const bool avx2 = __builtin_cpu_supports("avx2") != 0;
    out.vaes256 = avx2 && (c >> 9 & 1) != 0;
    out.vpclmul256 = avx2 && (c >> 10 & 1) != 0;
    if (!__builtin_cpu_supports("avx512f")) return out;
    const bool bw = (b >> 30 & 1) != 0;
    out.vaes512 = bw && (c >> 9 & 1) != 0;
    out.vpclmul512 = (c >> 10 & 1) != 0;
    out.gfni512 = bw && (c >> 1 & 1) != 0 && (c >> 8 & 1) != 0;
    return out;
  }();
  return features;
}

inline const CpuFeatures& cpu_features() { return cpu_features_in_use(); }

}  // namespace flexroom
