#include "base/base64.h"

#include <sodium.h>

namespace flexroom {
namespace {

constexpr int kPadded = sodium_base64_VARIANT_ORIGINAL,
              kUrl = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

std::string encode(ByteView bytes, int variant) {
  std::string out(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(out.data(), out.size(), bytes.data(), bytes.size(), variant);
  out.pop_back();  // its end mark
  return out;
}

std::optional<Bytes> decode(std::string_view text, int variant) {
  Bytes out(text.size() / 4 * 3 + 3);
  size_t size = 0;
  // Without a place for its end, whatever stands behind the text is refused.
  if (sodium_base642bin(out.data(), out.size(), text.data(), text.size(), nullptr, &size, nullptr,
                        variant) != 0) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

}  // namespace

std::string base64_encode(ByteView bytes) { return encode(bytes, kPadded); }
std::optional<Bytes> base64_decode(std::string_view text) { return decode(text, kPadded); }
std::string base64url_encode(ByteView bytes) { return encode(bytes, kUrl); }
std::optional<Bytes> base64url_decode(std::string_view text) { return decode(text, kUrl); }

}  // namespace flexroom
