#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"

namespace flexroom::mpc {

using WireId = uint32_t;

/// Who knows the bits of an input group, and when (boolean-engine.md §6, tls-in-mpc.md §0.3(7)).
enum class InputKind : uint8_t {
  kPriv,  // private bits of one party
  kDyn,   // authenticated shares supplied online
  kZero,  // authenticated shares that exist when the circuit is prepared
  kPub,   // public, but known only online
};

struct InputGroup {
  std::string name;
  InputKind kind = InputKind::kPub;
  PartyId owner = 0;  // kPriv only
  uint32_t size = 0;  // wires
};

enum class OutputKind : uint8_t {
  kOpenAll,  // opened to all parties, with proof
  kKeep,     // stays an authenticated share
};

struct OutputGroup {
  std::string name;
  OutputKind kind = OutputKind::kOpenAll;
  std::vector<WireId> wires;
};

struct Template;

/// kCall: output b of call a.
enum class GateOp : uint8_t { kXor, kAnd, kNot, kCall };

/// Circuits have tens of millions of them.
struct Gate {
  Gate() = default;
  Gate(WireId first, WireId second, GateOp what) : a(first), b(second & kWireMask), op(what) {}
  static constexpr WireId kWireMask = (WireId{1} << 30) - 1;  // Builder makes no more
  WireId a = 0;
  WireId b : 30 = 0;  // unused by kNot
  GateOp op : 2 = GateOp::kXor;
};
static_assert(sizeof(Gate) == 8);

/// A template (program.h) in the place of the gates that it was made of.
struct Call {
  std::shared_ptr<const Template> callee;
  std::vector<WireId> inputs;  // roots are distinct, none is pub-valued
};

/// Gates as data. Wires 0 .. num_inputs-1 are the inputs in group order; gate g drives wire
/// num_inputs + g. Topologically ordered; constants are folded, no constant reaches a gate;
/// AND(w,w) and AND(w,not w) are folded; no AND of two pub-valued wires; in an AND with one
/// pub-valued operand that operand is b (beta). The builder guarantees all of it.
struct Circuit {
  std::vector<InputGroup> inputs;
  std::vector<OutputGroup> outputs;
  std::vector<Gate> gates;
  std::vector<Call> calls;  // their outputs are gates side by side, in the order of the calls
  uint32_t num_inputs = 0;
  uint32_t num_ands = 0;  // those of calls included

  uint32_t num_wires() const { return num_inputs + static_cast<uint32_t>(gates.size()); }
  size_t input_offset(size_t group) const;
  size_t input_group(std::string_view name) const;   // asserts that it exists
  size_t output_group(std::string_view name) const;  // asserts that it exists
};

}  // namespace flexroom::mpc
