#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/sha256_block.h"
#include "boolean/engine.h"
#include "http/sigv4.h"
#include "mpc/program.h"
#include "net/party.h"

namespace flexroom::agent {

/// A body that is hashed inside: its bytes, secret bits 0, and their places (8 * byte + bit, from
/// the body's first byte, ascending).
struct SecretBody {
  Bytes public_text;
  std::vector<uint32_t> secret_bits;
};

/// The SigV4 signature of a request in whose signed headers secrets stand (x-amz-security-token of
/// a temporary key), or in its signed body: what is signed is itself secret, so its hash is
/// computed inside (tls-in-mpc.md §6.2). For sealed answers alone: services print signed headers in
/// their errors (R2-3), so a call with an open answer has no slot there (call/open_call.h).
///
/// Inputs   dyn "secret_<slot>", 8 bits a byte, of the head; dyn "body", a bit for each of
///          SecretBody::secret_bits; dyn "kout_signing" [256]
/// Opened   nothing: neither the hash of the canonical request nor the inner digest
/// Kept     "signature": the bits of the 64 hex digits that are not constant
/// Size     22 573 ANDs a block of the canonical request from the first with a secret on, two
/// blocks
///          of the string to sign and the outer hash 21 649, hex 2 x 256; 0.25 M for a token of 400
///          bytes
struct SecretSignatureCircuit {
  std::shared_ptr<const mpc::Program> program;
  std::vector<http::Slot> slots;  // of the head
  bool hashes_body = false;
  Bytes public_text;                  // 64 bytes, constant bits in place
  std::vector<uint32_t> secret_bits;  // places (8 * byte + bit) of "signature", ascending
};

/// Places of the bits of 64 hex digits that are not constant, as in SecretSignatureCircuit.
const std::vector<uint32_t>& secret_bits_of_signature();

/// Throws InputError for a slot in the signed headers that a server could read in another way than
/// it is signed: encoded, or of a class with blanks.
void check_signed_slots(const http::SigV4Plan& plan);

/// `kin`: the opened inner state of kSigning (agent/signing_key.h). `body_hash`: of a body whose
/// hash was opened behind a nonce (§6.2); `body`: one whose hash stays inside; a public or unsigned
/// body needs neither. Throws what check_signed_slots() throws.
SecretSignatureCircuit build_secret_signature(const http::SigV4Plan& plan, const Sha256State& kin,
                                              const std::optional<Digest>& body_hash = {},
                                              const SecretBody* body = nullptr);

/// One signature. `secrets` by name of the slot, 8 bits a byte; `kout` of the signing key [256];
/// `body`: the bits of SecretBody::secret_bits, if the circuit hashes one.
/// Aborts: what the engine throws.
prep::AuthBits sign_with_secrets(net::Party& party, boolean::Engine& engine,
                                 const SecretSignatureCircuit& circuit,
                                 const std::map<std::string, const prep::AuthBits*>& secrets,
                                 const prep::AuthBits& kout, const prep::AuthBits* body = nullptr);

}  // namespace flexroom::agent
