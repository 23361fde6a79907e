#include "base/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/error.h"

namespace flexroom {
namespace {

constexpr std::string_view kVersion = "flexroom/1";

void put32(Bytes& out, uint64_t value) {
  FLEXROOM_ASSERT(value <= 0xffffffff);
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(value >> shift));
}
void put_field(Bytes& out, ByteView data) {
  put32(out, data.size());
  append(out, data);
}
Bytes header(std::string_view tag, const RoScope& scope, uint64_t counter, uint32_t sender,
             uint32_t receiver) {
  Bytes out;
  put_field(out, as_bytes(tag));
  put_field(out, as_bytes(kVersion));
  put_field(out, scope.eid);
  put_field(out, scope.sid);
  put_field(out, scope.csid);
  Bytes numbers;
  put32(numbers, counter >> 32);
  put32(numbers, counter & 0xffffffff);
  put_field(out, numbers);
  numbers.clear();
  put32(numbers, sender);
  put_field(out, numbers);
  numbers.clear();
  put32(numbers, receiver);
  put_field(out, numbers);
  return out;
}
EVP_MD_CTX* ctx(void* p) { return static_cast<EVP_MD_CTX*>(p); }
const EVP_MD* sha256_md() {
  // Fetched once: the implicit fetch of EVP_sha256() costs more than hashing a short message.
  static const EVP_MD* md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return md;
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  FLEXROOM_ASSERT(context_ != nullptr &&
                  EVP_DigestInit_ex2(ctx(context_), sha256_md(), nullptr) == 1);
}
Sha256::~Sha256() { EVP_MD_CTX_free(ctx(context_)); }
Sha256::Sha256(Sha256&& other) noexcept : context_(other.context_) { other.context_ = nullptr; }
Sha256& Sha256::operator=(Sha256&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}
Sha256& Sha256::update(ByteView data) {
  FLEXROOM_ASSERT(EVP_DigestUpdate(ctx(context_), data.data(), data.size()) == 1);
  return *this;
}
Digest Sha256::digest() const {
  Digest out;
  EVP_MD_CTX* copy = EVP_MD_CTX_new();
  FLEXROOM_ASSERT(copy != nullptr && EVP_MD_CTX_copy_ex(copy, ctx(context_)) == 1 &&
                  EVP_DigestFinal_ex(copy, out.data(), nullptr) == 1);
  EVP_MD_CTX_free(copy);
  return out;
}

Digest sha256(ByteView data) { return Sha256().update(data).digest(); }

std::array<uint8_t, 64> sha512(ByteView data) {
  std::array<uint8_t, 64> out;
  FLEXROOM_ASSERT(
      EVP_Digest(data.data(), data.size(), out.data(), nullptr, EVP_sha512(), nullptr) == 1);
  return out;
}

Digest hmac_sha256(ByteView key, ByteView message) {
  Digest out;
  unsigned size = out.size();
  static constexpr uint8_t kEmpty[1] = {0};
  FLEXROOM_ASSERT(HMAC(EVP_sha256(), key.empty() ? kEmpty : key.data(),
                       static_cast<int>(key.size()), message.data(), message.size(), out.data(),
                       &size) != nullptr);
  return out;
}

RandomOracle::RandomOracle(std::string_view tag, const RoScope& scope, uint64_t counter,
                           uint32_t sender, uint32_t receiver) {
  hash_.update(header(tag, scope, counter, sender, receiver));
}
RandomOracle& RandomOracle::field(ByteView data) {
  begin_field(data.size());
  return raw(data);
}
RandomOracle& RandomOracle::field(uint64_t value) {
  Bytes number;
  put32(number, value >> 32);
  put32(number, value & 0xffffffff);
  return field(number);
}
RandomOracle& RandomOracle::begin_field(uint64_t size) {
  Bytes prefix;
  put32(prefix, size);
  hash_.update(prefix);
  return *this;
}
RandomOracle& RandomOracle::raw(ByteView piece) {
  hash_.update(piece);
  return *this;
}
Block RandomOracle::block() const { return load_block(digest().data()); }

std::array<uint8_t, 64> RandomOracle::wide(std::string_view tag, const RoScope& scope,
                                           uint64_t counter, uint32_t sender, uint32_t receiver,
                                           std::initializer_list<ByteView> fields) {
  Bytes message = header(tag, scope, counter, sender, receiver);
  for (const ByteView data : fields) put_field(message, data);
  return sha512(message);
}

}  // namespace flexroom
