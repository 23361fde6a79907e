#include "mpc/circuit.h"

#include "mpc/named_groups.h"

namespace flexroom::mpc {

size_t Circuit::input_offset(size_t group) const { return offset_of_group(inputs, group); }

size_t Circuit::input_group(std::string_view name) const { return index_of_group(inputs, name); }

size_t Circuit::output_group(std::string_view name) const { return index_of_group(outputs, name); }

}  // namespace flexroom::mpc
