#include "prep/triple_parameters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"

namespace flexroom::prep {
namespace triple_parameters_test {

// Of an epoch in which dirty_max batches may end without a verdict: (dirty_max + 1) * 4/3 times the
// bound of one batch (boolean-engine.md §5.4, §10.3).
double epoch_error_log2(const Profile& profile) {
  return std::log2((profile.dirty_max + 1) * 4.0 / 3.0) +
         bucketing_error_log2(profile.triples.bucket_size, profile.triples.batch);
}

TEST(TripleParametersTest, BoundIsTheTableOfTheDesign) {
  EXPECT_DOUBLE_EQ(bucketing_error_log2(4, size_t{1} << 16), -52);
  EXPECT_DOUBLE_EQ(bucketing_error_log2(4, size_t{1} << 20), -64);
  EXPECT_DOUBLE_EQ(bucketing_error_log2(3, size_t{1} << 20), -43);
  EXPECT_DOUBLE_EQ(bucketing_error_log2(4, size_t{1} << 13), -43);
  EXPECT_DOUBLE_EQ(bucketing_error_log2(5, size_t{1} << 10), -45);
  EXPECT_NEAR(epoch_error_log2(profile("default")), -47.5, 0.05);
  EXPECT_NEAR(epoch_error_log2(profile("bandwidth")), -40.3, 0.05);
  EXPECT_NEAR(epoch_error_log2(profile("high")), -61.3, 0.05);
}

TEST(TripleParametersTest, ProfilesAreAcceptable) {
  for (const char* name : {"default", "bandwidth", "high"}) {
    EXPECT_NO_THROW(require_acceptable(profile(name).triples)) << name;
  }
  EXPECT_EQ(profile("high").triples.string_bits, 128u);
  EXPECT_EQ(profile("bandwidth").dirty_max, 4u);
  EXPECT_THROW(profile("fast"), InputError);
}

/// log2 of the error of an epoch with masked triples (engine-v2.md §V3), each batch with a count of
/// its own: R (2^-K + 2^-(w-2) + 2^-64), K = w, R = dirty_max + 1.
double masked_error_log2(unsigned string_bits, unsigned dirty_max) {
  const auto w = static_cast<double>(string_bits);
  return std::log2(dirty_max + 1.0) +
         std::log2(std::exp2(-w) + std::exp2(-(w - 2)) + std::exp2(-64.0));
}

// engine-v2.md §V3 with one batch a count (f = 1), and its choices by name.
TEST(TripleParametersTest, MaskedTriplesHaveNoRuleOnTheirBatches) {
  EXPECT_EQ(triple_protocol("bucket"), TripleProtocol::kBucket);
  EXPECT_EQ(triple_protocol("masked"), TripleProtocol::kMasked);
  EXPECT_THROW(triple_protocol("best"), InputError);
  const auto masked = [](const char* name) { return profile(name, TripleProtocol::kMasked); };
  EXPECT_NEAR(masked_error_log2(64, masked("default").dirty_max), -57.3, 0.05);
  EXPECT_NEAR(masked_error_log2(128, masked("high").dirty_max), -61.7, 0.05);
  EXPECT_EQ(masked("high").triples.string_bits, 128u);
  EXPECT_THROW(masked("bandwidth"), InputError);
  for (const char* name : {"default", "high"}) {
    EXPECT_NO_THROW(require_acceptable(masked(name).triples)) << name;
    EXPECT_EQ(masked(name).triples.protocol, TripleProtocol::kMasked);
    // A room may change its triples within an epoch: what is counted stays counted.
    EXPECT_EQ(masked(name).dirty_max, profile(name).dirty_max);
    EXPECT_EQ(masked(name).life_max, profile(name).life_max);
  }
  EXPECT_NO_THROW(require_acceptable({1, 256, 64, false, TripleProtocol::kMasked}));
  EXPECT_THROW(require_acceptable({1, 257, 64, false, TripleProtocol::kMasked}), InputError);
  EXPECT_THROW(require_acceptable({1, 256, 32, false, TripleProtocol::kMasked}), InputError);
}

TEST(TripleParametersTest, WeakOrOddParametersAreRefused) {
  EXPECT_NO_THROW(require_acceptable({4, size_t{1} << 13, 64}));
  EXPECT_THROW(require_acceptable({4, size_t{1} << 12, 64}), InputError);
  EXPECT_THROW(require_acceptable({3, size_t{1} << 19, 64}), InputError);
  EXPECT_THROW(require_acceptable({4, 65535, 64}), InputError);
  EXPECT_THROW(require_acceptable({4, size_t{1} << 16, 40}), InputError);
  EXPECT_THROW(require_acceptable({1, size_t{1} << 16, 64}), InputError);
  EXPECT_NO_THROW(require_acceptable({3, 8, 64, true}));
  EXPECT_THROW(require_acceptable({3, 9, 64, true}), InputError);
}

// §5.4: with c_k leaky items in layer k the expected number of fully leaky outputs is
// prod c_k / L^(B-1).
TEST(TripleParametersTest, ExpectationOfTheBoundBySimulation) {
  constexpr size_t kItems = 12, kRuns = 40000;
  const std::vector<std::vector<size_t>> leaky = {{0, 1}, {3, 7}, {2, 5}};
  std::mt19937_64 random(9);
  size_t hits = 0;
  for (size_t run = 0; run < kRuns; ++run) {
    const size_t shifts[3] = {0, random() % kItems, random() % kItems};
    for (size_t t = 0; t < kItems; ++t) {
      bool all = true;
      for (size_t k = 0; k < 3; ++k) {
        const size_t item = (t + shifts[k]) % kItems;
        all = all && (leaky[k][0] == item || leaky[k][1] == item);
      }
      hits += all ? 1 : 0;
    }
  }
  EXPECT_NEAR(static_cast<double>(hits) / kRuns, 8.0 / (kItems * kItems), 0.006);
}

}  // namespace triple_parameters_test
}  // namespace flexroom::prep
