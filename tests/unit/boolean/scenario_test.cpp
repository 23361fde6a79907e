#include "unit/boolean/scenario.h"

namespace flexroom::boolean::testing {

using mpc::Bit;
using mpc::Bits;
using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using prep::AuthBits;

std::vector<uint8_t> Scenario::group_bits(size_t group) const {
  const size_t offset = circuit.input_offset(group);
  std::vector<uint8_t> out;
  for (size_t t = 0; t < circuit.inputs[group].size; ++t) out.push_back(inputs[offset + t] ? 1 : 0);
  return out;
}

Scenario random_scenario(size_t num_parties, uint64_t seed, const CircuitShape& shape) {
  std::mt19937_64 random(seed);
  Builder builder;
  Bits wires, zero;
  std::vector<bool>
      is_pub;  // of each wire: a cone of public inputs, of which no two meet in an AND
  const auto input = [&](const std::string& name, InputKind kind, PartyId owner) {
    const Bits bits = builder.add_input(name, kind, shape.group_size, owner);
    wires.insert(wires.end(), bits.begin(), bits.end());
    is_pub.resize(wires.size(), kind == InputKind::kPub);
    if (kind == InputKind::kZero) zero = bits;
  };
  for (PartyId i = 0; i < num_parties; ++i) {
    input("priv" + std::to_string(i), InputKind::kPriv, i);
  }
  if (shape.with_dyn) input("dyn", InputKind::kDyn, 0);
  if (shape.with_zero) input("zero", InputKind::kZero, 0);
  if (shape.with_pub) input("pub", InputKind::kPub, 0);
  const Bits inputs = wires;
  // Every input meets an AND, so that no altered input is without effect on the computation.
  Bits gates;
  for (size_t w = 0; w < inputs.size(); ++w) {
    const Bit other = inputs[(w + 1) % shape.group_size];
    if (other.is_constant() || w == (w + 1) % shape.group_size) continue;
    gates.push_back(inputs[w] & other);
  }
  wires.insert(wires.end(), gates.begin(), gates.end());
  is_pub.resize(wires.size(), false);
  for (unsigned g = 0; g < shape.gates; ++g) {
    const size_t at_a = random() % wires.size(), at_b = random() % wires.size();
    const Bit a = wires[at_a];
    Bit b = wires[at_b];
    if (random() % 3 == 0) b = !b;
    const bool both_pub = is_pub[at_a] && is_pub[at_b];
    const Bit out = random() % 2 == 0 || both_pub ? a ^ b : a & b;
    if (out.is_constant()) continue;
    wires.push_back(random() % 4 == 0 ? !out : out);
    is_pub.push_back(both_pub);
  }
  Bits open(wires.end() - 24, wires.end()), keep;
  open.insert(open.end(), gates.begin(), gates.end());
  for (unsigned k = 0; k < 12; ++k) keep.push_back(wires[random() % wires.size()]);
  open.push_back(!inputs[0]);
  keep.push_back(inputs[shape.group_size] ^ inputs[0]);
  for (size_t t = 0; t + 1 < zero.size(); ++t) keep.push_back(!(zero[t] ^ zero[t + 1]));
  if (!zero.empty()) open.push_back(zero[0] ^ inputs[1]);
  builder.add_output("open", OutputKind::kOpenAll, open);
  builder.add_output("keep", OutputKind::kKeep, keep);
  builder.add_output("open2", OutputKind::kOpenAll, {wires.back(), inputs[1]});

  Scenario scenario;
  scenario.num_parties = num_parties;
  scenario.circuit = builder.finish();
  scenario.program = std::make_shared<mpc::Program>(mpc::compile(scenario.circuit, shape.batch));
  std::vector<bool> bits(scenario.circuit.num_inputs);
  for (size_t w = 0; w < bits.size(); ++w) bits[w] = random() % 2 != 0;
  scenario.set_inputs(bits);
  return scenario;
}

Scenario random_scenario(const Roles& roles, uint64_t seed, const CircuitShape& shape) {
  Scenario out = random_scenario(roles.num_parties, seed, shape);
  out.evaluator = roles.evaluator;
  return out;
}

std::vector<Roles> all_roles(std::initializer_list<size_t> num_parties) {
  std::vector<Roles> out;
  for (const size_t n : num_parties) {
    for (PartyId e = 0; e < n; ++e) out.push_back({n, e});
  }
  return out;
}

Preparation preparation_of(const Scenario& scenario, std::vector<AuthBits> zero) {
  return {scenario.program, std::move(zero), "test", scenario.evaluator};
}

support::Run<Outputs> run_scenario(const Scenario& scenario, support::Dealer& dealer,
                                   const RunOptions& options) {
  return support::run_parties(
      scenario.num_parties,
      [&](net::Party& party) {
        const auto& groups = scenario.circuit.inputs;
        PartyInputs inputs;
        inputs.zero.resize(groups.size());
        inputs.dyn.resize(groups.size());
        inputs.online.pub.resize(groups.size());
        inputs.online.priv.resize(groups.size());
        for (size_t g = 0; g < groups.size(); ++g) {
          const auto bits = scenario.group_bits(g);
          const auto shares = [&] { return dealer.share_bits(party.id(), 100 + g, bits); };
          switch (groups[g].kind) {
            case InputKind::kPriv:
              if (groups[g].owner == party.id()) inputs.online.priv[g] = bits;
              break;
            case InputKind::kDyn:
              inputs.dyn[g] = shares();
              break;
            case InputKind::kZero:
              inputs.zero[g] = shares();
              break;
            case InputKind::kPub:
              inputs.online.pub[g] = bits;
              break;
          }
        }
        inputs.online.view = sha256(as_bytes("what was seen"));
        if (options.alter) options.alter(party.id(), inputs);
        for (const AuthBits& bits : inputs.dyn) inputs.online.dyn.push_back(&bits);

        Engine engine(party, dealer.source(party.id()));
        if (options.configure) options.configure(party, engine);
        std::vector<Preparation> circuits;
        circuits.push_back(preparation_of(scenario, std::move(inputs.zero)));
        const auto instance = std::move(engine.prepare(std::move(circuits)).front());
        if (options.prepared) options.prepared(party.id(), *instance);
        Outputs outputs = engine.run(*instance, inputs.online);
        engine.confirm(*instance);
        return outputs;
      },
      options.tamper, std::chrono::seconds(60), options.seed);
}

support::Run<Outputs> run_scenario(const Scenario& scenario, const RunOptions& options) {
  support::Dealer dealer(scenario.num_parties);
  return run_scenario(scenario, dealer, options);
}

bool opened_right(const Scenario& scenario, const Outputs& outputs) {
  if (outputs.opened.size() != scenario.expected.size()) return false;
  for (size_t g = 0; g < scenario.expected.size(); ++g) {
    if (scenario.circuit.outputs[g].kind != OutputKind::kOpenAll) continue;
    const std::vector<bool> got(outputs.opened[g].begin(), outputs.opened[g].end());
    if (got != scenario.expected[g]) return false;
  }
  return true;
}

std::vector<std::vector<bool>> kept_values(const Scenario& scenario,
                                           const std::vector<const Outputs*>& outputs) {
  std::vector<std::vector<bool>> values(scenario.expected.size());
  for (size_t g = 0; g < values.size(); ++g) {
    if (scenario.circuit.outputs[g].kind != OutputKind::kKeep) continue;
    values[g].resize(scenario.expected[g].size());
    for (const Outputs* party : outputs) {
      for (size_t t = 0; t < values[g].size(); ++t) {
        values[g][t] = values[g][t] != party->kept[g].share(t);
      }
    }
  }
  return values;
}

void expect_mac_relations(const support::Dealer& dealer,
                          const std::vector<const AuthBits*>& by_party) {
  const size_t n = by_party.size();
  for (PartyId i = 0; i < n; ++i) {
    for (PartyId j = 0; j < n; ++j) {
      if (i == j) continue;
      for (size_t t = 0; t < by_party[i]->size(); ++t) {
        const bool bit = by_party[i]->share(t);
        ASSERT_EQ(by_party[i]->mac[j][t], by_party[j]->key[i][t] ^ select(bit, dealer.delta(j)))
            << "bit " << t << " of party " << i << " under party " << j;
        ASSERT_EQ(by_party[i]->mac[j][t].lsb(), bit);
      }
    }
  }
}

void expect_correct(const Scenario& scenario, const support::Dealer& dealer,
                    const support::Run<Outputs>& run) {
  std::vector<const Outputs*> outputs;
  for (const auto& outcome : run.outcomes) {
    ASSERT_FALSE(outcome.abort.has_value()) << outcome.abort->what();
    EXPECT_TRUE(opened_right(scenario, *outcome.value));
    outputs.push_back(&*outcome.value);
  }
  const auto kept = kept_values(scenario, outputs);
  for (size_t g = 0; g < kept.size(); ++g) {
    if (scenario.circuit.outputs[g].kind != OutputKind::kKeep) continue;
    EXPECT_EQ(kept[g], scenario.expected[g]);
    std::vector<const AuthBits*> shares;
    for (const Outputs* party : outputs) shares.push_back(&party->kept[g]);
    expect_mac_relations(dealer, shares);
  }
}

net::Tamper on_message(PartyId sender, std::string label, std::function<void(Bytes&)> change,
                       size_t index, std::optional<PartyId> receiver) {
  return [=](const net::MessageId& message, Bytes& payload) {
    if (message.sender == sender && message.label == label && message.index == index &&
        (!receiver || *receiver == message.receiver)) {
      change(payload);
    }
  };
}

}  // namespace flexroom::boolean::testing
