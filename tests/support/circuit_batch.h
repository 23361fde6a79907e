#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "mpc/circuit.h"

namespace flexroom::support {

/// Evaluates a circuit in the clear on 64 inputs at once, for sweeps over many texts. What
/// evaluate_plain says is the measure (CircuitBatch.IsEvaluatePlain).
class CircuitBatch {
 public:
  static constexpr size_t kLanes = 64;

  explicit CircuitBatch(const mpc::Circuit& circuit)
      : circuit_(circuit), wires_(circuit.num_wires()) {}

  /// Bytes as bits, bit 0 first; what the group has more is not changed.
  void set(size_t lane, std::string_view group, ByteView bytes);
  void run();
  bool bit(size_t lane, std::string_view group, size_t index) const;
  /// A group that is of the last bytes of a text of `size` bytes (circuits/marks.h): the marks of
  /// its first `count` bytes.
  std::vector<bool> marks(size_t lane, std::string_view group, size_t size, size_t count) const;

 private:
  const mpc::Circuit& circuit_;
  std::vector<uint64_t> wires_;  // a lane a bit
};

}  // namespace flexroom::support
