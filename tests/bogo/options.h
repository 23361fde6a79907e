#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/named_group.h"
#include "base/stream.h"
#include "tls/cipher_suite.h"
#include "tls/handshake.h"

namespace flexroom::bogo {

/// Exit code for what a shim does not do: the runner passes over the test.
inline constexpr int kUnimplemented = 89;
[[noreturn]] void unimplemented(const std::string& what);

/// What the runner asks for by flags.
struct Options {
  uint16_t port = 0;
  bool ipv6 = false;
  uint64_t shim_id = 0;
  std::string host = "bogo.example";
  Groups groups;
  bool default_groups = false;  // the runner asks for none
  std::optional<NamedGroup> expect_group;
  std::optional<uint16_t> expect_scheme;
  const tls::CipherSuite* suite = &tls::aes128_gcm_sha256();
  bool verify_fails = false;
  bool expect_retry = false, expect_no_retry = false;
  bool writes_first = false, shuts_down = false, check_close_notify = false;
};

/// No chain is looked at but where it is to fail: the runner's certificates are for clients too, or
/// for no host, and tests/limbo is about chains.
tls::HandshakeConfig handshake_config(const Options& options);
/// A connection to the runner, which has been told the shim's number.
std::unique_ptr<ByteStream> connect_to_runner(const Options& options);

/// Mode B: two members with the real engines, preprocessing of the test dealer. Throws as the
/// members' connection does, and std::runtime_error where what came is not what the runner says.
void run_members(const Options& options);

}  // namespace flexroom::bogo
