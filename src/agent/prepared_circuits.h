#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/views.h"
#include "boolean/engine.h"

namespace flexroom::agent {

/// Circuits that are garbled before the service is contacted and run as far as an answer needs
/// them (tls-in-mpc.md §4.2).
///
/// Order      add() all; prepare(); then each circuit at most once; confirm(), leave()
/// Guarantee  every run binds A4 and its public inputs by the view of the instance; what a circuit
///            keeps goes into the next one as `dyn`, after this member's own checks of the first
class PreparedCircuits {
 public:
  /// One prepared circuit.
  struct Prepared {
    std::string name;
    std::shared_ptr<const mpc::Program> program;
    std::unique_ptr<boolean::Instance> instance;  // behind prepare()
    /// Of a few public sizes alone, without `zero` inputs: another answer can use it.
    bool general = false;
  };
  /// What goes into a circuit that runs, by group name.
  struct Inputs {
    std::vector<std::pair<std::string_view, const prep::AuthBits*>> dyn;
    std::vector<std::pair<std::string_view, std::vector<uint8_t>>> pub;
    uint32_t generation = 0;  // of the server's keys, where some go in
  };
  /// Fills in the `zero` inputs of a circuit.
  using ZeroInputs = std::function<void(const Prepared&, std::vector<prep::AuthBits>&)>;

  void add(std::string_view name, std::shared_ptr<const mpc::Program> program);
  void add_general(std::string_view name, std::shared_ptr<const mpc::Program> program);
  /// Garbles them; of the general ones first takes what the context has left over, which all
  /// members must have compared before (PreparedStock::agree()).
  void prepare(const Context& context, const ZeroInputs& zero_inputs = nullptr);
  /// Of all circuits, known before prepare().
  uint64_t num_ands() const;
  /// Of those that `left_over` does not have.
  uint64_t num_triples(const PreparedStock* left_over = nullptr) const;
  /// ANDs that prepare() did not have to garble.
  uint64_t ands_taken() const { return ands_taken_; }

  /// Ids of all that did not run yet, for Journal::mark_ahead().
  void add_ids(std::vector<Digest>& out) const;

  /// A circuit of that name that has not run yet, or null where none was prepared (any more).
  Prepared* find(std::string_view name);
  /// Each that find() would still give, in their order.
  void each_left(std::string_view name, const std::function<void(Prepared&)>& visit);
  /// Those that find() would still give, together.
  size_t count(std::string_view name, const std::function<size_t(const Prepared&)>& size) const;
  /// Runs it; outputs by group of its program.
  boolean::Outputs run(Prepared& circuit, const Inputs& inputs, const Views& views,
                       const Digest& a4);
  /// Confirms those that ran since the last time (boolean-engine.md §7.5).
  void confirm();
  /// The general ones that did not run go to `left_over`; behind confirm().
  void leave(PreparedStock& left_over);
  void erase();

 private:
  bool ran(const Prepared& circuit) const;

  const Context* context_ = nullptr;
  std::deque<Prepared> circuits_;
  std::vector<boolean::Instance*> ran_;
  size_t confirmed_ = 0;
  uint64_t ands_taken_ = 0;
};

}  // namespace flexroom::agent
