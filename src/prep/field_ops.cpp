#include "prep/field_ops.h"

#include <array>
#include <vector>

#include "math/gf128.h"

namespace flexroom::prep {
namespace {

using math::gf_mul;

constexpr size_t kFieldBits = 128;

// X^(q * 2^s), q < 128, for all s: public, made once.
const std::array<Block, kFieldBits>& basis(unsigned s) {
  static const std::vector<std::array<Block, kFieldBits>> all = [] {
    std::vector<std::array<Block, kFieldBits>> table;
    for (unsigned power = 0; power < kFieldBits; ++power) table.push_back(math::gf_basis(power));
    return table;
  }();
  return all.at(s);
}

Block pack_blocks(std::span<const Block> blocks, unsigned s) {
  return math::gf_inner_product(blocks, basis(s));
}

void add_to(BlockVec& a, const BlockVec& b) {
  for (size_t t = 0; t < a.size(); ++t) a[t] ^= b[t];
}

void scale_by(BlockVec& a, std::span<const Block> c) {
  for (size_t t = 0; t < a.size(); ++t) a[t] = gf_mul(a[t], c[t]);
}

// This party's shares of 128 bits, packed: the bits are bit0 of the macs.
Block pack_shares(std::span<const Block> macs, unsigned s) {
  if (s == 0) {
    Block packed;
    for (unsigned q = 0; q < kFieldBits; ++q) {
      (q < 64 ? packed.lo : packed.hi) |= (macs[q].lo & 1) << (q & 63);
    }
    return packed;
  }
  return math::gf_frobenius(pack_shares(macs, 0), s);
}

}  // namespace

void add(AuthField& a, const AuthField& b) {
  FLEXROOM_ASSERT(a.size() == b.size() && a.num_parties() == b.num_parties());
  add_to(a.share, b.share);
  for (PartyId j = 0; j < a.num_parties(); ++j) {
    if (j == a.self()) continue;
    add_to(a.mac[j], b.mac[j]);
    add_to(a.key[j], b.key[j]);
  }
}

void add_constants(AuthField& a, std::span<const Block> c, const Block& delta) {
  FLEXROOM_ASSERT(a.size() == c.size());
  for (size_t t = 0; t < c.size(); ++t) {
    if (a.self() == 0) {
      a.share[t] ^= c[t];
    } else {
      a.key[0][t] ^= gf_mul(c[t], delta);
    }
  }
}

void scale(AuthField& a, std::span<const Block> c) {
  FLEXROOM_ASSERT(a.size() == c.size());
  scale_by(a.share, c);
  for (PartyId j = 0; j < a.num_parties(); ++j) {
    if (j == a.self()) continue;
    scale_by(a.mac[j], c);
    scale_by(a.key[j], c);
  }
}

AuthField combine(const AuthField& a, std::span<const Block> c, size_t offset) {
  FLEXROOM_ASSERT(offset <= a.size() && c.size() <= a.size() - offset);
  const auto sum = [&](const BlockVec& blocks) {
    return math::gf_inner_product(blocks.span().subspan(offset, c.size()), c);
  };
  AuthField out(a.self(), a.num_parties(), 1);
  out.share[0] = sum(a.share);
  for (PartyId j = 0; j < a.num_parties(); ++j) {
    if (j == a.self()) continue;
    out.mac[j][0] = sum(a.mac[j]);
    out.key[j][0] = sum(a.key[j]);
  }
  return out;
}

AuthField combine(const AuthBits& bits, std::span<const Block> c) {
  FLEXROOM_ASSERT(bits.size() == c.size());
  AuthField out(bits.self(), bits.num_parties(), 1);
  for (size_t t = 0; t < c.size(); ++t) out.share[0] ^= select(bits.share(t), c[t]);
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    out.mac[j][0] = math::gf_inner_product(bits.mac[j].span(), c);
    out.key[j][0] = math::gf_inner_product(bits.key[j].span(), c);
  }
  return out;
}

AuthField join(std::span<const VecTriple> products, AuthField VecTriple::*part) {
  AuthField out;
  for (const VecTriple& product : products) out.append(product.*part);
  return out;
}

AuthField pack(const AuthBits& bits, unsigned s) {
  FLEXROOM_ASSERT(bits.size() % kFieldBits == 0);
  const size_t count = bits.size() / kFieldBits;
  AuthField out(bits.self(), bits.num_parties(), count);
  for (size_t h = 0; h < count; ++h) {
    const auto of = [&](const BlockVec& blocks) {
      return blocks.span().subspan(h * kFieldBits, kFieldBits);
    };
    out.share[h] = pack_shares(of(bits.mac[bits.first_peer()]), s);
    for (PartyId j = 0; j < bits.num_parties(); ++j) {
      if (j == bits.self()) continue;
      out.mac[j][h] = pack_blocks(of(bits.mac[j]), s);
      out.key[j][h] = pack_blocks(of(bits.key[j]), s);
    }
  }
  return out;
}

void accumulate_packed(AuthField& out, size_t index, const Block& coefficient, const AuthBits& bits,
                       size_t offset, unsigned s) {
  FLEXROOM_ASSERT(offset + kFieldBits <= bits.size() && index < out.size());
  const auto of = [&](const BlockVec& blocks) { return blocks.span().subspan(offset, kFieldBits); };
  out.share[index] ^= gf_mul(coefficient, pack_shares(of(bits.mac[bits.first_peer()]), s));
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    out.mac[j][index] ^= gf_mul(coefficient, pack_blocks(of(bits.mac[j]), s));
    out.key[j][index] ^= gf_mul(coefficient, pack_blocks(of(bits.key[j]), s));
  }
}

}  // namespace flexroom::prep
