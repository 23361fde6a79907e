#pragma once

#include "boolean/instance.h"

namespace flexroom::boolean {

/// Evaluator: all masked values and all garblers' labels of AND outputs, from the active input
/// labels (boolean-engine.md §7.3). Local; nothing is known to be true before the commit point.
/// Fills and_values and output_values; row2 becomes the labels, row0 and row1 are wiped.
void evaluate_gates(Instance::Data& instance);

/// Garbler: the same masked values from the AND outputs' that the evaluator reported
/// (`packed_gammas`, LSB first).
void follow_gates(Instance::Data& instance, ByteView packed_gammas);

}  // namespace flexroom::boolean
