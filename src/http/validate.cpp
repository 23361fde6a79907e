#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/host_name.h"
#include "http/layout.h"
#include "http/template.h"

// The public validator: tls-in-mpc.md §5.2. Contexts are judged on the layout, where a slot is a
// run of holes; a slot is allowed where its encoded bytes cannot end the field that it stands in.
namespace flexroom::http {
namespace {

using Placed = Layout::Placed;

constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD",   "POST",
                                                      "PUT", "DELETE", "PATCH"};
constexpr std::array<std::string_view, 8> kForbiddenHeaders = {
    "transfer-encoding",   "expect",     "upgrade",         "te", "trailer",
    "proxy-authorization", "keep-alive", "proxy-connection"};
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
                      encoding == Encoding::kBase64InForm;
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

void check_slots(const Layout& layout) {
  std::vector<const Slot*> seen;
  for (const Placed& placed : layout.slots()) {
    const Slot& slot = *placed.slot;
    if (slot.name.empty() || slot.from.size() > 256 || slot.name.size() > 64) {
      layout.fail(placed.start, "a slot needs a name of 1 to 64 characters");
    }
    if (slot.length == 0 || slot.length > 8192) {
      layout.fail(placed.start, "a slot needs a length of 1 to 8,192 bytes");
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
        std::count(before.begin(), before.end(), ',') == 2 && !has_hole(before.substr(names))) {
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

// Base64 slots stand inside base64 text: characters in front a multiple of four, bytes a multiple
// of three unless the value ends there. Returns the decoded value with holes where slots are.
void check_base64_value(const Layout& layout, size_t start, size_t end);

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
    if (has_hole(body.substr(at, value - at))) {
      layout.fail(layout.body_start() + at, "a slot may stand in a form only as a value");
    }
    out.push_back({layout.body_start() + value, layout.body_start() + stop});
    at = stop + 1;
  }
  return out;
}

// §5.2 script context: a member's private string only in single quotes behind a public https
// prefix.
void check_script(const Layout& layout, std::string_view script, size_t at, const Placed& placed) {
  const size_t quote = script.rfind('\'', at);
  const std::string_view prefix =
      quote == std::string_view::npos ? "" : script.substr(quote + 1, at - quote - 1);
  const bool opens =
      quote != std::string_view::npos &&
      std::count(script.begin(), script.begin() + static_cast<std::ptrdiff_t>(quote), '\'') % 2 ==
          0;
  constexpr std::string_view kScheme = "https://";
  const size_t slash =
      prefix.starts_with(kScheme) ? prefix.find('/', kScheme.size()) : std::string_view::npos;
  const bool host = slash != std::string_view::npos &&
                    is_host_name(prefix.substr(kScheme.size(), slash - kScheme.size()));
  const size_t end = at + placed.slot->length;
  const bool closes = script.substr(end, 1) == "'";
  if (!opens || !host || !closes || has_hole(prefix) ||
      !placed.slot->checked_set().subset_of(char_set(CharClass::kShellUrl))) {
    layout.fail(placed.start, "private text in a script must be the rest of a quoted URL",
                "write 'https://public.host/..{{slot}}' in single quotes, class shell-url");
  }
}

// Base64 slots stand inside base64 text: characters in front a multiple of four, bytes a multiple
// of three unless the value ends there.
void check_base64_value(const Layout& layout, size_t start, size_t end) {
  const std::string_view text = layout.text();
  std::string script;   // decoded, holes where slots are
  std::string pending;  // public base64 characters
  std::vector<std::pair<size_t, const Placed*>> at;
  const auto flush = [&](size_t where) {
    const auto decoded = base64_decode(pending);
    if (!decoded || (where != end && pending.ends_with('=')))
      layout.fail(where, "the base64 around a slot does not come in groups of four",
                  "pad the public text so that the slot begins at a multiple of three bytes");
    script += as_text(*decoded);
    pending.clear();
  };
  for (size_t i = start; i < end;) {
    const auto placed = std::find_if(layout.slots().begin(), layout.slots().end(),
                                     [&](const Placed& p) { return p.start == i; });
    if (placed != layout.slots().end()) {
      const Slot& slot = *placed->slot;
      if (slot.encoding != Encoding::kBase64 && slot.encoding != Encoding::kBase64InForm) {
        layout.fail(i, "this value mixes base64 slots with others");
      }
      flush(i);
      if (slot.length % 3 != 0 && placed->end() != end) {
        layout.fail(i, "a base64 slot inside a value needs a length that is a multiple of three");
      }
      at.emplace_back(script.size(), &*placed);
      script.append(slot.length, Layout::kHole);
      i = placed->end();
    } else if (text[i] == '%') {
      const auto one = percent_decode(text.substr(i, 3));
      if (!one) layout.fail(i, "a '%' without two hex digits");
      pending += *one;
      i += 3;
    } else {
      pending.push_back(text[i++]);
    }
  }
  flush(end);
  // A slot alone in its value is a blob; with public text around it, the text is a script. A
  // member's blob as user data would be code that the others have not seen.
  if (at.size() == 1 && script.size() == at.front().second->slot->length) {
    const std::string_view name = text.substr(0, start - 1);
    const std::string key = to_lower(name.substr(name.find_last_of("&\n") + 1));
    if (key.find("userdata") != std::string::npos &&
        at.front().second->slot->source == SlotSource::kMember) {
      layout.fail(start, "a member's private blob may not be user data");
    }
    return;
  }
  for (const auto& [position, placed] : at) {
    if (placed->slot->source != SlotSource::kRandom)
      check_script(layout, script, position, *placed);
    // A nonce stands in a comment: alphabet of hex, nothing to quote.
    if (placed->slot->source == SlotSource::kRandom &&
        !placed->slot->checked_set().subset_of(char_set(CharClass::kHex))) {
      layout.fail(placed->start, "a random slot in a script must be of class hex");
    }
  }
}

void check_form(const Layout& layout) {
  for (const FormValue& value : form_values(layout)) {
    bool base64 = false;
    for (const Placed& placed : layout.slots()) {
      if (placed.start < value.start || placed.start >= value.end) continue;
      check_set(layout, placed, in_form(), "a form value",
                {Encoding::kPercent, Encoding::kBase64InForm});
      base64 |= placed.slot->encoding == Encoding::kBase64 ||
                placed.slot->encoding == Encoding::kBase64InForm;
    }
    if (base64) check_base64_value(layout, value.start, value.end);
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
    // The script rule is checked on form values only, so a member's base64 must stand there.
    if (placed.slot->encoding == Encoding::kBase64 && placed.slot->source == SlotSource::kMember) {
      layout.fail(placed.start, "a member's private base64 may stand in a form value only");
    }
  }
}

void check_xml(const Layout& layout) {
  const std::string_view body = layout.body();
  if (body.find("<!") != std::string_view::npos) {
    layout.fail(layout.body_start(),
                "XML with a slot may not hold '<!' (comments, CDATA, DOCTYPE)");
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
    check_set(layout, placed, char_set(CharClass::kXmlText), "XML text", {});
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

void validate(const Template& request) {
  const Layout layout(request);
  if (!is_host_name(request.host) || request.port == 0) {
    layout.fail(0, "'" + request.host + "' is not a DNS name with a port");
  }
  check_slots(layout);
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
}

}  // namespace flexroom::http
