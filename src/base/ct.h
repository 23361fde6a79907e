#pragma once

#include "base/block.h"
#include "base/bytes.h"

namespace flexroom {

/// Equality in time that depends on the (public) lengths only.
bool ct_equal(ByteView a, ByteView b);

inline bool ct_equal(const Block& a, const Block& b) {
  const __m128i d = _mm_xor_si128(a.m(), b.m());
  return _mm_testz_si128(d, d) != 0;
}

/// Tells valgrind that memory is secret (undefined), so that a branch or an index that depends on
/// it is reported. No effect outside valgrind.
void mark_secret(const void* data, size_t size);
/// Ends mark_secret for a value that the protocol makes public here.
void declassify(const void* data, size_t size);

}  // namespace flexroom
