#include "circuits/poly1305.h"

#include <string>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

constexpr size_t kTagBits = 128;
constexpr std::array<uint8_t, 16> kClamp = {0xff, 0xff, 0xff, 0x0f, 0xfc, 0xff, 0xff, 0x0f,
                                            0xfc, 0xff, 0xff, 0x0f, 0xfc, 0xff, 0xff, 0x0f};

}  // namespace

Bits poly1305_r(const Text& half) {
  FLEXROOM_ASSERT(half.size() == kClamp.size());
  Bits r = bits_of(half);
  for (size_t i = 0; i < r.size(); ++i) {
    if (((kClamp[i / 8] >> (i % 8)) & 1) == 0) r[i] = Bit();
  }
  r.resize(kPoly1305Bits);
  return r;
}

Bits poly1305_masked_r(const Bits& r, std::span<const Bits> masks) {
  Bits c = r;
  for (const Bits& mask : masks) c = subtract_mod_1305(c, mask);
  return c;
}

Bits poly1305_tag(const Bits& e, std::span<const Bits> masks, const Bits& s) {
  FLEXROOM_ASSERT(s.size() == kTagBits);
  Bits acc = e;
  for (const Bits& mask : masks) acc = subtract_mod_1305(acc, mask);
  Bits tag;
  Bit carry;
  for (size_t i = 0; i < kTagBits; ++i) {
    const Bit with_carry = acc[i] ^ carry;
    tag.push_back(with_carry ^ s[i]);
    if (i + 1 < kTagBits) carry ^= with_carry & (s[i] ^ carry);
  }
  return tag;
}

mpc::Circuit poly1305_tag_circuit(size_t num_parties) {
  mpc::Builder builder;
  std::vector<Bits> masks;
  for (size_t i = 0; i < num_parties; ++i) {
    masks.push_back(
        builder.add_input("sigma_" + std::to_string(i), mpc::InputKind::kZero, kPoly1305Bits));
  }
  const Bits s = builder.add_input("s", mpc::InputKind::kDyn, kTagBits);
  const Bits e = builder.add_input("e", mpc::InputKind::kPub, kPoly1305Bits);
  builder.add_output("tag", mpc::OutputKind::kKeep, poly1305_tag(e, masks, s));
  return builder.finish();
}

}  // namespace flexroom::circuits
