#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "arith/ecdh.h"
#include "base/bytes.h"
#include "mpc/program.h"

namespace flexroom::agent {

/// What the circuits of a request depend on: its length and where its secrets are. Public text may
/// be decided later; it is XORed outside (tls-in-mpc.md §4.3).
struct RequestPlan {
  size_t bytes = 0;                        // plaintext of the record, at most 16,384
  std::vector<uint32_t> secret_bits;       // positions 8 * byte + bit, ascending
  std::optional<size_t> signature_offset;  // 64 hex characters of a SigV4 signature
  bool sealed_answer = false;              // the server's secret stays inside
  bool keep_write_keys = false;            // further requests on the connection follow (§4.9)

  size_t inner_bytes() const { return bytes + 1; }  // with the content type
  size_t keystream_blocks() const { return (inner_bytes() + 15) / 16; }
};

/// GC-A of tls-in-mpc.md §3.4: handshake secrets from the members' shares of the ECDHE secret. Made
/// once a process.
std::shared_ptr<const mpc::Program> handshake_program(const Groups& groups, size_t num_members);

/// GC-B of tls-in-mpc.md §3.7 F+ or its R2 column: application keys, keystream, signature.
///
/// Inputs   dyn "kout_ms" 256; pub "kw_c_ap", "kw_s_ap" 2,048 each; zero "r_c" 128; dyn "secret"
///          one bit per secret_bits; dyn "kout_signing" 256 and pub "kw_signature" 2,048 if there
///          is a signature
/// Opened   "d_c" 128: H xor R in AES output byte order; "c_0": 8 * inner_bytes bits, keystream xor
///          secret text: the ciphertext once the public text is XORed in
/// Kept     "s_ap" 256; "j0_0" 128: E_K(J0) of record 0
/// With `keep_write_keys` also kept "iv_c" 96, "round_keys_c" 1,408.
/// With `sealed_answer`, in place of "s_ap": opened "kin_s_ap", kept "kout_s_ap" 256 each (F+)
std::shared_ptr<const mpc::Program> request_program(const RequestPlan& plan);

/// A later request of the connection, in record `sequence` (tls-in-mpc.md §4.9).
///
/// Inputs   dyn "iv_c" 96, "round_keys_c" 1,408; "secret", "kout_signing", "kw_signature" as above
/// Opened   "c_<sequence>"; kept "j0_<sequence>" 128
/// Size     5,120 ANDs for J0 and for every 16 bytes begun, and 16,504 for a signature
std::shared_ptr<const mpc::Program> later_request_program(const RequestPlan& plan,
                                                          uint64_t sequence);

/// request_program() for TLS_CHACHA20_POLY1305_SHA256 (tls-in-mpc.md §4.7).
///
/// Inputs   as above, but zero "rho_0_<i>" 130 a member in place of "r_c"
/// Opened   "c_0" as above; "r_0" 130: the one-time key's r under the masks
/// Kept     "s_ap" 256; "s_0" 128: the one-time key's s
std::shared_ptr<const mpc::Program> chacha_request_program(const RequestPlan& plan,
                                                           size_t num_members);

}  // namespace flexroom::agent
