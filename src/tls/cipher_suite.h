#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tls/hash_kind.h"

struct evp_cipher_st;

namespace flexroom::tls {

/// What hello, records and key schedule need to know of a cipher suite. One suite is offered a
/// connection: the circuits are made for it before the server answers (tls-in-mpc.md §3.2). A new
/// suite is an entry of kSuites, its circuits, and a row of agent/suite.cpp.
struct CipherSuite {
  uint16_t code;             // RFC 8446 B.4
  std::string_view setting;  // value of `suite` in room.toml
  std::string_view name;
  size_t key_bytes;
  const evp_cipher_st* (*aead)();
  const HashKind& (*hash)();  // of transcript and key schedule
};

/// TLS_AES_128_GCM_SHA256, the default.
const CipherSuite& aes128_gcm_sha256();
/// TLS_CHACHA20_POLY1305_SHA256: half the ANDs a byte, more openings a tag (tls-in-mpc.md §4.7).
const CipherSuite& chacha20_poly1305_sha256();
/// TLS_AES_256_GCM_SHA384: for hosts that take no other (tls-complete.md §3).
const CipherSuite& aes256_gcm_sha384();
/// All there are; the default first.
std::span<const CipherSuite> cipher_suites();
/// The suite of that setting; null if there is none.
const CipherSuite* find_suite(std::string_view setting);
/// The settings that find_suite() knows, for messages: `"aes128", "chacha20", "aes256"`.
std::string known_suites();

}  // namespace flexroom::tls
