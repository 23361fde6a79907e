#pragma once

#include <optional>

#include "http/outline.h"

namespace flexroom::http {

/// The opened marks of the bytes that have arrived (circuits::HeaderOutline).
struct HeaderMarks {
  std::vector<bool> line_ends, colons, details, ends;
  bool bad = false;  // of the last byte
};

struct HeaderLine {
  Span name;
  Span value;                   // between ':' and CR, blanks included
  std::vector<size_t> details;  // marked bytes in the value: not opened yet
  bool operator==(const HeaderLine&) const = default;
};
struct HeaderLines {
  std::vector<HeaderLine> lines;  // behind the status line
  size_t size = 0;                // of the header, with its empty line
  bool operator==(const HeaderLines&) const = default;
};
/// Throws OutlineError.
HeaderLines read_header_outline(const HeaderMarks& marks);

/// A part of a header value between ';'.
struct Piece {
  Span name;                  // behind leading blanks, up to the first '=' or the whole piece
  std::optional<Span> value;  // behind that '=' and blanks
  bool operator==(const Piece&) const = default;
};
/// The pieces of a line's value; `details` are its marks, opened.
std::vector<Piece> read_pieces(const HeaderLine& line, const Marks& details);

}  // namespace flexroom::http
