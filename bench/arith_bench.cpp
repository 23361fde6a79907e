// Tokens and the online conversion, n parties as threads over the memory mesh; the dealer's work
// for the correlated bits is included in the time and not in the bytes.
#include <benchmark/benchmark.h>

#include "arith/ecdh.h"
#include "math/curve.h"
#include "support/dealer.h"
#include "support/parties.h"

namespace flexroom::arith {
namespace {

Bytes server_share(NamedGroup group) {
  return group == NamedGroup::kX25519
             ? math::encode_share<math::X25519Group>(math::generator<math::X25519Group>())
             : math::encode_share<math::P256Group>(math::generator<math::P256Group>());
}

void make_tokens(benchmark::State& state) {
  const auto group = static_cast<NamedGroup>(state.range(0));
  const auto n = static_cast<size_t>(state.range(1));
  const auto count = static_cast<size_t>(state.range(2));
  uint64_t bytes = 0;
  uint64_t flows = 0;
  for (auto _ : state) {
    support::Dealer dealer(n);
    const auto run = support::run_parties(n, [&](net::Party& party) {
      ArithEngine engine(party, dealer.source(party.id()));
      engine.make_tokens(group, count);
      return party.traffic();
    });
    bytes = run.outcomes[0].value->bytes_sent;
    flows = run.outcomes[0].value->half_rounds;
  }
  state.counters["bytes_sent_per_token"] = static_cast<double>(bytes) / static_cast<double>(count);
  state.counters["half_rounds"] = static_cast<double>(flows);
}
BENCHMARK(make_tokens)
    ->ArgNames({"p256", "parties", "tokens"})
    ->Args({0, 2, 1})
    ->Args({1, 2, 1})
    ->Args({0, 2, 8})
    ->Args({0, 3, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void convert(benchmark::State& state) {
  const auto group = static_cast<NamedGroup>(state.range(0));
  const auto n = static_cast<size_t>(state.range(1));
  constexpr size_t kTokens = 16;
  double seconds = 0;
  for (auto _ : state) {
    support::Dealer dealer(n);
    const Bytes share = server_share(group);
    const auto run = support::run_parties(n, [&](net::Party& party) {
      ArithEngine engine(party, dealer.source(party.id()));
      auto tokens = engine.make_tokens(group, kTokens);
      const auto start = std::chrono::steady_clock::now();
      for (Token& token : tokens) {
        dh_online(party, token, share, token.id, {}, {[](const Token&) {}, nullptr});
      }
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    });
    seconds = *run.outcomes[0].value / kTokens;
    state.SetIterationTime(seconds);
  }
}
BENCHMARK(convert)
    ->ArgNames({"p256", "parties"})
    ->Args({0, 2})
    ->Args({1, 2})
    ->Args({0, 3})
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace flexroom::arith
