#include "http/select.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace flexroom::http {
namespace {

[[noreturn]] void fail(OutlineFault fault) { throw OutlineError(fault); }

bool is_text(Span span, std::string_view text, AnswerBytes& bytes, bool any_case = false) {
  return span.size() == text.size() && (text.empty() || bytes.equal(span, text, any_case));
}

/// Of the items that fit, the only one.
template <typename T>
const T& only(const std::vector<const T*>& found) {
  if (found.empty()) fail(OutlineFault::kNotFound);
  if (found.size() > 1) fail(OutlineFault::kTwice);
  return *found.front();
}

void require_classes(Span span, const std::vector<CharSet>& sets, AnswerBytes& bytes) {
  if (!bytes.in_classes(span, sets)) fail(OutlineFault::kOutsideClass);
}

}  // namespace

bool ClearBytes::equal(Span span, std::string_view text, bool any_case) {
  return any_case ? same_name(at(span), text) : at(span) == text;
}

bool ClearBytes::in_classes(Span span, const std::vector<CharSet>& sets) {
  for (size_t k = 0; k < span.size(); ++k) {
    if (!sets[sets.size() == 1 ? 0 : k].contains(text_[span.begin + k])) return false;
  }
  return true;
}

bool ClearBytes::have_escape(const std::vector<Span>& strings) {
  return std::any_of(strings.begin(), strings.end(),
                     [&](Span string) { return at(string).find('\\') != std::string_view::npos; });
}

std::string ClearBytes::open_marks(const std::vector<size_t>& at) {
  std::string out;
  for (const size_t place : at) out += text_[place];
  return out;
}

// --- header ---

void ask_names(const HeaderLines& header, const std::vector<std::string>& names,
               AnswerBytes& bytes) {
  std::vector<AnswerBytes::Question> questions;
  for (const HeaderLine& line : header.lines) {
    for (const std::string& name : names) {
      if (line.name.size() == name.size()) questions.push_back({line.name, name, true});
    }
  }
  bytes.ask_together(questions);
}

std::vector<const HeaderLine*> lines_named(const HeaderLines& header, std::string_view name,
                                           AnswerBytes& bytes) {
  ask_names(header, {std::string(name)}, bytes);
  std::vector<const HeaderLine*> out;
  for (const HeaderLine& line : header.lines) {
    if (is_text(line.name, name, bytes, true)) out.push_back(&line);
  }
  return out;
}

namespace {

std::vector<Piece> pieces_of(const HeaderLine& line, AnswerBytes& bytes) {
  Marks details;
  if (!line.details.empty()) {
    const std::string opened = bytes.open_marks(line.details);
    for (size_t k = 0; k < opened.size(); ++k) details.push_back({line.details[k], opened[k]});
  }
  return read_pieces(line, details);
}

}  // namespace

// The word and a blank behind it is what two readers take for two things: refused.
bool is_word(Span span, std::string_view word, AnswerBytes& bytes, bool any_case) {
  if (span.size() < word.size()) return false;
  const Span head{span.begin, span.begin + word.size()};
  if (!word.empty() && !bytes.equal(head, word, any_case)) return false;
  if (span.size() == word.size()) return true;
  const Span next{head.end, head.end + 1};
  if (bytes.equal(next, " ", false) || bytes.equal(next, "\t", false)) {
    fail(OutlineFault::kBadHeader);
  }
  return false;
}

Span value_of(const HeaderLine& line, AnswerBytes& bytes) {
  return {pieces_of(line, bytes).front().name.begin, line.value.end};
}

Span select_header(const HeaderLines& header, std::string_view name, std::string_view before,
                   std::string_view after, AnswerBytes& bytes) {
  const HeaderLine& line = only(lines_named(header, name, bytes));
  const Span value = value_of(line, bytes);
  if (value.size() <= before.size() + after.size()) fail(OutlineFault::kNotFound);
  const Span out{value.begin + before.size(), value.end - after.size()};
  if (!is_text({value.begin, out.begin}, before, bytes) ||
      !is_text({out.end, value.end}, after, bytes)) {
    fail(OutlineFault::kNotFound);
  }
  return out;
}

bool has_header(const HeaderLines& header, std::string_view name, std::string_view before,
                std::string_view after, AnswerBytes& bytes) {
  for (const HeaderLine* line : lines_named(header, name, bytes)) {
    const Span value = value_of(*line, bytes);
    if (value.size() < before.size() + after.size()) continue;
    if (is_text({value.begin, value.begin + before.size()}, before, bytes) &&
        is_text({value.end - after.size(), value.end}, after, bytes)) {
      return true;
    }
  }
  return false;
}

void require_content_type(const HeaderLines& header, std::string_view type, AnswerBytes& bytes,
                          NoType none) {
  const auto lines = lines_named(header, "content-type", bytes);
  if (lines.size() > 1) fail(OutlineFault::kTwice);
  if (lines.empty()) {
    if (none == NoType::kTaken) return;
    fail(OutlineFault::kOtherType);
  }
  const Piece first = pieces_of(*lines.front(), bytes).front();
  const Span whole{first.name.begin, first.value ? first.value->end : first.name.end};
  if (!is_word(whole, type, bytes, true)) fail(OutlineFault::kOtherType);
}

// --- cookie ---

const std::vector<CharSet>& cookie_date_form() {
  static const std::vector<CharSet> form = [] {
    std::vector<CharSet> out;
    const CharSet letters = CharSet::range('a', 'z') | CharSet::range('A', 'Z');
    for (const char c : std::string_view("Aaa, 99-Aaa-9999 99:99:99 GMT")) {
      const bool fixed = out.size() >= 26;
      out.push_back(fixed                  ? CharSet::of(std::string_view(&c, 1))
                    : c == 'A' || c == 'a' ? letters
                    : c == '9'             ? CharSet::range('0', '9')
                    : c == '-'             ? CharSet::of(" -")
                                           : CharSet::of(std::string_view(&c, 1)));
    }
    return out;
  }();
  return form;
}

namespace {

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};

/// Seconds since 1970 of a date of that form; `bad header` where it is no date or before 1601.
int64_t seconds_of(const std::string& date) {
  const auto number = [&](size_t at, size_t digits) {
    int value = 0;
    for (size_t k = at; k < at + digits; ++k) value = 10 * value + (date[k] - '0');
    return value;
  };
  const auto month = std::find(kMonths.begin(), kMonths.end(), to_lower(date.substr(8, 3)));
  using namespace std::chrono;
  const year_month_day day{year(number(12, 4)),
                           std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
                           std::chrono::day(static_cast<unsigned>(number(5, 2)))};
  const int hour = number(17, 2), minute = number(20, 2), second = number(23, 2);
  if (month == kMonths.end() || number(12, 4) < 1601 || !day.ok() || hour > 23 || minute > 59 ||
      second > 59) {
    fail(OutlineFault::kBadHeader);
  }
  return int64_t{sys_days(day).time_since_epoch().count()} * 86400 + hour * 3600 + minute * 60 +
         second;
}

/// The attributes of a line that count; empty ones of Domain, Max-Age and Expires do not.
struct CookieAttributes {
  std::optional<Span> path, domain, max_age, expires;
  bool secure = false;
};

/// Names that browsers take only with Secure, and `__Host-` only without Domain and for path "/".
bool is_host_only(const CookieQuery& query) { return to_lower(query.name).starts_with("__host-"); }
bool is_prefixed(const CookieQuery& query) {
  return is_host_only(query) || to_lower(query.name).starts_with("__secure-");
}

/// The first of the questions that is_word() asks.
void ask_word(std::vector<AnswerBytes::Question>& questions, Span span, std::string_view word,
              bool any_case) {
  if (span.size() < word.size() || word.empty()) return;
  questions.push_back({{span.begin, span.begin + word.size()}, word, any_case});
}

CookieAttributes attributes_of(const std::vector<Piece>& pieces, bool with_secure,
                               AnswerBytes& bytes) {
  CookieAttributes out;
  std::vector<AnswerBytes::Question> questions;
  for (size_t k = 1; k < pieces.size(); ++k) {
    for (const std::string_view word : {"path", "domain", "max-age", "expires"}) {
      ask_word(questions, pieces[k].name, word, true);
    }
    if (with_secure) ask_word(questions, pieces[k].name, "secure", true);
  }
  bytes.ask_together(questions);
  for (size_t k = 1; k < pieces.size(); ++k) {
    const Piece& piece = pieces[k];
    const Span value = piece.value.value_or(Span{piece.name.end, piece.name.end});
    const auto is = [&](std::string_view word) { return is_word(piece.name, word, bytes, true); };
    const auto last = [&](std::optional<Span>& attribute) {
      if (value.size() != 0) attribute = value;
    };
    if (is("path")) {
      out.path = value;
    } else if (is("domain")) {
      last(out.domain);
    } else if (is("max-age")) {
      last(out.max_age);
    } else if (is("expires")) {
      last(out.expires);
    } else if (with_secure && is("secure")) {
      out.secure = true;
    }
  }
  return out;
}

/// Whether a line with these attributes is the cookie that is asked for (RFC 6265 §5.3, prefixes of
/// its successor).
bool is_for(const CookieAttributes& line, const CookieQuery& query, std::string_view domain,
            AnswerBytes& bytes) {
  const bool absolute = line.path && line.path->size() != 0 &&
                        bytes.equal({line.path->begin, line.path->begin + 1}, "/", false);
  if (!(absolute ? is_word(*line.path, query.path, bytes) : query.default_path == query.path)) {
    return false;
  }
  // A line without Domain is the host's own cookie, another one than that of the domain.
  const bool ours = line.domain ? is_word(*line.domain, domain, bytes, true) ||
                                      is_word(*line.domain, "." + std::string(domain), bytes, true)
                                : domain == query.host;
  return ours && (!is_prefixed(query) || line.secure) &&
         (!is_host_only(query) || (!line.domain && query.path == "/"));
}

bool is_gone(const CookieAttributes& line, int64_t now, AnswerBytes& bytes) {
  if (line.max_age) {
    const Span age = *line.max_age;
    const bool negative = bytes.equal({age.begin, age.begin + 1}, "-", false);
    const Span digits{age.begin + (negative ? 1 : 0), age.end};
    if (digits.size() < 1 || digits.size() > 10) fail(OutlineFault::kBadHeader);
    require_classes(digits, {char_set(CharClass::kDigits)}, bytes);
    return negative || bytes.equal(age, std::string(age.size(), '0'), false);
  }
  if (!line.expires) return false;
  if (line.expires->size() != cookie_date_form().size()) fail(OutlineFault::kBadHeader);
  require_classes(*line.expires, cookie_date_form(), bytes);
  return seconds_of(bytes.open_date(*line.expires)) <= now;
}

}  // namespace

std::variant<Span, NoCookie> select_cookie(const HeaderLines& header, const CookieQuery& query,
                                           AnswerBytes& bytes) {
  const std::string& domain = query.domain.empty() ? query.host : query.domain;
  std::optional<std::pair<Span, CookieAttributes>> last;
  std::vector<std::vector<Piece>> lines;
  std::vector<AnswerBytes::Question> questions;
  for (const HeaderLine* line : lines_named(header, "set-cookie", bytes)) {
    lines.push_back(pieces_of(*line, bytes));
    const Piece& first = lines.back().front();
    if (first.value) ask_word(questions, first.name, query.name, false);
  }
  bytes.ask_together(questions);
  for (const std::vector<Piece>& pieces : lines) {
    const Piece& first = pieces.front();
    if (!first.value || !is_word(first.name, query.name, bytes)) continue;
    const CookieAttributes attributes = attributes_of(pieces, is_prefixed(query), bytes);
    if (is_for(attributes, query, domain, bytes)) last.emplace(*first.value, attributes);
  }
  if (!last) return NoCookie::kMissing;
  const auto& [value, attributes] = *last;
  if (is_gone(attributes, query.now, bytes) || value.size() == 0) return NoCookie::kDeleted;
  return value;
}

// --- JSON ---

namespace {

const JsonNode& select_member(const JsonNode& node, std::string_view key, AnswerBytes& bytes) {
  if (node.kind != JsonNode::Kind::kObject) fail(OutlineFault::kOtherType);
  if (!node.keys.empty() && bytes.have_escape(node.keys)) fail(OutlineFault::kEscapedKey);
  std::vector<AnswerBytes::Question> questions;
  for (const Span name : node.keys) {
    if (name.size() == key.size()) questions.push_back({name, key});
  }
  bytes.ask_together(questions);
  std::vector<const JsonNode*> found;
  for (size_t k = 0; k < node.keys.size(); ++k) {
    if (is_text(node.keys[k], key, bytes)) found.push_back(&node.children[k]);
  }
  return only(found);
}

const JsonNode& select_members(const JsonNode& node, const std::vector<std::string>& path,
                               AnswerBytes& bytes) {
  const JsonNode* at = &node;
  for (const std::string& key : path) at = &select_member(*at, key, bytes);
  return *at;
}

bool fits(const JsonNode& element, const JsonFilter& filter, AnswerBytes& bytes) {
  const JsonNode* node = nullptr;
  try {
    node = &select_members(element, filter.path, bytes);
  } catch (const OutlineError& error) {
    // A stranger's odd object is passed over; `!=` must not be, nor what has two readings.
    const bool absent =
        error.fault() == OutlineFault::kNotFound || error.fault() == OutlineFault::kOtherType;
    if (filter.equal && absent) return false;
    throw;
  }
  if (filter.equal) return node->kind == filter.kind && is_text(node->text, filter.text, bytes);
  if (node->kind != filter.kind) fail(OutlineFault::kOtherType);
  if (filter.kind == JsonNode::Kind::kString && bytes.have_escape({node->text})) {
    fail(OutlineFault::kEscapedText);
  }
  return !is_text(node->text, filter.text, bytes);
}

const JsonNode& select_item(const JsonNode& node, const JsonItem& item, AnswerBytes& bytes) {
  if (node.kind != JsonNode::Kind::kArray) fail(OutlineFault::kOtherType);
  std::vector<const JsonNode*> found;
  for (const JsonNode& element : node.children) {
    const auto fits_it = [&](const JsonFilter& filter) { return fits(element, filter, bytes); };
    if (std::all_of(item.filters.begin(), item.filters.end(), fits_it)) found.push_back(&element);
    if (item.first && !found.empty()) break;
  }
  if (found.empty()) fail(OutlineFault::kNoItem);
  return only(found);
}

}  // namespace

const JsonNode& select_json(const JsonNode& tree, const std::vector<JsonStep>& path,
                            AnswerBytes& bytes) {
  const JsonNode* at = &tree;
  for (const JsonStep& step : path) {
    if (const auto* key = std::get_if<std::string>(&step)) {
      at = &select_member(*at, *key, bytes);
    } else if (const auto* item = std::get_if<JsonItem>(&step)) {
      at = &select_item(*at, *item, bytes);
    } else {
      const size_t index = std::get<size_t>(step);
      if (at->kind != JsonNode::Kind::kArray) fail(OutlineFault::kOtherType);
      if (index >= at->children.size()) fail(OutlineFault::kNotFound);
      at = &at->children[index];
    }
  }
  return *at;
}

Span select_json_text(const JsonNode& tree, const std::vector<JsonStep>& path, AnswerBytes& bytes) {
  const JsonNode& node = select_json(tree, path, bytes);
  if (node.kind != JsonNode::Kind::kString) fail(OutlineFault::kOtherType);
  return node.text;
}

Span select_json_string(const JsonNode& tree, const std::vector<JsonStep>& path,
                        AnswerBytes& bytes) {
  const Span text = select_json_text(tree, path, bytes);
  if (bytes.have_escape({text})) fail(OutlineFault::kEscapedText);
  return text;
}

bool is_json_literal(std::string_view literal) {
  bool bare_slash = false, escaped_slash = false;
  for (size_t k = 0; k < literal.size(); ++k) {
    const auto byte = static_cast<uint8_t>(literal[k]);
    if (byte < 0x20 || byte == '"' || byte == 0xff) return false;
    bare_slash |= byte == '/';
    if (byte != '\\') continue;
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    if (++k == literal.size() || kLetters.find(literal[k]) == std::string_view::npos) return false;
    escaped_slash |= literal[k] == '/';
  }
  return !literal.empty() && !(bare_slash && escaped_slash);
}

std::vector<CharSet> number_form(size_t bytes) {
  std::vector<CharSet> form(bytes, CharSet::of("-+.0123456789Ee"));
  if (!form.empty()) form.front() = CharSet::of("-0123456789");
  return form;
}

Span select_json_number(const JsonNode& tree, const std::vector<JsonStep>& path,
                        AnswerBytes& bytes) {
  const JsonNode& node = select_json(tree, path, bytes);
  if (node.kind != JsonNode::Kind::kToken) fail(OutlineFault::kOtherType);
  require_classes(node.text, number_form(node.text.size()), bytes);
  return node.text;
}

// --- XML ---

Span select_xml(const XmlOutline& outline, const std::vector<std::string>& path,
                AnswerBytes& bytes) {
  for (const auto& [span, literal] : outline.literals) {
    if (!is_text(span, literal, bytes)) fail(OutlineFault::kNotWellFormed);
  }
  const auto find = [&](const std::vector<size_t>& among, const std::string& name) {
    std::vector<const XmlElement*> found;
    std::vector<AnswerBytes::Question> questions;
    for (const size_t index : among) {
      const Span span = outline.elements[index].name;
      if (span.size() == name.size()) questions.push_back({span, name});
    }
    bytes.ask_together(questions);
    for (const size_t index : among) {
      const XmlElement& element = outline.elements[index];
      if (is_text(element.name, name, bytes)) found.push_back(&element);
    }
    const XmlElement& element = only(found);
    if (element.end_name && !is_text(*element.end_name, name, bytes)) {
      fail(OutlineFault::kNotWellFormed);
    }
    return &element;
  };
  const XmlElement* at = find({0}, path.at(0));
  for (size_t k = 1; k < path.size(); ++k) at = find(at->children, path[k]);
  if (!at->children.empty()) fail(OutlineFault::kOtherType);
  return at->text;
}

}  // namespace flexroom::http
