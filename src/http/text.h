#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace flexroom::http {

/// A set of byte values, as data: validators test membership, circuit builders enumerate it.
class CharSet {
 public:
  constexpr CharSet() = default;
  static constexpr CharSet range(uint8_t first, uint8_t last) {
    CharSet out;
    for (unsigned c = first; c <= last; ++c) out.insert(static_cast<uint8_t>(c));
    return out;
  }
  static constexpr CharSet of(std::string_view chars) {
    CharSet out;
    for (const char c : chars) out.insert(static_cast<uint8_t>(c));
    return out;
  }
  constexpr void insert(uint8_t c) { bits_[c >> 6] |= uint64_t{1} << (c & 63); }
  constexpr bool contains(uint8_t c) const { return (bits_[c >> 6] >> (c & 63) & 1) != 0; }
  constexpr bool contains(char c) const { return contains(static_cast<uint8_t>(c)); }
  constexpr bool operator==(const CharSet&) const = default;
  friend constexpr CharSet operator|(CharSet a, const CharSet& b) {
    for (size_t i = 0; i < 4; ++i) a.bits_[i] |= b.bits_[i];
    return a;
  }
  friend constexpr CharSet operator&(CharSet a, const CharSet& b) {
    for (size_t i = 0; i < 4; ++i) a.bits_[i] &= b.bits_[i];
    return a;
  }
  friend constexpr CharSet operator-(CharSet a, const CharSet& b) {
    for (size_t i = 0; i < 4; ++i) a.bits_[i] &= ~b.bits_[i];
    return a;
  }
  constexpr bool subset_of(const CharSet& other) const { return (*this - other) == CharSet(); }
  constexpr bool empty() const { return *this == CharSet(); }
  /// Membership bit of byte value c is bit c % 64 of word c / 64.
  constexpr const std::array<uint64_t, 4>& bits() const { return bits_; }

 private:
  std::array<uint64_t, 4> bits_{};
};

/// What the bytes of a secret value may be (tls-in-mpc.md §5.1); established by circuit when a
/// secret is stored or entered.
enum class CharClass : uint8_t {
  kHex,        // 0-9 a-f A-F
  kB64,        // A-Z a-z 0-9 + / =
  kUrlSafe,    // RFC 3986 unreserved
  kCookie,     // RFC 6265 cookie-octet
  kJsonSafe,   // printable ASCII but " and backslash
  kXmlText,    // printable ASCII but < > &
  kDigits,     // 0-9
  kShellUrl,   // A-Z a-z 0-9 . _ ~ / ? = & % + : -
  kShellPath,  // kShellUrl but ? and ~: its base64 is alphanumeric
  kRaw,        // anything
  kBase32,     // A-Z a-z 2-7
  kBase64Url,  // A-Z a-z 0-9 - _
};
inline constexpr CharClass kLastCharClass = CharClass::kBase64Url;
const CharSet& char_set(CharClass char_class);
std::string_view to_string(CharClass char_class);
std::optional<CharClass> char_class_of(std::string_view name);
/// The smallest of the classes that stand in requests (digits, hex, base32, base64url, urlsafe,
/// b64, cookie, json-safe, xml-text) that holds these bytes, or kRaw.
CharClass narrowest_class(const CharSet& bytes);

/// 0x20 .. 0x7e.
const CharSet& printable();
/// RFC 9110 §5.6.2.
const CharSet& token_chars();

/// `%XX`, upper case, for every byte outside RFC 3986 unreserved (and '/', if kept).
std::string percent_encode(std::string_view text, bool keep_slash = false);
/// Nothing when a '%' is not followed by two hex digits.
std::optional<std::string> percent_decode(std::string_view text);

std::string to_lower(std::string_view text);
/// Equality without regard to ASCII case.
bool same_name(std::string_view a, std::string_view b);
/// Without leading and trailing SP and HT.
std::string_view trim_blanks(std::string_view text);

}  // namespace flexroom::http
