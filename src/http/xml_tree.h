#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "http/outline.h"

namespace flexroom::http {

struct XmlElement {
  Span name;
  std::optional<Span> end_name;  // nothing: <NAME/>
  Span text;                     // between the tags, children included
  std::vector<size_t> children;  // in XmlOutline::elements
  bool operator==(const XmlElement&) const = default;
};
struct XmlOutline {
  std::vector<XmlElement> elements;  // the first is the root
  /// What the bytes between the tags outside of the root must be; zero tests of a sealed answer.
  std::vector<std::pair<Span, std::string_view>> literals;
};

/// One element; before it `<?xml ..?>` at the very beginning, around it nothing or one LF or CRLF.
/// Names are compared by length alone: those on a path are for the selection to test, and so are
/// the literals. Throws OutlineError.
XmlOutline read_xml_outline(size_t size, const Marks& marks);

/// The elements of a text in the clear, strict: XML 1.0 without comments, CDATA, DOCTYPE,
/// processing instructions and entities of its own, by the rules above around the root; no blank in
/// an end tag; UTF-8 is not looked at. Throws OutlineError.
std::vector<XmlElement> read_xml(std::string_view text);

}  // namespace flexroom::http
