#pragma once

#include "math/gf128.h"

namespace flexroom::support {

/// a^exponent by squaring: what powers made otherwise are held against.
inline Block gf_pow(Block a, uint64_t exponent) {
  Block out(0, 1);
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) out = math::gf_mul(out, a);
    a = math::gf_square(a);
  }
  return out;
}

}  // namespace flexroom::support
