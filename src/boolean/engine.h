#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "boolean/evaluators.h"
#include "mpc/program.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::boolean {

/// One prepared circuit, single use, of one session; lives in memory only.
///
/// prepared -> started -> done or void. "Started" is durable (StartHook) before the first label or
/// masked value leaves; a started instance is never run again, an abort makes it void. Every step
/// out of order or taken twice is a bug of the caller and stops the process: a second run would
/// release a second label of a wire, and with it delta (boolean-engine.md §10.1(3)).
class Instance {
 public:
  struct Data;  // src/boolean/instance.h
  explicit Instance(std::unique_ptr<Data> data);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// Equal at all parties, unique: made of fresh nonces of all of them, and bound to the program
  /// and to who evaluates it.
  const Digest& id() const;
  PartyId evaluator() const;
  const mpc::Program& program() const;

 private:
  friend class Engine;
  std::unique_ptr<Data> data_;
};

/// What a party supplies online, by input group index of the program. A vector may be shorter than
/// the list of groups when the rest of its groups is of another kind.
struct OnlineInputs {
  /// kPub groups: one byte (0/1) per wire, computed by this party itself from its own view.
  std::vector<std::vector<uint8_t>> pub;
  /// kDyn groups: authenticated shares.
  std::vector<const prep::AuthBits*> dyn;
  /// kPriv groups owned by this party: one byte (0/1) per wire.
  std::vector<std::vector<uint8_t>> priv;
  /// Hash of everything the pub bits are a function of (RO("view", ...)), compared among all
  /// parties before any label leaves (n = 2: before evaluation). Mismatch: kViewMismatch.
  Digest view{};
};

struct Outputs {
  /// By output group: opened bits (kOpenAll), one byte (0/1) each; empty for kKeep.
  std::vector<std::vector<uint8_t>> opened;
  /// By output group: authenticated shares (kKeep); empty for kOpenAll.
  std::vector<prep::AuthBits> kept;
};

/// Called when an instance goes from prepared to started: must be durable when it returns
/// (boolean-engine.md §8.2). Throwing prevents the start.
using StartHook = std::function<void(const Digest& instance_id)>;

/// Called while an instance is prepared: ANDs whose rows left or came, of all it has. Throwing ends
/// the preparation and the session.
using PrepareProgress = std::function<void(uint64_t done, uint64_t total)>;

/// A circuit to prepare. All but the shares is public and the same at all parties.
struct Preparation {
  std::shared_ptr<const mpc::Program> program;
  /// By input group: authenticated shares for kZero groups (consumed), empty for the others (or a
  /// shorter vector).
  std::vector<prep::AuthBits> zero;
  std::string name;
  /// Who evaluates it; without one the engine's EvaluatorPlan says so.
  std::optional<PartyId> evaluator{};
  /// By whoever evaluates the circuit before it in the list, so that they may run_together().
  bool with_previous = false;
};

/// An instance and what it runs on.
struct InstanceRun {
  Instance& instance;
  const OnlineInputs& inputs;
};

/// n-party authenticated garbling.
///
/// Protocol   boolean-engine.md §6, §7; authenticated half-gates of [KRRW18] (ePrint 2018/578) and
///            [YWZ20] (ePrint 2019/1104) with three cross rows and a label proof in front of the
///            correctness proof (§15 A1, A2)
/// Setting    party 0 holds constants. Each instance has an evaluator of its own, the others garble
///            it and the one behind the evaluator sends the colour bits (§6.7); up to n-1 parties
///            are malicious
/// Guarantee  an honest party's outputs are those of the circuit on the inputs, or it aborts
/// Not given  fairness: a cheater may see an opened output and then abort. Blame
/// Cost       n = 2: 32 bytes a gate of rows from the garbler, offline, over a session about as
///            many from each party; 1 bit a gate online; 5 flows online, and one more where the
///            evaluator is another one than of the instance before
/// Aborts     kDisagreement (refuse), kViewMismatch (network), kMac, kLabelProof, kCProof, kEcho,
///            and what the source and the hooks throw. Afterwards the session is dead and the
///            instance void, and every later call throws kCancelled; but for a disagreement about
///            what is to be prepared, which is found before anything is used
/// Timing     independent of shares, masks and labels; masked values are public to the parties
class Engine {
 public:
  /// `party` and `source` must outlive the engine.
  Engine(net::Party& party, prep::Source& source);
  ~Engine();

  /// Phase 2, offline: masks, products, garbling, rows to the evaluators, those of different
  /// evaluators side by side. Compares program digests and evaluators first (kDisagreement).
  std::vector<std::unique_ptr<Instance>> prepare(std::vector<Preparation> circuits);
  /// One circuit.
  std::unique_ptr<Instance> prepare(std::shared_ptr<const mpc::Program> program,
                                    std::vector<prep::AuthBits> zero, std::string_view name);

  void set_start_hook(StartHook hook);
  void set_progress(PrepareProgress progress);

  /// Phase 3, online, steps O1..O5 in order; all checks done on return.
  Outputs run(Instance& instance, const OnlineInputs& inputs);
  /// Several of one evaluator in the flows of one: what a step of App. B releases of any of them
  /// leaves when the checks in front of it held for all of them. A member that runs fewer of them
  /// is found by the view of the first.
  std::vector<Outputs> run_together(std::span<const InstanceRun> runs);

  // The same in pieces, in this order; each releases what its step of App. B may release.
  void exchange_inputs(Instance& instance, const OnlineInputs& inputs);  // O1, O2
  void evaluate(Instance& instance);   // O3, the masked values but for the last piece
  Outputs finish(Instance& instance);  // rest of O3, O4, O5
  /// Completion (§7.5, O6): all parties passed all their checks. Call before kept outputs are
  /// persisted or used in another session.
  void confirm(Instance& instance);

 private:
  void exchange_together(std::span<const InstanceRun> runs);
  std::vector<Outputs> finish_together(std::span<const InstanceRun> runs);
  std::vector<PartyId> evaluators_of(const std::vector<Preparation>& circuits) const;
  /// Runs one step; whatever it throws is the end of the session, refusals of the source too.
  template <typename Step>
  auto guarded(std::string_view label, Step step);

  net::Party& party_;
  prep::Source& source_;
  EvaluatorPlan evaluators_;
  StartHook start_hook_;
  PrepareProgress progress_;
  bool dead_ = false;
};

}  // namespace flexroom::boolean
