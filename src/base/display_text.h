#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace flexroom {

/// Foreign bytes as one line for a person's eyes: the one filter between what others wrote (names,
/// scripts, answers) and a terminal, a log line or a page.
///
/// Printable ASCII stays. Everything else is written out: a character of valid UTF-8 as \u{202e}
/// (so no control, bidi, invisible or look-alike character acts), any other byte as \x{80}.
/// Backslashes are doubled only where they would make an escape out of what follows, so that other
/// bytes always give another text and usual text stays as it is.
std::string display_text(std::string_view text);

/// The same of at most `max` bytes of the text, and " ... (N bytes)" behind what was cut.
std::string display_text(std::string_view text, size_t max);

}  // namespace flexroom
