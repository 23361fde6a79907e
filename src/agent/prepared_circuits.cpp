#include "agent/prepared_circuits.h"

#include <algorithm>

#include "agent/wires.h"

namespace flexroom::agent {

void PreparedCircuits::add(std::string_view name, std::shared_ptr<const mpc::Program> program) {
  circuits_.push_back({std::string(name), std::move(program), nullptr});
}

void PreparedCircuits::prepare(const Context& context, const ZeroInputs& zero_inputs) {
  context_ = &context;
  std::vector<boolean::Preparation> all;
  for (const Prepared& circuit : circuits_) {
    std::vector<prep::AuthBits> zero(circuit.program->inputs.size());
    if (zero_inputs) zero_inputs(circuit, zero);
    all.push_back({circuit.program, std::move(zero), circuit.name});
  }
  std::vector<std::unique_ptr<boolean::Instance>> made = context_->engine.prepare(std::move(all));
  for (size_t k = 0; k < made.size(); ++k) circuits_[k].instance = std::move(made[k]);
}

uint64_t PreparedCircuits::num_ands() const {
  uint64_t sum = 0;
  for (const Prepared& circuit : circuits_) sum += circuit.program->num_ands();
  return sum;
}

uint64_t PreparedCircuits::num_triples() const {
  uint64_t sum = 0;
  for (const Prepared& circuit : circuits_) sum += circuit.program->num_triples;
  return sum;
}

bool PreparedCircuits::ran(const Prepared& circuit) const {
  return std::find(ran_.begin(), ran_.end(), circuit.instance.get()) != ran_.end();
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

void PreparedCircuits::erase() {
  ran_.clear();
  confirmed_ = 0;
  circuits_.clear();
}

}  // namespace flexroom::agent
