#include "cloud/ec2_filters.h"

#include <algorithm>

#include "cloud/policy.h"

namespace flexroom::cloud {

Ec2Filters::Ec2Filters(const Parameters& in, std::initializer_list<const char*> known) {
  for (size_t i = 1;; ++i) {
    const std::string prefix = "Filter." + std::to_string(i) + ".";
    const auto name = in.get(prefix + "Name");
    if (!name) return;
    if (std::find(known.begin(), known.end(), *name) == known.end()) {
      throw ApiError(400, "InvalidParameterValue", "The filter '" + *name + "' is invalid");
    }
    filters_.push_back({*name, in.list(prefix + "Value")});
    if (filters_.back().values.empty()) {
      throw ApiError(400, "InvalidParameterValue", "The filter '" + *name + "' has no value");
    }
  }
}

bool Ec2Filters::pass(const Pairs& facts) const {
  return std::all_of(filters_.begin(), filters_.end(), [&](const Filter& filter) {
    const std::string fact = lookup(facts, filter.name).value_or("");
    return std::any_of(filter.values.begin(), filter.values.end(),
                       [&](const std::string& value) { return wildcard_match(value, fact); });
  });
}

}  // namespace flexroom::cloud
