#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"

namespace flexroom::boolean {

/// The garblers of an instance: all members but its evaluator, in cyclic order from behind it
/// (boolean-engine.md §6). The first of them sends the colour bits.
std::vector<PartyId> garblers_of(size_t num_parties, PartyId evaluator);

/// Who evaluates which instance of a session (boolean-engine.md §6.7): so that all garble about as
/// many ANDs, hence send about as many bytes of rows. A function of public numbers that are the
/// same at all members; what two of them decide differently is found before anything is used.
class EvaluatorPlan {
 public:
  explicit EvaluatorPlan(size_t num_parties) : evaluated_(num_parties) {}

  /// For instances that are prepared together, of so many ANDs each: from the largest to the
  /// smallest (of equal ones the first in the list first) each goes to the member that evaluates
  /// fewest ANDs so far, of equal ones to the lowest id.
  std::vector<PartyId> assign(std::span<const uint64_t> ands) const;
  /// What was agreed, these or others: assign() goes by it from now on.
  void count(std::span<const uint64_t> ands, std::span<const PartyId> evaluators);

 private:
  std::vector<uint64_t> evaluated_;  // ANDs of this session, by member
};

}  // namespace flexroom::boolean
