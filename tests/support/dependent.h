#pragma once

#include <utility>
#include <vector>

#include "base/block.h"

namespace flexroom::support {

/// Indices of a nonempty set of coefficients that sum to zero: among 129 of 128 bits there is one.
/// What a cheater that knows chi before it must fix what chi combines alters together.
inline std::vector<size_t> dependent(const std::vector<Block>& chi) {
  std::vector<std::pair<Block, std::vector<bool>>> reduced;
  for (size_t t = 0; t < chi.size(); ++t) {
    Block sum = chi[t];
    std::vector<bool> who(chi.size());
    who[t] = true;
    for (const auto& [row, of] : reduced) {
      unsigned lead = 0;
      while (!row.bit(lead)) ++lead;
      if (!sum.bit(lead)) continue;
      sum ^= row;
      for (size_t i = 0; i < of.size(); ++i) who[i] = who[i] != of[i];
    }
    if (sum == Block()) {
      std::vector<size_t> out;
      for (size_t i = 0; i < who.size(); ++i) {
        if (who[i]) out.push_back(i);
      }
      return out;
    }
    reduced.emplace_back(sum, std::move(who));
  }
  return {};
}

}  // namespace flexroom::support
