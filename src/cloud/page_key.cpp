#include "cloud/page_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/openssl_ptr.h"
#include "cloud/accounts.h"
#include "cloud/json_text.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxSeen = 100000, kTagBytes = 16, kIvBytes = 12;

template <typename T>
using Owned = OpensslPtr<T>;

Bytes number(const EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  FLEXROOM_ASSERT(EVP_PKEY_get_bn_param(key, name, &raw) == 1);
  const Owned<BIGNUM> value(raw);
  Bytes out(static_cast<size_t>(BN_num_bytes(value.get())));
  BN_bn2bin(value.get(), out.data());
  return out;
}

std::optional<Bytes> rsa_open(EVP_PKEY* key, const EVP_MD* hash, ByteView sealed) {
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key, nullptr));
  if (!context || EVP_PKEY_decrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash) != 1) {
    return std::nullopt;
  }
  Bytes out(static_cast<size_t>(EVP_PKEY_get_size(key)));
  size_t length = out.size();
  if (sealed.size() != out.size() ||
      EVP_PKEY_decrypt(context.get(), out.data(), &length, sealed.data(), sealed.size()) != 1) {
    return std::nullopt;
  }
  out.resize(length);
  return out;
}

std::optional<std::string> gcm_open(const EVP_CIPHER* cipher, const Bytes& key, const Bytes& iv,
                                    std::string_view additional, const Bytes& sealed, Bytes tag) {
  const Owned<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  if (!context || static_cast<int>(key.size()) != EVP_CIPHER_get_key_length(cipher) ||
      EVP_DecryptInit_ex(context.get(), cipher, nullptr, key.data(), iv.data()) != 1) {
    return std::nullopt;
  }
  int length = 0;
  const auto* const more = reinterpret_cast<const uint8_t*>(additional.data());
  Bytes out(sealed.size() + 16);
  if (EVP_DecryptUpdate(context.get(), nullptr, &length, more,
                        static_cast<int>(additional.size())) != 1 ||
      EVP_DecryptUpdate(context.get(), out.data(), &length, sealed.data(),
                        static_cast<int>(sealed.size())) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()),
                          tag.data()) != 1 ||
      EVP_DecryptFinal_ex(context.get(), out.data() + length, &length) != 1) {
    return std::nullopt;
  }
  out.resize(sealed.size());
  return to_text(out);
}

Handle<EVP_PKEY> load_or_make(const std::filesystem::path& path, unsigned bits) {
  PageKey::check_size(bits);
  if (FILE* const file = std::fopen(path.c_str(), "re")) {
    Handle<EVP_PKEY> key(PEM_read_PrivateKey(file, nullptr, nullptr, nullptr));
    std::fclose(file);
    if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) {
      throw InputError(path.string(), "does not hold an RSA key", "remove it; a new one is made");
    }
    if (EVP_PKEY_get_bits(key.get()) == static_cast<int>(bits)) return key;
  }
  Handle<EVP_PKEY> key(EVP_RSA_gen(bits));
  FLEXROOM_ASSERT(key != nullptr);
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  FLEXROOM_ASSERT(
      PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  write_private_file(path, {text, static_cast<size_t>(size)});
  return key;
}

struct Algorithms {
  const EVP_MD* hash;
  const EVP_CIPHER* cipher;
};

/// The header's, if it is this key's and says nothing that is not understood.
std::optional<Algorithms> algorithms(const Bytes& header, const std::string& kid) {
  const auto json = nlohmann::json::parse(header, nullptr, false);
  if (!json.is_object() || json.size() != 3 || !json.contains("kid") || json["kid"] != kid) {
    return std::nullopt;
  }
  Algorithms out{};
  const std::string alg = json.value("alg", nlohmann::json()).dump();
  const std::string enc = json.value("enc", nlohmann::json()).dump();
  if (alg == "\"RSA-OAEP\"") out.hash = EVP_sha1();
  if (alg == "\"RSA-OAEP-256\"") out.hash = EVP_sha256();
  if (enc == "\"A128GCM\"") out.cipher = EVP_aes_128_gcm();
  if (enc == "\"A256GCM\"") out.cipher = EVP_aes_256_gcm();
  if (out.hash == nullptr || out.cipher == nullptr) return std::nullopt;
  return out;
}

/// The five parts, decoded, or nothing.
std::optional<std::vector<Bytes>> parts_of(std::string_view jwe) {
  std::vector<Bytes> out;
  for (size_t begin = 0; begin <= jwe.size();) {
    const size_t end = std::min(jwe.find('.', begin), jwe.size());
    auto part = base64url_decode(jwe.substr(begin, end - begin));
    if (!part || out.size() == 5) return std::nullopt;
    out.push_back(std::move(*part));
    begin = end + 1;
  }
  if (out.size() != 5 || out[2].size() != kIvBytes || out[4].size() != kTagBytes) {
    return std::nullopt;
  }
  return out;
}

}  // namespace

std::string base64url(ByteView bytes) {
  std::string text = base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  text.erase(std::min(text.find('='), text.size()));
  return text;
}

std::optional<Bytes> base64url_decode(std::string_view text) {
  std::string standard(text);
  std::replace(standard.begin(), standard.end(), '-', '+');
  std::replace(standard.begin(), standard.end(), '_', '/');
  standard.append((4 - standard.size() % 4) % 4, '=');
  auto bytes = base64_decode(standard);
  if (!bytes || base64url(*bytes) != text) return std::nullopt;
  return bytes;
}

void PageKey::check_size(unsigned bits) {
  if (bits != 2048 && bits != 3072 && bits != 4096) {
    throw InputError("page key", "has a size that browsers are not given",
                     "say 2048, 3072 or 4096 bits");
  }
}

PageKey::PageKey(const std::filesystem::path& file, unsigned bits)
    : key_(load_or_make(file, bits)) {
  const auto digest = sha256(number(key_.get(), OSSL_PKEY_PARAM_RSA_N));
  kid_ = "page-" + to_hex(ByteView(digest).first(8));
}

nlohmann::json PageKey::public_part() const {
  return {{"kty", "RSA"},
          {"use", "enc"},
          {"kid", kid_},
          {"n", base64url(number(key_.get(), OSSL_PKEY_PARAM_RSA_N))},
          {"e", base64url(number(key_.get(), OSSL_PKEY_PARAM_RSA_E))}};
}

std::optional<std::string> open_jwe(EVP_PKEY* key, const std::string& kid, const std::string& jwe) {
  const auto parts = parts_of(jwe);
  if (!parts) return std::nullopt;
  const auto chosen = algorithms((*parts)[0], kid);
  if (!chosen) return std::nullopt;
  const auto content_key = rsa_open(key, chosen->hash, (*parts)[1]);
  if (!content_key) return std::nullopt;
  return gcm_open(chosen->cipher, *content_key, (*parts)[2],
                  std::string_view(jwe).substr(0, jwe.find('.')), (*parts)[3], (*parts)[4]);
}

std::optional<std::string> PageKey::open(const std::string& jwe) {
  auto plain = open_jwe(key_.get(), kid_, jwe);
  // A client makes a fresh one for every attempt (tls-in-mpc.md 5.9(2)).
  if (!plain || seen_.size() >= kMaxSeen || !seen_.insert(to_hex(sha256(as_bytes(jwe)))).second) {
    return std::nullopt;
  }
  return plain;
}

}  // namespace flexroom::cloud
