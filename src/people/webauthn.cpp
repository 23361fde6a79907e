#include "people/webauthn.h"

#include <fmt/core.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <sodium.h>

#include <algorithm>

#include "base/base64.h"
#include "base/codec.h"
#include "base/ct.h"
#include "base/display.h"
#include "base/openssl_ptr.h"
#include "base/read_array.h"
#include "people/cbor.h"
#include "people/strict_json.h"

namespace flexroom::people {
namespace {

constexpr std::string_view kOfSecurityKey = "signature of a security key";
constexpr size_t kMaxAttestation = 64 << 10;

[[noreturn]] void refuse(VoiceCheck check, std::string_view problem, std::string_view remedy = "") {
  throw VoiceRefused(check, kOfSecurityKey, problem, remedy);
}

// A parser's word about foreign bytes.
template <typename Read>
auto formed(Read read) {
  try {
    return read();
  } catch (const VoiceRefused&) {
    throw;
  } catch (const InputError& error) {
    refuse(VoiceCheck::kForm, error.problem());
  } catch (const ProtocolAbort& abort) {
    refuse(VoiceCheck::kForm, abort.detail());
  }
}

const Bytes& bytes_of(const Cbor& map, int64_t label) {
  const Cbor* const found = map.at(label);
  const Bytes* const bytes = found != nullptr ? found->as<Bytes>() : nullptr;
  if (bytes == nullptr || bytes->size() != 32) {
    refuse(VoiceCheck::kForm, "has a public key without its coordinates");
  }
  return *bytes;
}

void expect_number(const Cbor& map, int64_t label, int64_t value) {
  const Cbor* const found = map.at(label);
  const int64_t* const number = found != nullptr ? found->as<int64_t>() : nullptr;
  if (number == nullptr || *number != value) {
    refuse(VoiceCheck::kForm, "has a public key of another kind than ES256 and EdDSA",
           "take an authenticator that makes one of these");
  }
}

OpensslPtr<EVP_PKEY> p256_key(ByteView point) {
  const auto none = [] {
    take_openssl_error();
    return OpensslPtr<EVP_PKEY>();
  };
  if (point.size() != 65 || point[0] != 4) return none();
  char group[] = "P-256";
  Bytes copy(point.begin(), point.end());
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy.data(), copy.size()),
      OSSL_PARAM_construct_end()};
  const OpensslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* made = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
    return none();
  }
  OpensslPtr<EVP_PKEY> key(made);
  const OpensslPtr<EVP_PKEY_CTX> check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) != 1) return none();
  return key;
}

const RelyingParty* party_of(const std::vector<RelyingParty>& parties, std::string_view origin,
                             std::string_view rp_id) {
  for (const RelyingParty& one : parties) {
    if (one.origin == origin && (rp_id.empty() || one.rp_id == rp_id)) return &one;
  }
  return nullptr;
}

void check_client(const ClientData& client, std::string_view type, const Digest& challenge) {
  if (client.type != type) {
    refuse(VoiceCheck::kType,
           fmt::format("is of type {} in place of {}", display_short(client.type, 40), type));
  }
  if (client.challenge != base64url_encode(challenge)) {
    refuse(VoiceCheck::kChallenge, "was made for other words than the ones that were shown",
           "have them shown again, and sign what is shown");
  }
}

void check_framed(const ClientData& client) {
  if (client.cross_origin || client.top_origin) {
    refuse(VoiceCheck::kFramed, "was asked for in a frame of another page",
           "open the console itself, in a window of its own");
  }
}

[[noreturn]] void refuse_origin(const ClientData& client) {
  refuse(VoiceCheck::kOrigin,
         fmt::format("was asked for by {}, which is not this member's console",
                     display_short(client.origin)),
         "another page or program wanted the signature: find out which");
}

void check_user(const AuthenticatorData& data, std::string_view rp_id) {
  if (!ct_equal(data.rp_id_hash, sha256(as_bytes(rp_id)))) {
    refuse(VoiceCheck::kRelyingParty, "is of a credential for another site");
  }
  if ((data.flags & AuthenticatorData::kUserPresent) == 0) {
    refuse(VoiceCheck::kPresence, "was made without a touch");
  }
  if ((data.flags & AuthenticatorData::kUserVerified) == 0) {
    refuse(VoiceCheck::kVerification, "was made without PIN or fingerprint",
           "set a PIN on the security key; a touch alone proves only that it was on a desk");
  }
}

}  // namespace

std::vector<RelyingParty> local_relying_parties(std::optional<uint16_t> port) {
  std::vector<RelyingParty> out{{std::string(kCliOrigin), std::string(kLocalRpId)}};
  if (port) out.push_back({fmt::format("http://localhost:{}", *port), std::string(kLocalRpId)});
  return out;
}

ClientData ClientData::parse(ByteView bytes) {
  if (bytes.size() > kMaxClientData) refuse(VoiceCheck::kForm, "has clientDataJSON over 2 KiB");
  const auto parsed = strict_json(as_text(bytes));
  if (!parsed)
    refuse(VoiceCheck::kForm, "has clientDataJSON that is no JSON object with each key once");
  const auto text = [&](const char* key) {
    const auto found = parsed->find(key);
    if (found == parsed->end() || !found->is_string()) {
      refuse(VoiceCheck::kForm, fmt::format("has clientDataJSON without {}", key));
    }
    return found->get<std::string>();
  };
  ClientData out;
  out.type = text("type");
  out.challenge = text("challenge");
  out.origin = text("origin");
  const auto cross = parsed->find("crossOrigin");
  out.cross_origin = cross != parsed->end() && *cross != false;
  out.top_origin = parsed->contains("topOrigin");
  return out;
}

AuthenticatorData AuthenticatorData::parse(ByteView bytes) {
  if (bytes.size() > kMaxAuthenticatorData) {
    refuse(VoiceCheck::kForm, "has authenticatorData over 8 KiB");
  }
  return formed([&] {
    AuthenticatorData out;
    Reader in(bytes, "authenticatorData");
    out.rp_id_hash = in.digest();
    out.flags = in.u8();
    out.sign_count = in.u32();
    if ((out.flags & kBackedUp) != 0 && (out.flags & kBackupEligible) == 0) {
      refuse(VoiceCheck::kForm, "says that it is backed up and cannot be");
    }
    ByteView rest;
    if ((out.flags & kAttested) != 0) {
      (void)in.raw(16);  // AAGUID: which model it is, if one believes it
      const uint16_t length = in.u16();
      if (length == 0 || length > Rule::kMaxCredential) {
        refuse(VoiceCheck::kForm, "has a credential id of no possible length");
      }
      const ByteView id = in.raw(length);
      out.credential.assign(id.begin(), id.end());
      const ByteView after = in.raw(in.remaining());
      (void)Cbor::decode_first(after, rest, kOfSecurityKey);
      out.key = cose_key(after.first(after.size() - rest.size()));
      out.key->credential = out.credential;
      out.key->synced = (out.flags & kBackupEligible) != 0;
    } else {
      rest = in.raw(in.remaining());
    }
    if ((out.flags & kExtensions) != 0) {
      const Cbor extensions = Cbor::decode_first(rest, rest, kOfSecurityKey);
      if (extensions.as<Cbor::Map>() == nullptr) {
        refuse(VoiceCheck::kForm, "has extensions that are no map");
      }
    }
    if (!rest.empty()) refuse(VoiceCheck::kForm, "has bytes behind authenticatorData");
    return out;
  });
}

// RFC 9052 section 7, RFC 9053 sections 7.1 and 7.2: labels 1 kty, 3 alg, -1 crv, -2 x, -3 y.
Key cose_key(ByteView cbor) {
  const Cbor map = formed([&] { return Cbor::decode(cbor, kOfSecurityKey); });
  const auto* const pairs = map.as<Cbor::Map>();
  if (pairs == nullptr) refuse(VoiceCheck::kForm, "has a public key that is no map");
  const Cbor* const type = map.at(1);
  Key out;
  size_t parameters = 0;
  if (type != nullptr && type->as<int64_t>() != nullptr && *type->as<int64_t>() == 2) {
    expect_number(map, 3, -7);
    expect_number(map, -1, 1);
    out.kind = KeyKind::kEs256;
    out.bytes = {4};
    append(out.bytes, bytes_of(map, -2));
    append(out.bytes, bytes_of(map, -3));
    parameters = 5;
  } else {
    expect_number(map, 1, 1);
    expect_number(map, 3, -8);
    expect_number(map, -1, 6);
    out.kind = KeyKind::kEdDsa;
    out.bytes = bytes_of(map, -2);
    parameters = 4;
  }
  if (pairs->size() != parameters) {
    refuse(VoiceCheck::kForm, "has a public key with other parameters");
  }
  if (!is_point(out.kind, out.bytes)) {
    refuse(VoiceCheck::kForm, "has a public key that is no point of its curve");
  }
  return out;
}

bool is_point(KeyKind kind, ByteView key) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  if (kind == KeyKind::kEs256) return p256_key(key) != nullptr;
  return key.size() == crypto_sign_PUBLICKEYBYTES &&
         crypto_core_ed25519_is_valid_point(key.data()) == 1;
}

bool verify_raw(const Key& key, ByteView message, ByteView signature) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  if (key.kind != KeyKind::kEs256) {
    return signature.size() == crypto_sign_BYTES && is_point(key.kind, key.bytes) &&
           crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                       key.bytes.data()) == 0;
  }
  const OpensslPtr<EVP_PKEY> pkey = p256_key(key.bytes);
  const OpensslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const bool right =
      pkey && context &&
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, pkey.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                       message.size()) == 1;
  if (!right) take_openssl_error();
  return right;
}

uint32_t verify_assertion(const Key& key, const Assertion& assertion, const Digest& challenge,
                          const std::vector<RelyingParty>& parties) {
  const AuthenticatorData data = AuthenticatorData::parse(assertion.authenticator_data);
  const ClientData client = ClientData::parse(assertion.client_data);
  if ((data.flags & AuthenticatorData::kAttested) != 0) {
    refuse(VoiceCheck::kForm, "brings a new key along, as only a registration does");
  }
  Bytes message = assertion.authenticator_data;
  append(message, sha256(assertion.client_data));
  if (!verify_raw(key, message, assertion.signature)) {
    refuse(VoiceCheck::kSignature, "is not one of the enrolled key");
  }
  check_client(client, "webauthn.get", challenge);
  if (!parties.empty() && party_of(parties, client.origin, key.rp) == nullptr) {
    refuse_origin(client);
  }
  check_framed(client);
  check_user(data, key.rp);
  return data.sign_count;
}

Key verify_registration(const Registration& registration, const Digest& challenge,
                        const std::vector<RelyingParty>& parties) {
  const ClientData client = ClientData::parse(registration.client_data);
  check_client(client, "webauthn.create", challenge);
  const RelyingParty* const party = party_of(parties, client.origin, "");
  if (party == nullptr) refuse_origin(client);
  check_framed(client);
  if (registration.attestation_object.size() > kMaxAttestation) {
    refuse(VoiceCheck::kForm, "has an attestationObject over 64 KiB");
  }
  const Cbor object =
      formed([&] { return Cbor::decode(registration.attestation_object, kOfSecurityKey); });
  const Cbor* const format = object.at("fmt");
  const Cbor* const statement = object.at("attStmt");
  const Cbor* const data_bytes = object.at("authData");
  if (format == nullptr || format->as<std::string>() == nullptr || statement == nullptr ||
      statement->as<Cbor::Map>() == nullptr || data_bytes == nullptr ||
      data_bytes->as<Bytes>() == nullptr) {
    refuse(VoiceCheck::kForm, "has an attestationObject without fmt, attStmt or authData");
  }
  AuthenticatorData data = AuthenticatorData::parse(*data_bytes->as<Bytes>());
  check_user(data, party->rp_id);
  if (!data.key) refuse(VoiceCheck::kForm, "is a registration without a key");
  data.key->rp = party->rp_id;
  return std::move(*data.key);
}

}  // namespace flexroom::people
