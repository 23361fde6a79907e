// Nothing of the engine branches or indexes on the global key, on shares, MACs, keys or masks. The
// assertions here are trivial; ctest runs this file under valgrind (label ct), where every
// dependence of a branch or an address on memory marked secret is an error. What leaves in a
// message and the outcome of a check are public (base/ct.h declassify).
#include <gtest/gtest.h>

#include "base/ct.h"
#include "prep/epoch.h"
#include "prep/memory_safety.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"
#include "unit/boolean/scenario.h"

namespace flexroom::boolean::testing {
namespace {

void mark(const prep::AuthBits& bits) {
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    mark_secret(bits.mac[j].data(), bits.mac[j].size() * sizeof(Block));
    mark_secret(bits.key[j].data(), bits.key[j].size() * sizeof(Block));
  }
}

/// What the dealer gives, marked.
class SecretSource final : public prep::Source {
 public:
  explicit SecretSource(prep::Source& source) : source_(source), delta_(source.delta()) {
    mark_secret(&delta_, sizeof delta_);
  }
  const Block& delta() const override { return delta_; }
  prep::AuthBits random_bits(size_t count) override { return marked(source_.random_bits(count)); }
  prep::AuthBits owned_bits(PartyId owner, size_t count) override {
    return marked(source_.owned_bits(owner, count));
  }
  prep::AuthBits owned_bits_of(PartyId owner, size_t count,
                               std::span<const uint8_t> bits) override {
    return marked(source_.owned_bits_of(owner, count, bits));
  }
  prep::AndTriples and_triples(size_t count) override {
    prep::AndTriples out = source_.and_triples(count);
    for (const prep::AuthBits* bits : {&out.x, &out.y, &out.z}) mark(*bits);
    return out;
  }
  prep::VecTriple vec_triple(size_t count) override { return source_.vec_triple(count); }
  prep::Powers powers(size_t max_power) override { return source_.powers(max_power); }
  RotSender rot_send(PartyId receiver, size_t count) override {
    return source_.rot_send(receiver, count);
  }
  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override {
    return source_.rot_receive(sender, count, choices);
  }

 private:
  static prep::AuthBits marked(prep::AuthBits bits) {
    mark(bits);
    return bits;
  }
  prep::Source& source_;
  Block delta_;
};

TEST(ConstantTime, GarblingEvaluationAndOpenings) {
  for (const size_t n : {2u, 3u}) {
    const Scenario s = random_scenario(n, 3);
    support::Dealer dealer(n);
    const auto run = support::run_parties(n, [&](net::Party& party) {
      SecretSource source(dealer.source(party.id()));
      Engine engine(party, source);
      const auto& groups = s.circuit.inputs;
      std::vector<prep::AuthBits> zero(groups.size()), dyn(groups.size());
      OnlineInputs inputs;
      inputs.priv.resize(groups.size());
      inputs.pub.resize(groups.size());
      for (size_t g = 0; g < groups.size(); ++g) {
        const std::vector<uint8_t> bits = s.group_bits(g);
        switch (groups[g].kind) {
          case mpc::InputKind::kPriv:
            if (groups[g].owner == party.id()) {
              inputs.priv[g] = bits;
              mark_secret(inputs.priv[g].data(), inputs.priv[g].size());
            }
            break;
          case mpc::InputKind::kPub:
            inputs.pub[g] = bits;
            break;
          case mpc::InputKind::kDyn:
            dyn[g] = dealer.share_bits(party.id(), g, bits);
            mark(dyn[g]);
            break;
          case mpc::InputKind::kZero:
            zero[g] = dealer.share_bits(party.id(), g, bits);
            mark(zero[g]);
            break;
        }
      }
      inputs.view = sha256(as_bytes("what was seen"));
      for (const auto& bits : dyn) inputs.dyn.push_back(&bits);
      const auto instance = engine.prepare(s.program, std::move(zero), "ct");
      return engine.run(*instance, inputs).opened.size();
    });
    for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.has_value());
  }
}

TEST(ConstantTime, MakingAndTriples) {
  prep::TripleParameters small;
  small.bucket_size = 5;
  small.batch = 1024;
  const auto run = support::run_parties(2, [&](net::Party& party) {
    prep::EpochParameters parameters;
    parameters.identities = {to_bytes("a"), to_bytes("b")};
    prep::EpochState epoch = prep::setup_epoch(party, parameters);
    prep::session_hello(party, epoch, prep::kProtocol);
    mark_secret(&epoch.delta.writable(), sizeof(Block));
    prep::MemorySafety safety;
    prep::SessionPrep source(party, epoch, safety, small);
    return source.and_triples(64).size();
  });
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, 64u);
}

}  // namespace
}  // namespace flexroom::boolean::testing
