#include "circuits/aes128.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

ByteBits operator^(const ByteBits& a, const ByteBits& b) {
  ByteBits out;
  for (size_t i = 0; i < 8; ++i) out[i] = a[i] ^ b[i];
  return out;
}

AesBlock operator^(const AesBlock& a, const AesBlock& b) {
  AesBlock out;
  for (size_t i = 0; i < 16; ++i) out[i] = a[i] ^ b[i];
  return out;
}

/// Multiplication by X in GF(2^8), FIPS 197 §4.2.1.
ByteBits xtime(const ByteBits& a) {
  return {a[7], a[0] ^ a[7], a[1], a[2] ^ a[7], a[3] ^ a[7], a[4], a[5], a[6]};
}

AesBlock sub_bytes(const AesBlock& in) {
  AesBlock out;
  for (size_t i = 0; i < 16; ++i) out[i] = aes_sbox(in[i]);
  return out;
}

/// Byte r of column c is byte 4c + r of the block; row r moves left by r columns.
AesBlock shift_rows(const AesBlock& in) {
  AesBlock out;
  for (size_t i = 0; i < 16; ++i) out[i] = in[(i + 4 * (i % 4)) % 16];
  return out;
}

AesBlock mix_columns(const AesBlock& in) {
  AesBlock out;
  for (size_t column = 0; column < 16; column += 4) {
    for (size_t i = 0; i < 4; ++i) {
      const ByteBits &a = in[column + i], &b = in[column + (i + 1) % 4];
      const ByteBits &c = in[column + (i + 2) % 4], &d = in[column + (i + 3) % 4];
      out[column + i] = xtime(a ^ b) ^ b ^ c ^ d;
    }
  }
  return out;
}

}  // namespace

ByteBits aes_sbox(const ByteBits& in) {
  const Bit x0 = in[7], x1 = in[6], x2 = in[5], x3 = in[4];  // x0 is the most significant
  const Bit x4 = in[3], x5 = in[2], x6 = in[1], x7 = in[0];
  const Bit y14 = x3 ^ x5;
  const Bit y13 = x0 ^ x6;
  const Bit y9 = x0 ^ x3;
  const Bit y8 = x0 ^ x5;
  const Bit t0 = x1 ^ x2;
  const Bit y1 = t0 ^ x7;
  const Bit y4 = y1 ^ x3;
  const Bit y12 = y13 ^ y14;
  const Bit y2 = y1 ^ x0;
  const Bit y5 = y1 ^ x6;
  const Bit y3 = y5 ^ y8;
  const Bit t1 = x4 ^ y12;
  const Bit y15 = t1 ^ x5;
  const Bit y20 = t1 ^ x1;
  const Bit y6 = y15 ^ x7;
  const Bit y10 = y15 ^ t0;
  const Bit y11 = y20 ^ y9;
  const Bit y7 = x7 ^ y11;
  const Bit y17 = y10 ^ y11;
  const Bit y19 = y10 ^ y8;
  const Bit y16 = t0 ^ y11;
  const Bit y21 = y13 ^ y16;
  const Bit y18 = x0 ^ y16;
  const Bit t2 = y12 & y15;
  const Bit t3 = y3 & y6;
  const Bit t4 = t3 ^ t2;
  const Bit t5 = y4 & x7;
  const Bit t6 = t5 ^ t2;
  const Bit t7 = y13 & y16;
  const Bit t8 = y5 & y1;
  const Bit t9 = t8 ^ t7;
  const Bit t10 = y2 & y7;
  const Bit t11 = t10 ^ t7;
  const Bit t12 = y9 & y11;
  const Bit t13 = y14 & y17;
  const Bit t14 = t13 ^ t12;
  const Bit t15 = y8 & y10;
  const Bit t16 = t15 ^ t12;
  const Bit t17 = t4 ^ t14;
  const Bit t18 = t6 ^ t16;
  const Bit t19 = t9 ^ t14;
  const Bit t20 = t11 ^ t16;
  const Bit t21 = t17 ^ y20;
  const Bit t22 = t18 ^ y19;
  const Bit t23 = t19 ^ y21;
  const Bit t24 = t20 ^ y18;
  const Bit t25 = t21 ^ t22;
  const Bit t26 = t21 & t23;
  const Bit t27 = t24 ^ t26;
  const Bit t28 = t25 & t27;
  const Bit t29 = t28 ^ t22;
  const Bit t30 = t23 ^ t24;
  const Bit t31 = t22 ^ t26;
  const Bit t32 = t31 & t30;
  const Bit t33 = t32 ^ t24;
  const Bit t34 = t23 ^ t33;
  const Bit t35 = t27 ^ t33;
  const Bit t36 = t24 & t35;
  const Bit t37 = t36 ^ t34;
  const Bit t38 = t27 ^ t36;
  const Bit t39 = t29 & t38;
  const Bit t40 = t25 ^ t39;
  const Bit t41 = t40 ^ t37;
  const Bit t42 = t29 ^ t33;
  const Bit t43 = t29 ^ t40;
  const Bit t44 = t33 ^ t37;
  const Bit t45 = t42 ^ t41;
  const Bit z0 = t44 & y15;
  const Bit z1 = t37 & y6;
  const Bit z2 = t33 & x7;
  const Bit z3 = t43 & y16;
  const Bit z4 = t40 & y1;
  const Bit z5 = t29 & y7;
  const Bit z6 = t42 & y11;
  const Bit z7 = t45 & y17;
  const Bit z8 = t41 & y10;
  const Bit z9 = t44 & y12;
  const Bit z10 = t37 & y3;
  const Bit z11 = t33 & y4;
  const Bit z12 = t43 & y13;
  const Bit z13 = t40 & y5;
  const Bit z14 = t29 & y2;
  const Bit z15 = t42 & y9;
  const Bit z16 = t45 & y14;
  const Bit z17 = t41 & y8;
  const Bit t46 = z15 ^ z16;
  const Bit t47 = z10 ^ z11;
  const Bit t48 = z5 ^ z13;
  const Bit t49 = z9 ^ z10;
  const Bit t50 = z2 ^ z12;
  const Bit t51 = z2 ^ z5;
  const Bit t52 = z7 ^ z8;
  const Bit t53 = z0 ^ z3;
  const Bit t54 = z6 ^ z7;
  const Bit t55 = z16 ^ z17;
  const Bit t56 = z12 ^ t48;
  const Bit t57 = t50 ^ t53;
  const Bit t58 = z4 ^ t46;
  const Bit t59 = z3 ^ t54;
  const Bit t60 = t46 ^ t57;
  const Bit t61 = z14 ^ t57;
  const Bit t62 = t52 ^ t58;
  const Bit t63 = t49 ^ t58;
  const Bit t64 = z4 ^ t59;
  const Bit t65 = t61 ^ t62;
  const Bit t66 = z1 ^ t63;
  const Bit s0 = t59 ^ t63;
  const Bit s6 = t56 ^ ~t62;
  const Bit s7 = t48 ^ ~t60;
  const Bit t67 = t64 ^ t65;
  const Bit s3 = t53 ^ t66;
  const Bit s4 = t51 ^ t66;
  const Bit s5 = t47 ^ t65;
  const Bit s1 = t64 ^ ~s3;
  const Bit s2 = t55 ^ ~t67;
  return {s7, s6, s5, s4, s3, s2, s1, s0};
}

AesRoundKeys aes128_expand_key(const AesBlock& key) {
  AesRoundKeys keys(11);
  keys[0] = key;
  uint8_t rcon = 1;
  for (size_t round = 1; round <= 10; ++round) {
    const AesBlock& last = keys[round - 1];
    AesBlock& next = keys[round];
    for (size_t i = 0; i < 4; ++i) next[i] = last[i] ^ aes_sbox(last[12 + (i + 1) % 4]);
    next[0] = next[0] ^ constant_byte(rcon);
    for (size_t i = 4; i < 16; ++i) next[i] = last[i] ^ next[i - 4];
    rcon = static_cast<uint8_t>((rcon << 1) ^ ((rcon & 0x80) != 0 ? 0x1b : 0));
  }
  return keys;
}

namespace {

AesBlock round_without_key(const AesBlock& state) {
  return mix_columns(shift_rows(sub_bytes(state)));
}

void append_bits(Bits& all, const AesBlock& block) {
  const Bits bits = bits_of(text_of(block));
  all.insert(all.end(), bits.begin(), bits.end());
}

/// `count` rounds but for the last one's key: of the state behind round key 0, and of the keys
/// between them.
std::shared_ptr<const mpc::Template> make_rounds(size_t count) {
  mpc::Builder builder;
  const Text in =
      text_of(builder.add_input("in", mpc::InputKind::kDyn, static_cast<uint32_t>(128 * count)));
  const auto block = [&in](size_t k) {
    const auto first = in.begin() + static_cast<ptrdiff_t>(16 * k);
    return block_of(Text(first, first + 16));
  };
  AesBlock state = round_without_key(block(0));
  for (size_t round = 1; round < count; ++round) state = round_without_key(state ^ block(round));
  builder.add_output("out", mpc::OutputKind::kKeep, bits_of(text_of(state)));
  return mpc::compile_template(builder.finish());
}

/// All rounds but the last two, of which nobody needs the S-boxes of unused bytes; those before
/// are needed for every single byte.
const std::shared_ptr<const mpc::Template>& inner_rounds(size_t count) {
  static const auto of_128 = make_rounds(8), of_256 = make_rounds(12);
  FLEXROOM_ASSERT(count == 8 || count == 12);
  return count == 8 ? of_128 : of_256;
}

}  // namespace

AesBlock aes_encrypt(std::span<const AesBlock> keys, const AesBlock& in) {
  FLEXROOM_ASSERT(keys.size() > 3);
  AesBlock state = in ^ keys[0];
  const size_t inner = keys.size() - 3;
  size_t round = 1;
  Bits inputs;
  inputs.reserve(128 * inner);
  append_bits(inputs, state);
  for (size_t k = 1; k < inner; ++k) append_bits(inputs, keys[k]);
  if (const auto out = mpc::Builder::call(inner_rounds(inner), inputs)) {
    state = block_of(text_of(*out)) ^ keys[inner];
    round = inner + 1;
  }
  for (; round + 1 < keys.size(); ++round) state = round_without_key(state) ^ keys[round];
  return shift_rows(sub_bytes(state)) ^ keys.back();
}

AesBlock aes128_encrypt(const AesRoundKeys& keys, const AesBlock& in) {
  return aes_encrypt(keys, in);
}

AesBlock constant_block(const std::array<uint8_t, 16>& bytes) {
  return block_of(constant_text(bytes));
}

AesBlock block_of(const Text& text) {
  FLEXROOM_ASSERT(text.size() == 16);
  AesBlock out;
  std::copy(text.begin(), text.end(), out.begin());
  return out;
}

Text text_of(const AesBlock& block) { return {block.begin(), block.end()}; }

Bits bits_of(std::span<const AesBlock> keys) {
  Bits out;
  for (const AesBlock& key : keys) {
    const Bits bits = bits_of(text_of(key));
    out.insert(out.end(), bits.begin(), bits.end());
  }
  return out;
}

AesRoundKeys round_keys_of(const Bits& bits) {
  FLEXROOM_ASSERT(bits.size() == size_t{11} * 128 || bits.size() == size_t{15} * 128);
  const Text text = text_of(bits);
  AesRoundKeys out(bits.size() / 128);
  for (size_t i = 0; i < text.size(); ++i) out[i / 16][i % 16] = text[i];
  return out;
}

}  // namespace flexroom::circuits
