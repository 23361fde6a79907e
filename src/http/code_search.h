#pragma once

#include <optional>

#include "http/outline.h"
#include "http/text.h"

namespace flexroom::http {

/// What `after "LIT"` and `pattern "LIT" CLASS "TERM"` select from a text in the clear, by the
/// rules of tls-in-mpc.md §5.5: the run of `run_class` directly behind the only place where
/// `literal` stands, not empty, ended inside the text at a byte of `terminator` (if one is asked
/// for) that does not begin `\u`. Nothing otherwise. A selected JSON string is given with its
/// closing quote.
std::optional<Span> find_code(std::string_view text, std::string_view literal,
                              const CharSet& run_class,
                              const std::optional<CharSet>& terminator = std::nullopt);

}  // namespace flexroom::http
