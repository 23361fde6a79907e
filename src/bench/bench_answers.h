#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench_figures.h"

/// What members answered to an order (bench_figures.h), one object a member, and how it is read.
namespace flexroom::bench {

using Answers = std::vector<nlohmann::json>;

inline double largest(const Answers& answers, const char* key) {
  double out = 0;
  for (const nlohmann::json& answer : answers) out = std::max(out, answer.at(key).get<double>());
  return out;
}

/// The slowest member's time, each time.
inline std::vector<double> slowest(const Answers& answers, const std::string& key) {
  std::vector<double> out;
  for (size_t k = 0; k < answers.front().at(key).size(); ++k) {
    double seconds = 0;
    for (const nlohmann::json& answer : answers) {
      seconds = std::max(seconds, answer.at(key)[k].get<double>());
    }
    out.push_back(seconds);
  }
  return out;
}

/// Of a Timeline, by the names the product gives its phases.
inline double seconds_of(const nlohmann::json& phases,
                         std::initializer_list<std::string_view> names, uint64_t* ands = nullptr,
                         uint64_t* rounds = nullptr) {
  double sum = 0;
  for (const std::string_view name : names) {
    bool found = false;
    for (const BenchPhase& phase : phases.get<std::vector<BenchPhase>>()) {
      if (phase.name != name) continue;
      found = true;
      sum += phase.seconds;
      if (ands != nullptr) *ands += phase.ands;
      if (rounds != nullptr) *rounds += phase.half_rounds;
    }
    if (!found) throw std::logic_error(fmt::format("bench: no phase '{}' in the timeline", name));
  }
  return sum;
}

}  // namespace flexroom::bench
