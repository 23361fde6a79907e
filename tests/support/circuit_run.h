#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "mpc/circuit.h"
#include "support/evaluate_plain.h"

namespace flexroom::support {

/// Evaluates a circuit in the clear by group name. Bytes become bits with bit 0 first, as the
/// circuits read them.
class CircuitRun {
 public:
  explicit CircuitRun(const mpc::Circuit& circuit)
      : circuit_(circuit), inputs_(circuit.num_inputs) {}

  CircuitRun& set_bits(std::string_view group, const std::vector<uint8_t>& bits);
  /// The group may be up to 7 bits shorter than the bytes.
  CircuitRun& set(std::string_view group, ByteView bytes);

  const std::vector<bool>& inputs() const { return inputs_; }
  void run() { outputs_ = evaluate_plain(circuit_, inputs_); }
  const std::vector<std::vector<bool>>& outputs() const { return outputs_; }
  const std::vector<bool>& bits(std::string_view group) const;
  Bytes bytes(std::string_view group) const;

 private:
  const mpc::Circuit& circuit_;
  std::vector<bool> inputs_;
  std::vector<std::vector<bool>> outputs_;
};

}  // namespace flexroom::support
