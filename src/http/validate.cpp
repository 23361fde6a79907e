#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/host_name.h"
#include "http/code_parameters.h"
#include "http/layout.h"
#include "http/template.h"

// The public validator: tls-in-mpc.md §5.2. Contexts are judged on the layout, where a slot is a
// run of holes; a slot is allowed where its encoded bytes cannot end the field that it stands in.
namespace flexroom::http {
namespace {

using Placed = Layout::Placed;

constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD",   "POST",
                                                      "PUT", "DELETE", "PATCH"};
constexpr std::array<std::string_view, 15> kForbiddenHeaders = {
    "transfer-encoding", "expect", "upgrade", "te", "trailer", "proxy-authorization", "keep-alive",
    "proxy-connection",
    // They put another method, path, host or body in place of the one that is judged.
    "x-http-method-override", "x-http-method", "x-method-override", "x-original-url",
    "x-rewrite-url", "content-encoding", "x-forwarded-host"};
/// Headers that frame or route the request: no slot may stand there.
constexpr std::array<std::string_view, 5> kPublicHeaders = {"host", "content-length", "connection",
                                                            "accept-encoding", "content-type"};

template <size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& list) {
  return std::any_of(list.begin(), list.end(),
                     [&](std::string_view s) { return same_name(s, name); });
}

bool has_hole(std::string_view text) { return text.find(Layout::kHole) != std::string_view::npos; }

const CharSet& in_form() {
  static const CharSet set = char_set(CharClass::kUrlSafe) | CharSet::of("%");
  return set;
}

// The encoded bytes must be of the context's set. `escaped` says whether %XX or \u00XX may stand
// here.
void check_set(const Layout& layout, const Placed& placed, const CharSet& context,
               std::string_view context_name, std::initializer_list<Encoding> escapes) {
  const Encoding encoding = placed.slot->encoding;
  const bool escape = encoding == Encoding::kPercent || encoding == Encoding::kJsonU ||
                      encoding == Encoding::kBase64InForm || encoding == Encoding::kXml;
  if (escape && std::find(escapes.begin(), escapes.end(), encoding) == escapes.end()) {
    layout.fail(placed.start,
                "encoding " + std::string(to_string(encoding)) + " does not fit " +
                    std::string(context_name),
                "choose the encoding of the field that the slot stands in");
  }
  if (escape || placed.slot->encoded_set().subset_of(context)) return;
  layout.fail(placed.start,
              "class " + std::string(to_string(placed.slot->char_class)) + " with encoding " +
                  std::string(to_string(encoding)) + " may hold characters that end " +
                  std::string(context_name),
              "declare a narrower class or an escaping encoding");
}

/// Base64 of what may stand there is letters and digits, whatever the slots hold (product.md §6).
void check_base64(const Layout& layout) {
  static const CharSet kPlain = printable() - CharSet::of(">?~");
  for (const Layout::PlacedBase64& placed : layout.base64()) {
    std::vector<std::optional<uint8_t>> bytes;  // nothing for a slot's
    for (const auto& part : placed.text->parts) {
      if (const auto* known = std::get_if<Bytes>(&part)) {
        bytes.insert(bytes.end(), known->begin(), known->end());
        continue;
      }
      const Slot& slot = std::get<Slot>(part);
      if (slot.encoding != Encoding::kNone || !slot.checked_set().subset_of(kPlain)) {
        layout.fail(placed.start,
                    "slot '" + slot.name +
                        "' in base64 text may hold more than printable ASCII "
                        "without '>', '?' and '~'",
                    "declare class shell-path, without an encoding");
      }
      bytes.resize(bytes.size() + slot.length);
    }
    for (const auto& group : placed.text->encoded('A').groups) {
      if (group.byte + 3 > bytes.size()) {
        layout.fail(placed.start, "base64 text ends with a slot's byte in an incomplete group",
                    "end it with public text, to a multiple of three bytes");
      }
      for (size_t k = 0; k < 3; ++k) {
        const std::optional<uint8_t>& byte = bytes[group.byte + k];
        const bool last = k == 2 && byte && CharSet::of(">?~").contains(*byte);
        if (byte && (*byte > 0x7e || last)) {
          layout.fail(placed.start,
                      "a public character beside a slot in base64 text would make a "
                      "'+' or '/'",
                      "put blanks in front of it");
        }
      }
    }
  }
}

void check_slots(const Template& request, const Layout& layout) {
  std::vector<const Slot*> seen;
  for (const Slot* const one : request.slots()) {
    const Slot& slot = *one;
    const auto at = std::find_if(layout.slots().begin(), layout.slots().end(),
                                 [&](const Placed& p) { return p.slot == one; });
    const struct {
      size_t start;
    } placed{at != layout.slots().end() ? at->start : layout.body_start()};
    if (slot.name.empty() || slot.from.size() > 256 || slot.name.size() > 64) {
      layout.fail(placed.start, "a slot needs a name of 1 to 64 characters");
    }
    if (slot.length == 0 || slot.length > 8192) {
      layout.fail(placed.start, "a slot needs a length of 1 to 8,192 bytes");
    }
    const bool is_code =
        slot.char_class == CharClass::kDigits && slot.length == 6 && slot.key_length - 1 < 64;
    if (slot.source == SlotSource::kTotp ? !is_code : slot.key_length != 0) {
      layout.fail(placed.start, "a one-time code has six digits and a key of 1 to 64 bytes");
    }
    for (const Slot* other : seen) {
      if (other->name == slot.name) {
        layout.fail(placed.start, "slot '" + slot.name + "' occurs twice",
                    "give each place its own slot");
      }
    }
    if (slot.checked_set().empty()) layout.fail(placed.start, "no byte satisfies the slot's class");
    seen.push_back(&slot);
  }
}

void check_request_line(const Template& request, const Layout& layout) {
  // Methods are case-sensitive (RFC 9110 §9.1).
  const bool known = std::find(kMethods.begin(), kMethods.end(), layout.method()) != kMethods.end();
  if (!known || layout.method() != request.method) {
    layout.fail(0, "the method is not one of GET, HEAD, POST, PUT, DELETE, PATCH");
  }
  const std::string_view target = layout.target();
  if (target.empty() || target.front() != '/')
    layout.fail(layout.target_start(), "the target does not begin with '/'");
  bool query = false, value = false;
  for (size_t i = 0; i < target.size(); ++i) {
    const char c = target[i];
    if (c == Layout::kHole) {
      if (!query || !value) {
        layout.fail(layout.target_start() + i,
                    "a slot may stand in the target only as a query value");
      }
      continue;
    }
    if (c <= 0x20 || c > 0x7e || c == '#') {
      layout.fail(layout.target_start() + i,
                  "the target has a character that must be written as %XX");
    }
    if (c == '?') query = true;
    if (c == '&') value = false;
    if (c == '=' && query) value = true;
  }
  // The text of the target names the slots in order; it is shown to people and bound by rules.
  std::string named;
  for (size_t i = 0, slot = 0; i < target.size();) {
    if (target[i] != Layout::kHole) {
      named.push_back(target[i++]);
      continue;
    }
    while (layout.slots()[slot].start != layout.target_start() + i) ++slot;
    named += "{{" + layout.slots()[slot].slot->name + "}}";
    i += layout.slots()[slot].slot->encoded_length();
  }
  if (named != request.target)
    layout.fail(layout.target_start(), "the target differs from the request line");
}

void check_header_lines(const Layout& layout) {
  std::vector<std::string> names;
  for (const Layout::Header& header : layout.headers()) {
    const std::string name = to_lower(header.name);
    const size_t at = header.value_start;
    if (!std::all_of(name.begin(), name.end(), [](char c) { return token_chars().contains(c); })) {
      layout.fail(at, "a header name has a character that is not allowed");
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      layout.fail(at, "header " + name + " occurs twice");
    }
    names.push_back(name);
    if (is_one_of(name, kForbiddenHeaders)) layout.fail(at, "header " + name + " is not allowed");
    if (is_one_of(name, kPublicHeaders) && has_hole(header.value)) {
      layout.fail(at, "header " + name + " must be public");
    }
    for (const char c : header.value) {
      if (c != Layout::kHole && !printable().contains(c)) {
        layout.fail(at, "header " + name + " has a character outside printable ASCII");
      }
    }
  }
}

void check_framing(const Template& request, const Layout& layout) {
  const Layout::Header* host = layout.header("host");
  const std::string authority =
      request.port == 443 ? request.host : request.host + ":" + std::to_string(request.port);
  if (host == nullptr || host->value != authority) {
    layout.fail(0, "the Host header is not '" + authority + "'");
  }
  const Layout::Header* length = layout.header("content-length");
  const size_t body = layout.body().size();
  const bool needs =
      body != 0 || request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (needs && length == nullptr) {
    layout.fail(0, "Content-Length is missing", "write `Content-Length: {{content-length}}`");
  }
  if (length != nullptr && length->value != std::to_string(body)) {
    layout.fail(length->value_start, "Content-Length is not " + std::to_string(body),
                "write `Content-Length: {{content-length}}`");
  }
  const Layout::Header* encoding = layout.header("accept-encoding");
  if (encoding != nullptr && encoding->value != "identity") {
    layout.fail(encoding->value_start, "Accept-Encoding must be identity");
  }
  const Layout::Header* connection = layout.header("connection");
  if (connection != nullptr && !same_name(connection->value, "close") &&
      !same_name(connection->value, "keep-alive")) {
    layout.fail(connection->value_start, "Connection must be close or keep-alive");
  }
}

// "AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request": letters, digits, '-' and '_'.
// A blank or '=' in one of them gives another reading of the line, and errors print such a line.
bool is_credential(std::string_view text) {
  static const CharSet kPlain = CharSet::range('0', '9') | CharSet::range('A', 'Z') |
                                CharSet::range('a', 'z') | CharSet::of("-_");
  text.remove_prefix(text.find('=') + 1);
  size_t parts = 0;
  for (size_t at = 0; at <= text.size(); ++parts) {
    const size_t end = std::min(text.find('/', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    if (part.empty() || part.size() > 128 || !std::all_of(part.begin(), part.end(), [](char c) {
          return c == Layout::kHole || kPlain.contains(c);
        })) {
      return false;
    }
    at = end + 1;
  }
  return parts == 5;
}

// ", SignedHeaders=a;b, Signature=".
bool is_name_list(std::string_view text) {
  constexpr std::string_view kFront = ", SignedHeaders=", kBack = ", Signature=";
  const std::string_view names =
      text.substr(kFront.size(), text.size() - kFront.size() - kBack.size());
  return std::all_of(names.begin(), names.end(), [](char c) {
    return c == ';' || (token_chars().contains(c) && !(c >= 'A' && c <= 'Z'));
  });
}

// R2-4: IncompleteSignature errors print the header, so its grammar is not the recipe's to choose.
void check_signature(const Layout& layout, const Placed& placed) {
  const Slot& slot = *placed.slot;
  const Layout::Header* header = layout.header("authorization");
  const bool shape = slot.from == "sigv4" && slot.length == 64 &&
                     slot.encoding == Encoding::kNone && slot.char_class == CharClass::kHex;
  if (!shape) {
    layout.fail(placed.start, "a computed slot is `sigv4`: 64 bytes of class hex without encoding");
  }
  if (header != nullptr && placed.start >= header->value_start &&
      placed.end() == header->value_start + header->value.size()) {
    const std::string_view before = header->value.substr(0, placed.start - header->value_start);
    const size_t credential = before.find("AWS4-HMAC-SHA256 Credential=");
    const size_t names = before.find(", SignedHeaders=");
    if (credential == 0 && names != std::string_view::npos && before.ends_with(", Signature=") &&
        std::count(before.begin(), before.end(), ',') == 2 && !has_hole(before.substr(names)) &&
        is_credential(before.substr(0, names)) && is_name_list(before.substr(names))) {
      return;
    }
  }
  layout.fail(placed.start, "a SigV4 signature stands only at the end of the Authorization line",
              "write `AWS4-HMAC-SHA256 Credential=.., SignedHeaders=.., Signature={{..}}`");
}

void check_head_slot(const Layout& layout, const Placed& placed) {
  if (placed.slot->source == SlotSource::kComputed) return check_signature(layout, placed);
  if (placed.start < layout.request_line().size()) {
    return check_set(layout, placed, in_form(), "a query value",
                     {Encoding::kPercent, Encoding::kBase64InForm});
  }
  for (const Layout::Header& header : layout.headers()) {
    if (placed.start >= header.value_start &&
        placed.end() <= header.value_start + header.value.size()) {
      return check_set(layout, placed, char_set(CharClass::kCookie), "a header value", {});
    }
  }
  layout.fail(placed.start, "a slot may not stand in a header name");
}

struct FormValue {
  size_t start;
  size_t end;
};

std::vector<FormValue> form_values(const Layout& layout) {
  const std::string_view body = layout.body();
  std::vector<FormValue> out;
  for (size_t at = 0; at <= body.size();) {
    const size_t stop = std::min(body.find('&', at), body.size());
    const size_t equals = body.substr(at, stop - at).find('=');
    const size_t value = equals == std::string_view::npos ? stop : at + equals + 1;
    const bool names_base64 = std::any_of(layout.base64().begin(), layout.base64().end(),
                                          [&](const Layout::PlacedBase64& placed) {
                                            return placed.start < layout.body_start() + value &&
                                                   placed.end > layout.body_start() + at;
                                          });
    if (names_base64 || has_hole(body.substr(at, value - at))) {
      layout.fail(layout.body_start() + at, "a slot may stand in a form only as a value");
    }
    out.push_back({layout.body_start() + value, layout.body_start() + stop});
    at = stop + 1;
  }
  return out;
}

void check_form(const Layout& layout) {
  for (const FormValue& value : form_values(layout)) {
    for (const Placed& placed : layout.slots()) {
      if (placed.start < value.start || placed.start >= value.end) continue;
      check_set(layout, placed, in_form(), "a form value",
                {Encoding::kPercent, Encoding::kBase64InForm});
    }
  }
}

// A slot must lie inside one string value, not in a name, and not behind a backslash.
void check_json(const Layout& layout) {
  const std::string_view body = layout.body();
  bool in_string = false, string_has_slot = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (c == Layout::kHole) {
      if (!in_string)
        layout.fail(layout.body_start() + i, "a slot may stand in JSON only inside a string");
      string_has_slot = true;
    } else if (in_string && c == '\\') {
      if (i + 1 < body.size() && body[i + 1] == Layout::kHole) {
        layout.fail(layout.body_start() + i + 1, "a backslash stands before a slot");
      }
      // The four digits of \uXXXX must be public too.
      if (has_hole(body.substr(i, i + 1 < body.size() && body[i + 1] == 'u' ? 6 : 2))) {
        layout.fail(layout.body_start() + i, "a slot stands inside an escape");
      }
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
      if (in_string) {
        string_has_slot = false;
      } else if (string_has_slot) {
        const size_t next = body.find_first_not_of(" \t\r\n", i + 1);
        if (next != std::string_view::npos && body[next] == ':') {
          layout.fail(layout.body_start() + i, "a slot may not stand in the name of a JSON member");
        }
      }
    }
  }
  if (in_string) layout.fail(layout.text().size(), "a JSON string is not closed");
  for (const Placed& placed : layout.slots()) {
    if (placed.start < layout.body_start()) continue;
    check_set(layout, placed, char_set(CharClass::kJsonSafe), "a JSON string", {Encoding::kJsonU});
  }
}

void check_xml(const Layout& layout) {
  const std::string_view body = layout.body();
  if (body.find("<!") != std::string_view::npos) {
    layout.fail(layout.body_start(),
                "XML with a slot may not hold '<!' (comments, CDATA, DOCTYPE)");
  }
  if (body.find("&#") != std::string_view::npos) {
    layout.fail(layout.body_start(), "XML with a slot may not hold '&#'",
                "write the character itself");
  }
  for (const Placed& placed : layout.slots()) {
    if (placed.start < layout.body_start()) continue;
    const size_t at = placed.start - layout.body_start();
    const size_t before = body.substr(0, at).find_last_of("<>&;");
    const size_t after = body.find_first_of("<>", at + placed.slot->encoded_length());
    if (before == std::string_view::npos || body[before] == '<' || body[before] == '&' ||
        after == std::string_view::npos || body[after] != '<') {
      layout.fail(placed.start, "a slot may stand in XML only as text of an element");
    }
    check_set(layout, placed, char_set(CharClass::kXmlText), "XML text", {Encoding::kXml});
  }
}

void check_body(const Layout& layout) {
  const bool has_slot = has_hole(layout.body());
  if (!has_slot) return;
  const Layout::Header* header = layout.header("content-type");
  const std::string type =
      header == nullptr ? "" : to_lower(header->value.substr(0, header->value.find(';')));
  const std::string_view media = trim_blanks(type);
  if (media == "application/x-www-form-urlencoded") return check_form(layout);
  if (media == "application/json" || media.starts_with("application/x-amz-json-") ||
      media.ends_with("+json")) {
    return check_json(layout);
  }
  if (media == "application/xml" || media == "text/xml") return check_xml(layout);
  // Anything else has no syntax that a slot could break, if it is one slot and nothing more.
  if (media == "application/octet-stream" && layout.slots().back().start == layout.body_start() &&
      layout.slots().back().end() == layout.text().size()) {
    return;
  }
  layout.fail(layout.body_start(),
              "a slot may not stand in a body of type '" + std::string(media) + "'",
              "send the body as a form, JSON or XML, or as one slot of application/octet-stream");
}

}  // namespace

void validate(const Template& request, ScriptSource script) {
  const Layout layout(request);
  if (!is_host_name(request.host) || request.port == 0) {
    layout.fail(0, "'" + request.host + "' is not a DNS name with a port");
  }
  check_slots(request, layout);
  check_base64(layout);
  check_request_line(request, layout);
  check_header_lines(layout);
  check_framing(request, layout);
  for (const Placed& placed : layout.slots()) {
    if (placed.start < layout.body_start()) {
      check_head_slot(layout, placed);
    } else if (placed.slot->source == SlotSource::kComputed) {
      check_signature(layout, placed);
    }
  }
  check_body(layout);
  check_code_parameters(RequestModel::of(request), script);
}

}  // namespace flexroom::http
