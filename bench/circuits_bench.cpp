#include <benchmark/benchmark.h>

#include <string>

#include "circuits/handshake.h"
#include "circuits/sha256.h"
#include "mpc/program.h"

// Time to write and to compile circuits, and what the programs look like: ANDs a batch (8 keep the
// hash kernels full) and slots (16 bytes each at the engines).

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

mpc::Circuit sha256_chain(size_t length) {
  Builder builder;
  StateWords state = state_of(builder.add_input("state", InputKind::kZero, 256));
  const auto size = static_cast<uint32_t>(512 * length);
  const std::vector<Word> words = words_of(text_of(builder.add_input("m", InputKind::kZero, size)));
  for (size_t k = 0; k < length; ++k) {
    BlockWords block;
    for (size_t i = 0; i < 16; ++i) block[i] = words[16 * k + i];
    state = sha256_compress(state, block);
  }
  builder.add_output("out", OutputKind::kKeep, bits_of(state));
  return builder.finish();
}

mpc::Circuit aes_blocks(size_t blocks) {
  Builder builder;
  const AesRoundKeys keys = round_keys_of(builder.add_input("keys", InputKind::kZero, 1408));
  const auto size = static_cast<uint32_t>(128 * blocks);
  const Text in = text_of(builder.add_input("in", InputKind::kZero, size));
  Bits out;
  for (size_t k = 0; k < blocks; ++k) {
    const auto first = in.begin() + static_cast<std::ptrdiff_t>(16 * k);
    const Bits bits = bits_of(text_of(aes128_encrypt(keys, block_of(Text(first, first + 16)))));
    out.insert(out.end(), bits.begin(), bits.end());
  }
  builder.add_output("out", OutputKind::kKeep, out);
  return builder.finish();
}

mpc::Circuit request(size_t content_bytes, const GcmSuite& suite = aes128_gcm()) {
  GcB circuit(false, ServerSecret::kKept, suite);
  circuit.records().add(0, constant_text(Bytes(content_bytes)));
  return circuit.finish();
}

template <typename Make>
void build(benchmark::State& state, Make make) {
  size_t gates = 0;
  for (auto _ : state) gates += make().gates.size();
  state.counters["gates_per_s"] =
      benchmark::Counter(static_cast<double>(gates), benchmark::Counter::kIsRate);
}

template <typename Make>
void compile(benchmark::State& state, Make make) {
  const mpc::Circuit circuit = make();
  mpc::Program program;
  for (auto _ : state) program = mpc::compile(circuit);
  const auto ands = static_cast<double>(program.num_ands());
  state.counters["ands"] = ands;
  state.counters["ands_per_batch"] = ands / static_cast<double>(program.batches.size());
  state.counters["slots"] = program.num_slots;
  state.counters["inputs"] = program.num_inputs();
  state.counters["xors"] = static_cast<double>(program.xors.size());
}

template <typename Make>
void add(const std::string& name, Make make) {
  benchmark::RegisterBenchmark(("build/" + name).c_str(), [make](auto& state) {
    build(state, make);
  })->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark(("compile/" + name).c_str(), [make](auto& state) {
    compile(state, make);
  })->Unit(benchmark::kMillisecond);
}

[[maybe_unused]] const bool kAdded = [] {
  add("sha256_1", [] { return sha256_chain(1); });
  add("sha256_chain_10", [] { return sha256_chain(10); });
  add("aes_60_blocks", [] { return aes_blocks(60); });
  add("aes_400_blocks", [] { return aes_blocks(400); });
  add("gc_a", [] { return gc_a(all_groups(), 2); });
  add("gc_a_sha384", [] { return gc_a(all_groups(), 2, sha384_hash()); });
  add("gc_b_request_1k", [] { return request(1024); });
  add("gc_b_request_1k_aes256", [] { return request(1024, aes256_gcm()); });
  return true;
}();

}  // namespace
}  // namespace flexroom::circuits
