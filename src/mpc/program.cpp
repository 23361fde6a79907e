#include "mpc/program.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>

#include "base/codec.h"
#include "base/error.h"
#include "mpc/named_groups.h"

namespace flexroom::mpc {
namespace {

constexpr uint32_t kNever = std::numeric_limits<uint32_t>::max();

// An AND may move ahead of at most this many ANDs that precede it in the circuit: enough to run
// several hash compressions side by side, few enough that what waits for a late reader stays in
// the second-level cache.
constexpr uint32_t kLookAhead = 1u << 15;

/// Turns a circuit into a program in four linear passes: place the ANDs (forward), place the XORs
/// (backward), sort both by batch, allocate slots (in execution order).
class Compiler {
 public:
  Compiler(const Circuit& circuit, uint32_t max_ands, bool keeps_inputs)
      : circuit_(circuit), max_ands_(max_ands), keeps_inputs_(keeps_inputs) {}

  Program run() {
    FLEXROOM_ASSERT(max_ands_ > 0);
    place_ands();
    place_xors();
    sort_by_batch();
    allocate();
    finish();
    return std::move(program_);
  }

 private:
  // A literal is 2 * root + negated: the wire equals the slot value of its root, negated or not.
  uint32_t root(WireId w) const { return literal_[w] >> 1; }

  void place_ands();
  void place_call(uint32_t wire, const Gate& gate, uint32_t& running_max);
  uint32_t first_batch_with_room(uint32_t from);
  uint32_t check_and_operands(const Gate& gate) const;
  void place_xors();
  void sort_by_batch();
  void allocate();
  void emit_xor(uint32_t gate_index);
  void emit_and(uint32_t gate_index);
  void emit_call(uint32_t call);
  uint32_t take_slot();
  void read(uint32_t wire, std::vector<uint32_t>& freed);
  void finish();

  const Circuit& circuit_;
  const uint32_t max_ands_;
  const bool keeps_inputs_;
  Program program_;
  uint32_t num_batches_ = 0;
  std::vector<uint32_t> literal_;    // by wire
  std::vector<uint8_t> pub_valued_;  // by wire
  // By wire, in turn: first batch that can read it; for gates, its own batch; its slot.
  std::vector<uint32_t> place_;
  std::vector<uint32_t> readers_;                // by root: reads that are still to come
  std::vector<uint32_t> room_;                   // next batch that is not full (union-find)
  std::vector<uint32_t> ands_in_;                // by batch
  std::vector<uint32_t> and_batch_;              // by AND in circuit order
  std::vector<uint32_t> xor_order_, and_order_;  // gates in execution order
  std::vector<uint32_t> xor_end_, and_end_;      // by batch
  std::vector<uint32_t> free_, freed_by_ands_;
  // By call: behind the ANDs of which batch it runs, and the wire of its first output.
  std::vector<uint32_t> call_batch_, call_wire_;
  // Of the call in work, by slot of its template: which slot it is here, and whether what is in it
  // is negated.
  std::vector<uint32_t> slot_of_;
  std::vector<uint8_t> negated_;
};

uint32_t Compiler::first_batch_with_room(uint32_t from) {
  while (from >= room_.size()) {
    room_.push_back(static_cast<uint32_t>(room_.size()));
    ands_in_.push_back(0);
  }
  uint32_t batch = from;
  while (batch < room_.size() && room_[batch] != batch) batch = room_[batch];
  if (batch == room_.size()) {
    room_.push_back(batch);
    ands_in_.push_back(0);
  }
  while (room_[from] != from) {  // path compression
    const uint32_t next = room_[from];
    room_[from] = batch;
    from = next;
  }
  return batch;
}

uint32_t Compiler::check_and_operands(const Gate& gate) const {
  const uint32_t a = root(gate.a), b = root(gate.b);
  FLEXROOM_ASSERT(a != b);
  FLEXROOM_ASSERT(pub_valued_[a] == 0 && "pub-valued alpha (boolean-engine.md §6.1)");
  return std::max(place_[a], place_[b]);
}

// All its outputs are met in a row; the first one stands for the call. It goes behind what precedes
// it in the circuit, so that what waits for its outputs stays little.
void Compiler::place_call(uint32_t wire, const Gate& gate, uint32_t& running_max) {
  const Call& call = circuit_.calls.at(gate.a);
  FLEXROOM_ASSERT(gate.b < call.callee->num_outputs());
  const Literal& output = call.callee->program.outputs.front().literals[gate.b];
  literal_[wire] = wire << 1 | (output.negated ? 1u : 0u);
  if (gate.b == 0) {
    FLEXROOM_ASSERT(gate.a == call_batch_.size());
    uint32_t batch = running_max;
    FLEXROOM_ASSERT(call.inputs.size() == call.callee->program.num_inputs());
    for (const WireId input : call.inputs) {
      FLEXROOM_ASSERT(input < wire && pub_valued_[root(input)] == 0);
      batch = std::max(batch, place_[root(input)]);
    }
    call_batch_.push_back(batch);
    call_wire_.push_back(wire);
    running_max = batch;
  } else {
    FLEXROOM_ASSERT(gate.a + size_t{1} == call_batch_.size());
    FLEXROOM_ASSERT(wire == call_wire_[gate.a] + gate.b);
  }
  place_[wire] = call_batch_[gate.a] + 1;
}

// Pass 1. Every AND goes to the first batch that follows its operands, has room and is not too far
// ahead of its place in the circuit.
void Compiler::place_ands() {
  const uint32_t num_wires = circuit_.num_wires();
  literal_.resize(num_wires);
  place_.assign(num_wires, 0);
  pub_valued_.assign(num_wires, 0);
  and_batch_.reserve(circuit_.num_ands);
  uint32_t wire = 0;
  for (const InputGroup& group : circuit_.inputs) {
    for (uint32_t i = 0; i < group.size; ++i, ++wire) {
      literal_[wire] = wire << 1;
      pub_valued_[wire] = group.kind == InputKind::kPub ? 1 : 0;
    }
  }
  FLEXROOM_ASSERT(wire == circuit_.num_inputs && num_wires < (1u << 31));

  std::vector<uint32_t> last_batch(kLookAhead, 0);  // ring: running maximum, kLookAhead ANDs ago
  uint32_t t = 0, running_max = 0;
  for (const Gate& gate : circuit_.gates) {
    FLEXROOM_ASSERT(gate.op == GateOp::kCall || (gate.a < wire && gate.b < wire));
    switch (gate.op) {
      case GateOp::kNot:
        literal_[wire] = literal_[gate.a] ^ 1;
        break;
      case GateOp::kXor: {
        const uint32_t a = root(gate.a), b = root(gate.b);
        FLEXROOM_ASSERT(a != b);
        literal_[wire] = wire << 1 | ((literal_[gate.a] ^ literal_[gate.b]) & 1);
        place_[wire] = std::max(place_[a], place_[b]);
        pub_valued_[wire] = pub_valued_[a] & pub_valued_[b];
        break;
      }
      case GateOp::kAnd: {
        uint32_t& history = last_batch[t % kLookAhead];
        const uint32_t batch = first_batch_with_room(std::max(check_and_operands(gate), history));
        if (++ands_in_[batch] == max_ands_) room_[batch] = batch + 1;
        running_max = std::max(running_max, batch);
        history = running_max;
        and_batch_.push_back(batch);
        literal_[wire] = wire << 1;
        place_[wire] = batch + 1;
        ++t;
        break;
      }
      case GateOp::kCall:
        place_call(wire, gate, running_max);
        break;
    }
    ++wire;
  }
  FLEXROOM_ASSERT(call_batch_.size() == circuit_.calls.size());
  uint64_t num_ands = t;
  for (const Call& call : circuit_.calls) num_ands += call.callee->program.num_ands();
  FLEXROOM_ASSERT(num_ands == circuit_.num_ands);
  num_batches_ = num_ands == 0 ? 1 : running_max + 2;  // the last one has XORs only
}

// Pass 2. A XOR goes where it is first read, so that its slot is taken as late as possible; one
// that only an output reads goes where its operands are there, so that theirs become free.
void Compiler::place_xors() {
  readers_.assign(circuit_.num_wires(), 0);
  std::vector<uint32_t> first_read(circuit_.num_wires(), kNever);
  for (const OutputGroup& group : circuit_.outputs) {
    for (const WireId w : group.wires) {
      FLEXROOM_ASSERT(w < circuit_.num_wires());
      ++readers_[root(w)];  // never read off: survives to the end
    }
  }
  if (keeps_inputs_) {
    for (uint32_t w = 0; w < circuit_.num_inputs; ++w) ++readers_[w];
  }
  auto t = static_cast<uint32_t>(and_batch_.size());
  for (uint32_t g = static_cast<uint32_t>(circuit_.gates.size()); g-- > 0;) {
    const Gate& gate = circuit_.gates[g];
    if (gate.op == GateOp::kNot) continue;
    const uint32_t wire = circuit_.num_inputs + g;
    if (gate.op == GateOp::kCall) {
      if (gate.b != 0) continue;
      for (const WireId input : circuit_.calls[gate.a].inputs) {
        uint32_t& first = first_read[root(input)];
        first = std::min(first, call_batch_[gate.a]);
        ++readers_[root(input)];
      }
      continue;
    }
    if (gate.op == GateOp::kAnd) {
      place_[wire] = and_batch_[--t];
    } else if (first_read[wire] != kNever) {
      place_[wire] = first_read[wire];
    }
    for (const uint32_t operand : {root(gate.a), root(gate.b)}) {
      first_read[operand] = std::min(first_read[operand], place_[wire]);
      ++readers_[operand];
    }
  }
}

// Pass 3: counting sort, stable, so that XORs of one batch keep their topological order.
void Compiler::sort_by_batch() {
  xor_end_.assign(num_batches_ + 1, 0);
  and_end_.assign(num_batches_ + 1, 0);
  for (uint32_t g = 0; g < circuit_.gates.size(); ++g) {
    const GateOp op = circuit_.gates[g].op;
    if (op == GateOp::kNot || op == GateOp::kCall) continue;
    auto& ends = op == GateOp::kAnd ? and_end_ : xor_end_;
    ++ends[place_[circuit_.num_inputs + g] + 1];
  }
  for (uint32_t b = 0; b < num_batches_; ++b) {
    xor_end_[b + 1] += xor_end_[b];
    and_end_[b + 1] += and_end_[b];
  }
  xor_order_.resize(xor_end_[num_batches_]);
  and_order_.resize(and_end_[num_batches_]);
  for (uint32_t g = 0; g < circuit_.gates.size(); ++g) {  // ends[b] now runs from begin to end of b
    const GateOp op = circuit_.gates[g].op;
    if (op == GateOp::kNot || op == GateOp::kCall) continue;
    const uint32_t batch = place_[circuit_.num_inputs + g];
    if (op == GateOp::kAnd) {
      and_order_[and_end_[batch]++] = g;
    } else {
      xor_order_[xor_end_[batch]++] = g;
    }
  }
}

uint32_t Compiler::take_slot() {
  if (free_.empty()) return program_.num_slots++;
  const uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void Compiler::read(uint32_t wire, std::vector<uint32_t>& freed) {
  if (--readers_[wire] == 0) freed.push_back(place_[wire]);
}

void Compiler::emit_xor(uint32_t gate_index) {
  const Gate& gate = circuit_.gates[gate_index];
  const uint32_t wire = circuit_.num_inputs + gate_index;
  const uint32_t a = root(gate.a), b = root(gate.b);
  const uint32_t slot_a = place_[a], slot_b = place_[b];
  read(a, free_);
  read(b, free_);
  const uint32_t out = take_slot();
  program_.xors.push_back({out, slot_a, slot_b});
  place_[wire] = out;
  if (readers_[wire] == 0) free_.push_back(out);
}

void Compiler::emit_and(uint32_t gate_index) {
  const Gate& gate = circuit_.gates[gate_index];
  const uint32_t wire = circuit_.num_inputs + gate_index;
  const uint32_t a = root(gate.a), b = root(gate.b);
  const bool beta_is_pub = pub_valued_[b] != 0;
  program_.ands.push_back(
      {take_slot(), place_[a], place_[b], static_cast<uint8_t>(literal_[gate.a] & 1),
       static_cast<uint8_t>(literal_[gate.b] & 1), static_cast<uint8_t>(beta_is_pub ? 1 : 0)});
  if (!beta_is_pub) ++program_.num_triples;
  read(a, freed_by_ands_);
  read(b, freed_by_ands_);
  place_[wire] = program_.ands.back().out;
  if (readers_[wire] == 0) freed_by_ands_.push_back(place_[wire]);
}

// The ops of the template in slots that are free now, and those of the wires it reads and makes.
void Compiler::emit_call(uint32_t index) {
  const Call& call = circuit_.calls[index];
  const Program& callee = call.callee->program;
  slot_of_.assign(callee.num_slots, kNever);
  negated_.assign(callee.num_slots, 0);
  for (uint32_t i = 0; i < callee.num_inputs(); ++i) {
    const uint32_t slot = callee.input_slots[i];
    FLEXROOM_ASSERT(slot_of_[slot] == kNever);
    slot_of_[slot] = place_[root(call.inputs[i])];
    negated_[slot] = static_cast<uint8_t>(literal_[call.inputs[i]] & 1);
  }
  for (uint32_t& slot : slot_of_) {
    if (slot == kNever) slot = take_slot();
  }
  for (const Batch& part : callee.batches) {
    Batch batch{static_cast<uint32_t>(program_.xors.size()), 0, program_.num_ands(), 0};
    for (uint32_t x = part.xor_begin; x < part.xor_end; ++x) {
      const XorOp op = callee.xors.at(x);
      program_.xors.push_back({slot_of_[op.out], slot_of_[op.a], slot_of_[op.b]});
      negated_[op.out] = negated_[op.a] ^ negated_[op.b];
    }
    for (uint32_t t = part.and_begin; t < part.and_end; ++t) {
      const AndOp& op = callee.ands[t];
      program_.ands.push_back({slot_of_[op.out], slot_of_[op.a], slot_of_[op.b],
                               static_cast<uint8_t>(op.a_negated ^ negated_[op.a]),
                               static_cast<uint8_t>(op.b_negated ^ negated_[op.b]), 0});
    }
    for (uint32_t t = part.and_begin; t < part.and_end; ++t) negated_[callee.ands[t].out] = 0;
    batch.xor_end = static_cast<uint32_t>(program_.xors.size());
    batch.and_end = program_.num_ands();
    program_.batches.push_back(batch);
  }
  program_.num_triples += callee.num_triples;

  // What is left is that of the outputs; inputs go as any wire's.
  uint32_t wire = call_wire_[index];
  for (const uint32_t slot : callee.input_slots) slot_of_[slot] = kNever;
  for (const Literal& literal : callee.outputs.front().literals) {
    FLEXROOM_ASSERT(slot_of_[literal.slot] != kNever && negated_[literal.slot] == 0);
    place_[wire] = std::exchange(slot_of_[literal.slot], kNever);
    if (readers_[wire] == 0) free_.push_back(place_[wire]);
    ++wire;
  }
  for (const uint32_t slot : slot_of_) {
    if (slot != kNever) free_.push_back(slot);
  }
  for (const WireId input : call.inputs) read(root(input), free_);
}

// Pass 4. What the ANDs of a batch read last becomes free only behind the batch: none of them may
// write what another one reads.
void Compiler::allocate() {
  program_.input_slots.resize(circuit_.num_inputs);
  for (uint32_t w = 0; w < circuit_.num_inputs; ++w) place_[w] = program_.input_slots[w] = w;
  program_.num_slots = circuit_.num_inputs;
  for (uint32_t w = circuit_.num_inputs; w-- > 0;) {
    if (readers_[w] == 0) free_.push_back(w);
  }
  size_t num_xors = xor_order_.size();
  for (const Call& call : circuit_.calls) num_xors += call.callee->program.xors.size();
  program_.xors.reserve(num_xors);
  program_.ands.reserve(circuit_.num_ands);
  program_.batches.reserve(num_batches_);
  uint32_t x = 0, t = 0, call = 0;
  for (uint32_t b = 0; b < num_batches_; ++b) {
    Batch batch{static_cast<uint32_t>(program_.xors.size()), 0, program_.num_ands(), 0};
    for (; x < xor_end_[b]; ++x) emit_xor(xor_order_[x]);
    for (; t < and_end_[b]; ++t) emit_and(and_order_[t]);
    free_.insert(free_.end(), freed_by_ands_.begin(), freed_by_ands_.end());
    freed_by_ands_.clear();
    batch.xor_end = static_cast<uint32_t>(program_.xors.size());
    batch.and_end = program_.num_ands();
    const bool empty = batch.xor_begin == batch.xor_end && batch.and_begin == batch.and_end;
    if (!empty) program_.batches.push_back(batch);
    for (; call < call_batch_.size() && call_batch_[call] == b; ++call) emit_call(call);
  }
  FLEXROOM_ASSERT(call == call_batch_.size());
}

template <typename Word>
void hash_ands(Sha256& hash, std::span<const AndOp> ands) {
  constexpr size_t kChunk = 4096;
  std::vector<std::array<Word, 4>> packed;
  for (; !ands.empty(); ands = ands.subspan(std::min(kChunk, ands.size()))) {
    packed.clear();
    for (const AndOp& op : ands.first(std::min(kChunk, ands.size()))) {
      const auto flags = static_cast<Word>(op.a_negated | op.b_negated << 1 | op.beta_is_pub << 2);
      packed.push_back(
          {static_cast<Word>(op.out), static_cast<Word>(op.a), static_cast<Word>(op.b), flags});
    }
    hash.update(
        {reinterpret_cast<const uint8_t*>(packed.data()), packed.size() * sizeof(packed[0])});
  }
}

Digest digest_of(const Program& program) {
  Writer head;
  head.field("flexroom program 2").u32(program.num_slots).u32(program.num_triples);
  head.u32(static_cast<uint32_t>(program.inputs.size()));
  for (const InputGroup& group : program.inputs) {
    head.field(group.name).u8(static_cast<uint8_t>(group.kind)).u32(group.owner).u32(group.size);
  }
  head.u32(static_cast<uint32_t>(program.input_slots.size()));
  for (const uint32_t slot : program.input_slots) head.u32(slot);
  head.u32(static_cast<uint32_t>(program.outputs.size()));
  for (const Program::Output& output : program.outputs) {
    head.field(output.name).u8(static_cast<uint8_t>(output.kind));
    head.u32(static_cast<uint32_t>(output.literals.size()));
    for (const Literal& l : output.literals) head.u32(l.slot).u8(l.negated ? 1 : 0);
  }
  head.u64(program.xors.size()).u64(program.ands.size()).u64(program.batches.size());

  // The long arrays as they lie in memory (x86-64 only, no padding) or packed. Their width follows
  // from the slots.
  static_assert(sizeof(Batch) == 16);
  const auto bytes_of = [](const auto& array) {
    return ByteView(reinterpret_cast<const uint8_t*>(array.data()),
                    array.size() * sizeof(array[0]));
  };
  Sha256 hash;
  hash.update(head.bytes()).update(program.xors.bytes()).update(bytes_of(program.batches));
  if (program.num_slots <= XorOps::kShortSlots) {
    hash_ands<uint16_t>(hash, program.ands);
  } else {
    hash_ands<uint32_t>(hash, program.ands);
  }
  return hash.digest();
}

void Compiler::finish() {
  program_.inputs = circuit_.inputs;
  for (const OutputGroup& group : circuit_.outputs) {
    Program::Output output{group.name, group.kind, {}};
    for (const WireId w : group.wires) {
      output.literals.push_back({place_[root(w)], (literal_[w] & 1) != 0});
    }
    program_.outputs.push_back(std::move(output));
  }
  program_.digest = digest_of(program_);
}

}  // namespace

ByteView XorOps::bytes() const {
  static_assert(sizeof(XorOp) == 12 && sizeof(Short) == 6);
  const auto all = [](const auto& ops) {
    return ByteView(reinterpret_cast<const uint8_t*>(ops.data()), ops.size() * sizeof(ops[0]));
  };
  return short_.empty() ? all(long_) : all(short_);
}

void XorOps::widen() {
  if (short_.empty()) return;
  long_.reserve(short_.capacity());
  for (const Short& op : short_) long_.push_back({op.out, op.a, op.b});
  short_ = {};
}

size_t Program::input_offset(size_t group) const { return offset_of_group(inputs, group); }

size_t Program::input_group(std::string_view name) const { return index_of_group(inputs, name); }

size_t Program::output_group(std::string_view name) const { return index_of_group(outputs, name); }

Program compile(const Circuit& circuit, uint32_t max_ands_in_batch) {
  return Compiler(circuit, max_ands_in_batch, false).run();
}

std::shared_ptr<const Template> compile_template(const Circuit& circuit) {
  FLEXROOM_ASSERT(circuit.inputs.size() == 1 && circuit.outputs.size() == 1);
  FLEXROOM_ASSERT(circuit.inputs.front().kind != InputKind::kPub && circuit.calls.empty());
  auto out = std::make_shared<Template>();
  out->program = Compiler(circuit, kAndsInBatch, true).run();
  const Program& program = out->program;
  std::vector<uint8_t> linear(program.num_slots);  // in an input, through XORs alone
  for (const uint32_t slot : program.input_slots) linear[slot] = 1;
  std::vector<uint8_t> taken = linear;
  for (const Batch& batch : program.batches) {
    for (uint32_t x = batch.xor_begin; x < batch.xor_end; ++x) {
      const XorOp op = program.xors.at(x);
      FLEXROOM_ASSERT(taken[op.out] == 0 && "an input is written");
      linear[op.out] = linear[op.a] | linear[op.b];
    }
    for (uint32_t t = batch.and_begin; t < batch.and_end; ++t) {
      FLEXROOM_ASSERT(taken[program.ands[t].out] == 0 && "an input is written");
      linear[program.ands[t].out] = 0;
    }
  }
  for (const Literal& literal : program.outputs.front().literals) {
    FLEXROOM_ASSERT(linear[literal.slot] == 0 && "an output is linear in an input");
    FLEXROOM_ASSERT(std::exchange(taken[literal.slot], uint8_t{1}) == 0);
  }
  return out;
}

}  // namespace flexroom::mpc
