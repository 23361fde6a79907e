#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "http/header_lines.h"
#include "http/json_tree.h"
#include "http/text.h"
#include "http/xml_tree.h"

namespace flexroom::http {

/// The rules of selection of tls-in-mpc.md §5.4, the same for sealed and for open answers: they see
/// the structure and ask about bytes. Every failure is an OutlineError that names itself.

/// What may be asked about the bytes of an answer. Of a sealed one `equal` is a zero test and
/// `in_classes` the one class bit; nothing is opened but marks and, of one cookie, its date.
class AnswerBytes {
 public:
  struct Question {
    Span span;
    std::string_view text;
    bool any_case = false;
  };
  virtual ~AnswerBytes() = default;
  /// These will be asked, each for itself, and none of them hangs on another's answer: where a
  /// question costs a message, they share it.
  virtual void ask_together(const std::vector<Question>& /* questions */) {}
  /// Whether the span, of the size of the text, holds it; letters in either case if `any_case`.
  virtual bool equal(Span span, std::string_view text, bool any_case) = 0;
  /// Whether byte k of the span is in sets[k], or every byte in the only set.
  virtual bool in_classes(Span span, const std::vector<CharSet>& sets) = 0;
  /// Whether one of these JSON strings has a backslash (circuits::JsonOutline::escapes at its
  /// closing quote).
  virtual bool have_escape(const std::vector<Span>& strings) = 0;
  /// Marked bytes of a header value, each ';', '=' or a blank.
  virtual std::string open_marks(const std::vector<size_t>& at) = 0;
  /// The date of the cookie that counts, after its class held.
  virtual std::string open_date(Span span) = 0;
};

/// The bytes of an answer in the clear.
class ClearBytes : public AnswerBytes {
 public:
  explicit ClearBytes(std::string_view text) : text_(text) {}
  bool equal(Span span, std::string_view text, bool any_case) override;
  bool in_classes(Span span, const std::vector<CharSet>& sets) override;
  bool have_escape(const std::vector<Span>& strings) override;
  std::string open_marks(const std::vector<size_t>& at) override;
  std::string open_date(Span span) override { return std::string(at(span)); }

 private:
  std::string_view at(Span span) const { return text_.substr(span.begin, span.size()); }
  std::string_view text_;
};

// --- header ---

/// Asks together which lines have one of these names: one test for the whole header.
void ask_names(const HeaderLines& header, const std::vector<std::string>& names,
               AnswerBytes& bytes);

/// The lines of that name, in any case.
std::vector<const HeaderLine*> lines_named(const HeaderLines& header, std::string_view name,
                                           AnswerBytes& bytes);

/// Of a number of so many bytes: what its first byte and the others may be (§5.4).
std::vector<CharSet> number_form(size_t bytes);

/// `header NAME: BEFORE{{}}AFTER`: exactly one line, both literals as sent, something between them.
Span select_header(const HeaderLines& header, std::string_view name, std::string_view before,
                   std::string_view after, AnswerBytes& bytes);

/// For `absent`: whether any line of that name begins and ends with these literals, also with
/// nothing between them.
bool has_header(const HeaderLines& header, std::string_view name, std::string_view before,
                std::string_view after, AnswerBytes& bytes);

/// Whether an answer may say no type: one that is read for its code alone (tls-in-mpc.md §5.6).
enum class NoType : uint8_t { kRefused, kTaken };
/// The one Content-Type is `type` up to a ';', in any case; its parameters are not looked at.
void require_content_type(const HeaderLines& header, std::string_view type, AnswerBytes& bytes,
                          NoType none = NoType::kRefused);

struct CookieQuery {
  std::string name;
  std::string path = "/";
  std::string host;
  std::string domain;              // default: the host
  std::string default_path = "/";  // of the request (RFC 6265 §5.1.4)
  int64_t now = 0;                 // of the request id, not of a member's clock
};
enum class NoCookie : uint8_t {
  kMissing,  // no line for name, path and domain
  kDeleted,
};
/// Where the value of a line begins, behind its leading blanks.
Span value_of(const HeaderLine& line, AnswerBytes& bytes);
/// Whether the span is the word; a word with a blank behind it is a `bad header`.
bool is_word(Span span, std::string_view word, AnswerBytes& bytes, bool any_case = false);

/// `Aaa, 99 Aaa 9999 99:99:99 GMT`, or '-' in the date: a set for every byte.
const std::vector<CharSet>& cookie_date_form();

/// `cookie NAME`: of the lines for name, path and domain the last counts. No attribute is opened
/// but the date of that line.
std::variant<Span, NoCookie> select_cookie(const HeaderLines& header, const CookieQuery& query,
                                           AnswerBytes& bytes);

// --- JSON ---

struct JsonFilter {
  std::vector<std::string> path;  // members of the element
  std::string text;               // as sent
  JsonNode::Kind kind = JsonNode::Kind::kString;
  bool equal = true;  // false: `!=`, strict
};
struct JsonItem {
  std::vector<JsonFilter> filters;
  bool first = false;  // else: the only one
};
using JsonStep = std::variant<std::string, size_t, JsonItem>;

/// The node at a path: at every object exactly one key equal to the wanted one and none with an
/// escape, of every array that element or that item.
const JsonNode& select_json(const JsonNode& tree, const std::vector<JsonStep>& path,
                            AnswerBytes& bytes);
/// `json P`: a string, as it is sent.
Span select_json_text(const JsonNode& tree, const std::vector<JsonStep>& path, AnswerBytes& bytes);
/// `json P` of a class: a string without escape.
Span select_json_string(const JsonNode& tree, const std::vector<JsonStep>& path,
                        AnswerBytes& bytes);
/// Whether a literal can be looked for in JSON strings as they are sent (tls-in-mpc.md §5.5): whole
/// characters, of which the bytes of an answer have one spelling each: no bare quote, no byte
/// below 0x20 and no ff, a backslash only before one of `"\/bfnrt`, slashes all with or all
/// without.
bool is_json_literal(std::string_view literal);
/// `json-number P`: a token of [-0-9][-+.0-9Ee]*: never null, true or false.
Span select_json_number(const JsonNode& tree, const std::vector<JsonStep>& path,
                        AnswerBytes& bytes);

// --- XML ---

/// `xml /A/B/C`: the text of the element; at every element on the way exactly one child of the name
/// wanted, end tags of the same name, no children in the one that is selected.
Span select_xml(const XmlOutline& outline, const std::vector<std::string>& path,
                AnswerBytes& bytes);

}  // namespace flexroom::http
