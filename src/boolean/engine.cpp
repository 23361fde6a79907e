#include "boolean/engine.h"

#include <deque>
#include <type_traits>

#include "base/ct.h"
#include "boolean/commit.h"
#include "boolean/evaluate.h"
#include "boolean/garble.h"
#include "boolean/inputs.h"
#include "boolean/instance.h"
#include "prep/open.h"

namespace flexroom::boolean {
namespace {

using prep::AuthBits;

constexpr std::string_view kPrepareLabel = "boolean/prepare";
constexpr std::string_view kOutputsLabel = "boolean/outputs";
constexpr std::string_view kOkLabel = "boolean/O6 ok";
constexpr size_t kNonceBytes = 32;

/// Makes instances void, and wipes them, unless the step came to its end.
class VoidUnlessDone {
 public:
  explicit VoidUnlessDone(Instance::Data& instance) : instances_{&instance} {}
  explicit VoidUnlessDone(std::vector<Instance::Data*> instances)
      : instances_(std::move(instances)) {}
  ~VoidUnlessDone() {
    if (done_) return;
    for (Instance::Data* const instance : instances_) {
      instance->state = InstanceState::kVoid;
      instance->erase_secrets();
    }
  }
  VoidUnlessDone(const VoidUnlessDone&) = delete;
  VoidUnlessDone& operator=(const VoidUnlessDone&) = delete;
  void done(InstanceState next) {
    done_ = true;
    for (Instance::Data* const instance : instances_) instance->state = next;
  }

 private:
  const std::vector<Instance::Data*> instances_;
  bool done_ = false;
};

/// What all parties say about the circuits they are about to prepare.
struct Plan {
  Digest circuits;    // names and programs
  Digest evaluators;  // who evaluates which
};

void require_equal(ByteView theirs, const Digest& ours, PartyId peer, const char* detail) {
  if (ct_equal(theirs, ours)) return;
  throw ProtocolAbort(AbortCode::kDisagreement, kPrepareLabel, detail, peer);
}

/// The parties agree on the programs, on who evaluates them, and on ids that hold a fresh nonce of
/// each party: even two lanes or two runs with one scope and one delta never share a hash key
/// S_inst, and no row or label of one evaluator's instance is one of another's (§6.7).
void agree(net::Party& party, const std::vector<Preparation>& circuits,
           std::span<const std::unique_ptr<Instance::Data>> instances) {
  const uint64_t counter = party.next_counter("instance");
  RandomOracle programs("program", party.scope(), counter);
  RandomOracle evaluators("evaluators", party.scope(), counter);
  for (size_t k = 0; k < circuits.size(); ++k) {
    programs.field(circuits[k].name).field(circuits[k].program->digest);
    evaluators.field(uint64_t{instances[k]->evaluator});
  }
  const Plan plan{programs.digest(), evaluators.digest()};
  Bytes own(plan.circuits.begin(), plan.circuits.end());
  append(own, plan.evaluators);
  own.resize(own.size() + kNonceBytes);
  party.prg().fill(std::span<uint8_t>(own).last(kNonceBytes));
  const std::vector<Bytes> all = party.exchange(kPrepareLabel, own);
  for (PartyId j = 0; j < all.size(); ++j) {
    const ByteView said = all[j];
    require_equal(said.first(sizeof(Digest)), plan.circuits, j,
                  "the member prepares another circuit");
    require_equal(said.subspan(sizeof(Digest), sizeof(Digest)), plan.evaluators, j,
                  "the member lets another member evaluate a circuit");
  }
  for (size_t k = 0; k < instances.size(); ++k) {
    RandomOracle id("instance", party.scope(), counter);
    id.field(plan.circuits).field(plan.evaluators).field(uint64_t{k});
    for (const Bytes& said : all) id.field(ByteView(said).last(kNonceBytes));
    instances[k]->id = id.digest();
    instances[k]->s_inst = RandomOracle("gc", party.scope()).field(instances[k]->id).block();
  }
}

struct SplitOutputs {
  AuthBits opened;             // all kOpenAll groups, one after the other
  std::vector<AuthBits> kept;  // by group
};

/// <v> = <lambda> + Lambda (§7.5).
SplitOutputs output_shares(const Block& delta, Instance::Data& instance) {
  AuthBits all = std::move(instance.output_masks);
  prep::add_constants(all, instance.output_values, delta);
  SplitOutputs out;
  size_t at = 0;
  for (const auto& group : instance.program->outputs) {
    AuthBits bits = all.slice(at, group.literals.size());
    at += group.literals.size();
    out.kept.emplace_back();
    if (group.kind == mpc::OutputKind::kKeep) {
      out.kept.back() = std::move(bits);
    } else if (out.opened.empty()) {
      out.opened = std::move(bits);
    } else {
      out.opened.append(bits);
    }
  }
  return out;
}

}  // namespace

void Instance::Data::erase_secrets() {
  own_masks.clear();
  dyn_masks.clear();
  output_masks = AuthBits();
  // Public to the members, but not to others (tls-complete.md §2.2).
  for (std::vector<uint8_t>* values : {&input_values, &and_values}) {
    wipe(values->data(), values->size());
    values->clear();
  }
  follower.reset();
  garbling = GarblerTables();
  evaluating = EvaluatorTables();
}

Instance::Instance(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Instance::~Instance() = default;
const Digest& Instance::id() const { return data_->id; }
const mpc::Program& Instance::program() const { return *data_->program; }
PartyId Instance::evaluator() const { return data_->evaluator; }

Engine::Engine(net::Party& party, prep::Source& source)
    : party_(party), source_(source), evaluators_(party.num_parties()) {}
Engine::~Engine() = default;

void Engine::set_start_hook(StartHook hook) { start_hook_ = std::move(hook); }
void Engine::set_progress(PrepareProgress progress) { progress_ = std::move(progress); }

/// Whatever `step` throws ends the session: masks, triples and counters were used, here or at a
/// peer, and nothing that an aborted run touched is used again (§10.1(6)).
template <typename Step>
auto Engine::guarded(std::string_view label, Step step) {
  if (dead_) {
    throw ProtocolAbort(AbortCode::kCancelled, label, "this session was aborted before");
  }
  dead_ = true;
  if constexpr (std::is_void_v<std::invoke_result_t<Step>>) {
    step();
    dead_ = false;
  } else {
    auto out = step();
    dead_ = false;
    return out;
  }
}

// Those with one evaluator count as one circuit.
std::vector<PartyId> Engine::evaluators_of(const std::vector<Preparation>& circuits) const {
  std::vector<uint64_t> sums;
  for (const Preparation& circuit : circuits) {
    FLEXROOM_ASSERT(circuit.program != nullptr && (!circuit.with_previous || !sums.empty()));
    if (!circuit.with_previous) sums.push_back(0);
    sums.back() += circuit.program->num_ands();
  }
  const std::vector<PartyId> assigned = evaluators_.assign(sums);
  std::vector<PartyId> out;
  auto next = assigned.begin();
  for (const Preparation& circuit : circuits) {
    if (circuit.with_previous) {
      out.push_back(out.back());
    } else {
      out.push_back(circuit.evaluator.value_or(*next++));
    }
  }
  return out;
}

std::vector<std::unique_ptr<Instance>> Engine::prepare(std::vector<Preparation> circuits) {
  if (circuits.empty()) return {};
  const std::vector<PartyId> evaluators = evaluators_of(circuits);
  std::vector<uint64_t> ands;
  std::vector<std::unique_ptr<Instance::Data>> instances;
  for (size_t k = 0; k < circuits.size(); ++k) {
    ands.push_back(circuits[k].program->num_ands());
    Instance::Data& data = *instances.emplace_back(std::make_unique<Instance::Data>());
    data.program = circuits[k].program;
    data.evaluator = evaluators[k];
    data.garblers = garblers_of(party_.num_parties(), evaluators[k]);
  }
  return guarded(kPrepareLabel, [&] {
    try {
      agree(party_, circuits, instances);
    } catch (const ProtocolAbort& abort) {
      // All compared the same public data before any of them used anything.
      dead_ = abort.code() != AbortCode::kDisagreement;
      throw;
    }
    evaluators_.count(ands, evaluators);
    std::vector<GarbleWork> work;
    for (size_t k = 0; k < circuits.size(); ++k) {
      work.push_back({*instances[k], std::move(circuits[k].zero)});
    }
    garble_instances(party_, source_, std::move(work), progress_);
    std::vector<std::unique_ptr<Instance>> out;
    for (auto& data : instances) out.push_back(std::make_unique<Instance>(std::move(data)));
    return out;
  });
}

std::unique_ptr<Instance> Engine::prepare(std::shared_ptr<const mpc::Program> program,
                                          std::vector<AuthBits> zero, std::string_view name) {
  std::vector<Preparation> one;
  one.push_back({std::move(program), std::move(zero), std::string(name)});
  return std::move(prepare(std::move(one)).front());
}

void Engine::exchange_inputs(Instance& instance, const OnlineInputs& inputs) {
  const InstanceRun run{instance, inputs};
  exchange_together({&run, 1});
}

void Engine::exchange_together(std::span<const InstanceRun> runs) {
  std::vector<InputsOf> all;
  std::vector<Instance::Data*> instances;
  for (const auto& [instance, inputs] : runs) {
    FLEXROOM_ASSERT(instance.data_->state == InstanceState::kPrepared);
    all.push_back({*instance.data_, inputs});
    instances.push_back(instance.data_.get());
  }
  guarded("boolean/inputs", [&] {
    for (Instance::Data* const data : instances) data->state = InstanceState::kStarted;
    VoidUnlessDone guard(instances);
    if (start_hook_) {
      for (const Instance::Data* const data : instances) start_hook_(data->id);
    }
    exchange_masked_inputs(party_, source_.delta(), all);
    guard.done(InstanceState::kReady);
  });
}

void Engine::evaluate(Instance& instance) {
  Instance::Data& data = *instance.data_;
  FLEXROOM_ASSERT(data.state == InstanceState::kReady);
  guarded("boolean/evaluate", [&] {
    VoidUnlessDone guard(data);  // labels are written over the rows: no second attempt
    if (party_.id() == data.evaluator) {
      boolean::evaluate(party_, data);
    } else {
      follow(party_, data);
    }
    guard.done(InstanceState::kEvaluated);
  });
}

namespace {

/// From the commit point of one instance to its outputs.
class Opening {
 public:
  Opening(net::Party& party, const Block& delta, Instance::Data& instance)
      : instance_(instance),
        shares_(output_shares(delta, instance)),
        opening_(party, delta, shares_.opened, kOutputsLabel) {}

  void send() { opening_.send_to_all(); }
  void receive() { opening_.receive_from_all(); }
  Outputs result() {
    const std::vector<uint8_t> bits = opening_.result();
    Outputs outputs;
    outputs.kept = std::move(shares_.kept);
    auto next = bits.begin();
    for (const auto& group : instance_.program->outputs) {
      auto& opened = outputs.opened.emplace_back();
      if (group.kind == mpc::OutputKind::kKeep) continue;
      const auto end = next + static_cast<ptrdiff_t>(group.literals.size());
      opened.assign(next, end);
      next = end;
    }
    instance_.erase_secrets();
    return outputs;
  }

 private:
  Instance::Data& instance_;
  SplitOutputs shares_;
  prep::BitOpening opening_;
};

}  // namespace

std::vector<Outputs> Engine::finish_together(std::span<const InstanceRun> runs) {
  std::vector<Instance::Data*> instances;
  for (const auto& [instance, inputs] : runs) {
    FLEXROOM_ASSERT(instance.data_->state == InstanceState::kEvaluated);
    instances.push_back(instance.data_.get());
  }
  return guarded(kOutputsLabel, [&] {
    VoidUnlessDone guard(instances);
    const Block& delta = source_.delta();
    const bool evaluates = party_.id() == instances.front()->evaluator;
    if (evaluates) {
      commit_evaluator(party_, delta, instances);
    } else {
      commit_garbler(party_, delta, instances);
    }
    // The commit point of all passed here: shares of unmasked outputs may leave. A garbler's go
    // with its C_i (O4); the evaluator's leave after its own checks and those of the shares it got
    // (O5).
    std::deque<Opening> openings;
    for (Instance::Data* const data : instances) openings.emplace_back(party_, delta, *data);
    const auto for_all = [&](auto step) {
      for (Opening& opening : openings) step(opening);
    };
    if (!evaluates) for_all([](Opening& opening) { opening.send(); });
    for_all([](Opening& opening) { opening.receive(); });
    if (evaluates) for_all([](Opening& opening) { opening.send(); });
    std::vector<Outputs> outputs;
    for_all([&](Opening& opening) { outputs.push_back(opening.result()); });
    guard.done(InstanceState::kDone);
    return outputs;
  });
}

Outputs Engine::finish(Instance& instance) {
  const OnlineInputs none;
  const InstanceRun run{instance, none};
  return std::move(finish_together({&run, 1}).front());
}

Outputs Engine::run(Instance& instance, const OnlineInputs& inputs) {
  const InstanceRun run{instance, inputs};
  return std::move(run_together({&run, 1}).front());
}

std::vector<Outputs> Engine::run_together(std::span<const InstanceRun> runs) {
  exchange_together(runs);
  for (const InstanceRun& run : runs) evaluate(run.instance);
  return finish_together(runs);
}

void Engine::confirm(Instance& instance) {
  Instance::Data& data = *instance.data_;
  FLEXROOM_ASSERT(data.state == InstanceState::kDone);
  guarded(kOkLabel, [&] {
    VoidUnlessDone guard(data);
    const Digest ok = RandomOracle("ok", party_.scope()).field(data.id).digest();
    for (const PartyId j : party_.peers()) party_.send(j, kOkLabel, ok);
    for (const PartyId j : party_.peers()) {
      if (!ct_equal(party_.receive(j, kOkLabel, ok.size()), ok)) {
        throw ProtocolAbort(AbortCode::kUnexpectedMessage, kOkLabel,
                            "the member finished another instance", j);
      }
    }
    guard.done(InstanceState::kConfirmed);
  });
}

}  // namespace flexroom::boolean
