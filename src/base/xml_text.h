#pragma once

#include <string>
#include <string_view>

namespace flexroom {

/// As text or attribute value of an XML document: the characters of markup become references, and
/// control characters, which XML 1.0 cannot hold, '?'.
std::string xml_escape(std::string_view text);

}  // namespace flexroom
