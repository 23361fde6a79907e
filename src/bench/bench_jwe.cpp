#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/jwe_attempt.h"
#include "agent/wires.h"
#include "base/base64.h"
#include "bench/bench_session.h"
#include "prep/open.h"

namespace flexroom::bench {
namespace {

constexpr size_t kSecretBytes = 24;
constexpr size_t kModulusBytes = 256;

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
  void operator()(BIGNUM* p) const { BN_free(p); }
};
template <typename T>
using Handle = std::unique_ptr<T, Free>;

[[noreturn]] void wrong(std::string_view what) {
  throw std::logic_error("bench: " + std::string(what) + " is wrong");
}

/// The service: its key is made by member 0, who is not asked for time while that happens.
class Service {
 public:
  explicit Service(net::Party& party) : modulus_(kModulusBytes) {
    if (party.id() == 0) {
      key_.reset(EVP_RSA_gen(8 * kModulusBytes));
      BIGNUM* n = nullptr;
      if (!key_ || EVP_PKEY_get_bn_param(key_.get(), "n", &n) != 1) wrong("an RSA key");
      const Handle<BIGNUM> owned(n);
      BN_bn2binpad(n, modulus_.data(), static_cast<int>(kModulusBytes));
      for (const PartyId j : party.peers()) party.send(j, "bench/key", modulus_);
    } else {
      modulus_ = party.receive(0, "bench/key", kModulusBytes);
    }
  }
  const Bytes& modulus() const { return modulus_; }
  bool has_key() const { return key_ != nullptr; }

  /// Whether the compact JWE with RSA-OAEP-256 and A256GCM opens to that text.
  bool reads(const std::string& jwe, const Bytes& want) const {
    std::vector<std::string> parts(1);
    for (const char c : jwe) {
      if (c == '.') {
        parts.emplace_back();
      } else {
        parts.back().push_back(c);
      }
    }
    if (parts.size() != 5) return false;
    const auto part = [&](size_t k) { return base64url_decode(parts[k]).value_or(Bytes()); };
    const Bytes encrypted = part(1), iv = part(2), text = part(3);
    Bytes tag = part(4), cek(encrypted.size()), out(text.size());
    size_t size = cek.size();
    const Handle<EVP_PKEY_CTX> rsa(EVP_PKEY_CTX_new(key_.get(), nullptr));
    if (EVP_PKEY_decrypt_init(rsa.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(rsa.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(rsa.get(), EVP_sha256()) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(rsa.get(), EVP_sha256()) != 1 ||
        EVP_PKEY_decrypt(rsa.get(), cek.data(), &size, encrypted.data(), encrypted.size()) != 1) {
      return false;
    }
    const Handle<EVP_CIPHER_CTX> gcm(EVP_CIPHER_CTX_new());
    int n = 0;
    return size == 32 &&
           EVP_DecryptInit_ex(gcm.get(), EVP_aes_256_gcm(), nullptr, cek.data(), iv.data()) == 1 &&
           EVP_DecryptUpdate(gcm.get(), nullptr, &n, as_bytes(parts[0]).data(),
                             static_cast<int>(parts[0].size())) == 1 &&
           EVP_DecryptUpdate(gcm.get(), out.data(), &n, text.data(),
                             static_cast<int>(text.size())) == 1 &&
           EVP_CIPHER_CTX_ctrl(gcm.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag.size()),
                               tag.data()) == 1 &&
           EVP_DecryptFinal_ex(gcm.get(), out.data(), &n) == 1 && out == want;
  }

 private:
  Handle<EVP_PKEY> key_;
  Bytes modulus_;
};

Bytes opened(BenchSession& session, const prep::AuthBits& bits) {
  return agent::bytes_of_bits(
      prep::open_bits(session.party, session.source.delta(), bits, "bench/open"));
}

}  // namespace

nlohmann::json measure_jwe(BenchSession& session) {
  net::Party& party = session.party;
  const Service service(party);
  // Nobody's, and worth nothing: both it and the text are opened below.
  const prep::AuthBits secret = session.source.random_bits(8 * kSecretBytes);
  meet(party);

  const uint64_t sent = party.traffic().bytes_sent;
  const double cpu = thread_cpu_seconds();
  auto start = BenchClock::now();
  const auto key = arith::RsaPublicKey::checked(service.modulus(), Bytes{1, 0, 1});
  const auto method = agent::JweMethod::named("RSA-OAEP-256", "A256GCM");
  agent::JweRequest request{method, key, agent::jwe_header(method, "bench"), kSecretBytes, {}};
  request.request_id = RandomOracle("bench jwe", party.scope()).field(key.digest()).digest();
  const Digest id = request.request_id;
  agent::JweAttempt attempt(session.context(), std::move(request), secret);
  const double prepare = seconds_since(start);
  start = BenchClock::now();
  attempt.encrypt();
  const double encrypt = seconds_since(start);
  const double thread_cpu = thread_cpu_seconds() - cpu;
  const uint64_t bytes = party.traffic().bytes_sent - sent;

  const agent::JweText& text = attempt.text(id);
  const std::vector<uint8_t> bits =
      prep::open_bits(party, session.source.delta(), text.bits, "bench/text");
  Bytes jwe = text.public_text;
  for (size_t t = 0; t < bits.size(); ++t) {
    const uint32_t at = text.secret_bits[t];
    jwe[at / 8] = static_cast<uint8_t>(jwe[at / 8] | bits[t] << (at % 8));
  }
  const Bytes plain = opened(session, secret);
  if (service.has_key() && !service.reads(to_text(jwe), plain)) wrong("a JWE");
  return {{"prepare", prepare},
          {"encrypt", encrypt},
          {"cpu", thread_cpu},
          {"bytes", bytes},
          {"ands", attempt.num_ands()}};
}

}  // namespace flexroom::bench
