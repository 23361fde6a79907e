#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "arith/ecdh.h"
#include "base/bytes.h"
#include "circuits/handshake.h"
#include "mpc/program.h"
#include "tls/padding.h"

namespace flexroom::agent {

/// What the circuits of a request depend on: its length and where its secrets are. Public text may
/// be decided later; it is XORed outside (tls-in-mpc.md §4.3).
struct RequestPlan {
  size_t bytes = 0;                        // plaintext, at most http::kMaxRequest
  size_t record_bytes = 16384;             // of it in a record; the last one has the rest
  tls::Padding pad = tls::Padding::kNone;  // of each record (tls-complete.md §8.2)
  std::vector<uint32_t> secret_bits;       // positions 8 * byte + bit, ascending
  std::optional<size_t> signature_offset;  // 64 hex characters of a SigV4 signature
  bool sealed_answer = false;              // the server's secret stays inside
  bool keep_write_keys = false;            // further requests on the connection follow (§4.9)

  size_t records() const { return (bytes + record_bytes - 1) / record_bytes; }
  /// Content of record `k`, 0 the first.
  size_t content_bytes(size_t k = 0) const {
    return std::min(record_bytes, bytes - k * record_bytes);
  }
  /// The same with the content type and the zeros behind it, of which no record gets more than it
  /// may hold.
  size_t inner_bytes(size_t k = 0) const {
    return tls::padded_bytes(pad, content_bytes(k) + 1, record_bytes + 1);
  }
  /// Of 16 bytes, of the longest record.
  size_t keystream_blocks() const { return (inner_bytes() + 15) / 16; }
};

/// GC-A of tls-in-mpc.md §3.4: handshake secrets from the members' shares of the ECDHE secret. Made
/// once a process.
std::shared_ptr<const mpc::Program> handshake_program(
    const Groups& groups, size_t num_members,
    const circuits::HashCircuit& hash = circuits::sha256_hash());

/// GC-B of tls-in-mpc.md §3.7 F+ or its R2 column: application keys, keystream, signature.
///
/// Inputs   dyn "kout_ms" 256; pub "kw_c_ap", "kw_s_ap" 2,048 each; zero "r_c" 128; dyn "secret"
///          one bit per secret_bits; dyn "kout_signing" 256 and pub "kw_signature" 2,048 if there
///          is a signature
/// Opened   "d_c" 128: H xor R in AES output byte order; of each record k of the request "c_<k>":
///          8 * inner_bytes(k) bits, keystream xor secret text: the ciphertext once the public text
///          is XORed in
/// Kept     "s_ap" 256; "j0_<k>" 128: E_K(J0) of record k
/// With `keep_write_keys` also kept "iv_c" 96, "round_keys_c" 1,408.
/// With `sealed_answer`, in place of "s_ap": opened "kin_s_ap", kept "kout_s_ap" 256 each (F+)
/// With AES-256 and SHA-384: states of 512 bits, words of 5,120, secrets of 384, round keys of
/// 1,920
std::shared_ptr<const mpc::Program> request_program(
    const RequestPlan& plan, const circuits::GcmSuite& suite = circuits::aes128_gcm());

/// A later request of the connection, in the records from `sequence` on (tls-in-mpc.md §4.9).
///
/// Inputs   dyn "iv_c" 96, "round_keys_c" 1,408; "secret", "kout_signing", "kw_signature" as above
/// Opened   "c_<sequence>" ..; kept "j0_<sequence>" .. 128, one a record
/// Size     5,120 ANDs (AES-256 7,168) for J0 and for every 16 bytes begun, and 16,504 for a
///          signature
std::shared_ptr<const mpc::Program> later_request_program(
    const RequestPlan& plan, uint64_t sequence,
    const circuits::GcmSuite& suite = circuits::aes128_gcm());

/// request_program() for TLS_CHACHA20_POLY1305_SHA256 (tls-in-mpc.md §4.7).
///
/// Inputs   as above, but zero "rho_<k>_<i>" 130 a record and member in place of "r_c"
/// Opened   "c_<k>" as above; "r_<k>" 130: the one-time key's r under the masks
/// Kept     "s_ap" 256; "s_<k>" 128: the one-time key's s
/// With `keep_write_keys` also kept "iv_c" 96, "key_c" 256; with `sealed_answer` as above.
std::shared_ptr<const mpc::Program> chacha_request_program(const RequestPlan& plan,
                                                           size_t num_members);
/// later_request_program() for it: dyn "key_c" 256 in place of the round keys.
/// Size     10,136 + 259 a member a record, 10,400 for every 64 bytes begun of it
std::shared_ptr<const mpc::Program> chacha_later_request_program(const RequestPlan& plan,
                                                                 uint64_t sequence,
                                                                 size_t num_members);

}  // namespace flexroom::agent
