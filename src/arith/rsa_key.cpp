#include "arith/rsa_key.h"

#include <openssl/bn.h>

#include <memory>
#include <vector>

#include "base/codec.h"
#include "base/error.h"
#include "math/u256.h"

namespace flexroom::arith {
namespace {

constexpr std::string_view kOperation = "rsa/public key";
constexpr uint32_t kSmallFactorBound = 1u << 20;

struct BnFree {
  void operator()(BIGNUM* p) const { BN_free(p); }
  void operator()(BN_CTX* p) const { BN_CTX_free(p); }
};
using Bn = std::unique_ptr<BIGNUM, BnFree>;

Bn bn_of(ByteView v) {
  Bn out(BN_bin2bn(v.data(), static_cast<int>(v.size()), nullptr));
  FLEXROOM_ASSERT(out != nullptr);
  return out;
}

[[noreturn]] void refuse(std::string_view what) {
  throw ProtocolAbort(AbortCode::kServer, kOperation, what);
}

/// n mod m.
uint64_t remainder(ByteView n, uint64_t m) {
  uint64_t r = 0;
  for (size_t at = 0; at < n.size(); at += 8) {
    uint64_t limb = 0;
    for (size_t k = 0; k < 8; ++k) limb = limb << 8 | n[at + k];
    r = static_cast<uint64_t>(((math::U128{r} << 64) | limb) % m);
  }
  return r;
}

/// The smallest prime factor below the bound, or 0. Three primes share one division.
uint32_t small_factor(ByteView n) {
  std::vector<bool> composite(kSmallFactorBound);
  std::vector<uint32_t> group;
  uint64_t product = 1;
  const auto found = [&]() -> uint32_t {
    const uint64_t r = remainder(n, product);
    for (const uint32_t p : group) {
      if (r % p == 0) return p;
    }
    group.clear();
    product = 1;
    return 0;
  };
  for (uint32_t p = 3; p < kSmallFactorBound; p += 2) {
    if (composite[p]) continue;
    for (uint64_t q = uint64_t{p} * p; q < kSmallFactorBound; q += 2 * uint64_t{p}) {
      composite[q] = true;
    }
    group.push_back(p);
    product *= p;
    if (group.size() < 3) continue;
    if (const uint32_t factor = found()) return factor;
  }
  return group.empty() ? 0 : found();
}

}  // namespace

RsaPublicKey RsaPublicKey::checked(ByteView modulus, ByteView exponent) {
  const Bytes wanted = {1, 0, 1};
  if (!std::equal(exponent.begin(), exponent.end(), wanted.begin(), wanted.end())) {
    refuse("the exponent is not 65537");
  }
  const bool known_size = modulus.size() == 256 || modulus.size() == 384 || modulus.size() == 512;
  if (!known_size || (modulus.front() & 0x80) == 0) {
    refuse("the modulus is not of exactly 2048, 3072 or 4096 bits");
  }
  if ((modulus.back() & 1) == 0) refuse("the modulus is even");
  if (const uint32_t factor = small_factor(modulus)) {
    refuse("the modulus has the small factor " + std::to_string(factor));
  }
  return RsaPublicKey(Bytes(modulus.begin(), modulus.end()));
}

Digest RsaPublicKey::digest() const {
  Writer out;
  out.u32(static_cast<uint32_t>(modulus_.size())).raw(modulus_).u32(kExponent);
  return sha256(out.bytes());
}

std::optional<Bytes> RsaPublicKey::inverse_vartime(ByteView v) const {
  const std::unique_ptr<BN_CTX, BnFree> context(BN_CTX_new());
  FLEXROOM_ASSERT(context != nullptr);
  const Bn n = bn_of(modulus_);
  const Bn value = bn_of(v);
  const Bn gcd(BN_new());
  FLEXROOM_ASSERT(gcd && BN_gcd(gcd.get(), value.get(), n.get(), context.get()) == 1);
  if (BN_is_one(gcd.get()) == 0) return std::nullopt;
  const Bn inverse(BN_mod_inverse(nullptr, value.get(), n.get(), context.get()));
  FLEXROOM_ASSERT(inverse != nullptr);
  Bytes out(modulus_.size());
  FLEXROOM_ASSERT(BN_bn2binpad(inverse.get(), out.data(), static_cast<int>(out.size())) > 0);
  return out;
}

}  // namespace flexroom::arith
