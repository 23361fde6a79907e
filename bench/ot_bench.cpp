#include <benchmark/benchmark.h>

#include <thread>

#include "math/bit_matrix.h"
#include "math/gf128.h"
#include "math/re_hash.h"
#include "prep/auth_bits.h"
#include "prep/session_hello.h"
#include "support/deal_epoch.h"
#include "support/memory_mesh.h"

namespace flexroom {
namespace {

constexpr size_t kBlocks = 4096;

BlockVec random_blocks(size_t count) {
  Prg prg(Block(1, 2));
  BlockVec out(count);
  prg.fill(out.span());
  return out;
}

void hash_one_block(benchmark::State& state) {
  const math::ReHash hash(Block(1, 2));
  BlockVec x = random_blocks(kBlocks);
  const Block tweak = math::hash_tweak(math::HashDomain::kGarbling, 0, 1, 0);
  for (auto _ : state) hash.hash1(tweak, x.span(), x.span());
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBlocks));
}
BENCHMARK(hash_one_block);

void hash_two_blocks(benchmark::State& state) {
  const math::ReHash hash(Block(1, 2));
  BlockVec x = random_blocks(kBlocks), y(kBlocks);
  const Block tweak = math::hash_tweak(math::HashDomain::kGarbling, 0, 1, 0);
  for (auto _ : state) hash.hash2(tweak, x.span(), Block(5, 6), x.span(), y.span());
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBlocks));
}
BENCHMARK(hash_two_blocks);

void inner_product(benchmark::State& state) {
  const BlockVec x = random_blocks(kBlocks), y = random_blocks(kBlocks);
  for (auto _ : state) benchmark::DoNotOptimize(math::gf_inner_product(x.span(), y.span()));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBlocks));
}
BENCHMARK(inner_product);

void transpose(benchmark::State& state) {
  const BlockVec rows = random_blocks(kBlocks);
  BlockVec columns(kBlocks);
  for (auto _ : state) {
    math::transpose_128(rows.data(), kBlocks / 128, columns.data(), kBlocks / 128);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBlocks));
}
BENCHMARK(transpose);

// Items: authenticated bits, each one COT in both directions; two parties on two threads. The time
// is that of both directions and both ends.
void auth_bits(benchmark::State& state) {
  const auto k = static_cast<unsigned>(state.range(0));
  const auto batch = size_t{1} << state.range(1);
  const auto epoch = support::deal_epoch(2, k);
  auto mesh = support::memory_mesh(2);
  constexpr size_t kBatches = 8;
  uint64_t bits = 0;
  for (auto _ : state) {
    state.PauseTiming();
    mesh = support::memory_mesh(2);
    std::vector<std::thread> threads;
    state.ResumeTiming();
    for (PartyId i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        net::Party party(std::move(mesh[i]), Prg(Block(i, 1)));
        prep::session_hello(party, epoch[i], prep::kProtocol);
        prep::BitGenerator generator(party, epoch[i], batch);
        for (size_t b = 0; b < kBatches; ++b) {
          benchmark::DoNotOptimize(generator.random_bits(batch));
        }
      });
    }
    for (auto& thread : threads) thread.join();
    bits += kBatches * batch;
  }
  state.SetItemsProcessed(static_cast<int64_t>(bits));
}
BENCHMARK(auth_bits)
    ->ArgNames({"k", "log2_batch"})
    ->Args({4, 17})
    ->Args({4, 16})
    ->Args({2, 17})
    ->Args({8, 17})
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace flexroom
