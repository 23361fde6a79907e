#include "math/ml_kem.h"

#include <algorithm>
#include <initializer_list>

#include "base/ct.h"
#include "base/error.h"
#include "base/openssl_ptr.h"

// FIPS 203 with its names: s, t, e, y are transformed where the standard writes a hat. Every
// coefficient is in [0, kQ) after every function here.

namespace flexroom::math {
namespace {

using Polynomial = MlKemPolynomial;
using Vector = MlKemVector;

constexpr int kQ = 3329;
constexpr size_t kN = 256;
constexpr size_t kRank = 3;
constexpr size_t kPolynomialBytes = 384;  // ByteEncode_12
constexpr size_t kSeedBytes = 32;

// The compiler may not see that what it holds is a single bit, or all ones or zeros, and branch.
template <typename T>
inline T hidden(T value) {
  asm volatile("" : "+r"(value));
  return value;
}

// --- Z_q -------------------------------------------------------------------------------------

/// x + q where x is negative.
constexpr int16_t lifted(int x) {
  const auto v = static_cast<int16_t>(x);
  return static_cast<int16_t>(v + ((v >> 15) & kQ));
}
constexpr int16_t plus(int16_t a, int16_t b) { return lifted(a + b - kQ); }
constexpr int16_t minus(int16_t a, int16_t b) { return lifted(a - b); }

constexpr int16_t kQInverse = -3327;  // of q modulo 2^16
/// a b / 2^16: two products of 16 bits each, as vector units have them.
constexpr int16_t montgomery(int16_t a, int16_t b) {
  const auto low = static_cast<int16_t>(a * b);
  const auto high = static_cast<int16_t>((a * b) >> 16);
  const auto t = static_cast<int16_t>(low * kQInverse);
  return lifted(high - static_cast<int16_t>((t * kQ) >> 16));
}
constexpr int16_t power(int base, int exponent) {
  int64_t out = 1;
  for (int k = 0; k < exponent; ++k) out = out * base % kQ;
  return static_cast<int16_t>(out);
}
/// So that montgomery() with it multiplies by x.
constexpr int16_t in_montgomery(int x) { return static_cast<int16_t>((int64_t{x} << 16) % kQ); }
constexpr int16_t kToMontgomery = in_montgomery((1 << 16) % kQ);

constexpr int reversed(int i) {  // BitRev_7
  int out = 0;
  for (int bit = 0; bit < 7; ++bit) out |= ((i >> bit) & 1) << (6 - bit);
  return out;
}
constexpr std::array<int16_t, 128> powers_of_17(bool of_products) {
  std::array<int16_t, 128> out{};
  for (int i = 0; i < 128; ++i) {
    const int exponent = of_products ? 2 * reversed(i) + 1 : reversed(i);
    out[static_cast<size_t>(i)] = in_montgomery(power(17, exponent));
  }
  return out;
}
constexpr std::array<int16_t, 128> kZetas = powers_of_17(false);  // §4.3, 17^BitRev7(i)
constexpr std::array<int16_t, 128> kGammas =
    powers_of_17(true);  // FIPS 203 §4.3.1, 17^(2 BitRev7(i) + 1)

// --- polynomials ------------------------------------------------------------------------------

void add(Polynomial& to, const Polynomial& more) {
  for (size_t i = 0; i < kN; ++i) to[i] = plus(to[i], more[i]);
}

void transform(Polynomial& f) {  // algorithm 9
  size_t k = 1;
  for (size_t length = 128; length >= 2; length /= 2) {
    for (size_t start = 0; start < kN; start += 2 * length) {
      const int16_t zeta = kZetas[k++];
      int16_t* const low = f.data() + start;
      int16_t* const high = low + length;
      for (size_t j = 0; j < length; ++j) {
        const int16_t t = montgomery(zeta, high[j]);
        high[j] = minus(low[j], t);
        low[j] = plus(low[j], t);
      }
    }
  }
}

void transform_back(Polynomial& f) {  // algorithm 10
  size_t k = 127;
  for (size_t length = 2; length <= 128; length *= 2) {
    for (size_t start = 0; start < kN; start += 2 * length) {
      const int16_t zeta = kZetas[k--];
      int16_t* const low = f.data() + start;
      int16_t* const high = low + length;
      for (size_t j = 0; j < length; ++j) {
        const int16_t t = low[j];
        low[j] = plus(t, high[j]);
        high[j] = montgomery(zeta, minus(high[j], t));
      }
    }
  }
  for (int16_t& c : f) c = montgomery(c, in_montgomery(3303));  // 1 / 128
}

/// sum += a b / 2^16, of transformed ones (algorithms 11, 12).
void add_product(Polynomial& sum, const Polynomial& a, const Polynomial& b) {
  for (size_t i = 0; i < kN / 2; ++i) {
    const int16_t a0 = a[2 * i], a1 = a[2 * i + 1], b0 = b[2 * i], b1 = b[2 * i + 1];
    const int16_t c0 = plus(montgomery(a0, b0), montgomery(montgomery(a1, b1), kGammas[i]));
    const int16_t c1 = plus(montgomery(a0, b1), montgomery(a1, b0));
    sum[2 * i] = plus(sum[2 * i], c0);
    sum[2 * i + 1] = plus(sum[2 * i + 1], c1);
  }
}

/// The inner product of transformed vectors.
void multiply(Polynomial& out, const Vector& a, const Vector& b) {
  out.fill(0);
  for (size_t i = 0; i < kRank; ++i) add_product(out, a[i], b[i]);
  for (int16_t& c : out) c = montgomery(c, kToMontgomery);
}

// --- bytes ------------------------------------------------------------------------------------

template <int D>  // bits of a coefficient
void encode(const Polynomial& f, uint8_t* out) {
  uint32_t held = 0;
  int bits = 0;
  for (const int16_t c : f) {
    held |= static_cast<uint32_t>(c) << bits;
    for (bits += D; bits >= 8; bits -= 8) {
      *out++ = static_cast<uint8_t>(held);
      held >>= 8;
    }
  }
}

/// Whatever D bits hold, unreduced.
template <int D>
void decode(Polynomial& f, const uint8_t* in) {
  uint32_t held = 0;
  int bits = 0;
  for (int16_t& c : f) {
    for (; bits < D; bits += 8) held |= static_cast<uint32_t>(*in++) << bits;
    c = static_cast<int16_t>(held & ((1U << D) - 1));
    held >>= D;
    bits -= D;
  }
}

/// Compress_D, FIPS 203 §4.2.1. The division is a product: a divider's time depends on what it
/// divides.
template <int D>
constexpr int16_t compressed(int16_t x) {
  constexpr uint64_t kScale = (uint64_t{1} << 36) / kQ + 1;
  const uint64_t rounded = (static_cast<uint64_t>(x) << D) + kQ / 2;
  return static_cast<int16_t>((rounded * kScale >> 36) & ((1U << D) - 1));
}
template <int D>
constexpr int16_t decompressed(int16_t y) {
  return static_cast<int16_t>((y * kQ + (1 << (D - 1))) >> D);
}
template <int D>
constexpr bool compresses_exactly() {
  for (int x = 0; x < kQ; ++x) {
    const int expected = ((x << (D + 1)) + kQ) / (2 * kQ) % (1 << D);
    if (compressed<D>(static_cast<int16_t>(x)) != expected) return false;
  }
  return true;
}
static_assert(compresses_exactly<1>() && compresses_exactly<4>() && compresses_exactly<10>());

template <int D>
void encode_compressed(const Polynomial& f, uint8_t* out) {
  Polynomial c;
  for (size_t i = 0; i < kN; ++i) c[i] = compressed<D>(f[i]);
  encode<D>(c, out);
  wipe(c.data(), sizeof c);
}
template <int D>
void decode_decompressed(Polynomial& f, const uint8_t* in) {
  decode<D>(f, in);
  for (int16_t& c : f) c = decompressed<D>(c);
}

/// A message: its bits are secret.
void decode_message(Polynomial& f, ByteView m) {
  for (size_t i = 0; i < kN; ++i) {
    const int bit = (m[i / 8] >> (i % 8)) & 1;
    f[i] = static_cast<int16_t>(hidden(-bit) & decompressed<1>(1));
  }
}

// --- hashes -----------------------------------------------------------------------------------

/// One of FIPS 202, fetched once: a fetch at every use would cost more than hashing.
class Hash {
 public:
  explicit Hash(const char* name) : md_(EVP_MD_fetch(nullptr, name, nullptr)) {
    FLEXROOM_ASSERT(md_ != nullptr);
  }
  /// As many bytes as `out` has; of SHA3, its own number.
  void operator()(std::initializer_list<ByteView> pieces, std::span<uint8_t> out) const {
    const OpensslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    FLEXROOM_ASSERT(context && EVP_DigestInit_ex2(context.get(), md_, nullptr) == 1);
    for (const ByteView piece : pieces) {
      FLEXROOM_ASSERT(EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1);
    }
    const bool extends = (EVP_MD_get_flags(md_) & EVP_MD_FLAG_XOF) != 0;
    FLEXROOM_ASSERT(extends || static_cast<size_t>(EVP_MD_get_size(md_)) == out.size());
    const int done = extends ? EVP_DigestFinalXOF(context.get(), out.data(), out.size())
                             : EVP_DigestFinal_ex(context.get(), out.data(), nullptr);
    FLEXROOM_ASSERT(done == 1);
  }

 private:
  EVP_MD* md_;  // for the life of the process
};
const Hash& sha3_256() {
  static const Hash hash("SHA3-256");
  return hash;
}
const Hash& sha3_512() {
  static const Hash hash("SHA3-512");
  return hash;
}
const Hash& shake_128() {
  static const Hash hash("SHAKE128");
  return hash;
}
const Hash& shake_256() {
  static const Hash hash("SHAKE256");
  return hash;
}

/// G: two halves of 32 bytes.
struct Halves {
  Wiped<std::array<uint8_t, 64>> both;
  ByteView first() const { return ByteView(both.value).first(kSeedBytes); }
  ByteView second() const { return ByteView(both.value).last(kSeedBytes); }
};
void hash_to_halves(Halves& out, ByteView a, ByteView b) { sha3_512()({a, b}, out.both.value); }

// --- sampling ---------------------------------------------------------------------------------

/// Algorithm 7, of the public rho. An XOF of OpenSSL 3.0 ends with its first output: whoever needs
/// more asks anew. Three blocks are enough in 99 of 100 cases.
void sample_uniform(Polynomial& f, ByteView rho, uint8_t j, uint8_t i) {
  constexpr size_t kBlock = 168;
  const uint8_t at[2] = {j, i};
  Bytes stream;
  for (size_t blocks = 3;; ++blocks) {
    stream.resize(blocks * kBlock);
    shake_128()({rho, at}, stream);
    size_t have = 0;
    for (size_t k = 0; k + 2 < stream.size() && have < kN; k += 3) {
      const int first = stream[k] | (stream[k + 1] & 15) << 8;
      const int second = stream[k + 1] >> 4 | stream[k + 2] << 4;
      if (first < kQ) f[have++] = static_cast<int16_t>(first);
      if (second < kQ && have < kN) f[have++] = static_cast<int16_t>(second);
    }
    if (have == kN) return;
  }
}

std::array<Vector, 3> sample_matrix(ByteView rho) {
  std::array<Vector, 3> out;
  for (uint8_t i = 0; i < kRank; ++i) {
    for (uint8_t j = 0; j < kRank; ++j) sample_uniform(out[i][j], rho, j, i);
  }
  return out;
}

/// Algorithm 8 with eta = 2, of PRF_2(seed, number).
void sample_small(Polynomial& f, ByteView seed, uint8_t number) {
  Wiped<std::array<uint8_t, 128>> bits;
  shake_256()({seed, {&number, 1}}, bits.value);
  for (size_t i = 0; i < kN / 2; ++i) {
    const int byte = bits.value[i];
    const int pairs = (byte & 0x55) + (byte >> 1 & 0x55);  // sums of two bits
    f[2 * i] = lifted((pairs & 3) - (pairs >> 2 & 3));
    f[2 * i + 1] = lifted((pairs >> 4 & 3) - (pairs >> 6 & 3));
  }
}
void sample_small(Vector& v, ByteView seed, uint8_t first_number) {
  for (uint8_t i = 0; i < kRank; ++i) {
    sample_small(v[i], seed, static_cast<uint8_t>(first_number + i));
  }
}

// --- the public-key encryption under it ---------------------------------------------------------

/// Algorithm 14: of `m` with the randomness `r`.
void encrypt(const std::array<Vector, 3>& matrix, const Vector& t, ByteView m, ByteView r,
             uint8_t* ciphertext) {
  struct {
    Vector y, e1, column;
    Polynomial e2, sum, message;
  } work;
  sample_small(work.y, r, 0);
  sample_small(work.e1, r, kRank);
  sample_small(work.e2, r, 2 * kRank);
  for (Polynomial& y : work.y) transform(y);
  for (size_t i = 0; i < kRank; ++i) {
    for (size_t j = 0; j < kRank; ++j) work.column[j] = matrix[j][i];
    multiply(work.sum, work.column, work.y);
    transform_back(work.sum);
    add(work.sum, work.e1[i]);
    encode_compressed<10>(work.sum, ciphertext + i * kN * 10 / 8);
  }
  multiply(work.sum, t, work.y);
  transform_back(work.sum);
  add(work.sum, work.e2);
  decode_message(work.message, m);
  add(work.sum, work.message);
  encode_compressed<4>(work.sum, ciphertext + kRank * kN * 10 / 8);
  wipe(&work, sizeof work);
}

/// Algorithm 15: the 32 bytes that the ciphertext holds under s.
void decrypt(const Vector& s, ByteView ciphertext, std::span<uint8_t> m) {
  struct {
    Vector u;
    Polynomial v, product;
  } work;
  for (size_t i = 0; i < kRank; ++i) {
    decode_decompressed<10>(work.u[i], ciphertext.data() + i * kN * 10 / 8);
    transform(work.u[i]);
  }
  decode_decompressed<4>(work.v, ciphertext.data() + kRank * kN * 10 / 8);
  multiply(work.product, s, work.u);
  transform_back(work.product);
  for (size_t i = 0; i < kN; ++i) work.v[i] = minus(work.v[i], work.product[i]);
  encode_compressed<1>(work.v, m.data());
  wipe(&work, sizeof work);
}

/// All ones where they are equal, else zero, also for the compiler.
uint8_t mask_of_equal(ByteView a, ByteView b) {
  uint32_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
  return static_cast<uint8_t>(hidden((difference - 1) >> 8));
}

}  // namespace

MlKemKey::MlKemKey(const SecretBytes& seed) : public_key_(MlKem768::kPublicKey) {
  FLEXROOM_ASSERT(seed.size() == MlKem768::kSeed);
  const ByteView d = seed.reveal().first(kSeedBytes);
  z_ = SecretBytes::copy_of(seed.reveal().last(kSeedBytes));
  constexpr uint8_t kParameter = kRank;
  Halves halves;  // rho, sigma
  hash_to_halves(halves, d, {&kParameter, 1});
  declassify(halves.first().data(), kSeedBytes);
  matrix_ = sample_matrix(halves.first());
  sample_small(s_.value, halves.second(), 0);
  for (Polynomial& s : s_.value) transform(s);
  Wiped<Vector> e;
  sample_small(e.value, halves.second(), kRank);
  for (size_t i = 0; i < kRank; ++i) {
    transform(e.value[i]);
    multiply(t_[i], matrix_[i], s_.value);
    add(t_[i], e.value[i]);
    declassify(t_[i].data(), sizeof(Polynomial));  // the key that everybody may have
    encode<12>(t_[i], public_key_.data() + i * kPolynomialBytes);
  }
  std::copy_n(halves.first().begin(), kSeedBytes, public_key_.begin() + kRank * kPolynomialBytes);
  sha3_256()({public_key_}, hash_);
}

SecretBytes MlKemKey::decapsulate(ByteView ciphertext) const {
  FLEXROOM_ASSERT(ciphertext.size() == MlKem768::kCiphertext);
  Wiped<std::array<uint8_t, MlKem768::kMessage>> m;
  decrypt(s_.value, ciphertext, m.value);
  Halves halves;  // K, r
  hash_to_halves(halves, m.value, hash_);
  SecretBytes again(MlKem768::kCiphertext);
  encrypt(matrix_, t_, m.value, halves.second(), again.writable().data());
  SecretBytes shared(MlKem768::kShared);
  shake_256()({z_.reveal(), ciphertext}, shared.writable());
  const uint8_t equal = mask_of_equal(ciphertext, again.reveal());
  for (size_t i = 0; i < MlKem768::kShared; ++i) {
    uint8_t& byte = shared.writable()[i];
    byte = static_cast<uint8_t>(byte ^ (equal & (byte ^ halves.first()[i])));
  }
  return shared;
}

std::optional<MlKemCapsule> ml_kem_encapsulate(ByteView public_key, const SecretBytes& m) {
  FLEXROOM_ASSERT(public_key.size() == MlKem768::kPublicKey && m.size() == MlKem768::kMessage);
  Vector t;
  for (size_t i = 0; i < kRank; ++i) {
    decode<12>(t[i], public_key.data() + i * kPolynomialBytes);
    for (const int16_t c : t[i]) {
      if (c >= kQ) return std::nullopt;
    }
  }
  Digest hash;
  sha3_256()({public_key}, hash);
  Halves halves;  // K, r
  hash_to_halves(halves, m.reveal(), hash);
  MlKemCapsule out{Bytes(MlKem768::kCiphertext), SecretBytes::copy_of(halves.first())};
  encrypt(sample_matrix(public_key.last(kSeedBytes)), t, m.reveal(), halves.second(),
          out.ciphertext.data());
  declassify(out.ciphertext.data(), out.ciphertext.size());
  return out;
}

}  // namespace flexroom::math
