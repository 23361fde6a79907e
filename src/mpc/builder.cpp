#include "mpc/builder.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::mpc {
namespace {

constexpr uint32_t kMaxNodes = 1u << 30;
constexpr uint32_t kNone = 0xffffffff;

}  // namespace

bool Bit::constant_value() const {
  FLEXROOM_ASSERT(is_constant());
  return literal_ != 0;
}

Bits Builder::add_input(std::string_view name, InputKind kind, uint32_t size, PartyId owner) {
  return add_input(InputGroup{std::string(name), kind, owner, size});
}

Bits Builder::add_input(const InputGroup& group) {
  for (const InputGroup& other : inputs_) FLEXROOM_ASSERT(other.name != group.name);
  FLEXROOM_ASSERT(nodes_.size() + group.size < kMaxNodes);
  const auto first = static_cast<uint32_t>(nodes_.size());
  inputs_.push_back(group);
  first_nodes_.push_back(first);
  const uint32_t pub = group.kind == InputKind::kPub ? 1 : 0;
  Bits bits(group.size);
  for (uint32_t i = 0; i < group.size; ++i) {
    const uint32_t node = first + i;
    nodes_.push_back({node << 2, node << 2 | pub});
    bits[i] = Bit(this, node << 1);
  }
  return bits;
}

void Builder::add_output(std::string_view name, OutputKind kind, const Bits& bits) {
  OutputLiterals output{{std::string(name), kind, {}}, {}};
  for (const OutputLiterals& other : outputs_) FLEXROOM_ASSERT(other.group.name != name);
  output.literals.reserve(bits.size());
  for (const Bit& bit : bits) {
    FLEXROOM_ASSERT(bit.builder_ == this && "a constant or another builder's wire as output");
    output.literals.push_back(bit.literal_);
  }
  outputs_.push_back(std::move(output));
}

uint32_t Builder::add_node(uint32_t literal_a, uint32_t literal_b, bool is_and, bool pub_valued) {
  FLEXROOM_ASSERT(nodes_.size() < kMaxNodes);
  const auto node = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back({literal_a << 1 | (is_and ? 1u : 0u), literal_b << 1 | (pub_valued ? 1u : 0u)});
  return node;
}

Bit Builder::xor_wires(uint32_t a, uint32_t b) {
  const uint32_t negated = (a ^ b) & 1;
  if ((a ^ b) <= 1) return Bit(negated != 0);
  const uint32_t node = add_node(a & ~1u, b & ~1u, false, pub_valued(a) && pub_valued(b));
  return {this, node << 1 | negated};
}

Bit Builder::and_wires(uint32_t a, uint32_t b) {
  if (a == b) return {this, a};
  if ((a ^ b) == 1) return Bit(false);
  if (pub_valued(a)) {
    FLEXROOM_ASSERT(!pub_valued(b) && "AND of two pub-valued wires: compute it in the clear");
    std::swap(a, b);
  }
  ++num_ands_;
  return {this, add_node(a, b, true, false) << 1};
}

std::optional<Bits> Builder::call(const std::shared_ptr<const Template>& callee,
                                  const Bits& inputs) {
  FLEXROOM_ASSERT(!inputs.empty());
  for (const Bit& bit : inputs) {
    if (bit.is_constant()) return std::nullopt;
    FLEXROOM_ASSERT(bit.builder_ == inputs.front().builder_);
  }
  return inputs.front().builder_->add_call(callee, inputs);
}

std::optional<Bits> Builder::add_call(const std::shared_ptr<const Template>& callee,
                                      const Bits& inputs) {
  const Program& program = callee->program;
  FLEXROOM_ASSERT(inputs.size() == program.num_inputs());
  CallLiterals call{callee, {}, static_cast<uint32_t>(nodes_.size())};
  const auto number = static_cast<uint32_t>(calls_.size() + 1);
  seen_in_.resize(nodes_.size());
  for (const Bit& bit : inputs) {
    uint32_t& seen = seen_in_[bit.literal_ >> 1];
    if (pub_valued(bit.literal_) || seen == number) {
      for (const Bit& before : inputs) seen_in_[before.literal_ >> 1] = 0;
      return std::nullopt;
    }
    seen = number;
    call.literals.push_back(bit.literal_);
  }
  const size_t count = callee->num_outputs();
  FLEXROOM_ASSERT(nodes_.size() + count < kMaxNodes);
  Bits out;
  for (size_t k = 0; k < count; ++k) {
    const auto node = static_cast<uint32_t>(nodes_.size());
    nodes_.push_back({node << 2, node << 2});
    out.push_back(Bit(this, node << 1));
  }
  num_ands_ += program.num_ands();
  calls_.push_back(std::move(call));
  return out;
}

std::vector<uint8_t> Builder::mark_live() const {
  std::vector<uint8_t> live(nodes_.size());
  for (const OutputLiterals& output : outputs_) {
    for (const uint32_t literal : output.literals) live[literal >> 1] = 1;
  }
  auto call = calls_.rbegin();
  for (size_t node = nodes_.size(); node-- > 0;) {
    if (call != calls_.rend() && node == call->first_node) {
      const auto begin = live.begin() + static_cast<std::ptrdiff_t>(node);
      const auto end = begin + static_cast<std::ptrdiff_t>(call->callee->num_outputs());
      if (std::find(begin, end, uint8_t{1}) != end) {
        std::fill(begin, end, uint8_t{1});
        for (const uint32_t literal : call->literals) live[literal >> 1] = 1;
      }
      ++call;
      continue;
    }
    if (live[node] == 0) continue;
    live[nodes_[node].a >> 2] = 1;
    live[nodes_[node].b >> 2] = 1;
  }
  return live;
}

Circuit Builder::finish() {
  Circuit circuit;
  const std::vector<uint8_t> live = mark_live();
  std::vector<WireId> wire_of(nodes_.size(), kNone);
  for (size_t g = 0; g < inputs_.size(); ++g) {
    for (uint32_t i = 0; i < inputs_[g].size; ++i) {
      wire_of[first_nodes_[g] + i] = circuit.num_inputs++;
    }
  }
  circuit.inputs = std::move(inputs_);

  const auto num_live = static_cast<size_t>(std::count(live.begin(), live.end(), uint8_t{1}));
  circuit.gates.reserve(num_live + num_live / 8);
  std::vector<WireId> not_of(nodes_.size(), kNone);
  const auto emit = [&](WireId a, WireId b, GateOp op) {
    circuit.gates.push_back({a, b, op});
    return circuit.num_wires() - 1;
  };
  const auto wire = [&](uint32_t literal) {
    const uint32_t node = literal >> 1;
    if ((literal & 1) == 0) return wire_of[node];
    if (not_of[node] == kNone) not_of[node] = emit(wire_of[node], 0, GateOp::kNot);
    return not_of[node];
  };
  auto call = calls_.begin();
  for (uint32_t node = 0; node < nodes_.size(); ++node) {
    if (call != calls_.end() && node == call->first_node) {
      if (live[node] != 0) {
        Call made{call->callee, {}};
        for (const uint32_t literal : call->literals) made.inputs.push_back(wire(literal));
        const auto index = static_cast<WireId>(circuit.calls.size());
        for (uint32_t k = 0; k < made.callee->num_outputs(); ++k) {
          wire_of[node + k] = emit(index, k, GateOp::kCall);
        }
        circuit.num_ands += made.callee->program.num_ands();
        circuit.calls.push_back(std::move(made));
      }
      ++call;
      continue;
    }
    if (live[node] == 0 || wire_of[node] != kNone) continue;
    const bool is_and = (nodes_[node].a & 1) != 0;
    const WireId a = wire(nodes_[node].a >> 1);
    const WireId b = wire(nodes_[node].b >> 1);
    wire_of[node] = emit(a, b, is_and ? GateOp::kAnd : GateOp::kXor);
    if (is_and) ++circuit.num_ands;
  }
  FLEXROOM_ASSERT(circuit.num_wires() <= Gate::kWireMask);  // a gate holds no larger number
  nodes_.clear();
  for (OutputLiterals& output : outputs_) {
    for (const uint32_t literal : output.literals) output.group.wires.push_back(wire(literal));
    circuit.outputs.push_back(std::move(output.group));
  }
  clear();
  return circuit;
}

void Builder::clear() {
  inputs_.clear();
  first_nodes_.clear();
  outputs_.clear();
  calls_.clear();
  seen_in_ = {};  // as long as the circuit is compiled, it would only lie there
  num_ands_ = 0;
}

}  // namespace flexroom::mpc
