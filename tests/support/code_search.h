#pragma once

#include <optional>

#include "http/outline.h"
#include "http/text.h"

namespace flexroom::support {

/// The oracle of the code search inside: what `after "LIT"` and `pattern "LIT" CLASS "TERM"` select
/// from a text in the clear, by the rules of tls-in-mpc.md §5.5: the run of `run_class` directly
/// behind the only place where `literal` stands, not empty, ended inside the text at a byte of
/// `terminator` (if one is asked for) that does not begin `\u`. Nothing otherwise. A selected JSON
/// string is given with its closing quote.
inline std::optional<http::Span> find_code(
    std::string_view text, std::string_view literal, const http::CharSet& run_class,
    const std::optional<http::CharSet>& terminator = std::nullopt) {
  const size_t place = text.find(literal);
  if (literal.empty() || place == std::string_view::npos ||
      text.find(literal, place + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  http::Span run{place + literal.size(), place + literal.size()};
  while (run.end < text.size() && run_class.contains(text[run.end])) ++run.end;
  const std::string_view behind = text.substr(run.end);
  if (run.size() == 0 || behind.empty() || behind.starts_with("\\u") ||
      (terminator && !terminator->contains(behind.front()))) {
    return std::nullopt;
  }
  return run;
}

}  // namespace flexroom::support
