#include "boolean/evaluators.h"

#include <algorithm>
#include <numeric>

namespace flexroom::boolean {

std::vector<PartyId> garblers_of(size_t num_parties, PartyId evaluator) {
  FLEXROOM_ASSERT(evaluator < num_parties);
  std::vector<PartyId> out;
  for (size_t k = 1; k < num_parties; ++k) {
    out.push_back(static_cast<PartyId>((evaluator + k) % num_parties));
  }
  return out;
}

std::vector<PartyId> EvaluatorPlan::assign(std::span<const uint64_t> ands) const {
  std::vector<size_t> order(ands.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return ands[a] > ands[b]; });
  std::vector<uint64_t> evaluated = evaluated_;
  std::vector<PartyId> out(ands.size());
  for (const size_t k : order) {
    const auto least = std::min_element(evaluated.begin(), evaluated.end());
    *least += ands[k];
    out[k] = static_cast<PartyId>(least - evaluated.begin());
  }
  return out;
}

void EvaluatorPlan::count(std::span<const uint64_t> ands, std::span<const PartyId> evaluators) {
  FLEXROOM_ASSERT(ands.size() == evaluators.size());
  for (size_t k = 0; k < ands.size(); ++k) evaluated_.at(evaluators[k]) += ands[k];
}

}  // namespace flexroom::boolean
