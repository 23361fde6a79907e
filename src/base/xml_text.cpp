#include "base/xml_text.h"

#include <cstdint>

namespace flexroom {

std::string xml_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default: {
        // XML 1.0 cannot hold other control characters at all.
        const bool allowed = static_cast<uint8_t>(c) >= 0x20 || c == '\n' || c == '\t' || c == '\r';
        if (c == '\r') {
          out += "&#13;";
        } else {
          out += allowed ? c : '?';
        }
      }
    }
  }
  return out;
}

}  // namespace flexroom
