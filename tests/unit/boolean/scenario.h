#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "boolean/engine.h"
#include "mpc/builder.h"
#include "support/dealer.h"
#include "support/evaluate_plain.h"
#include "support/parties.h"

namespace flexroom::boolean::testing {

/// How many parties, and which of them evaluates.
struct Roles {
  size_t num_parties = 2;
  PartyId evaluator = 0;
};
inline void PrintTo(const Roles& roles, std::ostream* out) {
  *out << roles.num_parties << " parties, " << roles.evaluator << " evaluates";
}
/// Every evaluator at each number of parties.
std::vector<Roles> all_roles(std::initializer_list<size_t> num_parties);

/// A circuit, its inputs in the clear, and what it must give.
struct Scenario {
  size_t num_parties = 2;
  PartyId evaluator = 0;
  /// Garblers in their order; the first sends the colour bits.
  PartyId garbler(size_t k = 0) const {
    return static_cast<PartyId>((evaluator + 1 + k) % num_parties);
  }
  mpc::Circuit circuit;
  std::shared_ptr<const mpc::Program> program;
  std::vector<bool> inputs;
  std::vector<std::vector<bool>> expected;

  void set_inputs(std::vector<bool> bits) {
    inputs = std::move(bits);
    expected = support::evaluate_plain(circuit, inputs);
  }
  std::vector<uint8_t> group_bits(size_t group) const;
};

struct CircuitShape {
  unsigned group_size = 5;
  unsigned gates = 120;
  uint32_t batch = 64;
  bool with_dyn = true, with_zero = true, with_pub = true;
};

/// Groups: priv0 .. priv<n-1>, dyn, zero, pub; outputs `open` and `keep` of gates, inputs and
/// linear combinations of inputs.
Scenario random_scenario(size_t num_parties, uint64_t seed, const CircuitShape& shape = {});
Scenario random_scenario(const Roles& roles, uint64_t seed, const CircuitShape& shape = {});
/// What the engine is asked to prepare.
Preparation preparation_of(const Scenario& scenario, std::vector<prep::AuthBits> zero = {});

/// What one party hands to the engine, for tests that let a party (or its disk) lie.
struct PartyInputs {
  std::vector<prep::AuthBits> zero, dyn;
  OnlineInputs online;
};

struct RunOptions {
  net::Tamper tamper;
  std::function<void(PartyId, PartyInputs&)> alter;        // before anything is used
  std::function<void(PartyId, const Instance&)> prepared;  // after prepare()
  std::function<void(net::Party&, Engine&)> configure;     // before prepare()
  uint64_t seed = 7;
};

/// prepare, run and confirm at all parties over the dealer.
support::Run<Outputs> run_scenario(const Scenario& scenario, support::Dealer& dealer,
                                   const RunOptions& options = {});
support::Run<Outputs> run_scenario(const Scenario& scenario, const RunOptions& options = {});

/// Opened outputs of one party are right.
bool opened_right(const Scenario& scenario, const Outputs& outputs);
/// XOR of shares by output group; empty for opened ones.
std::vector<std::vector<bool>> kept_values(const Scenario& scenario,
                                           const std::vector<const Outputs*>& outputs);
/// Every share of every party under every peer's key.
void expect_mac_relations(const support::Dealer& dealer,
                          const std::vector<const prep::AuthBits*>& by_party);
/// All parties ended with right opened values, right kept values and valid macs.
void expect_correct(const Scenario& scenario, const support::Dealer& dealer,
                    const support::Run<Outputs>& run);

/// Alters exactly one message.
net::Tamper on_message(PartyId sender, std::string label, std::function<void(Bytes&)> change,
                       size_t index = 0, std::optional<PartyId> receiver = std::nullopt);

}  // namespace flexroom::boolean::testing
