#include "cloud/encoding.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

#include "base/error.h"

namespace flexroom::cloud {

namespace {

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Bytes evp_digest(const EVP_MD* md, ByteView bytes) {
  Bytes out(EVP_MAX_MD_SIZE);
  unsigned length = 0;
  FLEXROOM_ASSERT(EVP_Digest(bytes.data(), bytes.size(), out.data(), &length, md, nullptr) == 1);
  out.resize(length);
  return out;
}

Bytes crc(ByteView bytes, uint32_t polynomial) {
  uint32_t state = 0xffffffff;
  for (const uint8_t byte : bytes) {
    state ^= byte;
    for (int i = 0; i < 8; ++i) state = (state >> 1) ^ (polynomial & (0u - (state & 1)));
  }
  state = ~state;
  return {static_cast<uint8_t>(state >> 24), static_cast<uint8_t>(state >> 16),
          static_cast<uint8_t>(state >> 8), static_cast<uint8_t>(state)};
}

std::string format_time(std::time_t time, const char* format) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

}  // namespace

std::string percent_encode(std::string_view text, bool keep_slash) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c) || (keep_slash && c == '/')) {
      out += c;
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Pairs split_query(std::string_view query) {
  Pairs out;
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view item = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    out.emplace_back(item.substr(0, equals),
                     equals == std::string_view::npos ? "" : item.substr(equals + 1));
  }
  return out;
}

Pairs parse_form(std::string_view text) {
  Pairs out = split_query(text);
  for (auto& [name, value] : out) {
    for (std::string* part : {&name, &value}) {
      for (char& c : *part) c = c == '+' ? ' ' : c;
      *part = percent_decode(*part);
    }
  }
  return out;
}

std::optional<std::string> lookup(const Pairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::string base64(ByteView bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<uint8_t*>(out.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(length));
  return out;
}

std::optional<Bytes> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  for (const char c : text.substr(0, text.size() - padding)) {
    const bool fits =
        (is_unreserved(c) && c != '-' && c != '.' && c != '_' && c != '~') || c == '+' || c == '/';
    if (!fits) return std::nullopt;
  }
  Bytes out(text.size() / 4 * 3);
  if (out.empty()) return out;
  const int length = EVP_DecodeBlock(out.data(), reinterpret_cast<const uint8_t*>(text.data()),
                                     static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  out.resize(out.size() - padding);
  return out;
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<uint8_t>(text[i]);
    const size_t length = first < 0x80             ? 1
                          : (first & 0xe0) == 0xc0 ? 2
                          : (first & 0xf0) == 0xe0 ? 3
                          : (first & 0xf8) == 0xf0 ? 4
                                                   : 0;
    if (length == 0 || text.size() - i < length) return false;
    uint32_t point = length == 1 ? first : first & (0x7fu >> length);
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<uint8_t>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3fu);
    }
    static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kLeast[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      return false;
    }
    i += length;
  }
  return true;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = (c >= 'A' && c <= 'Z') ? static_cast<char>(c + 32) : c;
  return out;
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

bool iequals(std::string_view a, std::string_view b) { return lower(a) == lower(b); }

Bytes md5(ByteView bytes) { return evp_digest(EVP_md5(), bytes); }
std::string md5_hex(ByteView bytes) { return to_hex(md5(bytes)); }
Bytes sha1(ByteView bytes) { return evp_digest(EVP_sha1(), bytes); }
Bytes crc32(ByteView bytes) { return crc(bytes, 0xedb88320); }
Bytes crc32c(ByteView bytes) { return crc(bytes, 0x82f63b78); }

std::optional<std::time_t> parse_amz_date(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto number = [&](size_t at, size_t digits) {
    int value = 0;
    for (size_t i = at; i < at + digits; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  std::tm parts{};
  parts.tm_year = number(0, 4) - 1900;
  parts.tm_mon = number(4, 2) - 1;
  parts.tm_mday = number(6, 2);
  parts.tm_hour = number(9, 2);
  parts.tm_min = number(11, 2);
  parts.tm_sec = number(13, 2);
  const std::time_t time = timegm(&parts);
  // Also refuses digits that are none, and days such as the 31st of June.
  return amz_date(time) == text ? std::optional(time) : std::nullopt;
}

std::string amz_date(std::time_t time) { return format_time(time, "%Y%m%dT%H%M%SZ"); }
std::string iso_date(std::time_t time) { return format_time(time, "%Y-%m-%dT%H:%M:%SZ"); }
std::string iso_date_ms(std::time_t time) { return format_time(time, "%Y-%m-%dT%H:%M:%S.000Z"); }
std::string http_date(std::time_t time) { return format_time(time, "%a, %d %b %Y %H:%M:%S GMT"); }

std::string random_text(size_t count, std::string_view alphabet) {
  std::string out;
  const size_t limit = 256 - 256 % alphabet.size();
  while (out.size() < count) {
    uint8_t byte = 0;
    FLEXROOM_ASSERT(RAND_bytes(&byte, 1) == 1);
    if (byte < limit) out += alphabet[byte % alphabet.size()];
  }
  return out;
}

std::string random_hex(size_t digits) { return random_text(digits, "0123456789abcdef"); }

std::string random_uuid() {
  return random_hex(8) + "-" + random_hex(4) + "-4" + random_hex(3) + "-" + random_text(1, "89ab") +
         random_hex(3) + "-" + random_hex(12);
}

}  // namespace flexroom::cloud
