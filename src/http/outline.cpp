#include "http/outline.h"

#include <string>

namespace flexroom::http {
std::string_view to_string(OutlineFault fault) {
  switch (fault) {
    case OutlineFault::kBadHeader:
      return "bad header";
    case OutlineFault::kHeaderTooLong:
      return "header too long";
    case OutlineFault::kNotWellFormed:
      return "not well formed";
    case OutlineFault::kMarkup:
      return "markup";
    case OutlineFault::kNotFound:
      return "not found";
    case OutlineFault::kNoItem:
      return "none";
    case OutlineFault::kTwice:
      return "twice";
    case OutlineFault::kOtherType:
      return "other type";
    case OutlineFault::kEscapedKey:
      return "escaped key";
    case OutlineFault::kEscapedText:
      return "escaped text";
    case OutlineFault::kOutsideClass:
      return "outside class";
  }
  return "unknown";
}

OutlineError::OutlineError(OutlineFault fault)
    : ProtocolAbort(AbortCode::kServer, "http/outline, " + std::string(to_string(fault)),
                    "the service's answer has another form than the recipe reads"),
      fault_(fault) {}

}  // namespace flexroom::http
