#include "cloud/client_metadata.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "cloud/encoding.h"
#include "cloud/message.h"

namespace flexroom::cloud {

namespace {

constexpr uint32_t kDelta = 0x9e3779b9;
constexpr size_t kMaxNonces = 100000, kMaxBytes = 4096;

uint32_t word(ByteView bytes, size_t i) {
  uint32_t out = 0;
  for (size_t j = 4; j-- > 0;) out = out << 8 | bytes[4 * i + j];
  return out;
}

[[noreturn]] void refuse(const char* why) { throw ApiError(400, "BadMetadata", why); }

}  // namespace

std::optional<std::string> xxtea_open(Bytes sealed, std::string_view key) {
  const size_t n = sealed.size() / 4;
  if (sealed.size() % 4 != 0 || n < 2 || key.size() != 16) return std::nullopt;
  std::vector<uint32_t> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = word(sealed, i);
  const auto rounds = static_cast<uint32_t>(6 + 52 / n);
  uint32_t y = v[0];
  for (uint32_t sum = rounds * kDelta; sum != 0; sum -= kDelta) {
    const uint32_t e = sum >> 2 & 3;
    for (size_t p = n; p-- > 0;) {
      const uint32_t z = v[(p + n - 1) % n];
      const uint32_t mixed = (((z >> 5) ^ (y << 2)) + ((y >> 3) ^ (z << 4))) ^
                             ((sum ^ y) + (word(as_bytes(key), (p & 3) ^ e) ^ z));
      y = v[p] -= mixed;
    }
  }
  const size_t length = v[n - 1], most = 4 * (n - 1);
  if (length > most || length + 4 <= most) return std::nullopt;
  std::string out;
  for (size_t i = 0; i < most; ++i) out += static_cast<char>(v[i / 4] >> 8 * (i % 4));
  if (out.find_first_not_of('\0', length) != std::string::npos) return std::nullopt;
  out.resize(length);
  return out;
}

void ClientMetadata::check(const std::string& field) {
  const auto sealed = base64_decode(field);
  if (!sealed || sealed->size() > kMaxBytes) refuse("metadata1 is not base64.");
  const auto text = xxtea_open(*sealed, kKey);
  if (!text) refuse("metadata1 is not encrypted under the key of the sandbox.");
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || json.size() != 2 || !json.contains("client") ||
      !json["client"].is_string() || !json.contains("nonce") || !json["nonce"].is_string()) {
    refuse("metadata1 does not say client and nonce.");
  }
  const auto nonce = json["nonce"].get<std::string>();
  if (nonce.size() != 32 || nonce.find_first_not_of("0123456789abcdef") != std::string::npos) {
    refuse("The nonce is not 32 hex digits.");
  }
  if (nonces_.size() >= kMaxNonces) nonces_.clear();
  if (!nonces_.insert(nonce).second) refuse("The nonce was there before.");
}

}  // namespace flexroom::cloud
