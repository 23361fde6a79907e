#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/text.h"

namespace flexroom::flow {

/// What the bytes of a value may be, by the names of flow files (tls-in-mpc.md §5.1).
enum class ValueClass : uint8_t {
  kHex,
  kBase32,
  kBase64,
  kBase64Url,
  kUrlSafe,
  kCookie,
  kJsonSafe,
  kXmlText,
  kDigits,
  kShellUrl,
  kRaw,
  kDigitsAndSpaces,  // of a pattern alone
};
std::string_view to_string(ValueClass value_class);
/// Nothing for another name; "digits-and-spaces" only where `in_pattern`.
std::optional<ValueClass> value_class_of(std::string_view name, bool in_pattern = false);
const http::CharSet& set_of(ValueClass value_class);
/// The narrowest class of a request's slots that contains it.
http::CharClass char_class_of(ValueClass value_class);
/// log2 of the number of values of so many characters.
double most_bits(ValueClass value_class, size_t length);

/// `{{NAME}}`s of a text, in order; nothing if one is open, nested or no name.
std::optional<std::vector<std::string>> names_in(std::string_view text);
/// 1 to 64 of letters, digits, '.', '_', '/' and '-'.
bool is_value_name(std::string_view text);

/// Which part of an answer (operations.md (a), tls-in-mpc.md §5.4, §5.5).
struct Selector {
  enum class Kind : uint8_t { kCookie, kHeader, kJson, kJsonNumber, kXml, kPattern };
  Kind kind = Kind::kJson;
  std::string text;                     // as written
  std::string name;                     // of the cookie; of the header, lower case
  std::string path, domain;             // of a cookie; empty: the default
  std::string before, behind;           // kHeader: the literals around the value
  std::vector<std::string> steps;       // kJson, kJsonNumber, kXml
  bool in_item = false;                 // json item/..
  std::optional<std::string> literal;   // of `after` or `pattern`
  std::optional<ValueClass> run_class;  // kPattern: of the value
  std::string terminator;               // kPattern: what follows it

  /// Reads the body, not only the header.
  bool in_body() const { return kind != Kind::kCookie && kind != Kind::kHeader; }
  /// Looks for a literal: shows a position.
  bool searches() const { return literal.has_value(); }
  bool is_json() const { return kind == Kind::kJson || kind == Kind::kJsonNumber; }
};
/// Nothing if the text is no selector.
std::optional<Selector> parse_selector(std::string_view text);

/// `[path="text"]`, `[path=true]`, `[path!="{{NAME}}"]`.
struct Filter {
  std::vector<std::string> path;
  bool equal = true;    // false: `!=`
  bool is_text = true;  // false: the token true, false or a number
  std::string value;    // as sent; may hold {{NAME}}s
  bool at_run_time() const { return value.find("{{") != std::string::npos; }
};
/// One element of one array.
struct Item {
  std::string text;
  std::vector<std::string> array;
  std::vector<Filter> filters;
};
std::optional<Item> parse_item(std::string_view text);

}  // namespace flexroom::flow
