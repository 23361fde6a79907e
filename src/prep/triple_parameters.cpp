#include "prep/triple_parameters.h"

#include <bit>
#include <cmath>
#include <string>

#include "base/error.h"

namespace flexroom::prep {
namespace {

constexpr double kMinBucketingBits = 43;
constexpr size_t kMaxBatch = size_t{1} << 24;

}  // namespace

TripleProtocol triple_protocol(std::string_view name) {
  if (name == "bucket") return TripleProtocol::kBucket;
  if (name == "masked") return TripleProtocol::kMasked;
  throw InputError("triples", "'" + std::string(name) + "' makes no triples",
                   "use bucket or masked");
}

Profile profile(std::string_view name, TripleProtocol protocol) {
  if (protocol == TripleProtocol::kMasked) {
    // The limits are those of the buckets: a room changes its triples within an epoch.
    if (name == "default") return {{1, size_t{1} << 17, 64, false, protocol}, 16, 64};
    if (name == "high") return {{1, size_t{1} << 17, 128, false, protocol}, 4, 64};
    if (name == "bandwidth") {
      throw InputError("profile", "'bandwidth' is a choice between buckets",
                       "use default or high with triples = \"masked\", which sends less");
    }
  }
  if (name == "default") return {};
  if (name == "bandwidth") return {{3, size_t{1} << 20, 64}, 4, 64};
  if (name == "high") return {{4, size_t{1} << 20, 128}, 4, 64};
  throw InputError("profile", "'" + std::string(name) + "' is not a security profile",
                   "use default, bandwidth or high");
}

double and_bytes_to_each_peer(TripleProtocol protocol, bool slow_link) {
  if (protocol == TripleProtocol::kMasked) return slow_link ? 17.5 : 26.9;
  return slow_link ? 60.9 : 84.2;  // the COT's 46.5 are halved
}

double bucketing_error_log2(size_t bucket_size, size_t batch) {
  const auto b = static_cast<double>(bucket_size);
  return -(b + (b - 1) * std::log2(static_cast<double>(batch)));
}

void require_acceptable(const TripleParameters& parameters) {
  const auto refuse = [](const std::string& problem, const char* remedy) {
    throw InputError("triple parameters", problem, remedy);
  };
  if (parameters.string_bits != 64 && parameters.string_bits != 128) {
    refuse("string width " + std::to_string(parameters.string_bits), "use 64 or 128");
  }
  if (!std::has_single_bit(parameters.batch) || parameters.batch > kMaxBatch) {
    refuse("batch of " + std::to_string(parameters.batch) + " triples",
           "use a power of two of at most 2^24");
  }
  if (parameters.protocol == TripleProtocol::kMasked) return;  // L is free
  if (parameters.bucket_size < 2 || parameters.bucket_size > 16) {
    refuse("bucket size " + std::to_string(parameters.bucket_size), "use 3, 4 or 5");
  }
  if (parameters.accept_weak_bucketing) return;
  if (-bucketing_error_log2(parameters.bucket_size, parameters.batch) < kMinBucketingBits) {
    refuse("bucket size " + std::to_string(parameters.bucket_size) + " with batches of " +
               std::to_string(parameters.batch) + " leaks a triple too often",
           "enlarge one of them until B + (B-1) log2 L is at least 43");
  }
}

}  // namespace flexroom::prep
