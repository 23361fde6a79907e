#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

struct evp_cipher_st;

namespace flexroom::tls {

/// What hello, records and key schedule need to know of a cipher suite. One suite is offered a
/// connection: the circuits are made for it before the server answers (tls-in-mpc.md §3.2). A new
/// suite is an entry of kSuites, its circuits, and a write direction in agent/. The hash of all is
/// SHA-256 (docs/architecture.md).
struct CipherSuite {
  uint16_t code;             // RFC 8446 B.4
  std::string_view setting;  // value of `suite` in room.toml
  std::string_view name;
  size_t key_bytes;
  const evp_cipher_st* (*aead)();
};

/// TLS_AES_128_GCM_SHA256, the default.
const CipherSuite& aes128_gcm_sha256();
/// TLS_CHACHA20_POLY1305_SHA256: half the ANDs a byte, more openings a tag (tls-in-mpc.md §4.7).
const CipherSuite& chacha20_poly1305_sha256();
/// All there are; the default first.
std::span<const CipherSuite> cipher_suites();
/// The suite of that setting; null if there is none.
const CipherSuite* find_suite(std::string_view setting);
/// The settings that find_suite() knows, for messages: `"aes128", "chacha20"`.
std::string known_suites();

}  // namespace flexroom::tls
