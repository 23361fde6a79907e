#include "base/near_name.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace flexroom {
namespace {

constexpr size_t kMaxLength = 64;

/// Edits from one to the other, a swap of neighbours being one (optimal string alignment).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> rows(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) rows[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.size()][b.size()];
}

}  // namespace

std::string near_name(std::string_view word, std::span<const std::string> known) {
  if (word.empty() || word.size() > kMaxLength) return "";
  std::string best;
  size_t fewest = word.size() <= 3 ? 1 : 2;
  for (const std::string& name : known) {
    if (name.size() > kMaxLength || name == word) continue;
    const size_t edits = distance(word, name);
    if (edits > fewest || (edits == fewest && !best.empty()) || edits >= name.size()) continue;
    fewest = edits;
    best = name;
  }
  if (!best.empty()) return best;
  // The beginning of one name only.
  for (const std::string& name : known) {
    if (word.size() < 2 || !name.starts_with(word)) continue;
    if (!best.empty()) return "";
    best = name;
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
  const std::string name = near_name(word, known);
  return name.empty() ? "" : "; did you mean `" + name + "`?";
}

}  // namespace flexroom
