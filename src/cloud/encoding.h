#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

/// Text forms the cloud's interfaces use. Written from RFC 3986, RFC 4648 and the providers'
/// documentation, independent of what the client layers use, so that a mistake there shows.
namespace flexroom::cloud {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// RFC 3986 §2.3: everything but A-Za-z0-9-._~ becomes %XX, upper case.
std::string percent_encode(std::string_view text, bool keep_slash);
/// %XX to bytes; a '%' without two hex digits stays as it is. '+' is left alone.
std::string percent_decode(std::string_view text);
/// application/x-www-form-urlencoded: '+' is a space.
Pairs parse_form(std::string_view text);
/// Splits a query without decoding: name, value ("" without '=').
Pairs split_query(std::string_view query);
/// The first value of a name, or nothing.
std::optional<std::string> lookup(const Pairs& pairs, std::string_view name);

std::string base64(ByteView bytes);
/// Strict: length a multiple of four, padding at the end only, no spaces.
std::optional<Bytes> base64_decode(std::string_view text);

/// True for well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);
std::string lower(std::string_view text);
std::string_view trim(std::string_view text);
bool iequals(std::string_view a, std::string_view b);

std::string md5_hex(ByteView bytes);
Bytes md5(ByteView bytes);
Bytes sha1(ByteView bytes);
/// CRC-32 (ISO-HDLC) and CRC-32C (Castagnoli), big-endian bytes as in the x-amz-checksum headers.
Bytes crc32(ByteView bytes);
Bytes crc32c(ByteView bytes);

/// 20250902T123456Z, both ways.
std::optional<std::time_t> parse_amz_date(std::string_view text);
std::string amz_date(std::time_t time);
/// 2025-09-02T12:34:56Z and 2025-09-02T12:34:56.000Z.
std::string iso_date(std::time_t time);
std::string iso_date_ms(std::time_t time);
/// Tue, 02 Sep 2025 12:34:56 GMT
std::string http_date(std::time_t time);

/// `count` characters of the system's generator, each uniform over the alphabet.
std::string random_text(size_t count, std::string_view alphabet);
std::string random_hex(size_t digits);
std::string random_uuid();

}  // namespace flexroom::cloud
