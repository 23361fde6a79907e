#include "http/json_tree.h"

#include "http/text.h"

namespace flexroom::http {
namespace {

[[noreturn]] void malformed() { throw OutlineError(OutlineFault::kNotWellFormed); }

class JsonReader {
 public:
  JsonReader(size_t size, const Marks& marks) : size_(size), marks_(marks) {}

  JsonNode read() {
    JsonNode out = value(1);
    skip_blanks();
    if (at_ != size_) malformed();
    return out;
  }

 private:
  /// The marked byte here, or 0.
  char here() const {
    return next_ < marks_.size() && marks_[next_].at == at_ ? marks_[next_].byte : 0;
  }
  bool take(char c) {
    if (here() != c) return false;
    ++at_;
    ++next_;
    return true;
  }
  void skip_blanks() {
    while (is_white(here())) take(here());
  }
  /// Up to the next mark or the end.
  Span unmarked() {
    const size_t begin = at_;
    at_ = next_ < marks_.size() ? marks_[next_].at : size_;
    return {begin, at_};
  }
  Span string() {
    if (!take('"')) malformed();
    const Span out = unmarked();
    if (!take('"')) malformed();
    return out;
  }

  JsonNode value(size_t depth) {
    if (depth > kMaxJsonDepth) malformed();
    skip_blanks();
    JsonNode out;
    if (take('{')) {
      out.kind = JsonNode::Kind::kObject;
      members(out, '}', depth);
    } else if (take('[')) {
      out.kind = JsonNode::Kind::kArray;
      members(out, ']', depth);
    } else if (here() == '"') {
      out.kind = JsonNode::Kind::kString;
      out.text = string();
    } else {
      out.text = unmarked();
      if (out.text.size() == 0) malformed();
    }
    return out;
  }

  void members(JsonNode& out, char close, size_t depth) {
    skip_blanks();
    if (take(close)) return;
    do {
      if (out.kind == JsonNode::Kind::kObject) {
        skip_blanks();
        out.keys.push_back(string());
        skip_blanks();
        if (!take(':')) malformed();
      }
      out.children.push_back(value(depth + 1));
      skip_blanks();
    } while (take(','));
    if (!take(close)) malformed();
  }

  size_t size_;
  const Marks& marks_;
  size_t at_ = 0;
  size_t next_ = 0;  // the first mark that is not before at_
};

}  // namespace

JsonNode read_json_outline(size_t size, const Marks& marks) {
  return JsonReader(size, marks).read();
}

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// By the grammar of RFC 8259, byte by byte: nothing of it is taken from the outline.
class JsonGrammar {
 public:
  explicit JsonGrammar(std::string_view text) : text_(text) {}

  JsonNode read() {
    JsonNode out = element(1);
    if (at_ != text_.size()) malformed();
    return out;
  }

 private:
  char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void white() {
    while (is_white(here())) ++at_;
  }

  /// ws value ws
  JsonNode element(size_t depth) {
    if (depth > kMaxJsonDepth) malformed();
    white();
    JsonNode out;
    if (here() == '{') {
      object(out, depth);
    } else if (here() == '[') {
      array(out, depth);
    } else if (here() == '"') {
      out.kind = JsonNode::Kind::kString;
      out.text = string();
    } else {
      out.text = token();
    }
    white();
    return out;
  }

  void object(JsonNode& out, size_t depth) {
    out.kind = JsonNode::Kind::kObject;
    take('{');
    white();
    if (take('}')) return;
    while (true) {
      white();
      out.keys.push_back(string());
      white();
      if (!take(':')) malformed();
      out.children.push_back(element(depth + 1));
      if (take('}')) return;
      if (!take(',')) malformed();
    }
  }

  void array(JsonNode& out, size_t depth) {
    out.kind = JsonNode::Kind::kArray;
    take('[');
    white();
    if (take(']')) return;
    while (true) {
      out.children.push_back(element(depth + 1));
      if (take(']')) return;
      if (!take(',')) malformed();
    }
  }

  Span string() {
    if (!take('"')) malformed();
    const size_t begin = at_;
    while (true) {
      if (at_ == text_.size() || static_cast<uint8_t>(here()) < 0x20) malformed();
      if (take('"')) return {begin, at_ - 1};
      if (take('\\')) {
        escape();
      } else {
        ++at_;
      }
    }
  }

  void escape() {
    if (!take('u')) {
      if (at_ == text_.size() ||
          std::string_view("\"\\/bfnrt").find(here()) == std::string_view::npos) {
        malformed();
      }
      ++at_;
      return;
    }
    for (int digits = 0; digits < 4; ++digits, ++at_) {
      if (at_ == text_.size() || !char_set(CharClass::kHex).contains(here())) malformed();
    }
  }

  Span token() {
    const size_t begin = at_;
    for (const std::string_view word : {"true", "false", "null"}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return {begin, at_};
      }
    }
    take('-');
    if (!take('0')) digits();
    if (take('.')) digits();
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      digits();
    }
    return {begin, at_};
  }

  void digits() {
    if (!is_digit(here())) malformed();
    while (is_digit(here())) ++at_;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

JsonNode read_json(std::string_view text) { return JsonGrammar(text).read(); }

}  // namespace flexroom::http
