#include "boolean/engine.h"

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

/// Makes an instance void, and wipes it, unless the step came to its end.
class VoidUnlessDone {
 public:
  explicit VoidUnlessDone(Instance::Data& instance) : instance_(instance) {}
  ~VoidUnlessDone() {
    if (done_) return;
    instance_.state = InstanceState::kVoid;
    instance_.erase_secrets();
  }
  VoidUnlessDone(const VoidUnlessDone&) = delete;
  VoidUnlessDone& operator=(const VoidUnlessDone&) = delete;
  void done(InstanceState next) {
    done_ = true;
    instance_.state = next;
  }

 private:
  Instance::Data& instance_;
  bool done_ = false;
};

/// The parties agree on the program and on an id that holds a fresh nonce of each of them: even two
/// lanes or two runs with one scope and one delta never share a hash key S_inst.
void agree(net::Party& party, std::string_view name, Instance::Data& instance) {
  const uint64_t counter = party.next_counter("instance");
  const Digest what = RandomOracle("program", party.scope(), counter)
                          .field(name)
                          .field(instance.program->digest)
                          .digest();
  Bytes own(what.begin(), what.end());
  own.resize(own.size() + kNonceBytes);
  party.prg().fill(std::span<uint8_t>(own).last(kNonceBytes));
  const std::vector<Bytes> all = party.exchange(kPrepareLabel, own);
  RandomOracle id("instance", party.scope(), counter);
  id.field(what);
  for (PartyId j = 0; j < all.size(); ++j) {
    if (!ct_equal(ByteView(all[j]).first(what.size()), what)) {
      throw ProtocolAbort(AbortCode::kDisagreement, kPrepareLabel,
                          "the member prepares another circuit", j);
    }
    id.field(ByteView(all[j]).subspan(what.size()));
  }
  instance.id = id.digest();
  instance.s_inst = RandomOracle("gc", party.scope()).field(instance.id).block();
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
  garbler = GarblerTables();
  evaluator = EvaluatorTables();
}

Instance::Instance(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Instance::~Instance() = default;
const Digest& Instance::id() const { return data_->id; }
const mpc::Program& Instance::program() const { return *data_->program; }

Engine::Engine(net::Party& party, prep::Source& source) : party_(party), source_(source) {}
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

std::unique_ptr<Instance> Engine::prepare(std::shared_ptr<const mpc::Program> program,
                                          std::vector<AuthBits> zero, std::string_view name) {
  FLEXROOM_ASSERT(program != nullptr);
  return guarded(kPrepareLabel, [&] {
    auto data = std::make_unique<Instance::Data>();
    data->program = std::move(program);
    try {
      agree(party_, name, *data);
    } catch (const ProtocolAbort& abort) {
      // All compared the same public data before any of them used anything.
      dead_ = abort.code() != AbortCode::kDisagreement;
      throw;
    }
    garble_instance(party_, source_, *data, std::move(zero), progress_);
    return std::make_unique<Instance>(std::move(data));
  });
}

void Engine::exchange_inputs(Instance& instance, const OnlineInputs& inputs) {
  Instance::Data& data = *instance.data_;
  FLEXROOM_ASSERT(data.state == InstanceState::kPrepared);
  guarded("boolean/inputs", [&] {
    data.state = InstanceState::kStarted;
    VoidUnlessDone guard(data);
    if (start_hook_) start_hook_(data.id);
    exchange_masked_inputs(party_, source_.delta(), data, inputs);
    guard.done(InstanceState::kReady);
  });
}

void Engine::evaluate(Instance& instance) {
  Instance::Data& data = *instance.data_;
  FLEXROOM_ASSERT(data.state == InstanceState::kReady);
  VoidUnlessDone guard(data);  // labels are written over the rows: no second attempt
  if (party_.id() == 0) evaluate_gates(data);
  guard.done(InstanceState::kEvaluated);
}

Outputs Engine::finish(Instance& instance) {
  Instance::Data& data = *instance.data_;
  FLEXROOM_ASSERT(data.state == InstanceState::kEvaluated);
  return guarded(kOutputsLabel, [&] {
    VoidUnlessDone guard(data);
    if (party_.id() == 0) {
      commit_evaluator(party_, source_.delta(), data);
    } else {
      commit_garbler(party_, source_.delta(), data);
    }
    // The commit point passed here: shares of unmasked outputs may leave. A garbler's go with its
    // C_i (O4); the evaluator's leave after its own check and those of the shares it got (O5).
    SplitOutputs shares = output_shares(source_.delta(), data);
    prep::BitOpening opening(party_, source_.delta(), shares.opened, kOutputsLabel);
    if (party_.id() == 0) {
      opening.receive_from_all();
      opening.send_to_all();
    } else {
      opening.send_to_all();
      opening.receive_from_all();
    }
    const std::vector<uint8_t> bits = opening.result();
    Outputs outputs;
    outputs.kept = std::move(shares.kept);
    auto next = bits.begin();
    for (const auto& group : data.program->outputs) {
      auto& opened = outputs.opened.emplace_back();
      if (group.kind == mpc::OutputKind::kKeep) continue;
      const auto end = next + static_cast<ptrdiff_t>(group.literals.size());
      opened.assign(next, end);
      next = end;
    }
    data.erase_secrets();
    guard.done(InstanceState::kDone);
    return outputs;
  });
}

Outputs Engine::run(Instance& instance, const OnlineInputs& inputs) {
  exchange_inputs(instance, inputs);
  evaluate(instance);
  return finish(instance);
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
