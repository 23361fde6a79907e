#include "cloud/totp.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/bytes.h"
#include "base/error.h"

namespace flexroom::cloud {

namespace {

std::optional<Bytes> base32_decode(std::string_view text) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  Bytes out;
  uint32_t buffer = 0;
  unsigned num_bits = 0;
  for (const char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    buffer = buffer << 5 | static_cast<uint32_t>(value);
    num_bits += 5;
    if (num_bits >= 8) {
      num_bits -= 8;
      out.push_back(static_cast<uint8_t>(buffer >> num_bits));
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> totp(std::string_view seed, int64_t step) {
  const auto key = base32_decode(seed);
  if (!key) return std::nullopt;
  std::array<uint8_t, 8> counter{};
  for (size_t i = 0; i < 8; ++i) counter[i] = static_cast<uint8_t>(step >> (56 - 8 * i));
  std::array<uint8_t, 20> mac{};
  unsigned length = mac.size();
  FLEXROOM_ASSERT(HMAC(EVP_sha1(), key->data(), static_cast<int>(key->size()), counter.data(),
                       counter.size(), mac.data(), &length) != nullptr);
  const size_t at = mac[19] & 15;
  const uint32_t number = (uint32_t{mac[at]} & 0x7f) << 24 | uint32_t{mac[at + 1]} << 16 |
                          uint32_t{mac[at + 2]} << 8 | mac[at + 3];
  const std::string digits = std::to_string(number % 1000000);
  return std::string(6 - digits.size(), '0') + digits;
}

std::optional<int64_t> totp_step(std::string_view seed, std::string_view code, std::time_t now) {
  for (int64_t step = now / 30 - 1; step <= now / 30 + 1; ++step) {
    if (totp(seed, step) == code) return step;
  }
  return std::nullopt;
}

}  // namespace flexroom::cloud
