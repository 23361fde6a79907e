#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace flexroom::http {

/// What the structure of an answer is, as places: the strict parsers of tls-in-mpc.md §5.4, the
/// same code at all members. The bytes between the places are not needed here and, of a sealed
/// answer, nobody has them.

enum class OutlineFault : uint8_t {
  kBadHeader,      // bare CR or LF, folded line, line without a name, blank in a name
  kHeaderTooLong,  // no end in the window
  kNotWellFormed,  // not one JSON value, not one XML element
  kMarkup,         // XML that is no element: comment, CDATA, DOCTYPE, processing instruction
  // of a selection (select.h)
  kNotFound,
  kNoItem,  // no element of the array fits: an event of its own, `none`
  kTwice,
  kOtherType,
  kEscapedKey,
  kEscapedText,
  kOutsideClass,
};
std::string_view to_string(OutlineFault fault);

/// ProtocolAbort(kServer): the answer is not read, nothing of it is opened.
class OutlineError : public ProtocolAbort {
 public:
  explicit OutlineError(OutlineFault fault);
  OutlineFault fault() const { return fault_; }

 private:
  OutlineFault fault_;
};

/// Bytes begin .. end - 1.
struct Span {
  size_t begin = 0, end = 0;
  size_t size() const { return end - begin; }
  bool operator==(const Span&) const = default;
};

/// A marked byte that was opened.
struct Mark {
  size_t at = 0;
  char byte = 0;
};
using Marks = std::vector<Mark>;  // in order

/// White space of JSON and XML.
inline bool is_white(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace flexroom::http
