#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/request_model.h"
#include "store/secret_store.h"

namespace flexroom {

/// What a stored secret may be used for (tls-in-mpc.md §5.1, §3.4(i)). A secret without purposes is
/// usable nowhere. A purpose is one of
///
///   METHOD https://host/path POSITION    it stands there: method, host, path and exact position.
///                                        A recipe could otherwise put a token into a field that
///                                        can be read back
///   METHOD https://host/path POSITION as totp
///                                        the six digits of RFC 6238 stand there, of which it is
///                                        the key; it never stands there itself
///   METHOD https://host/path POSITION as jwe ALG ENC [key HOST]
///   METHOD https://host/path POSITION as totp next
///                                        of flows alone (`secret:NAME`): it stands there encrypted
///                                        under the key that HOST opens; the code behind the one
///                                        of now
///   sigv4 SERVICE REGION                 it signs requests to that service of AWS there
///
///   POST https://llm.example.com/v1/chat/completions header authorization: Bearer {{}}
///   sigv4 ec2 us-east-1
///
/// POSITION  header NAME: VALUE   the whole value of the header, `{{}}` for the slot
///           query NAME=VALUE     a parameter of the target
///           form NAME=VALUE      a field of a form body
///           json /POINTER=VALUE  a string of a JSON body, by RFC 6901 pointer ('=' is ~2)
///           body                 the whole body is the slot
/// Header names are lower case, names and values decoded. Other slots of the same value stand there
/// as `{{NAME}}`.
struct Purpose {
  enum class Function { kPosition, kSigV4, kTotp, kTotpNext, kJwe };
  Function function = Function::kPosition;
  std::string host;             // the service's for kSigV4
  std::string key_host;         // of kJwe where another host opens the key; else empty
  std::string service, region;  // kSigV4
};

/// Takes one apart, as it is written in a secret file. Throws InputError.
Purpose parse_purpose(std::string_view purpose, std::string_view place);

/// Kin of an HMAC key may be opened only with so much min-entropy (§3.4(i)).
inline constexpr uint32_t kSigningEntropy = 128;
/// "AWS4" and the key fit one block of SHA-256.
inline constexpr size_t kMaxSigningKeyBytes = 60;

/// A key of HMAC-SHA1 that is not hashed first (RFC 2104).
inline constexpr size_t kMaxTotpKeyBytes = 64;

/// What a slot may stand for instead of its value: what purposes and flow files write behind " as
/// ".
inline constexpr std::array<std::string_view, 6> kSlotFunctions = {"jwe RSA-OAEP-256 A256GCM",
                                                                   "jwe RSA-OAEP A256GCM",
                                                                   "jwe RSA-OAEP-256 A128GCM",
                                                                   "jwe RSA-OAEP A128GCM",
                                                                   "totp",
                                                                   "totp next"};

/// The function that a purpose ends in: one of kSlotFunctions, a jwe also with " key HOST"; "" of
/// a plain position. Text behind a slot that reads like one is one: what may leave encrypted has no
/// purpose that lets it stand in the clear with the words behind it (§5.1).
std::string_view function_of(std::string_view purpose);

/// The fields of a secret contradict each other: purposes that are none or of hosts that its
/// provider does not have, purposes without provider, an entropy that its class and length cannot
/// hold, a signing purpose with less than 128 bits or a key too long to sign or for TOTP. `serves`
/// says whether the provider has a host. Throws InputError at `place`.
void check_secret_terms(const store::RecordMeta& secret,
                        const std::function<bool(std::string_view host)>& serves,
                        std::string_view place);

/// Whether one of the purposes is `sigv4 SERVICE REGION`, also in the form of flow files, `sigv4
/// SERVICE,SERVICE.. REGION` (operations.md (a)).
bool may_sign_for(const std::vector<std::string>& purposes, std::string_view service,
                  std::string_view region);

/// tls-in-mpc.md §3.4(i), §5.1: the secret's purposes name sigv4 with that service and region, it
/// claims 128 bits of entropy, and it has a length that can sign. Throws InputError.
void check_signing_secret(const store::RecordMeta& secret, std::string_view service,
                          std::string_view region);

/// §3.4(i): an open answer gets the code of a key only if that claims 128 bits of entropy, and it
/// has a length that can be one. Throws InputError.
void check_totp_secret(const store::RecordMeta& secret);

/// "POST https://host/path" of a request, as purposes and open_calls begin.
std::string call_address(const http::RequestModel& request);

/// The position of a slot as a purpose writes it, with its value; and without ("header
/// authorization", "form UserData"), as open_calls name it.
struct SlotPosition {
  std::string exact;
  std::string name;
};
/// Throws InputError where no position can be named: XML, a name that stands there twice.
SlotPosition slot_position(const http::RequestModel& request, const http::Slot& slot);

}  // namespace flexroom
