#include "agent/prepared_circuits.h"

#include <algorithm>
#include <map>
#include <utility>

#include "agent/wires.h"

namespace flexroom::agent {

void PreparedCircuits::add(std::string_view name, std::shared_ptr<const mpc::Program> program) {
  circuits_.push_back({std::string(name), std::move(program), nullptr, false});
}

void PreparedCircuits::add_general(std::string_view name,
                                   std::shared_ptr<const mpc::Program> program) {
  for (const mpc::InputGroup& group : program->inputs) {
    FLEXROOM_ASSERT(group.kind == mpc::InputKind::kDyn || group.kind == mpc::InputKind::kPub);
  }
  circuits_.push_back({std::string(name), std::move(program), nullptr, true});
}

void PreparedCircuits::prepare(const Context& context, const ZeroInputs& zero_inputs) {
  context_ = &context;
  std::vector<boolean::Preparation> all;
  std::vector<Prepared*> wanted;
  for (Prepared& circuit : circuits_) {
    if (circuit.general && context.left_over != nullptr) {
      circuit.instance = context.left_over->take(circuit.name, *circuit.program);
      if (circuit.instance != nullptr) {
        ands_taken_ += circuit.program->num_ands();
        continue;
      }
    }
    std::vector<prep::AuthBits> zero(circuit.program->inputs.size());
    if (zero_inputs) zero_inputs(circuit, zero);
    all.push_back({circuit.program, std::move(zero), circuit.name});
    wanted.push_back(&circuit);
  }
  std::vector<std::unique_ptr<boolean::Instance>> made = context_->engine.prepare(std::move(all));
  for (size_t k = 0; k < made.size(); ++k) wanted[k]->instance = std::move(made[k]);
}

uint64_t PreparedCircuits::num_ands() const {
  uint64_t sum = 0;
  for (const Prepared& circuit : circuits_) sum += circuit.program->num_ands();
  return sum;
}

uint64_t PreparedCircuits::num_triples(const PreparedStock* left_over) const {
  uint64_t sum = 0;
  std::map<std::pair<std::string_view, const mpc::Program*>, size_t> taken;
  for (const Prepared& circuit : circuits_) {
    if (circuit.general && left_over != nullptr) {
      size_t& so_far = taken[{circuit.name, circuit.program.get()}];
      if (so_far < left_over->count(circuit.name, *circuit.program)) {
        ++so_far;
        continue;
      }
    }
    sum += circuit.program->num_triples;
  }
  return sum;
}

bool PreparedCircuits::ran(const Prepared& circuit) const {
  return std::find(ran_.begin(), ran_.end(), circuit.instance.get()) != ran_.end();
}

void PreparedCircuits::add_ids(std::vector<Digest>& out) const {
  for (const Prepared& circuit : circuits_) {
    if (circuit.instance != nullptr && !ran(circuit)) out.push_back(circuit.instance->id());
  }
}

PreparedCircuits::Prepared* PreparedCircuits::find(std::string_view name) {
  for (Prepared& circuit : circuits_) {
    if (circuit.name == name && !ran(circuit)) return &circuit;
  }
  return nullptr;
}

void PreparedCircuits::each_left(std::string_view name,
                                 const std::function<void(Prepared&)>& visit) {
  for (Prepared& circuit : circuits_) {
    if (circuit.name == name && !ran(circuit)) visit(circuit);
  }
}

size_t PreparedCircuits::count(std::string_view name,
                               const std::function<size_t(const Prepared&)>& size) const {
  size_t sum = 0;
  for (const Prepared& circuit : circuits_) {
    if (circuit.name == name && !ran(circuit)) sum += size(circuit);
  }
  return sum;
}

boolean::Outputs PreparedCircuits::run(Prepared& circuit, const Inputs& inputs, const Views& views,
                                       const Digest& a4) {
  const mpc::Program& program = *circuit.program;
  boolean::OnlineInputs online = empty_inputs(program);
  RandomOracle view = views.of(circuit.name);
  view.field(a4).field(uint64_t{ran_.size()}).field(uint64_t{inputs.generation});
  for (const auto& [name, bits] : inputs.dyn) online.dyn[program.input_group(name)] = bits;
  for (const auto& [name, bits] : inputs.pub) {
    view.field(bits);
    online.pub[program.input_group(name)] = bits;
  }
  online.view = view.digest();
  ran_.push_back(circuit.instance.get());
  return context_->engine.run(*circuit.instance, online);
}

void PreparedCircuits::confirm() {
  for (; confirmed_ < ran_.size(); ++confirmed_) context_->engine.confirm(*ran_[confirmed_]);
}

void PreparedCircuits::leave(PreparedStock& left_over) {
  FLEXROOM_ASSERT(confirmed_ == ran_.size());
  for (Prepared& circuit : circuits_) {
    if (!circuit.general || ran(circuit)) continue;
    left_over.put(circuit.name, std::move(circuit.instance));
  }
  erase();
}

void PreparedCircuits::erase() {
  ran_.clear();
  confirmed_ = 0;
  circuits_.clear();
}

}  // namespace flexroom::agent
