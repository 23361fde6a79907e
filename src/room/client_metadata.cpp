#include "room/client_metadata.h"

#include <fmt/core.h>

#include <vector>

#include "base/base64.h"
#include "http/text.h"

namespace flexroom::room {
namespace {

constexpr uint32_t kDelta = 0x9e3779b9;
constexpr std::string_view kKey = "flexroom sandbox";
constexpr size_t kNonceBytes = 16;

/// Little endian, what is missing zeros.
uint32_t word(std::string_view bytes, size_t i) {
  uint32_t out = 0;
  for (size_t j = 4; j-- > 0;) {
    const size_t at = 4 * i + j;
    out = out << 8 | (at < bytes.size() ? static_cast<uint8_t>(bytes[at]) : 0u);
  }
  return out;
}

}  // namespace

Bytes xxtea_seal(std::string_view text, std::string_view key) {
  FLEXROOM_ASSERT(key.size() == 16 && !text.empty());
  const size_t n = (text.size() + 3) / 4 + 1;
  std::vector<uint32_t> v(n);
  for (size_t i = 0; i + 1 < n; ++i) v[i] = word(text, i);
  v[n - 1] = static_cast<uint32_t>(text.size());
  const auto rounds = static_cast<uint32_t>(6 + 52 / n);
  uint32_t sum = 0, z = v[n - 1];
  for (uint32_t round = 0; round < rounds; ++round) {
    sum += kDelta;
    const uint32_t e = sum >> 2 & 3;
    for (size_t p = 0; p < n; ++p) {
      const uint32_t y = v[(p + 1) % n];
      const uint32_t mixed = (((z >> 5) ^ (y << 2)) + ((y >> 3) ^ (z << 4))) ^
                             ((sum ^ y) + (word(key, (p & 3) ^ e) ^ z));
      z = v[p] += mixed;
    }
  }
  Bytes out;
  for (size_t i = 0; i < 4 * n; ++i) out.push_back(static_cast<uint8_t>(v[i / 4] >> 8 * (i % 4)));
  return out;
}

std::string client_metadata(const Digest& release) {
  const std::string nonce =
      to_hex(RandomOracle("client metadata", RoScope{}).field(release).digest());
  const Bytes sealed = xxtea_seal(
      fmt::format(R"({{"client":"flexroom","nonce":"{}"}})", nonce.substr(0, 2 * kNonceBytes)),
      kKey);
  return base64_encode(sealed);
}

}  // namespace flexroom::room
