#pragma once

#include "base/block.h"
#include "base/bytes.h"

namespace flexroom {

/// Equality in time that depends on the (public) lengths only. The result is public.
bool ct_equal(ByteView a, ByteView b);

bool ct_equal(const Block& a, const Block& b);

/// Tells valgrind that memory is secret (undefined), so that a branch or an index that depends on
/// it is reported. No effect outside valgrind.
void mark_secret(const void* data, size_t size);
/// Ends mark_secret for a value that the protocol makes public here.
void declassify(const void* data, size_t size);

}  // namespace flexroom
