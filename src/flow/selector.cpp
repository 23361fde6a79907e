#include "flow/selector.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace flexroom::flow {
namespace {

using http::CharClass;
using http::CharSet;

constexpr CharSet kDigit = CharSet::range('0', '9');
constexpr CharSet kLetter = CharSet::range('a', 'z') | CharSet::range('A', 'Z');
constexpr CharSet kAlnum = kDigit | kLetter;
constexpr size_t kMaxText = 1024;

struct ClassRow {
  std::string_view name;
  CharClass in_requests;
};
constexpr std::array<ClassRow, 12> kClasses = {{
    {"hex", CharClass::kHex},
    {"base32", CharClass::kUrlSafe},
    {"base64", CharClass::kB64},
    {"base64url", CharClass::kUrlSafe},
    {"urlsafe", CharClass::kUrlSafe},
    {"cookie", CharClass::kCookie},
    {"jsonsafe", CharClass::kJsonSafe},
    {"xmltext", CharClass::kXmlText},
    {"digits", CharClass::kDigits},
    {"shellurl", CharClass::kShellUrl},
    {"raw", CharClass::kRaw},
    {"digits-and-spaces", CharClass::kRaw},
}};

/// A text that is eaten from the front.
class Eater {
 public:
  explicit Eater(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  bool take(std::string_view literal) {
    if (!rest_.starts_with(literal)) return false;
    rest_.remove_prefix(literal.size());
    return true;
  }
  /// The longest run of the set.
  std::string run(const CharSet& set) {
    size_t size = 0;
    while (size < rest_.size() && set.contains(rest_[size])) ++size;
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return out;
  }
  /// `"TEXT"` without quotes and braces in it, not empty.
  std::optional<std::string> quoted(bool braces = false) {
    return up_to(rest_.find('"', 1), braces);
  }
  /// The same as it stands in a JSON string: a quote behind a backslash is of the text.
  std::optional<std::string> quoted_json() {
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    return up_to(end, false);
  }

 private:
  std::optional<std::string> up_to(size_t end, bool braces) {
    if (!rest_.starts_with('"') || end >= rest_.size()) return std::nullopt;
    std::string out(rest_.substr(1, end - 1));
    if (!braces && (out.empty() || out.find_first_of("{}") != std::string::npos)) {
      return std::nullopt;
    }
    rest_.remove_prefix(end + 1);
    return out;
  }

  std::string_view rest_;
};

/// What a step of a JSON path may hold.
const CharSet& step_chars() {
  static const CharSet set = CharSet::range(0x21, 0xff) - CharSet::of("/\"{}[]\x7f");
  return set;
}

std::optional<std::vector<std::string>> steps(Eater& in, const CharSet& set) {
  std::vector<std::string> out;
  while (in.take("/")) {
    out.push_back(in.run(set));
    if (out.back().empty()) return std::nullopt;
  }
  if (out.empty()) return std::nullopt;
  return out;
}

/// The ` after "LIT"` at the end, if there is one; false if something else follows.
bool take_after(Eater& in, Selector& out) {
  if (in.done()) return true;
  if (!in.take(" after ")) return false;
  out.literal = out.is_json() ? in.quoted_json() : in.quoted();
  return out.literal && in.done();
}

bool parse_cookie(Eater in, Selector& out) {
  out.kind = Selector::Kind::kCookie;
  out.name = in.run(http::token_chars());
  if (out.name.empty() || out.name[0] == '$') return false;
  if (in.take(" path ")) {
    out.path = in.run(CharSet::range(0x21, 0x7e) - CharSet::of(";"));
    if (!out.path.starts_with('/')) return false;
  }
  if (in.take(" domain ")) {
    out.domain = in.run(kDigit | CharSet::range('a', 'z') | CharSet::of(".-"));
    if (out.domain.empty()) return false;
  }
  return in.done();
}

bool parse_header(Eater in, Selector& out) {
  out.kind = Selector::Kind::kHeader;
  out.name = http::to_lower(in.run(kAlnum | CharSet::of("-")));
  // A cookie has attributes and neighbours: it is selected as one, or not at all.
  if (out.name.empty() || out.name == "set-cookie" || out.name == "set-cookie2") return false;
  if (!in.take(": ")) return false;
  const std::string_view rest = in.rest();
  const size_t hole = rest.find("{{}}");
  if (hole == std::string_view::npos) return false;
  out.before = rest.substr(0, hole);
  out.behind = rest.substr(hole + 4);
  return (out.before + out.behind).find_first_of("{}") == std::string::npos;
}

bool parse_json(Eater in, Selector& out) {
  out.in_item = in.take("item");
  auto path = steps(in, step_chars());
  if (!path) return false;
  out.steps = std::move(*path);
  if (!take_after(in, out)) return false;
  return out.kind == Selector::Kind::kJson || !out.literal;
}

bool parse_xml(Eater in, Selector& out) {
  out.kind = Selector::Kind::kXml;
  auto path = steps(in, kAlnum | CharSet::of("_.:-"));
  if (!path) return false;
  out.steps = std::move(*path);
  return take_after(in, out);
}

bool parse_pattern(Eater in, Selector& out) {
  out.kind = Selector::Kind::kPattern;
  out.literal = in.quoted();
  if (!out.literal) return false;
  if (in.done()) return true;
  if (!in.take(" ")) return false;
  out.run_class = value_class_of(in.run(kAlnum | CharSet::of("-")), true);
  if (!out.run_class || !in.take(" ")) return false;
  const auto terminator = in.quoted();
  out.terminator = terminator.value_or("");
  return terminator && in.done();
}

std::optional<Filter> parse_filter(Eater& in) {
  Filter out;
  const std::string path = in.run(CharSet::range(0x21, 0xff) - CharSet::of("\"{}[]=!\x7f"));
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    out.path.push_back(path.substr(at, end - at));
    if (out.path.back().empty()) return std::nullopt;
    at = end + 1;
  }
  out.equal = !in.take("!=");
  if (out.equal && !in.take("=")) return std::nullopt;
  if (const auto text = in.quoted(true)) {
    out.value = *text;
    const auto names = names_in(out.value);
    if (!names) return std::nullopt;
    // `!=` compares with one opened value, of which it knows two.
    if (!out.equal && (names->size() != 1 || out.value != "{{" + names->front() + "}}")) {
      return std::nullopt;
    }
  } else if (out.equal) {
    out.is_text = false;
    out.value = in.run(kAlnum);
    const bool number =
        !out.value.empty() && out.value.find_first_not_of("0123456789") == std::string::npos;
    if (!number && out.value != "true" && out.value != "false") return std::nullopt;
  } else {
    return std::nullopt;
  }
  return in.take("]") ? std::optional(out) : std::nullopt;
}

}  // namespace

std::string_view to_string(ValueClass value_class) {
  return kClasses[static_cast<size_t>(value_class)].name;
}

std::optional<ValueClass> value_class_of(std::string_view name, bool in_pattern) {
  for (size_t k = 0; k < kClasses.size(); ++k) {
    const auto value_class = static_cast<ValueClass>(k);
    if (kClasses[k].name != name) continue;
    if (value_class == ValueClass::kDigitsAndSpaces && !in_pattern) return std::nullopt;
    return value_class;
  }
  return std::nullopt;
}

const CharSet& set_of(ValueClass value_class) {
  static const CharSet kBase32Set = kLetter | CharSet::range('2', '7');
  static const CharSet kBase64UrlSet = kAlnum | CharSet::of("-_");
  static const CharSet kSpaced = kDigit | CharSet::of(" ");
  switch (value_class) {
    case ValueClass::kBase32:
      return kBase32Set;
    case ValueClass::kBase64Url:
      return kBase64UrlSet;
    case ValueClass::kDigitsAndSpaces:
      return kSpaced;
    default:
      return http::char_set(kClasses[static_cast<size_t>(value_class)].in_requests);
  }
}

CharClass char_class_of(ValueClass value_class) {
  return kClasses[static_cast<size_t>(value_class)].in_requests;
}

double most_bits(ValueClass value_class, size_t length) {
  unsigned count = 0;
  for (unsigned c = 0; c < 256; ++c) {
    count += set_of(value_class).contains(static_cast<uint8_t>(c)) ? 1 : 0;
  }
  return static_cast<double>(length) * std::log2(static_cast<double>(count));
}

bool is_value_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return kAlnum.contains(c) || c == '.' || c == '_' || c == '/' || c == '-';
  });
}

std::optional<std::vector<std::string>> names_in(std::string_view text) {
  std::vector<std::string> out;
  for (size_t at = text.find("{{"); at != std::string_view::npos; at = text.find("{{", at)) {
    const size_t end = text.find("}}", at);
    if (end == std::string_view::npos) return std::nullopt;
    out.emplace_back(text.substr(at + 2, end - at - 2));
    if (!is_value_name(out.back())) return std::nullopt;
    at = end + 2;
  }
  return out;
}

std::optional<Selector> parse_selector(std::string_view text) {
  if (text.size() > kMaxText) return std::nullopt;
  Selector out;
  out.text = text;
  Eater in(text);
  bool good = false;
  if (in.take("cookie ")) {
    good = parse_cookie(in, out);
  } else if (in.take("header ")) {
    good = parse_header(in, out);
  } else if (in.take("json ")) {
    good = parse_json(in, out);
  } else if (in.take("json-number ")) {
    out.kind = Selector::Kind::kJsonNumber;
    good = parse_json(in, out);
  } else if (in.take("xml ")) {
    good = parse_xml(in, out);
  } else if (in.take("pattern ")) {
    good = parse_pattern(in, out);
  }
  return good ? std::optional(out) : std::nullopt;
}

std::optional<Item> parse_item(std::string_view text) {
  if (text.size() > kMaxText) return std::nullopt;
  Item out;
  out.text = text;
  Eater in(text);
  while (in.take("/")) {
    if (in.rest().starts_with('[')) break;
    out.array.push_back(in.run(step_chars()));
    if (out.array.back().empty()) return std::nullopt;
  }
  if (out.array.empty()) return std::nullopt;
  while (in.take("[")) {
    auto filter = parse_filter(in);
    if (!filter) return std::nullopt;
    out.filters.push_back(std::move(*filter));
  }
  if (out.filters.empty() || !in.done()) return std::nullopt;
  return out;
}

}  // namespace flexroom::flow
