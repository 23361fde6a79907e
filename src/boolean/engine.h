#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mpc/program.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::boolean {

/// n-party authenticated garbling (boolean-engine.md §6, §7): party 0 evaluates and holds
/// constants, parties 1..n-1 garble, party 1 sends the colour bits. Malicious security with abort
/// for up to n-1 corruptions.
///
/// Life of an Instance: prepare() -> [started, durable] -> send/receive inputs -> evaluate and
/// commit point -> outputs. Single use; a started instance is never run again.
///
/// Online, every step that the design lets travel together is a separate call, so that the caller
/// decides what shares a flow (App. B: O1..O6). run() does all of it in the right order.
class Instance;

/// What a party supplies online, by input group index of the program.
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
/// (boolean §8.2). Throwing prevents the start.
using StartHook = std::function<void(const Digest& instance_id)>;

class Engine {
 public:
  /// `party` and `source` must outlive the engine.
  Engine(net::Party& party, prep::Source& source);
  ~Engine();

  /// Phase 2, offline: masks, products, garbling, rows to the evaluator. Compares program digests
  /// first (kDisagreement). `zero` by input group: authenticated shares for kZero groups
  /// (consumed), empty for the others.
  std::unique_ptr<Instance> prepare(std::shared_ptr<const mpc::Program> program,
                                    std::vector<prep::AuthBits> zero, std::string_view name);

  void set_start_hook(StartHook hook);

  /// Phase 3, online, steps O1..O5 in order; all checks done on return.
  Outputs run(Instance& instance, const OnlineInputs& inputs);

  // The same in pieces. Order for n = 2 as in App. B.
  void exchange_inputs(Instance& instance, const OnlineInputs& inputs);  // O1, O2
  void evaluate(Instance& instance);                                     // evaluator only, local
  Outputs finish(Instance& instance);                                    // O3, O4, O5
  /// Completion (§7.5, O6): all parties passed all their checks. Call before kept outputs are
  /// persisted or used in another session.
  void confirm(Instance& instance);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::boolean
