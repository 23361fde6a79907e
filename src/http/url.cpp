#include "http/url.h"

#include <algorithm>

#include "base/error.h"
#include "base/host_name.h"
#include "http/text.h"

namespace flexroom::http {
namespace {

constexpr size_t kMaxUrl = 8192;

void check_chars(std::string_view part, std::string_view more, std::string_view place) {
  static const CharSet kBase = char_set(CharClass::kUrlSafe) | CharSet::of("!$&'()*+,;=:@/%");
  const CharSet allowed = kBase | CharSet::of(more);
  for (const char c : part) {
    if (!allowed.contains(c)) {
      throw InputError(place, "the URL has a character that must be written as %XX",
                       "percent-encode blanks, quotes, brackets and everything outside ASCII");
    }
  }
  if (!percent_decode(part)) {
    throw InputError(place, "the URL has a '%' without two hex digits", "write '%' itself as %25");
  }
}

uint16_t parse_port(std::string_view text, std::string_view place) {
  uint32_t port = 0;
  const bool digits =
      !text.empty() && text.size() <= 5 && text.front() != '0' &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  for (const char c : digits ? text : "") port = 10 * port + static_cast<uint32_t>(c - '0');
  if (port == 0 || port > 65535)
    throw InputError(place, "the URL's port is not a number 1 .. 65535");
  return static_cast<uint16_t>(port);
}

}  // namespace

Url parse_url(std::string_view text, std::string_view place) {
  constexpr std::string_view kScheme = "https://";
  if (text.size() > kMaxUrl) throw InputError(place, "the URL is longer than 8,192 bytes");
  if (!text.starts_with(kScheme)) {
    throw InputError(place, "the URL does not begin with https://",
                     "only TLS services can be called");
  }
  text.remove_prefix(kScheme.size());
  if (text.find('#') != std::string_view::npos) {
    throw InputError(place, "the URL has a fragment ('#')", "leave it out; it is never sent");
  }
  const std::string_view authority = text.substr(0, text.find_first_of("/?"));
  std::string_view rest = text.substr(authority.size());
  if (authority.find('@') != std::string_view::npos) {
    throw InputError(place, "the URL holds user info", "put credentials into a secret slot");
  }
  Url out;
  const size_t colon = authority.find(':');
  out.host = authority.substr(0, colon);
  if (colon != std::string_view::npos) out.port = parse_port(authority.substr(colon + 1), place);
  if (!is_host_name(out.host)) {
    throw InputError(place, "'" + out.host + "' is not a DNS name",
                     "use the service's lower-case host name, not an IP address");
  }
  const size_t mark = rest.find('?');
  if (mark != std::string_view::npos) {
    out.has_query = true;
    out.query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  if (!rest.empty()) out.path = rest;
  check_chars(out.path, "", place);
  check_chars(out.query, "?", place);
  return out;
}

}  // namespace flexroom::http
