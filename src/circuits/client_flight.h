#pragma once

#include "circuits/handshake.h"

namespace flexroom::circuits {

/// GC-CF (tls-complete.md §4.2): the client's flight where the service asked for a certificate and
/// gets an empty one, with c_hs inside for ever. Beside GC-B in an instance of its own, so that
/// where the service asks for nothing no label of it leaves.

/// Certificate with an empty context and an empty list (RFC 8446 §4.4.2): all of it is public.
inline constexpr std::array<uint8_t, 8> kEmptyCertificate = {11, 0, 0, 4, 0, 0, 0, 0};
/// Certificate, Finished with its verify_data, a digest.
inline size_t client_flight_bytes(const HashCircuit& hash) {
  return kEmptyCertificate.size() + 4 + hash.digest_bytes;
}

/// Under AES-GCM. Sizes of groups are those of SHA-256.
///
/// In    dyn  "c_hs" [256]: as GC-A kept it
///       pub  "kw_finished" [2 048]: round words of the block that the inner hash of verify_data
///            ends with: H(ClientHello .. server Finished || Certificate) and its padding
///       zero "r_h" [128]: the random R of the GHASH powers
/// Out   open "verify_data" [256]; "d_h" [128]: H xor R; "c" [8 (client_flight_bytes() + 1)]: the
///       record's ciphertext without its tag, content type 22 included
///       keep "j0" [128]: E_K(J0), the mask of the tag
/// Size  as written 4 kpad + 3 constmsg + 4 secmsg + pubmsg + 26 880; the bytes that nobody uses,
///       of key, iv and the last block of keystream, are less
mpc::Circuit gc_cf(const GcmSuite& suite = aes128_gcm());

/// Under TLS_CHACHA20_POLY1305_SHA256.
///
/// In    as above, but in place of "r_h" zero "rho_0_0" .. [130 a member]: masks of r
/// Out   open "verify_data", and "c_0" in place of "c"; "r_0" [130]; keep "s_0" [128]: as
///       ChaChaRecordWriter writes them
mpc::Circuit chacha_gc_cf(size_t num_parties);

}  // namespace flexroom::circuits
