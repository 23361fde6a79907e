#include "http/template.h"

#include <algorithm>
#include <set>

#include "base/base64.h"
#include "base/codec.h"
#include "base/error.h"

namespace flexroom::http {
namespace {

constexpr std::string_view kTag = "flexroom template v1";

const CharSet& alphanumeric() {
  static const CharSet set =
      CharSet::range('0', '9') | CharSet::range('A', 'Z') | CharSet::range('a', 'z');
  return set;
}

void put_slot(Writer& out, const Slot& slot) {
  out.u8(1).field(slot.name).u8(static_cast<uint8_t>(slot.source)).field(slot.from);
  out.u8(static_cast<uint8_t>(slot.encoding))
      .u8(static_cast<uint8_t>(slot.char_class))
      .u32(slot.length);
  if (slot.source == SlotSource::kTotp) out.u32(slot.key_length);
}

// Text with {{name}} holes, cut into parts.
class TextSplitter {
 public:
  TextSplitter(const std::vector<Slot>& slots, std::string_view place)
      : slots_(slots), place_(place) {}

  std::vector<Part> split(std::string_view text) {
    std::vector<Part> out;
    while (!text.empty()) {
      const size_t open = text.find("{{");
      if (open != 0) out.emplace_back(to_bytes(text.substr(0, open)));
      if (open == std::string_view::npos) break;
      const size_t close = text.find("}}", open);
      if (close == std::string_view::npos) throw InputError(place_, "a '{{' is not closed by '}}'");
      out.emplace_back(declared(std::string(text.substr(open + 2, close - open - 2))));
      text.remove_prefix(close + 2);
    }
    return out;
  }
  void all_used() const {
    for (const Slot& slot : slots_) {
      if (!used_.contains(slot.name)) {
        throw InputError(place_, "slot '" + slot.name + "' is declared but does not occur");
      }
    }
  }

 private:
  Slot declared(const std::string& name) {
    const auto it =
        std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.name == name; });
    if (it == slots_.end()) {
      throw InputError(place_, "slot '{{" + name + "}}' is not declared",
                       "add [slot." + name + "]");
    }
    used_.insert(name);
    return *it;
  }
  const std::vector<Slot>& slots_;
  std::string place_;
  std::set<std::string> used_;
};

size_t size_of(const Part& part) {
  if (const auto* bytes = std::get_if<Bytes>(&part)) return bytes->size();
  if (const auto* slot = std::get_if<Slot>(&part)) return slot->encoded_length();
  return std::get<Base64Text>(part).encoded('A').text.size();
}
size_t size_of(const std::vector<Part>& parts) {
  size_t size = 0;
  for (const Part& part : parts) size += size_of(part);
  return size;
}

void put_bytes(Writer& out, ByteView bytes) { out.u8(0).field(bytes); }

void put_form_char(std::string& out, char c) {
  out += c == '+' ? "%2B" : c == '/' ? "%2F" : c == '=' ? "%3D" : std::string(1, c);
}

std::string with_crlf(std::string_view head) {
  std::string out;
  for (size_t i = 0; i < head.size(); ++i) {
    if (head[i] == '\n' && (i == 0 || head[i - 1] != '\r')) out.push_back('\r');
    out.push_back(head[i]);
  }
  return out;
}

// Head and body, parted by the first empty line; the head keeps no trailing line end.
std::pair<std::string_view, std::string_view> split_head(std::string_view text) {
  const size_t lf = text.find("\n\n");
  const size_t crlf = text.find("\r\n\r\n");
  if (lf < crlf) return {text.substr(0, lf), text.substr(lf + 2)};
  if (crlf != std::string_view::npos) return {text.substr(0, crlf), text.substr(crlf + 4)};
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  return {text, {}};
}

}  // namespace

std::string_view to_string(SlotSource source) {
  static constexpr std::string_view kNames[] = {"secret", "member", "computed", "random", "totp"};
  return kNames[static_cast<size_t>(source)];
}

std::string_view to_string(Encoding encoding) {
  static constexpr std::string_view kNames[] = {"none",    "base64", "base64-in-form", "hex",
                                                "percent", "json-u", "base64url",      "xml"};
  return kNames[static_cast<size_t>(encoding)];
}

size_t Slot::encoded_length() const {
  const size_t groups = (static_cast<size_t>(length) + 2) / 3;
  switch (encoding) {
    case Encoding::kNone:
      return length;
    case Encoding::kBase64:
      return 4 * groups;
    case Encoding::kBase64InForm:
      return 12 * groups;
    case Encoding::kHex:
      return 2 * static_cast<size_t>(length);
    case Encoding::kPercent:
      return 3 * static_cast<size_t>(length);
    case Encoding::kJsonU:
    case Encoding::kXml:
      return 6 * static_cast<size_t>(length);
    case Encoding::kBase64Url:
      return (8 * static_cast<size_t>(length) + 5) / 6;
  }
  return 0;
}

CharSet Slot::checked_set() const {
  const bool needs_printable =
      encoding == Encoding::kPercent || encoding == Encoding::kJsonU || encoding == Encoding::kXml;
  return needs_printable ? char_set(char_class) & printable() : char_set(char_class);
}

CharSet Slot::encoded_set() const {
  static const CharSet kUpperHex = CharSet::range('0', '9') | CharSet::range('A', 'F');
  static const CharSet kLowerHex = CharSet::range('0', '9') | CharSet::range('a', 'f');
  // A sextet is 62 or 63 only for bytes >= 0x80, or '>', '?', '~', DEL in third place.
  static const CharSet kPlain = printable() - CharSet::of(">?~");
  switch (encoding) {
    case Encoding::kNone:
      return checked_set();
    case Encoding::kBase64:
      return length % 3 == 0 && checked_set().subset_of(kPlain) ? alphanumeric()
                                                                : char_set(CharClass::kB64);
    case Encoding::kBase64InForm:
    case Encoding::kPercent:
      return kUpperHex | CharSet::of("%");
    case Encoding::kHex:
      return kLowerHex;
    case Encoding::kJsonU:
      return kLowerHex | CharSet::of("\\u");
    case Encoding::kBase64Url:
      return char_set(CharClass::kBase64Url);
    case Encoding::kXml:
      return kUpperHex | CharSet::of("&#x;");
  }
  return CharSet();
}

size_t Template::size() const { return size_of(parts); }

size_t Base64Text::size() const {
  size_t size = 0;
  for (const auto& part : parts) {
    const auto* const bytes = std::get_if<Bytes>(&part);
    size += bytes != nullptr ? bytes->size() : std::get<Slot>(part).length;
  }
  return size;
}

Base64Text::Encoded Base64Text::encoded(char hole) const {
  Bytes bytes;
  std::vector<bool> is_slot;
  for (const auto& part : parts) {
    if (const auto* known = std::get_if<Bytes>(&part)) append(bytes, *known);
    const size_t more = std::holds_alternative<Slot>(part) ? std::get<Slot>(part).length : 0;
    is_slot.resize(bytes.size(), false);
    bytes.resize(bytes.size() + more);
    is_slot.resize(bytes.size(), true);
  }
  Encoded out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t end = std::min(at + 3, bytes.size());
    if (std::find(is_slot.begin() + static_cast<std::ptrdiff_t>(at),
                  is_slot.begin() + static_cast<std::ptrdiff_t>(end),
                  true) == is_slot.begin() + static_cast<std::ptrdiff_t>(end)) {
      for (const char c : base64_encode(ByteView(bytes).subspan(at, end - at))) {
        put_form_char(out.text, c);
      }
    } else {
      out.groups.push_back({out.text.size(), at});
      out.text.append(4, hole);
    }
  }
  return out;
}

std::vector<const Slot*> Template::slots() const {
  std::vector<const Slot*> out;
  for (const Part& part : parts) {
    if (const auto* slot = std::get_if<Slot>(&part)) out.push_back(slot);
    const auto* const base64 = std::get_if<Base64Text>(&part);
    if (base64 == nullptr) continue;
    for (const auto& inner : base64->parts) {
      if (const auto* slot = std::get_if<Slot>(&inner)) out.push_back(slot);
    }
  }
  return out;
}

Bytes Template::serialise() const {
  Writer out;
  out.field(kTag).field(host).u16(port).field(method).field(target);
  out.u32(static_cast<uint32_t>(parts.size()));
  for (const Part& part : parts) {
    if (const auto* bytes = std::get_if<Bytes>(&part)) {
      put_bytes(out, *bytes);
    } else if (const auto* slot = std::get_if<Slot>(&part)) {
      put_slot(out, *slot);
    } else {
      const Base64Text& base64 = std::get<Base64Text>(part);
      out.u8(2).u32(static_cast<uint32_t>(base64.parts.size()));
      for (const auto& inner : base64.parts) {
        if (const auto* known = std::get_if<Bytes>(&inner)) {
          put_bytes(out, *known);
        } else {
          put_slot(out, std::get<Slot>(inner));
        }
      }
    }
  }
  return out.take();
}

Digest Template::digest() const { return sha256(serialise()); }

Bytes encode_slot(const Slot& slot, ByteView value) {
  FLEXROOM_ASSERT(value.size() == slot.length);
  const CharSet allowed = slot.checked_set();
  FLEXROOM_ASSERT(
      std::all_of(value.begin(), value.end(), [&](uint8_t c) { return allowed.contains(c); }));
  const auto each = [&](ByteView in, std::string_view prefix, std::string_view digits,
                        std::string_view suffix = "") {
    Bytes out;
    for (const uint8_t c : in) {
      append(out, prefix);
      out.push_back(static_cast<uint8_t>(digits[c >> 4]));
      out.push_back(static_cast<uint8_t>(digits[c & 15]));
      append(out, suffix);
    }
    return out;
  };
  constexpr std::string_view kLower = "0123456789abcdef";
  constexpr std::string_view kUpper = "0123456789ABCDEF";
  switch (slot.encoding) {
    case Encoding::kNone:
      return Bytes(value.begin(), value.end());
    case Encoding::kBase64:
      return to_bytes(base64_encode(value));
    case Encoding::kBase64InForm:
      return each(as_bytes(base64_encode(value)), "%", kUpper);
    case Encoding::kHex:
      return each(value, "", kLower);
    case Encoding::kPercent:
      return each(value, "%", kUpper);
    case Encoding::kJsonU:
      return each(value, "\\u00", kLower);
    case Encoding::kBase64Url:
      return to_bytes(base64url_encode(value));
    case Encoding::kXml:
      return each(value, "&#x", kUpper, ";");
  }
  return {};
}

Bytes render(const Template& request, const std::map<std::string, Bytes>& values) {
  const auto value_of = [&](const Slot& slot) {
    const auto it = values.find(slot.name);
    FLEXROOM_ASSERT(it != values.end());
    return encode_slot(slot, it->second);
  };
  Bytes out;
  for (const Part& part : request.parts) {
    if (const auto* bytes = std::get_if<Bytes>(&part)) {
      append(out, *bytes);
    } else if (const auto* slot = std::get_if<Slot>(&part)) {
      append(out, value_of(*slot));
    } else {
      Bytes text;
      for (const auto& inner : std::get<Base64Text>(part).parts) {
        const auto* const known = std::get_if<Bytes>(&inner);
        append(text, known != nullptr ? *known : value_of(std::get<Slot>(inner)));
      }
      std::string encoded;
      for (const char c : base64_encode(text)) put_form_char(encoded, c);
      append(out, encoded);
    }
  }
  return out;
}

Template template_from_text(std::string_view host, uint16_t port, std::string_view text,
                            const std::vector<Slot>& slots) {
  const std::string place = "request to " + std::string(host);
  const auto [head_text, body_text] = split_head(text);
  TextSplitter splitter(slots, place);
  Template out;
  out.host = host;
  out.port = port;
  std::vector<Part> body = splitter.split(body_text);

  std::string head = with_crlf(head_text) + "\r\n\r\n";
  constexpr std::string_view kLength = "{{content-length}}";
  const size_t at = head.find(kLength);
  if (at != std::string::npos) head.replace(at, kLength.size(), std::to_string(size_of(body)));
  const std::string_view line = std::string_view(head).substr(0, head.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) {
    throw InputError(place, "does not begin with `METHOD /target HTTP/1.1`");
  }
  out.method = line.substr(0, first);
  out.target = line.substr(first + 1, last - first - 1);
  out.parts = splitter.split(head);
  for (Part& part : body) {
    Bytes* const tail = out.parts.empty() ? nullptr : std::get_if<Bytes>(&out.parts.back());
    if (tail != nullptr && std::holds_alternative<Bytes>(part)) {
      append(*tail, std::get<Bytes>(part));  // one spelling for one request
    } else {
      out.parts.push_back(std::move(part));
    }
  }
  splitter.all_used();
  return out;
}

}  // namespace flexroom::http
