#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "cloud/iam.h"

namespace flexroom::cloud {

/// The filters of a Describe call: Filter.N.Name with Filter.N.Value.M, where `*` and `?` stand for
/// others. A thing passes if every filter has a value that fits.
class Ec2Filters {
 public:
  /// Throws ApiError(400, InvalidParameterValue) for a name that is not `known` and for a filter
  /// without a value.
  Ec2Filters(const Parameters& in, std::initializer_list<const char*> known);
  /// `facts`: the thing's value for every known name.
  bool pass(const Pairs& facts) const;

 private:
  struct Filter {
    std::string name;
    std::vector<std::string> values;
  };
  std::vector<Filter> filters_;
};

}  // namespace flexroom::cloud
