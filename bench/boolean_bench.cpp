// The boolean engine for two parties over the memory mesh. Times are those of one party's thread
// (CPU time, so that two parties on shared cores do not count each other): `garble` is the whole
// function-dependent phase without the making of triples, `evaluate` and `garbler online` the
// online phase without waiting.
#include <benchmark/benchmark.h>

#include <ctime>

#include "boolean/engine.h"
#include "boolean/evaluate.h"
#include "boolean/instance.h"
#include "circuits/aes128.h"
#include "circuits/sha256.h"
#include "support/dealer.h"
#include "support/parties.h"

namespace flexroom::boolean {
namespace {

using mpc::Bits;
using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Hands out what the dealer made and takes the time that took off the account.
class TimedSource : public prep::Source {
  template <typename Make>
  auto timed(Make make) {
    const double start = thread_seconds();
    auto out = make();
    seconds += thread_seconds() - start;
    return out;
  }

 public:
  explicit TimedSource(prep::Source& source) : source_(source) {}
  double seconds = 0;
  const Block& delta() const override { return source_.delta(); }
  prep::AuthBits random_bits(size_t count) override {
    return timed([&] { return source_.random_bits(count); });
  }
  prep::AuthBits owned_bits(PartyId owner, size_t count) override {
    return timed([&] { return source_.owned_bits(owner, count); });
  }
  prep::AuthBits owned_bits_of(PartyId owner, size_t count,
                               std::span<const uint8_t> bits) override {
    return source_.owned_bits_of(owner, count, bits);
  }
  prep::AndTriples and_triples(size_t count) override {
    return timed([&] { return source_.and_triples(count); });
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
  prep::Source& source_;
};

mpc::Program sha256_chain(unsigned blocks) {
  Builder builder;
  circuits::StateWords state = circuits::state_of(builder.add_input("state", InputKind::kDyn, 256));
  for (unsigned k = 0; k < blocks; ++k) {
    const auto words = circuits::words_of(circuits::text_of(
        builder.add_input("block" + std::to_string(k), InputKind::kPriv, 512, k % 2)));
    circuits::BlockWords block;
    std::copy(words.begin(), words.end(), block.begin());
    state = circuits::sha256_compress(state, block);
  }
  builder.add_output("out", OutputKind::kOpenAll, circuits::bits_of(state));
  return mpc::compile(builder.finish());
}

mpc::Program aes_blocks(unsigned blocks) {
  Builder builder;
  const auto keys = circuits::aes128_expand_key(
      circuits::block_of(circuits::text_of(builder.add_input("key", InputKind::kDyn, 128))));
  for (unsigned k = 0; k < blocks; ++k) {
    const auto in = circuits::block_of(circuits::text_of(
        builder.add_input("block" + std::to_string(k), InputKind::kPriv, 128, k % 2)));
    builder.add_output("out" + std::to_string(k), OutputKind::kOpenAll,
                       circuits::bits_of(circuits::text_of(circuits::aes128_encrypt(keys, in))));
  }
  return mpc::compile(builder.finish());
}

struct Times {
  double prepare = 0, evaluate = 0, online = 0;
  uint64_t prepare_bytes = 0, online_bytes = 0;
};

void run_engine(benchmark::State& state, mpc::Program compiled) {
  const auto program = std::make_shared<const mpc::Program>(std::move(compiled));
  Times total[2];
  for (auto _ : state) {
    support::Dealer dealer(2);
    const auto run = support::run_parties(2, [&](net::Party& party) {
      Times times;
      TimedSource source(dealer.source(party.id()));
      Engine engine(party, source);
      OnlineInputs inputs;
      std::vector<prep::AuthBits> dyn(program->inputs.size());
      inputs.priv.resize(dyn.size());
      for (size_t g = 0; g < dyn.size(); ++g) {
        const std::vector<uint8_t> bits(program->inputs[g].size, 1);
        if (program->inputs[g].kind == InputKind::kDyn) {
          dyn[g] = dealer.share_bits(party.id(), g, bits);
        } else if (program->inputs[g].owner == party.id()) {
          inputs.priv[g] = bits;
        }
      }
      for (const auto& bits : dyn) inputs.dyn.push_back(&bits);
      double start = thread_seconds();
      const auto instance = engine.prepare(program, {}, "bench");
      times.prepare = thread_seconds() - start - source.seconds;
      times.prepare_bytes = party.traffic().bytes_sent;
      start = thread_seconds();
      engine.exchange_inputs(*instance, inputs);
      const double middle = thread_seconds();
      engine.evaluate(*instance);
      times.evaluate = thread_seconds() - middle;
      engine.finish(*instance);
      times.online = thread_seconds() - start;
      times.online_bytes = party.traffic().bytes_sent - times.prepare_bytes;
      return times;
    });
    for (PartyId i = 0; i < 2; ++i) {
      const Times& t = *run.outcomes[i].value;
      total[i].prepare += t.prepare;
      total[i].evaluate += t.evaluate;
      total[i].online += t.online;
      total[i].prepare_bytes = t.prepare_bytes;
      total[i].online_bytes = t.online_bytes;
    }
  }
  const auto ands = static_cast<double>(program->num_ands());
  const double gates = ands * static_cast<double>(state.iterations());
  state.counters["ands"] = ands;
  state.counters["ands_per_batch"] = ands / static_cast<double>(program->batches.size());
  state.counters["xors_per_and"] = static_cast<double>(program->xors.size()) / ands;
  state.counters["garble_ands_per_s"] = gates / total[1].prepare;
  state.counters["evaluator_prepare_ands_per_s"] = gates / total[0].prepare;
  state.counters["evaluate_ands_per_s"] = gates / total[0].evaluate;
  state.counters["evaluator_online_ands_per_s"] = gates / total[0].online;
  state.counters["garbler_online_ands_per_s"] = gates / total[1].online;
  state.counters["prepare_bytes_per_and"] = static_cast<double>(total[1].prepare_bytes) / ands;
  state.counters["online_bytes"] =
      static_cast<double>(total[0].online_bytes + total[1].online_bytes);
}

void sha256(benchmark::State& state) {
  run_engine(state, sha256_chain(static_cast<unsigned>(state.range(0))));
}
BENCHMARK(sha256)->ArgName("blocks")->Arg(1)->Arg(16)->Unit(benchmark::kMillisecond);

void aes(benchmark::State& state) {
  run_engine(state, aes_blocks(static_cast<unsigned>(state.range(0))));
}
BENCHMARK(aes)->ArgName("blocks")->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace flexroom::boolean
