#include "http/code_search.h"

namespace flexroom::http {

std::optional<Span> find_code(std::string_view text, std::string_view literal,
                              const CharSet& run_class, const std::optional<CharSet>& terminator) {
  const size_t place = text.find(literal);
  if (literal.empty() || place == std::string_view::npos ||
      text.find(literal, place + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  Span run{place + literal.size(), place + literal.size()};
  while (run.end < text.size() && run_class.contains(text[run.end])) ++run.end;
  const std::string_view behind = text.substr(run.end);
  if (run.size() == 0 || behind.empty() || behind.starts_with("\\u") ||
      (terminator && !terminator->contains(behind.front()))) {
    return std::nullopt;
  }
  return run;
}

}  // namespace flexroom::http
