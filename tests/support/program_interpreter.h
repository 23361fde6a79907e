#pragma once

#include <vector>

#include "mpc/program.h"

namespace flexroom::support {

/// Runs a program in the clear, op by op, holding it to what program.h promises: no op reads a slot
/// that nothing wrote, and the ANDs of a batch read nothing that the batch writes. A broken promise
/// throws std::logic_error. `inputs` [num_inputs]; returns the bits of each output group.
std::vector<std::vector<bool>> interpret(const mpc::Program& program,
                                         const std::vector<bool>& inputs);

}  // namespace flexroom::support
