#include "http/header_lines.h"

#include <algorithm>

namespace flexroom::http {
namespace {

[[noreturn]] void fail(OutlineFault fault) { throw OutlineError(fault); }

}  // namespace

HeaderLines read_header_outline(const HeaderMarks& marks) {
  if (marks.bad || marks.ends.empty()) fail(OutlineFault::kBadHeader);
  const auto end = std::find(marks.ends.begin(), marks.ends.end(), true);
  // `bad` can be 0 there: an end outside the window is a failure of its own.
  if (end == marks.ends.end()) fail(OutlineFault::kHeaderTooLong);
  HeaderLines out;
  out.size = static_cast<size_t>(end - marks.ends.begin()) + 1;
  size_t start = 0, colon = 0;  // 0: none yet
  std::vector<size_t> details;
  for (size_t at = 0; at < out.size; ++at) {
    if (marks.line_ends[at]) {
      if (colon != 0) {
        out.lines.push_back({{start, colon}, {colon + 1, at - 1}, std::move(details)});
      }
      start = at + 1;
      colon = 0;
      details.clear();
    } else if (marks.colons[at] && start != 0) {
      if (at == start) fail(OutlineFault::kBadHeader);
      colon = at;
    } else if (marks.details[at] && start != 0) {
      details.push_back(at);
    }
  }
  return out;
}

std::vector<Piece> read_pieces(const HeaderLine& line, const Marks& details) {
  std::vector<Piece> out;
  size_t begin = line.value.begin, equals = 0, value = 0;  // 0: none yet
  const auto finish = [&](size_t end) {
    Piece& piece = out.emplace_back();
    piece.name = {begin, equals != 0 ? equals : end};
    if (equals != 0) piece.value = Span{value, end};
    begin = end + 1;
    equals = 0;
  };
  for (const Mark& mark : details) {
    if (mark.byte == ';') {
      finish(mark.at);
    } else if (mark.byte == '=') {
      equals = mark.at;
      value = mark.at + 1;
    } else {
      (equals != 0 ? value : begin) = mark.at + 1;
    }
  }
  finish(line.value.end);
  return out;
}

}  // namespace flexroom::http
