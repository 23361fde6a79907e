#include "agent/drawn_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "prep/open.h"
#include "support/dealer.h"
#include "support/parties.h"
#include "support/sweeps.h"

// tls-in-mpc.md §5.2a. Real members and the real engine above a dealer.

namespace flexroom::agent {
namespace {

using Alphabet = Sampler::Alphabet;

std::vector<Sampler> one_of_each() {
  return {{Alphabet::kBase32, 26, {}, "@example-mail.test"},
          {Alphabet::kBase64Url, 22, {}, "Aa1!"},
          {Alphabet::kDigits, 6, {}, ""},
          {Alphabet::kHex, 9, {}, ""},
          {Alphabet::kList, 5, {"Abner", "Berta", "Celia", "Dorea"}, ""},
          {Alphabet::kDigits, 1, {}, "-x"}};
}

std::string text_of(const std::vector<uint8_t>& bits) {
  std::string out(bits.size() / 8, '\0');
  for (size_t t = 0; t < bits.size(); ++t) {
    out[t / 8] = static_cast<char>(out[t / 8] | bits[t] << (t % 8));
  }
  return out;
}

/// All members draw; then they open what came, which checks every MAC.
auto draw(size_t n, const std::vector<Sampler>& samplers, uint64_t seed,
          net::Tamper tamper = nullptr) {
  support::Dealer dealer(n, seed);
  const DrawCircuit circuit = build_draw_circuit(samplers);
  return support::run_parties(
      n,
      [&](net::Party& party) {
        prep::Source& source = dealer.source(party.id());
        boolean::Engine engine(party, source);
        std::vector<std::string> out;
        for (const prep::AuthBits& value : draw_values(party, source, engine, circuit)) {
          EXPECT_TRUE(value.pinned(0, value.size()));
          out.push_back(text_of(prep::open_bits(party, source.delta(), value, "test/open")));
        }
        return out;
      },
      std::move(tamper));
}

class DrawnValues : public ::testing::TestWithParam<size_t> {};

TEST_P(DrawnValues, AreOfTheirAlphabetsAndTheSameForAll) {
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const auto run = draw(GetParam(), one_of_each(), seed);
    for (const auto& member : run.outcomes) {
      ASSERT_TRUE(member.value.has_value()) << member.abort->what();
      EXPECT_EQ(*member.value, *run.outcomes[0].value);
    }
    const std::vector<std::string>& values = *run.outcomes[0].value;
    ASSERT_EQ(values.size(), 6u);
    const auto expect = [&](const std::string& value, size_t length, std::string_view symbols,
                            std::string_view suffix) {
      ASSERT_EQ(value.size(), length + suffix.size());
      EXPECT_EQ(value.substr(0, length).find_first_not_of(symbols), std::string::npos) << value;
      EXPECT_TRUE(value.ends_with(suffix)) << value;
    };
    expect(values[0], 26, "abcdefghijklmnopqrstuvwxyz234567", "@example-mail.test");
    expect(values[1], 22, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
           "Aa1!");
    expect(values[2], 6, "0123456789", "");
    expect(values[3], 9, "0123456789abcdef", "");
    EXPECT_TRUE(std::set<std::string>({"Abner", "Berta", "Celia", "Dorea"}).contains(values[4]));
    expect(values[5], 1, "0123456789", "-x");
    EXPECT_TRUE(seen.insert(values[0]).second && seen.insert(values[1]).second);
  }
}

TEST(DrawCircuit, HasOneShapeAndTheCountsOfTheDesign) {
  const auto ands = [](Sampler sampler) {
    return build_draw_circuit(std::vector<Sampler>{std::move(sampler)}).program->num_ands();
  };
  // The specification has 260, 374: 10 and 17 a character where 7 and 16 do.
  EXPECT_EQ(ands({Alphabet::kBase32, 26, {}, "@example-mail.test"}), 182u);
  EXPECT_EQ(ands({Alphabet::kBase64Url, 22, {}, "Aa1!"}), 352u);
  EXPECT_EQ(ands({Alphabet::kHex, 32, {}, ""}), 128u);
  EXPECT_EQ(ands({Alphabet::kDigits, 6, {}, ""}), 92u);
  EXPECT_EQ(ands({Alphabet::kDigits, 10, {}, ""}), 114u);
  EXPECT_EQ(ands({Alphabet::kDigits, 16, {}, ""}), 144u);
  std::vector<std::string> names;
  for (int k = 0; k < 1024; ++k) names.push_back(std::to_string(1000 + k));
  EXPECT_EQ(ands({Alphabet::kList, 4, names, ""}), 1056u);
  EXPECT_EQ(build_draw_circuit(one_of_each()).program->digest,
            build_draw_circuit(one_of_each()).program->digest);
  EXPECT_EQ(Sampler({Alphabet::kBase32, 26, {}, "x"}).entropy_bits(), 130);
  EXPECT_EQ(Sampler({Alphabet::kBase64Url, 22, {}, "x"}).entropy_bits(), 132);
  EXPECT_EQ(Sampler({Alphabet::kList, 4, names, ""}).entropy_bits(), 10);
  EXPECT_NEAR(Sampler({Alphabet::kDigits, 6, {}, ""}).entropy_bits(), 19.93, 0.01);
}

// Chi-square of every position against the uniform distribution; 6 sigma, so that a fair draw fails
// once in many millions of runs.
TEST(DrawnValuesSweep, EverySymbolIsAsLikelyAsTheOthers) {
  const std::vector<Sampler> samplers = {
      {Alphabet::kBase32, 64, {}, ""},
      {Alphabet::kDigits, 64, {}, ""},
      {Alphabet::kHex, 64, {}, ""},
      {Alphabet::kBase64Url, 64, {}, ""},
      {Alphabet::kList, 1, {"a", "b", "c", "d", "e", "f", "g", "h"}, ""}};
  const size_t symbols[] = {32, 10, 16, 64, 8};
  std::vector<std::map<char, size_t>> counts(samplers.size());
  const size_t runs = support::tries(20);
  for (uint64_t seed = 0; seed < runs; ++seed) {
    const auto run = draw(2, samplers, 1000 + seed);
    ASSERT_TRUE(run.outcomes[0].value.has_value());
    for (size_t k = 0; k < samplers.size(); ++k) {
      for (const char c : (*run.outcomes[0].value)[k]) ++counts[k][c];
    }
  }
  for (size_t k = 0; k < samplers.size(); ++k) {
    const auto total = static_cast<double>(runs * samplers[k].length);
    const double expected = total / static_cast<double>(symbols[k]);
    const auto freedom = static_cast<double>(symbols[k] - 1);
    double chi = 0;
    for (const auto& [c, count] : counts[k]) {
      chi += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) /
             expected;
    }
    chi += expected * static_cast<double>(symbols[k] - counts[k].size());  // those never seen
    EXPECT_LT(chi, freedom + 6 * std::sqrt(2 * freedom) + 12) << "sampler " << k;
  }
}

// Whichever message of one member is altered: no honest member goes on with another value. A bit
// that reaches nobody's check, or a stored value, would show here.
TEST_P(DrawnValues, AreRightOrNothingWhateverMessageIsAltered) {
  const size_t n = GetParam();
  const std::vector<Sampler> samplers = {{Alphabet::kDigits, 2, {}, ""},
                                         {Alphabet::kBase32, 3, {}, ".x"}};
  const auto honest = draw(n, samplers, 5);
  std::set<std::string> labels;
  size_t tried = 0;
  for (const net::MessageId& message : honest.trace) {
    if (message.sender != 1 || !labels.insert(message.label).second) continue;
    for (const size_t byte : {0u, 7u}) {
      const auto run = draw(n, samplers, 5, support::flip_bit_of(message, byte));
      for (PartyId i = 0; i < n; ++i) {
        if (i == 1 || !run.outcomes[i].value) continue;
        EXPECT_EQ(*run.outcomes[i].value, *honest.outcomes[i].value) << message.label;
      }
      ++tried;
    }
  }
  EXPECT_GT(tried, 6u);
}

// A member with a list of its own draws nothing with the others.
TEST_P(DrawnValues, OtherSamplersAreRefused) {
  const size_t n = GetParam();
  support::Dealer dealer(n);
  const auto run = support::run_parties(n, [&](net::Party& party) {
    Sampler sampler{Alphabet::kList, 3, {"abc", "def"}, ""};
    if (party.id() == 1) sampler.list = {"abc", "dee"};  // the same gates, other places
    prep::Source& source = dealer.source(party.id());
    boolean::Engine engine(party, source);
    return draw_values(party, source, engine, build_draw_circuit(std::vector<Sampler>{sampler}))
        .size();
  });
  bool noticed = false;  // the slower one may see that another gave up
  for (const auto& member : run.outcomes) {
    EXPECT_FALSE(member.value.has_value());
    noticed = noticed || member.code() == AbortCode::kViewMismatch;
  }
  EXPECT_TRUE(noticed);
}

INSTANTIATE_TEST_SUITE_P(Members, DrawnValues, ::testing::Values(2, 3));

}  // namespace
}  // namespace flexroom::agent
