#pragma once

#include <cstdint>
#include <vector>

#include "mpc/circuit.h"

namespace flexroom::mpc {

/// A wire inside a Program: a slot of the working array and whether the value is negated. NOT gates
/// disappear into `negated`: a NOT changes neither mask nor label, only Lambda (boolean §6.1,
/// §7.3).
struct Literal {
  uint32_t slot = 0;
  bool negated = false;
};

struct XorOp {
  uint32_t out, a, b;  // slots; polarities are tracked at compile time and need no work here
};

struct AndOp {
  uint32_t out;   // slot, polarity positive
  uint32_t a, b;  // slots of alpha, beta
  uint8_t a_negated, b_negated;
  uint8_t beta_is_pub;  // no triple, sigma = 0, lambda_beta = 0 (boolean §6.2)
};

/// First xors [xor_begin, xor_end) in order, then ands [and_begin, and_end), which are independent
/// of each other. No slot is written in a batch's AND part that is also read in it.
struct Batch {
  uint32_t xor_begin, xor_end;
  uint32_t and_begin, and_end;
};

/// A circuit made ready for the engines: slots are reused so that labels stay in the cache, ANDs
/// are grouped so that several independent ones are in flight. AND number t in `ands` is AND t of
/// the instance everywhere (rows, triples, Lambda bits, chi_t).
///
/// Input wire w starts in input_slots[w] (all inputs are live from the start). Outputs survive to
/// the end.
struct Program {
  uint32_t num_slots = 0;
  std::vector<uint32_t> input_slots;  // [num_inputs]
  std::vector<InputGroup> inputs;     // as in the circuit
  std::vector<XorOp> xors;
  std::vector<AndOp> ands;
  std::vector<Batch> batches;
  struct Output {
    std::string name;
    OutputKind kind;
    std::vector<Literal> literals;
  };
  std::vector<Output> outputs;
  uint32_t num_triples = 0;  // ands without pub beta
  Digest digest{};           // of all of the above: members compare it before they prepare

  uint32_t num_inputs() const { return static_cast<uint32_t>(input_slots.size()); }
  uint32_t num_ands() const { return static_cast<uint32_t>(ands.size()); }
  size_t input_offset(size_t group) const;
  size_t input_group(std::string_view name) const;
  size_t output_group(std::string_view name) const;
};

/// Linear-time list scheduling and slot allocation; deterministic (equal circuits give equal
/// programs at all parties). At most `max_ands_in_batch` ANDs a batch.
Program compile(const Circuit& circuit, uint32_t max_ands_in_batch = 64);

}  // namespace flexroom::mpc
