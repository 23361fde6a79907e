#pragma once

#include <cstdint>
#include <memory>
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

/// XORs in order. There are some four an AND, and engines read all of them from memory: as long as
/// slots have 16 bits, so have their numbers here.
class XorOps {
 public:
  static constexpr uint32_t kShortSlots = uint32_t{1} << 16;
  size_t size() const { return short_.size() + long_.size(); }
  XorOp at(size_t x) const {
    if (short_.empty()) return long_.at(x);
    const Short& op = short_.at(x);
    return {op.out, op.a, op.b};
  }
  void push_back(const XorOp& op) {
    if (long_.empty() && (op.out | op.a | op.b) < kShortSlots) {
      short_.push_back({static_cast<uint16_t>(op.out), static_cast<uint16_t>(op.a),
                        static_cast<uint16_t>(op.b)});
      return;
    }
    widen();
    long_.push_back(op);
  }
  void reserve(size_t count) { short_.reserve(count); }
  /// As they lie in memory.
  ByteView bytes() const;

  /// slots[out] = slots[a] ^ slots[b], for those of [begin, end) in turn.
  template <typename T>
  void apply(size_t begin, size_t end, T* slots) const {
    short_.empty() ? apply_all(long_.data() + begin, long_.data() + end, slots)
                   : apply_all(short_.data() + begin, short_.data() + end, slots);
  }

 private:
  struct Short {
    uint16_t out, a, b;
  };
  void widen();
  template <typename Op, typename T>
  static void apply_all(const Op* op, const Op* end, T* slots) {
    for (; op != end; ++op) slots[op->out] = static_cast<T>(slots[op->a] ^ slots[op->b]);
  }

  std::vector<Short> short_;
  std::vector<XorOp> long_;  // in its place
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
  XorOps xors;
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

/// What is compiled once and stands in many circuits (Circuit::calls): its inputs are not written,
/// and each of its outputs is in a slot of its own and depends on inputs through ANDs alone, so
/// that it does not matter whether an input is negated.
struct Template {
  Program program;
  size_t num_outputs() const { return program.outputs.front().literals.size(); }
};

/// Of a circuit with one group of inputs, not pub, and one of outputs; asserts what a template has
/// to be.
std::shared_ptr<const Template> compile_template(const Circuit& circuit);

inline constexpr uint32_t kAndsInBatch = 64;

/// Linear-time list scheduling and slot allocation; deterministic (equal circuits give equal
/// programs at all parties). At most `max_ands_in_batch` ANDs a batch; templates keep their own
/// batches, of kAndsInBatch.
Program compile(const Circuit& circuit, uint32_t max_ands_in_batch = kAndsInBatch);

}  // namespace flexroom::mpc
