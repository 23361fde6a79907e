#pragma once

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

}  // namespace flexroom
