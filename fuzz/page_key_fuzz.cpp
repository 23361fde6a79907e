#include <string>
#include <vector>

#include "agent/jwe_request.h"
#include "fuzz.h"

// The key of a page as the page sends it (tls-in-mpc.md §5.9(1)): `n`, `e` and `kid` of a JWK, one
// a line. What is accepted is of a size that the engine takes, and its header is one line of ASCII.

namespace flexroom {
namespace {

void load(const std::vector<std::string>& parts) {
  const agent::JweKey key = agent::JweKey::checked(parts[0], parts[1], parts[2]);
  const unsigned bits = key.rsa.bits();
  FLEXROOM_ASSERT(bits == 2048 || bits == 3072 || bits == 4096);
  FLEXROOM_ASSERT(key.rsa.modulus().size() * 8 == bits);
  const agent::JweMethod method = agent::JweMethod::named("RSA-OAEP-256", "A256GCM");
  for (const char c : agent::jwe_header(method, key.kid)) FLEXROOM_ASSERT(c >= ' ' && c <= '~');
}

}  // namespace
}  // namespace flexroom

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> parts(1);
  for (size_t k = 0; k < size; ++k) {
    if (data[k] == '\n' && parts.size() < 3) {
      parts.emplace_back();
    } else {
      parts.back() += static_cast<char>(data[k]);
    }
  }
  parts.resize(3);
  flexroom::fuzz::accepts([&] { flexroom::load(parts); });
  return 0;
}
