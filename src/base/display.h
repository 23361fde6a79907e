#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace flexroom {

/// Text of anybody (a file, a member, a service) as it may stand on an operator's screen: printable
/// characters of UTF-8. Control characters (C0, DEL, C1), the characters that turn or hide text
/// (bidi controls, zero-width ones, line and paragraph separators) and bytes that are no UTF-8
/// become '?' each, so that nobody moves the cursor, colours, reorders or hides a word. Newline and
/// tab too: the text stays one line.
std::string display(std::string_view text);
/// The same of several lines: newlines stay, a tab becomes a blank.
std::string display_lines(std::string_view text);
/// display() of at most `most` bytes; what is left out shows as "...".
std::string display_short(std::string_view text, size_t most = 200);

/// Foreign bytes as one line for a person who must see exactly what they are (a proposal, a log
/// entry): nothing of them is lost.
///
/// Printable ASCII stays. Everything else is written out: a character of valid UTF-8 as \u{202e}
/// (so no control, bidi, invisible or look-alike character acts), any other byte as \x{80}.
/// Backslashes are doubled only where they would make an escape out of what follows, so that other
/// bytes always give another text and usual text stays as it is.
std::string display_text(std::string_view text);

/// The same of at most `max` bytes of the text, and " ... (N bytes)" behind what was cut.
std::string display_text(std::string_view text, size_t max);

}  // namespace flexroom
