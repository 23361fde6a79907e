#include "tls/cipher_suite.h"

#include <openssl/evp.h>

#include <array>

namespace flexroom::tls {
namespace {

constexpr std::array<CipherSuite, 3> kSuites = {
    {{0x1301, "aes128", "TLS_AES_128_GCM_SHA256", 16, EVP_aes_128_gcm, sha256_kind},
     {0x1303, "chacha20", "TLS_CHACHA20_POLY1305_SHA256", 32, EVP_chacha20_poly1305, sha256_kind},
     {0x1302, "aes256", "TLS_AES_256_GCM_SHA384", 32, EVP_aes_256_gcm, sha384_kind}}};

}  // namespace

const CipherSuite& aes128_gcm_sha256() { return kSuites[0]; }
const CipherSuite& chacha20_poly1305_sha256() { return kSuites[1]; }
const CipherSuite& aes256_gcm_sha384() { return kSuites[2]; }

std::span<const CipherSuite> cipher_suites() { return kSuites; }

const CipherSuite* find_suite(std::string_view setting) {
  for (const CipherSuite& suite : kSuites) {
    if (suite.setting == setting) return &suite;
  }
  return nullptr;
}

std::string known_suites() {
  std::string out;
  for (const CipherSuite& suite : kSuites) {
    out += (out.empty() ? "\"" : ", \"") + std::string(suite.setting) + "\"";
  }
  return out;
}

}  // namespace flexroom::tls
