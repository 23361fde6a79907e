#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "people/rule.h"
#include "people/voice_refused.h"

// WebAuthn (level 2) as a relying party checks it (members.md §7.3, §7.4). Foreign bytes
// throughout.

namespace flexroom::people {

/// Who may ask for signatures here. A page's origin is `scheme://host[:port]`, exactly; the command
/// line writes kCliOrigin and uses the rpId `localhost`.
struct RelyingParty {
  std::string origin;
  std::string rp_id;
};
inline constexpr std::string_view kCliOrigin = "flexroom:cli";
inline constexpr std::string_view kLocalRpId = "localhost";
/// The command line; with `port` also the loopback console http://localhost:PORT.
std::vector<RelyingParty> local_relying_parties(std::optional<uint16_t> port);

inline constexpr size_t kMaxClientData = 2048;
inline constexpr size_t kMaxAuthenticatorData = 8192;
inline constexpr size_t kMaxSignature = 256;

/// clientDataJSON: strict JSON, at most 2 KiB, no key twice, unknown keys ignored.
struct ClientData {
  std::string type, challenge, origin;
  bool cross_origin = false;  // crossOrigin is there and not false
  bool top_origin = false;    // topOrigin is there
  /// Throws VoiceRefused (kForm).
  static ClientData parse(ByteView json);
};

/// authenticatorData, whole: nothing behind what its flags announce.
struct AuthenticatorData {
  static constexpr uint8_t kUserPresent = 0x01, kUserVerified = 0x04, kBackupEligible = 0x08,
                           kBackedUp = 0x10, kAttested = 0x40, kExtensions = 0x80;
  Digest rp_id_hash{};
  uint8_t flags = 0;
  uint32_t sign_count = 0;
  Bytes credential;        // with kAttested
  std::optional<Key> key;  // with kAttested; rp is not filled in
  /// Throws VoiceRefused (kForm).
  static AuthenticatorData parse(ByteView bytes);
};

/// COSE_Key of ES256 or EdDSA, exactly its parameters, on its curve. Throws VoiceRefused (kForm).
Key cose_key(ByteView cbor);
/// Whether the key's bytes are a public key of its kind: on the curve, of prime order.
bool is_point(KeyKind kind, ByteView key);
/// ES256 (DER) or Ed25519 over `message`.
bool verify_raw(const Key& key, ByteView message, ByteView signature);

/// What an authenticator answers to navigator.credentials.get().
struct Assertion {
  Bytes authenticator_data, client_data, signature;
};
/// Checks of 7.3 that concern the bytes alone, in this order: form, signature over
/// authenticatorData
/// || SHA-256(clientDataJSON), type webauthn.get, challenge, origin, not framed, rpIdHash, user
/// present, user verified. Returns signCount. Throws VoiceRefused.
uint32_t verify_assertion(const Key& key, const Assertion& assertion, const Digest& challenge,
                          const std::vector<RelyingParty>& parties);

/// What an authenticator answers to navigator.credentials.create().
struct Registration {
  Bytes attestation_object, client_data;
};
/// The key of a registration: form, type webauthn.create, challenge, origin, not framed, rpIdHash,
/// user present and verified, key on its curve; attestation is not looked at. Throws VoiceRefused.
/// Uniqueness of the id over all persons is checked by Rule (it becomes part of one before it
/// counts: enrolment is a change of the rule).
Key verify_registration(const Registration& registration, const Digest& challenge,
                        const std::vector<RelyingParty>& parties);

}  // namespace flexroom::people
