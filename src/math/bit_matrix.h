#pragma once

#include "base/block.h"

namespace flexroom::math {

/// Transposes a 128 x (128 * num_tiles) bit matrix, given by rows, to columns:
/// bit r of out[128 * tile + c] = bit c of rows[r * row_stride + tile]. `out` [128 * num_tiles]
/// must not overlap the rows. Constant time; GFNI kernel where the CPU has it.
void transpose_128(const Block* rows, size_t row_stride, Block* out, size_t num_tiles);

/// The same by SSE2 alone: what older CPUs run.
void transpose_128_portable(const Block* rows, size_t row_stride, Block* out, size_t num_tiles);

}  // namespace flexroom::math
