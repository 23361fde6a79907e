#include "http/text.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::http {
namespace {

constexpr CharSet kDigitSet = CharSet::range('0', '9');
constexpr CharSet kAlnum = kDigitSet | CharSet::range('A', 'Z') | CharSet::range('a', 'z');
constexpr CharSet kPrintable = CharSet::range(0x20, 0x7e);
constexpr CharSet kToken = kAlnum | CharSet::of("!#$%&'*+-.^_`|~");
constexpr CharSet kUnreserved = kAlnum | CharSet::of("-._~");
constexpr CharSet kShellUrlSet = kAlnum | CharSet::of("._~/?=&%+:-");

constexpr std::array<CharSet, 12> kSets = {
    kDigitSet | CharSet::range('a', 'f') | CharSet::range('A', 'F'),
    kAlnum | CharSet::of("+/="),
    kUnreserved,
    CharSet::range(0x21, 0x7e) - CharSet::of("\",;\\"),
    kPrintable - CharSet::of("\"\\"),
    kPrintable - CharSet::of("<>&"),
    kDigitSet,
    kShellUrlSet,
    kShellUrlSet - CharSet::of("?~"),
    CharSet::range(0, 255),
    CharSet::range('A', 'Z') | CharSet::range('a', 'z') | CharSet::range('2', '7'),
    kAlnum | CharSet::of("-_"),
};
static_assert(kSets.size() == static_cast<size_t>(kLastCharClass) + 1);
constexpr std::array<std::string_view, 12> kNames = {
    "hex",    "b64",       "urlsafe",    "cookie", "json-safe", "xml-text",
    "digits", "shell-url", "shell-path", "raw",    "base32",    "base64url"};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

const CharSet& char_set(CharClass char_class) { return kSets[static_cast<size_t>(char_class)]; }
std::string_view to_string(CharClass char_class) { return kNames[static_cast<size_t>(char_class)]; }
std::optional<CharClass> char_class_of(std::string_view name) {
  const auto it = std::find(kNames.begin(), kNames.end(), name);
  if (it == kNames.end()) return std::nullopt;
  return static_cast<CharClass>(it - kNames.begin());
}
CharClass narrowest_class(const CharSet& bytes) {
  for (const CharClass one : {CharClass::kDigits, CharClass::kHex, CharClass::kBase32,
                              CharClass::kBase64Url, CharClass::kUrlSafe, CharClass::kB64,
                              CharClass::kCookie, CharClass::kJsonSafe, CharClass::kXmlText}) {
    if (bytes.subset_of(char_set(one))) return one;
  }
  return CharClass::kRaw;
}
const CharSet& printable() { return kPrintable; }
const CharSet& token_chars() { return kToken; }

std::string percent_encode(std::string_view text, bool keep_slash) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kUnreserved.contains(c) || (keep_slash && c == '/')) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool same_name(std::string_view a, std::string_view b) { return to_lower(a) == to_lower(b); }

std::string_view trim_blanks(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace flexroom::http
