#pragma once

#include <vector>

#include "mpc/circuit.h"

namespace flexroom::support {

/// Evaluates in the clear; the oracle of every circuit test. `inputs` [num_inputs] bits; returns
/// the bits of each output group.
std::vector<std::vector<bool>> evaluate_plain(const mpc::Circuit& circuit,
                                              const std::vector<bool>& inputs);

}  // namespace flexroom::support
