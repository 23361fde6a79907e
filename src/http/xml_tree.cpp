#include "http/xml_tree.h"

#include <algorithm>
#include <span>

#include "http/text.h"

namespace flexroom::http {
namespace {

[[noreturn]] void fail(OutlineFault fault) { throw OutlineError(fault); }
[[noreturn]] void malformed() { fail(OutlineFault::kNotWellFormed); }

class XmlReader {
 public:
  XmlReader(size_t size, const Marks& marks) : size_(size), marks_(marks) {}

  XmlOutline read() {
    while (next_ < marks_.size()) tag();
    if (!open_.empty() || out_.elements.empty()) malformed();
    gap(behind_, size_);
    return std::move(out_);
  }

 private:
  /// Between the tags outside of the root.
  void gap(size_t begin, size_t end) {
    if (end - begin > 2) malformed();
    if (begin != end) out_.literals.push_back({{begin, end}, end - begin == 1 ? "\n" : "\r\n"});
  }

  void tag() {
    const size_t first = next_;
    const size_t open = marks_[first].at;
    if (marks_[first].byte != '<') malformed();
    if (first + 1 < marks_.size() && is_mark(first + 1, open + 1, '!')) fail(OutlineFault::kMarkup);
    size_t last = first + 1;
    while (last < marks_.size() && marks_[last].byte != '>') ++last;
    if (last == marks_.size()) malformed();
    next_ = last + 1;
    inner_ = std::span(marks_).subspan(first + 1, last - first - 1);
    const size_t close = marks_[last].at;
    if (begins_with(open, '?')) {
      declaration(open, close);
    } else if (begins_with(open, '/')) {
      end_tag(open, close);
    } else {
      start_tag(open, close);
    }
  }

  bool is_mark(size_t index, size_t at, char byte) const {
    return marks_[index].at == at && marks_[index].byte == byte;
  }
  bool begins_with(size_t open, char c) const {
    return !inner_.empty() && inner_.front().at == open + 1 && inner_.front().byte == c;
  }
  bool ends_with(size_t close, char c) const {
    return !inner_.empty() && inner_.back().at == close - 1 && inner_.back().byte == c;
  }

  /// `<?xml ..?>`, at the very beginning alone.
  void declaration(size_t open, size_t close) {
    const auto marks = std::count_if(inner_.begin(), inner_.end(),
                                     [](const Mark& mark) { return mark.byte == '?'; });
    if (open != 0 || marks != 2 || !ends_with(close, '?') || inner_[1].at != 5 ||
        !is_white(inner_[1].byte)) {
      fail(OutlineFault::kMarkup);
    }
    out_.literals.push_back({{2, 5}, "xml"});
    behind_ = close + 1;
  }

  void end_tag(size_t open, size_t close) {
    if (inner_.size() != 1 || open_.empty()) malformed();
    XmlElement& element = out_.elements[open_.back()];
    open_.pop_back();
    element.end_name = Span{open + 2, close};
    element.text.end = open;
    behind_ = close + 1;
    if (element.end_name->size() != element.name.size()) malformed();
  }

  void start_tag(size_t open, size_t close) {
    if (open_.empty()) {
      if (!out_.elements.empty()) malformed();
      gap(behind_, open);
    }
    size_t name_end = close;
    for (const Mark& mark : inner_) {
      const bool slash = mark.byte == '/';
      if (mark.byte == '!' || mark.byte == '?' || mark.byte == '<') malformed();
      if (slash && mark.at != close - 1) malformed();
      if (slash || is_white(mark.byte)) name_end = std::min(name_end, mark.at);
    }
    if (name_end == open + 1) malformed();
    const size_t index = out_.elements.size();
    if (!open_.empty()) out_.elements[open_.back()].children.push_back(index);
    out_.elements.push_back({{open + 1, name_end}, std::nullopt, {close + 1, close + 1}, {}});
    if (ends_with(close, '/')) {
      behind_ = close + 1;
    } else {
      open_.push_back(index);
    }
  }

  size_t size_;
  const Marks& marks_;
  size_t next_ = 0;              // the first mark that was not read
  std::span<const Mark> inner_;  // of the tag that is read
  std::vector<size_t> open_;     // elements, not recursion: their depth is the sender's
  size_t behind_ = 0;            // the last tag
  XmlOutline out_;
};

}  // namespace

XmlOutline read_xml_outline(size_t size, const Marks& marks) {
  return XmlReader(size, marks).read();
}

namespace {

/// By the grammar of XML 1.0, byte by byte: nothing of it is taken from the outline.
class XmlGrammar {
 public:
  explicit XmlGrammar(std::string_view text) : text_(text) {}

  std::vector<XmlElement> read() {
    if (text_.starts_with("<?")) declaration();
    line_end();
    do {
      if (take("</")) {
        end_tag();
      } else {
        start_tag();
      }
      if (!open_.empty()) character_data();
    } while (!open_.empty());
    line_end();
    if (at_ != text_.size()) malformed();
    return std::move(elements_);
  }

 private:
  char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void expect(std::string_view word) {
    if (!take(word)) malformed();
  }
  bool white() {
    const size_t begin = at_;
    while (is_white(here())) ++at_;
    return at_ != begin;
  }
  void line_end() {
    if (!take("\r\n")) take("\n");
  }

  static bool is_name_char(char c, bool first) {
    static const CharSet start = CharSet::range('a', 'z') | CharSet::range('A', 'Z') |
                                 CharSet::of("_:") | CharSet::range(0x80, 0xff);
    static const CharSet other = CharSet::range('0', '9') | CharSet::of("-.");
    return start.contains(c) || (!first && other.contains(c));
  }
  Span name() {
    const size_t begin = at_;
    while (is_name_char(here(), at_ == begin)) ++at_;
    if (at_ == begin) malformed();
    return {begin, at_};
  }

  /// `NAME = "VALUE"` behind white space, as often as it comes; then white space may follow.
  void attributes() {
    std::vector<std::string_view> names;
    while (white() && is_name_char(here(), true)) {
      const Span span = name();
      const std::string_view word = text_.substr(span.begin, span.size());
      if (std::find(names.begin(), names.end(), word) != names.end()) malformed();
      names.push_back(word);
      white();
      expect("=");
      white();
      const char quote = here();
      if (quote != '"' && quote != '\'') malformed();
      ++at_;
      characters(quote);
      ++at_;
    }
  }

  /// Up to `end`, which must come before '<' and the end of the text.
  void characters(char end) {
    for (; here() != end; ++at_) {
      const auto byte = static_cast<uint8_t>(here());
      if (byte == '<' || (byte < 0x20 && !is_white(here()))) malformed();
      if (end == '<' && text_.substr(at_).starts_with("]]>")) malformed();
      if (byte == '&') reference();
    }
  }
  void character_data() {
    characters('<');
    elements_[open_.back()].text.end = at_;
    if (take("<!") || take("<?")) fail(OutlineFault::kMarkup);
  }

  /// Of `&..;`, all but the ';'.
  void reference() {
    const size_t end = text_.find(';', at_);
    if (end == std::string_view::npos) malformed();
    std::string_view body = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end;
    for (const std::string_view known : {"amp", "lt", "gt", "quot", "apos"}) {
      if (body == known) return;
    }
    const bool hex = body.starts_with("#x");
    if (!hex && !body.starts_with("#")) malformed();
    body.remove_prefix(hex ? 2 : 1);
    const CharSet& digits = char_set(hex ? CharClass::kHex : CharClass::kDigits);
    const auto is_digit = [&](char c) { return digits.contains(c); };
    if (body.empty() || !std::all_of(body.begin(), body.end(), is_digit)) malformed();
  }

  void declaration() {
    if (!take("<?xml") || !is_white(here())) fail(OutlineFault::kMarkup);
    attributes();
    expect("?>");
  }

  void start_tag() {
    if (take("<!") || take("<?")) fail(OutlineFault::kMarkup);
    expect("<");
    XmlElement element;
    element.name = name();
    attributes();
    const bool empty = take("/");
    expect(">");
    element.text = {at_, at_};
    if (!open_.empty()) elements_[open_.back()].children.push_back(elements_.size());
    if (!empty) open_.push_back(elements_.size());
    elements_.push_back(std::move(element));
  }

  void end_tag() {
    if (open_.empty()) malformed();
    XmlElement& element = elements_[open_.back()];
    element.end_name = name();
    if (text_.substr(element.name.begin, element.name.size()) !=
        text_.substr(element.end_name->begin, element.end_name->size())) {
      malformed();
    }
    expect(">");
    open_.pop_back();
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<size_t> open_;
  std::vector<XmlElement> elements_;
};

}  // namespace

std::vector<XmlElement> read_xml(std::string_view text) { return XmlGrammar(text).read(); }

}  // namespace flexroom::http
