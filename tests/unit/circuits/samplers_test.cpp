#include "circuits/samplers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "circuits/text.h"
#include "support/circuit_run.h"

// tls-in-mpc.md §5.2a: every symbol exactly once over all values of its bits, and the counts.

namespace flexroom::circuits {
namespace samplers_test {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

/// Text from `bits` input bits. Constant output bits are XORed with an input that is 0.
class Sampler {
 public:
  template <typename Make>
  Sampler(uint32_t bits, Make make) : bits_(bits) {
    Builder builder;
    const Bit zero = builder.add_input("zero", InputKind::kPriv, 1)[0];
    Bits out = bits_of(make(builder.add_input("in", InputKind::kZero, bits)));
    for (Bit& bit : out) bit ^= zero;
    builder.add_output("out", OutputKind::kOpenAll, out);
    circuit_ = builder.finish();
  }
  std::string operator()(uint32_t value) const {
    std::vector<uint8_t> in;
    for (uint32_t b = 0; b < bits_; ++b) in.push_back(static_cast<uint8_t>(value >> b & 1));
    CircuitRun run(circuit_);
    run.set_bits("in", in).run();
    return to_text(run.bytes("out"));
  }
  uint32_t num_ands() const { return circuit_.num_ands; }

 private:
  uint32_t bits_;
  mpc::Circuit circuit_;
};

TEST(Samplers, EachCharacterHasOneValueOfItsBits) {
  struct Case {
    uint32_t bits, ands;
    ByteBits (*make)(std::span<const Bit>);
    std::string symbols;
  };
  const Case cases[] = {
      {4, 4, hex_digit_lower, "0123456789abcdef"},
      // 10 in the model, whose sum carries where a digit's low bits are copied here.
      {5, 7, base32_char, "abcdefghijklmnopqrstuvwxyz234567"},
      // 17 in the model: the carry into the top bit is not needed.
      {6, 16, base64url_char, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
  };
  for (const Case& c : cases) {
    const Sampler sample(c.bits, [&](const Bits& in) { return Text{c.make(in)}; });
    EXPECT_EQ(sample.num_ands(), c.ands) << c.symbols;
    ASSERT_EQ(c.symbols.size(), size_t{1} << c.bits);
    for (uint32_t v = 0; v < c.symbols.size(); ++v) EXPECT_EQ(sample(v), c.symbols.substr(v, 1));
  }
}

TEST(Samplers, OfSixteenCandidatesTheTenDigitsAreAccepted) {
  Builder builder;
  const Bits in = builder.add_input("in", InputKind::kZero, 4);
  builder.add_output("ok", OutputKind::kOpenAll, {is_decimal(in)});
  const mpc::Circuit circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 2u);
  for (uint8_t v = 0; v < 16; ++v) {
    CircuitRun run(circuit);
    run.set("in", Bytes{v}).run();
    EXPECT_EQ(run.bits("ok")[0], v < 10);
  }
}

// The bound that the specification states: fewer than n accepted of so many with at most 2^-40,
// and one candidate less would not do.
TEST(Samplers, SoManyCandidatesGiveEnoughDigits) {
  EXPECT_EQ(digit_candidates(6), 46u);
  EXPECT_EQ(digit_candidates(10), 57u);
  EXPECT_EQ(digit_candidates(16), 72u);
  for (const size_t digits : {1u, 6u, 10u, 16u, 64u}) {
    // The tail once more, from binomials instead of a recurrence.
    const auto too_few = [&](size_t count) {
      double sum = 0;
      for (size_t i = 0; i < digits; ++i) {
        const auto n = static_cast<double>(count), k = static_cast<double>(i);
        sum += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) +
                        k * std::log(0.625) + (n - k) * std::log(0.375));
      }
      return sum;
    };
    EXPECT_LE(too_few(digit_candidates(digits)), 0x1p-40);
    EXPECT_GT(too_few(digit_candidates(digits) - 1), 0x1p-40);
  }
}

TEST(Samplers, EachEntryOfAListHasOneIndex) {
  for (const auto& [bits, ands] :
       {std::pair{1u, 0u}, {2u, 2u}, {8u, 272u}, {9u, 528u}, {10u, 1056u}}) {
    std::vector<std::string> entries;
    for (uint32_t e = 0; e < 1u << bits; ++e) {
      std::string text = "Name0000";
      for (size_t k = 0; k < 4; ++k) text[4 + k] = static_cast<char>('a' + (e * 7 >> (3 * k) & 7));
      entries.push_back(text + std::to_string(1000 + e));
    }
    const Sampler sample(bits, [&](const Bits& in) { return pick(in, entries); });
    EXPECT_EQ(sample.num_ands(), ands);
    for (uint32_t e = 0; e < entries.size(); e += bits < 9 ? 1 : 37) {
      EXPECT_EQ(sample(e), entries[e]);
    }
  }
}

}  // namespace samplers_test
}  // namespace flexroom::circuits
