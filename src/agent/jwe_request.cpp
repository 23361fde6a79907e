#include "agent/jwe_request.h"

#include <algorithm>

#include "base/base64.h"
#include "base/error.h"

namespace flexroom::agent {
namespace {

constexpr std::string_view kAlgorithms[] = {"RSA-OAEP", "RSA-OAEP-256"};
constexpr std::string_view kEncryptions[] = {"A128GCM", "A256GCM"};
constexpr size_t kMaxKid = 128, kMaxMember = 1024, kIvBytes = 12, kTagBytes = 16;

/// Characters of base64url without padding.
size_t encoded_bytes(size_t bytes) { return (8 * bytes + 5) / 6; }

Bytes integer_member(std::string_view text, std::string_view name) {
  const auto bytes = text.size() > kMaxMember ? std::nullopt : base64url_decode(text);
  if (!bytes || bytes->empty() || bytes->front() == 0) {
    throw ProtocolAbort(
        AbortCode::kServer, "jwe/key",
        "member \"" + std::string(name) + "\" of the key is no integer in base64url");
  }
  return *bytes;
}

}  // namespace

JweMethod JweMethod::named(std::string_view algorithm, std::string_view encryption) {
  const auto a = std::find(std::begin(kAlgorithms), std::end(kAlgorithms), algorithm);
  const auto e = std::find(std::begin(kEncryptions), std::end(kEncryptions), encryption);
  if (a == std::end(kAlgorithms) || e == std::end(kEncryptions)) {
    throw InputError("jwe " + std::string(algorithm) + " " + std::string(encryption),
                     "is not a way in which a secret is encrypted",
                     "RSA-OAEP-256 or RSA-OAEP, with A256GCM or A128GCM");
  }
  return {a == std::begin(kAlgorithms) ? Algorithm::kRsaOaep : Algorithm::kRsaOaep256,
          e == std::begin(kEncryptions) ? Encryption::kA128Gcm : Encryption::kA256Gcm};
}

std::string_view JweMethod::algorithm_name() const {
  return kAlgorithms[static_cast<size_t>(algorithm)];
}
std::string_view JweMethod::encryption_name() const {
  return kEncryptions[static_cast<size_t>(encryption)];
}
circuits::OaepHash JweMethod::hash() const {
  return algorithm == Algorithm::kRsaOaep ? circuits::OaepHash::kSha1 : circuits::OaepHash::kSha256;
}
size_t JweMethod::cek_bytes() const { return encryption == Encryption::kA128Gcm ? 16 : 32; }

JweKey JweKey::checked(std::string_view n, std::string_view e, std::string_view kid) {
  const bool printable =
      std::all_of(kid.begin(), kid.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (kid.empty() || kid.size() > kMaxKid || !printable) {
    throw ProtocolAbort(AbortCode::kServer, "jwe/key",
                        "member \"kid\" of the key is not 1 to 128 printable characters");
  }
  return {arith::RsaPublicKey::checked(integer_member(n, "n"), integer_member(e, "e")),
          std::string(kid)};
}

std::string jwe_header(const JweMethod& method, std::string_view kid) {
  std::string out = "{\"alg\":\"";
  out.append(method.algorithm_name()).append("\",\"enc\":\"");
  out.append(method.encryption_name()).append("\",\"kid\":\"");
  for (const char c : kid) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"}";
}

circuits::JweShape JweRequest::shape(size_t num_parties) const {
  return {method.hash(), method.cek_bytes(), key.modulus().size(), num_parties, secret_bytes};
}

size_t JweRequest::text_bytes() const {
  return encoded_bytes(header.size()) + encoded_bytes(key.modulus().size()) +
         encoded_bytes(kIvBytes) + encoded_bytes(secret_bytes) + encoded_bytes(kTagBytes) + 4;
}

void JweRequest::require_bounds() const {
  if (header.empty() || header.size() > kMaxHeaderBytes) {
    throw InputError("jwe header", "is empty or longer than 1024 bytes");
  }
  if (secret_bytes == 0 || secret_bytes > kMaxSecretBytes) {
    throw InputError("jwe of a secret", "the secret is empty or longer than 1024 bytes");
  }
  if (request_id == Digest{}) throw InputError("jwe of a secret", "the request has no id");
}

}  // namespace flexroom::agent
