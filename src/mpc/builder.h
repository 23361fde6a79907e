#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "mpc/circuit.h"
#include "mpc/program.h"

namespace flexroom::mpc {

class Builder;

/// One bit while a circuit is written: a constant known when the circuit is built, or a wire of a
/// Builder, possibly negated. Constants need no builder; wires must not outlive theirs.
class Bit {
 public:
  /// The constant 0.
  Bit() = default;
  explicit Bit(bool constant) : literal_(constant ? 1 : 0) {}

  bool is_constant() const { return builder_ == nullptr; }
  /// Only of a constant (asserted).
  bool constant_value() const;

  /// Free.
  friend Bit operator^(Bit a, Bit b);
  /// One AND unless an operand is constant or both are the same wire.
  friend Bit operator&(Bit a, Bit b);
  /// One AND, as for &.
  friend Bit operator|(Bit a, Bit b);
  /// Free.
  friend Bit operator!(Bit a) { return {a.builder_, a.literal_ ^ 1}; }
  /// The same as !, for use inside expressions (compilers warn about `!a & b`).
  friend Bit operator~(Bit a) { return !a; }
  Bit& operator^=(Bit b) { return *this = *this ^ b; }

 private:
  friend class Builder;
  Bit(Builder* builder, uint32_t literal) : builder_(builder), literal_(literal) {}

  Builder* builder_ = nullptr;
  uint32_t literal_ = 0;  // 2 * node + negated; a constant's value when builder_ is null
};

/// Bit 0 is the least significant.
using Bits = std::vector<Bit>;

/// Writes a Circuit: folds constants and negations, keeps the rules on `pub` wires, drops what no
/// output needs.
///
/// An AND of two pub-valued wires (XOR/NOT cones of kPub inputs) is a bug of the circuit and stops
/// the process (boolean-engine.md §6.1: compute it in the clear and make it an input); a single
/// pub-valued operand becomes beta. Memory: 8 bytes a gate.
class Builder {
 public:
  Builder() = default;
  Builder(const Builder&) = delete;  // bits point here
  Builder& operator=(const Builder&) = delete;

  /// Declares an input group; at any time before finish(). Names are unique.
  Bits add_input(const InputGroup& group);
  Bits add_input(std::string_view name, InputKind kind, uint32_t size, PartyId owner = 0);

  /// Declares an output group. Names are unique; a constant cannot be an output (asserted): it
  /// would have no label to prove.
  void add_output(std::string_view name, OutputKind kind, const Bits& bits);

  /// The outputs of a template for these bits, or none where it cannot stand: a bit is constant or
  /// pub-valued, or two are the same wire, negated or not. One call is all of its ANDs as soon as
  /// an output needs one of its outputs.
  static std::optional<Bits> call(const std::shared_ptr<const Template>& callee,
                                  const Bits& inputs);

  /// ANDs written so far, whether or not an output needs them.
  uint32_t num_ands() const { return num_ands_; }

  /// The circuit, without gates that reach no output. The builder is empty afterwards.
  Circuit finish();

 private:
  friend Bit operator^(Bit a, Bit b);
  friend Bit operator&(Bit a, Bit b);

  // a = operand << 2 | negated << 1 | is_and; b = operand << 2 | negated << 1 | pub_valued.
  // An input is its own operand, and so is an output of a call.
  struct Node {
    uint32_t a, b;
  };
  struct OutputLiterals {
    OutputGroup group;
    std::vector<uint32_t> literals;
  };

  struct CallLiterals {
    std::shared_ptr<const Template> callee;
    std::vector<uint32_t> literals;
    uint32_t first_node = 0;  // of its outputs
  };

  std::optional<Bits> add_call(const std::shared_ptr<const Template>& callee, const Bits& inputs);
  uint32_t add_node(uint32_t literal_a, uint32_t literal_b, bool is_and, bool pub_valued);
  bool pub_valued(uint32_t literal) const { return (nodes_[literal >> 1].b & 1) != 0; }
  Bit xor_wires(uint32_t a, uint32_t b);
  Bit and_wires(uint32_t a, uint32_t b);
  std::vector<uint8_t> mark_live() const;
  void clear();

  /// Grows without a copy, and without room for as many again.
  class Nodes {
   public:
    size_t size() const { return size_; }
    const Node& operator[](size_t i) const { return chunks_[i / kChunk][i % kChunk]; }
    void push_back(const Node& node) {
      if (size_ % kChunk == 0) chunks_.push_back(std::make_unique<Node[]>(kChunk));
      chunks_[size_ / kChunk][size_ % kChunk] = node;
      ++size_;
    }
    void clear() {
      chunks_.clear();
      size_ = 0;
    }

   private:
    static constexpr size_t kChunk = size_t{1} << 14;
    std::vector<std::unique_ptr<Node[]>> chunks_;
    size_t size_ = 0;
  };

  Nodes nodes_;
  std::vector<InputGroup> inputs_;
  std::vector<uint32_t> first_nodes_;  // of each input group
  std::vector<OutputLiterals> outputs_;
  std::vector<CallLiterals> calls_;
  std::vector<uint32_t> seen_in_;  // by node: the last call that reads it, from 1
  uint32_t num_ands_ = 0;
};

inline Bit operator^(Bit a, Bit b) {
  if (a.builder_ == nullptr) return {b.builder_, b.literal_ ^ a.literal_};
  if (b.builder_ == nullptr) return {a.builder_, a.literal_ ^ b.literal_};
  return a.builder_->xor_wires(a.literal_, b.literal_);
}

inline Bit operator&(Bit a, Bit b) {
  if (a.builder_ == nullptr) return a.literal_ != 0 ? b : a;
  if (b.builder_ == nullptr) return b.literal_ != 0 ? a : b;
  return a.builder_->and_wires(a.literal_, b.literal_);
}

inline Bit operator|(Bit a, Bit b) { return ~(~a & ~b); }

}  // namespace flexroom::mpc
