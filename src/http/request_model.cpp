#include "http/request_model.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/split.h"
#include "http/layout.h"

namespace flexroom::http {
namespace {

/// Begins what stands for a slot while JSON is read: DEL, index, ';'. Public text holds no DEL.
constexpr char kMark = '\x7f';
constexpr size_t kMaxJsonDepth = 64;

std::string mark_of(size_t index) { return kMark + std::to_string(index) + ";"; }

/// RFC 3986 pchar but '%'.
const CharSet& path_chars() {
  static const CharSet set = char_set(CharClass::kUrlSafe) | CharSet::of("!$&'()*+,;=:@");
  return set;
}

/// What the encoding of a slot leaves when the place's own is taken off.
Encoding inner_encoding(Encoding encoding) {
  switch (encoding) {
    case Encoding::kPercent:
    case Encoding::kJsonU:
      return Encoding::kNone;
    case Encoding::kBase64InForm:
      return Encoding::kBase64;
    default:
      return encoding;
  }
}

class ModelReader {
 public:
  explicit ModelReader(const Template& request) : layout_(request) {
    out_.host = to_lower(request.host);
    out_.port = request.port;
    out_.has_slots = !request.slots().empty();
  }

  RequestModel read() {
    out_.method = layout_.method();
    read_target();
    for (const Layout::Header& header : layout_.headers()) {
      out_.headers.push_back(
          {to_lower(header.name),
           text_at(header.value_start, header.value_start + header.value.size())});
    }
    read_body();
    return std::move(out_);
  }

 private:
  bool strict() const { return out_.has_slots; }
  const Layout::Placed& slot_at(size_t at) const {
    const auto placed =
        std::find_if(layout_.slots().begin(), layout_.slots().end(),
                     [&](const Layout::Placed& p) { return p.start <= at && at < p.end(); });
    FLEXROOM_ASSERT(placed != layout_.slots().end());
    return *placed;
  }

  /// Bytes of the request as they stand.
  RequestText text_at(size_t start, size_t end) const {
    RequestText out;
    out.at = start;
    for (size_t at = start; at < end;) {
      if (layout_.text()[at] == Layout::kHole) {
        const Layout::Placed& placed = slot_at(at);
        out.add(*placed.slot, placed.slot->encoding);
        at = placed.end();
      } else {
        out.add(layout_.text()[at++]);
      }
    }
    return out;
  }

  /// %XX taken off, and '+' for a blank where the place has it.
  RequestText percent_decoded(size_t start, size_t end, bool plus_is_blank) const {
    const std::string_view text = layout_.text();
    RequestText out;
    out.at = start;
    for (const Layout::PlacedBase64& placed : layout_.base64()) {
      if (placed.end <= start || placed.start >= end) continue;
      if (placed.start != start || placed.end != end) {
        layout_.fail(placed.start, "base64 text with slots is not the whole value of its field");
      }
      out.in_base64 = true;
      for (const auto& part : placed.text->parts) {
        const auto* const bytes = std::get_if<Bytes>(&part);
        if (bytes == nullptr) out.add(std::get<Slot>(part), Encoding::kNone);
        for (size_t k = 0; bytes != nullptr && k < bytes->size(); ++k) {
          out.add(static_cast<char>((*bytes)[k]));
        }
      }
      return out;
    }
    for (size_t at = start; at < end;) {
      if (text[at] == Layout::kHole) {
        const Layout::Placed& placed = slot_at(at);
        out.add(*placed.slot, inner_encoding(placed.slot->encoding));
        at = placed.end();
      } else if (text[at] == '%') {
        const auto one = end - at < 3 ? std::nullopt : percent_decode(text.substr(at, 3));
        if (!one || text.substr(at, 3).find(Layout::kHole) != std::string_view::npos) {
          layout_.fail(at, "a '%' is not followed by two hex digits", "write '%' itself as %25");
        }
        out.add(one->front());
        at += 3;
      } else {
        out.add(plus_is_blank && text[at] == '+' ? ' ' : text[at]);
        ++at;
      }
    }
    return out;
  }

  void read_target() {
    const std::string_view target = layout_.target();
    const size_t mark = std::min(target.find('?'), target.size());
    const size_t start = layout_.target_start();
    size_t at = start;
    for (const std::string& raw : split(target.substr(0, mark), '/')) {
      const size_t end = at + raw.size();
      if (at != start) read_segment(at, end, end == start + mark);
      at = end + 1;
    }
    if (mark < target.size()) {
      read_fields(start + mark + 1, start + target.size(), false, out_.query);
      for (const Parameter& field : out_.query) read_nested(field.name, field.value, 0);
    }
  }

  void read_segment(size_t start, size_t end, bool last) {
    const std::string segment = percent_decoded(start, end, false).shown();
    if (strict()) {
      if (segment == "." || segment == "..") {
        layout_.fail(start, "the path has a segment '.' or '..'", "write the path that it means");
      }
      for (const char c : segment) {
        if (c == '/' || c == '\\' || !printable().contains(c)) {
          layout_.fail(start, "the path has an escaped '/', '\\' or control character",
                       "services differ in what they read there; use another name");
        }
      }
      if (segment.empty() && !last) {
        layout_.fail(start, "the path has an empty segment ('//')", "write one '/'");
      }
    }
    out_.path.push_back(segment);
  }

  /// What needs no escape is written as it is: an escaped letter hides a name from whoever reads
  /// the request.
  void check_escapes(size_t start, size_t end, size_t name_end) const {
    const std::string_view text = layout_.text();
    for (size_t k = start; k < end; ++k) {
      if (text[k] == '+' && k < name_end) {
        layout_.fail(k, "a name holds '+', which services read in two ways", "write %20 or %2B");
      }
      if (text[k] != '%') continue;
      const auto one = percent_decode(text.substr(k, 3));
      if (one && one->size() == 1 && char_set(CharClass::kUrlSafe).contains(one->front())) {
        layout_.fail(k, "a character is escaped that needs no escape",
                     "write letters, digits and - _ . ~ as they are");
      }
    }
  }

  /// Readers fold other letters to ASCII, each in its own way.
  void check_name(const std::string& name, size_t place) const {
    const auto is_plain = [](char c) { return printable().contains(c); };
    if (std::all_of(name.begin(), name.end(), is_plain)) return;
    layout_.fail(place, "a name beside a slot has a character outside printable ASCII",
                 "services differ in how they read it");
  }
  /// Names that some reader takes for one: by case, and with '_' for a dot or a blank.
  static std::string folded(const std::string& name) {
    std::string out = to_lower(name);
    for (char& c : out) {
      if (c == '.' || c == ' ') c = '_';
    }
    return out;
  }

  void read_fields(size_t start, size_t end, bool form, std::vector<Parameter>& out) {
    const std::string_view text = layout_.text();
    std::set<std::string> seen;
    for (size_t at = start; at <= end;) {
      const size_t stop = std::min(text.find('&', at), end);
      const size_t equals = std::min(text.substr(0, stop).find('=', at), stop);
      const size_t value = std::min(equals + 1, stop);
      Parameter field{percent_decoded(at, equals, form).shown(),
                      percent_decoded(value, stop, form)};
      if (strict()) {
        check_escapes(at, stop, equals);
        if (field.name.empty()) layout_.fail(at, "a field has no name", "write NAME=VALUE");
        if (form && equals == stop) layout_.fail(at, "a field of the form has no '='");
        check_name(field.name, at);
        // Positions are written NAME=TEXT: of a=b={{}} nobody could tell where the name ends.
        if (!field.value.is_public() && field.name.find('=') != std::string::npos) {
          layout_.fail(at, "the name of a field with a slot holds '='", "give it another name");
        }
        for (size_t k = at; k < stop; ++k) {
          const bool known = text[k] == Layout::kHole || path_chars().contains(text[k]) ||
                             std::string_view("%/?").find(text[k]) != std::string_view::npos;
          if (!known || text[k] == ';') {
            layout_.fail(k,
                         form ? "the body is not a form"
                              : "the query has a character that "
                                "must be written as %XX",
                         "escape everything but letters, digits and - _ . ~ as %XX, or correct "
                         "Content-Type");
          }
          if (!form && text[k] == '+') {
            layout_.fail(k, "the query holds '+', which services read in two ways",
                         "write %20 or %2B");
          }
        }
        if (!seen.insert(folded(field.name)).second) {
          layout_.fail(at, "the name '" + field.name + "' occurs twice",
                       "services differ in which of the two they take");
        }
      }
      out.push_back(std::move(field));
      at = stop + 1;
    }
  }

  /// The media type, lower case; of its parameters only a charset of UTF-8.
  std::string media_type() const {
    const Layout::Header* const header = layout_.header("content-type");
    if (header == nullptr) return "";
    const auto parts = split(header->value, ';');
    for (size_t k = 1; k < parts.size() && strict(); ++k) {
      const std::string parameter = to_lower(trim_blanks(parts[k]));
      if (parameter != "charset=utf-8" && parameter != "charset=\"utf-8\"") {
        layout_.fail(header->value_start, "Content-Type has a parameter other than charset=utf-8",
                     "leave it out");
      }
    }
    return to_lower(trim_blanks(parts[0]));
  }

  void read_body() {
    out_.media_type = media_type();
    const size_t start = layout_.body_start(), end = layout_.text().size();
    if (start == end) return;
    const std::string& media = out_.media_type;
    if (strict() && (out_.method == "GET" || out_.method == "HEAD")) {
      layout_.fail(start, "a " + out_.method + " request has a body",
                   "services differ in whether they read it; use POST");
    }
    if (strict() && media.empty()) {
      layout_.fail(start, "the body has no Content-Type", "say what it is");
    }
    if (media == "application/x-www-form-urlencoded") {
      out_.body_kind = RequestModel::Body::kForm;
      read_fields(start, end, true, out_.body);
      for (const Parameter& field : out_.body) read_nested(field.name, field.value, 0);
    } else if (media == "application/json" || media.starts_with("application/x-amz-json-") ||
               media.ends_with("+json")) {
      out_.body_kind = RequestModel::Body::kJson;
      if (strict()) read_json(start, end);
    } else {
      const bool xml = media == "application/xml" || media == "text/xml";
      out_.body_kind = xml ? RequestModel::Body::kXml : RequestModel::Body::kOther;
      out_.opaque = text_at(start, end);
    }
  }

  // ------------------------------------------------------------------ JSON

  /// Text with a mark for each slot, and the slots by index.
  struct Marked {
    std::string text;
    std::vector<RequestText::Piece> slots;
  };
  Marked marked(const RequestText& text) const {
    Marked out;
    for (const RequestText::Piece& piece : text.pieces) {
      if (piece.slot) {
        out.text += mark_of(out.slots.size());
        out.slots.push_back(piece);
        continue;
      }
      if (piece.text.find(kMark) != std::string::npos) {
        layout_.fail(text.at, "text that is read as JSON may not hold DEL");
      }
      out.text += piece.text;
    }
    return out;
  }

  RequestText unmarked(const std::string& text, const Marked& marked, size_t place,
                       bool take_json_off) const {
    RequestText out;
    out.at = place;
    for (size_t at = 0; at < text.size();) {
      if (text[at] != kMark) {
        out.add(text[at++]);
        continue;
      }
      const size_t end = text.find(';', at);
      size_t index = 0;
      for (size_t k = at + 1; k < end && end != std::string::npos; ++k) {
        const bool digit = text[k] >= '0' && text[k] <= '9' && index < 100'000;
        index = digit ? 10 * index + static_cast<size_t>(text[k] - '0') : 100'000;
      }
      // An escaped DEL would be a mark where no slot is.
      if (end == std::string::npos || end == at + 1 || index >= marked.slots.size()) {
        layout_.fail(place, "the JSON holds an escaped DEL");
      }
      const RequestText::Piece& piece = marked.slots[index];
      out.add(*piece.slot, take_json_off ? inner_encoding(piece.encoding) : piece.encoding);
      at = end + 1;
    }
    return out;
  }

  /// Strict JSON without repeated names: every reader finds the same strings in it.
  nlohmann::json parse(const std::string& text, size_t place) const {
    bool repeated = false, deep = false;
    std::vector<std::set<std::string>> names;
    const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
      deep |= depth > static_cast<int>(kMaxJsonDepth);
      if (event == nlohmann::json::parse_event_t::object_start) names.emplace_back();
      if (event == nlohmann::json::parse_event_t::object_end) names.pop_back();
      if (event == nlohmann::json::parse_event_t::key) {
        repeated |= !names.back().insert(to_lower(value.get<std::string>())).second;
      }
      return !deep;
    };
    auto json = nlohmann::json::parse(text, watch, false);
    if (deep) layout_.fail(place, "the JSON is nested more than 64 deep");
    if (json.is_discarded()) {
      layout_.fail(place, "the body is not JSON", "correct it, or correct Content-Type");
    }
    if (repeated) {
      layout_.fail(place, "a name occurs twice in a JSON object",
                   "services differ in which of the two they take");
    }
    return json;
  }

  void collect(const nlohmann::json& value, const std::string& pointer, const Marked& marked,
               size_t place, bool take_json_off, std::vector<Parameter>& out) const {
    if (value.is_object()) {
      for (const auto& [name, child] : value.items()) {
        std::string escaped;  // RFC 6901 §3, and '=' and '>', which end a pointer elsewhere
        for (const char c : name) {
          escaped += c == '~'   ? "~0"
                     : c == '/' ? "~1"
                     : c == '=' ? "~2"
                     : c == '>' ? "~3"
                                : std::string(1, c);
        }
        if (name.find(kMark) != std::string::npos) {
          layout_.fail(place, "a slot may not stand in the name of a JSON member");
        }
        check_name(name, place);
        collect(child, pointer + "/" + escaped, marked, place, take_json_off, out);
      }
    } else if (value.is_array()) {
      for (size_t k = 0; k < value.size(); ++k) {
        collect(value[k], pointer + "/" + std::to_string(k), marked, place, take_json_off, out);
      }
    } else {
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      out.push_back({pointer, unmarked(text, marked, place, take_json_off)});
    }
  }

  void check_all_slots_found(const Marked& marked, const std::vector<Parameter>& found,
                             size_t place) const {
    size_t count = 0;
    for (const Parameter& parameter : found) {
      for (const RequestText::Piece& piece : parameter.value.pieces) count += piece.slot ? 1 : 0;
    }
    if (count != marked.slots.size()) {
      layout_.fail(place, "the JSON hides a slot, or holds one outside a string");
    }
  }

  void read_json(size_t start, size_t end) {
    const Marked text = marked(text_at(start, end));
    collect(parse(text.text, start), "", text, start, true, out_.body);
    check_all_slots_found(text, out_.body, start);
    for (const Parameter& leaf : out_.body) read_nested(leaf.name, leaf.value, 0);
  }

  /// A string with a slot that begins as JSON does must be JSON, and a slot in it one that cannot
  /// end its string there: the service that unpacks it reads the same values as we do.
  void read_nested(const std::string& name, const RequestText& value, size_t depth) {
    if (value.is_public() || value.in_base64 || value.pieces.front().slot) return;
    const std::string& first = value.pieces.front().text;
    const size_t begin = first.find_first_not_of(" \t\r\n");
    if (begin == std::string::npos || (first[begin] != '{' && first[begin] != '[')) return;
    if (depth >= 4) layout_.fail(value.at, "JSON stands in JSON more than four times");
    for (const RequestText::Piece& piece : value.pieces) {
      const bool plain =
          piece.encoding != Encoding::kNone ||
          (piece.slot && piece.slot->checked_set().subset_of(char_set(CharClass::kJsonSafe)));
      if (piece.slot && !plain) {
        layout_.fail(value.at,
                     "slot '" + piece.slot->name +
                         "' stands in JSON inside a string, and its "
                         "class may hold characters that end a string there",
                     "declare class json-safe or a narrower one");
      }
    }
    const Marked text = marked(value);
    std::vector<Parameter> leaves;
    collect(parse(text.text, value.at), name + ">", text, value.at, false, leaves);
    check_all_slots_found(text, leaves, value.at);
    for (const Parameter& leaf : leaves) {
      out_.nested.push_back(leaf);
      read_nested(leaf.name, leaf.value, depth + 1);
    }
  }

  Layout layout_;
  RequestModel out_;
};

const RequestText* find(const std::vector<Parameter>& list, std::string_view name) {
  for (const Parameter& parameter : list) {
    if (parameter.name == name) return &parameter.value;
  }
  return nullptr;
}

}  // namespace

RequestModel RequestModel::of(const Template& request) { return ModelReader(request).read(); }

std::string RequestModel::path_text() const { return spell_path(path); }
const RequestText* RequestModel::header(std::string_view name) const { return find(headers, name); }
const RequestText* RequestModel::query_value(std::string_view name) const {
  return find(query, name);
}
const RequestText* RequestModel::body_value(std::string_view name) const {
  return find(body, name);
}

std::string spell_path(const std::vector<std::string>& segments) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const std::string& segment : segments) {
    out += '/';
    for (const char c : segment) {
      const auto byte = static_cast<uint8_t>(c);
      if (path_chars().contains(byte)) {
        out += c;
      } else {
        out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
      }
    }
  }
  return out.empty() ? "/" : out;
}

std::optional<std::string> spell_path(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  std::vector<std::string> segments;
  for (const std::string& raw : split(path.substr(1), '/')) {
    const auto one = percent_decode(raw);
    if (!one) return std::nullopt;
    segments.push_back(*one);
  }
  return spell_path(segments);
}

}  // namespace flexroom::http
