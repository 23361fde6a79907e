#include "circuits/jwe.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "circuits/aes256.h"
#include "circuits/text.h"
#include "mpc/builder.h"

namespace flexroom::circuits {
namespace {

using mpc::InputKind;
using mpc::OutputKind;

constexpr size_t kBlock = 16;

Text zero_text(mpc::Builder& builder, std::string_view name, size_t bytes) {
  return text_of(builder.add_input(name, InputKind::kZero, static_cast<uint32_t>(8 * bytes)));
}

/// Byte 0 is the most significant (I2OSP, OS2IP); bit 0 of the integer comes first.
Bits integer_of(const Text& text) {
  Text reversed(text.rbegin(), text.rend());
  return bits_of(reversed);
}

/// The blocks of GCM (SP 800-38D) for a 96-bit IV.
class GcmBlocks {
 public:
  GcmBlocks(const Text& key, Text iv) : iv_(std::move(iv)), keys_(aes_expand_key(key)) {}
  Text hash_key() const { return text_of(aes_encrypt(keys_, constant_block({}))); }
  /// E(IV || counter); 1 is for the tag, the text begins at 2.
  Text at(uint32_t counter) const {
    Text in = iv_;
    for (int shift = 24; shift >= 0; shift -= 8) {
      in.push_back(constant_byte(static_cast<uint8_t>(counter >> shift)));
    }
    return text_of(aes_encrypt(keys_, block_of(in)));
  }

 private:
  Text iv_;
  std::vector<AesBlock> keys_;
};

void add_key_wrap(mpc::Builder& builder, const JweShape& shape, const Text& cek) {
  const auto bits = static_cast<uint32_t>(8 * shape.modulus_bytes);
  const Text seed = zero_text(builder, "seed", oaep_hash_bytes(shape.hash));
  Bits sum = integer_of(oaep_encode(shape.hash, shape.modulus_bytes, seed, cek));
  const Bits minus_modulus = builder.add_input("minus_modulus", InputKind::kPub, bits + 1);
  for (size_t i = 0; i < shape.num_parties; ++i) {
    const Bits mask = builder.add_input("mask_" + std::to_string(i), InputKind::kZero, bits);
    sum = add_mod(sum, mask, minus_modulus);
  }
  builder.add_output("c", OutputKind::kOpenAll, sum);
}

void add_content(mpc::Builder& builder, const JweShape& shape, const Text& cek) {
  Text secret = zero_text(builder, "secret", shape.secret_bytes);
  const Bits r = builder.add_input("r", InputKind::kZero, 8 * kBlock);
  const GcmBlocks gcm(cek, text_of(builder.add_input("iv", InputKind::kPub, 96)));
  Bits d = bits_of(gcm.hash_key());
  for (size_t t = 0; t < d.size(); ++t) d[t] ^= r[t];
  builder.add_output("d", OutputKind::kOpenAll, d);
  for (size_t at = 0; at < secret.size(); at += kBlock) {
    const Text stream = gcm.at(static_cast<uint32_t>(2 + at / kBlock));
    for (size_t k = at; k < std::min(secret.size(), at + kBlock); ++k) {
      for (size_t t = 0; t < 8; ++t) secret[k][t] ^= stream[k - at][t];
    }
  }
  builder.add_output("ciphertext", OutputKind::kKeep, bits_of(secret));
  builder.add_output("j0", OutputKind::kKeep, bits_of(gcm.at(1)));
}

}  // namespace

Bits add_mod(const Bits& a, const Bits& b, const Bits& minus_modulus) {
  FLEXROOM_ASSERT(a.size() == b.size() && minus_modulus.size() == a.size() + 1);
  Bits sum;
  Bit carry;
  for (size_t i = 0; i < a.size(); ++i) {
    sum.push_back(a[i] ^ b[i] ^ carry);
    carry ^= (a[i] ^ carry) & (b[i] ^ carry);
  }
  sum.push_back(carry);
  Bits reduced;
  Bit fits;  // the carry of sum + (2^(l+1) - N): 1 if sum >= N
  for (size_t i = 0; i < sum.size(); ++i) {
    reduced.push_back(sum[i] ^ minus_modulus[i] ^ fits);
    fits ^= (sum[i] ^ fits) & (minus_modulus[i] ^ fits);
  }
  Bits out;
  for (size_t i = 0; i < a.size(); ++i) out.push_back(sum[i] ^ (fits & (reduced[i] ^ sum[i])));
  return out;
}

mpc::Circuit jwe_encryption(const JweShape& shape) {
  FLEXROOM_ASSERT(shape.cek_bytes == 16 || shape.cek_bytes == 32);
  FLEXROOM_ASSERT(shape.num_parties >= 2 && shape.secret_bytes >= 1);
  mpc::Builder builder;
  const Text cek = zero_text(builder, "cek", shape.cek_bytes);
  add_key_wrap(builder, shape, cek);
  add_content(builder, shape, cek);
  return builder.finish();
}

JweTextCircuit jwe_text(size_t secret_bytes) {
  mpc::Builder builder;
  const auto bits = static_cast<uint32_t>(8 * secret_bytes);
  Text text = base64url(text_of(builder.add_input("ciphertext", InputKind::kDyn, bits)));
  text.push_back(constant_byte('.'));
  append(text, base64url(text_of(builder.add_input("tag", InputKind::kDyn, 8 * kBlock))));
  JweTextCircuit out;
  out.public_text.resize(text.size());
  Bits chars;
  for (size_t t = 0; t < 8 * text.size(); ++t) {
    const Bit bit = text[t / 8][t % 8];
    if (!bit.is_constant()) {
      chars.push_back(bit);
      out.secret_bits.push_back(static_cast<uint32_t>(t));
    } else if (bit.constant_value()) {
      out.public_text[t / 8] = static_cast<uint8_t>(out.public_text[t / 8] | 1u << (t % 8));
    }
  }
  builder.add_output("chars", OutputKind::kKeep, chars);
  out.circuit = builder.finish();
  return out;
}

}  // namespace flexroom::circuits
