#include "arith/quicksilver.h"

#include "arith/coefficients.h"
#include "base/codec.h"
#include "base/ct.h"
#include "math/gf128.h"

namespace flexroom::arith {
namespace {

std::string coin_label(std::string_view label, PartyId owner) {
  return "quicksilver " + std::string(label) + " " + std::to_string(owner);
}

/// B* + sum chi B_f from the verifier's keys.
template <typename F>
F verifier_sum(PartyId owner, const F& gamma, const Values<F>& values, const AuthValue<F>& mask,
               std::span<const Relation<F>> relations, std::span<const F> chi) {
  const F gamma_squared = gamma.square();
  F sum = mask.key(owner);
  for (size_t r = 0; r < relations.size(); ++r) {
    F b = relations[r].constant * gamma_squared;
    for (const auto& t : relations[r].quadratic) {
      b += t.c * values[t.x].key(owner) * values[t.y].key(owner);
    }
    for (const auto& t : relations[r].linear) b -= t.c * gamma * values[t.x].key(owner);
    sum += chi[r] * b;
  }
  return sum;
}

}  // namespace

template <typename F>
std::array<F, 2> relation_proof(PartyId verifier, const Values<F>& values, const AuthValue<F>& mask,
                                std::span<const Relation<F>> relations, std::span<const F> chi) {
  F u0 = mask.mac(verifier);
  F u1 = -mask.share();
  for (size_t r = 0; r < relations.size(); ++r) {
    F a0, a1;
    for (const auto& t : relations[r].quadratic) {
      const AuthValue<F>& x = values[t.x];
      const AuthValue<F>& y = values[t.y];
      a0 += t.c * x.mac(verifier) * y.mac(verifier);
      a1 -= t.c * (x.share() * y.mac(verifier) + y.share() * x.mac(verifier));
    }
    for (const auto& t : relations[r].linear) a1 -= t.c * values[t.x].mac(verifier);
    u0 += chi[r] * a0;
    u1 += chi[r] * a1;
  }
  return {u0, u1};
}

template <typename F>
void prove_relations(net::Party& party, const F& gamma, PartyId owner, const Values<F>& values,
                     const Values<F>& masks, std::span<const Relation<F>> relations,
                     const Digest& coin, std::string_view label) {
  FLEXROOM_ASSERT(masks.size() + 1 == party.num_parties());
  const std::vector<F> chi =
      Coefficients(party, coin, coin_label(label, owner)).take<F>(relations.size());
  if (party.id() == owner) {
    for (const PartyId j : party.peers()) {
      const auto u = relation_proof<F>(j, values, masks[mask_index(owner, j)], relations, chi);
      Bytes message;
      u[0].append_be(message);
      u[1].append_be(message);
      party.send(j, label, message);
    }
    return;
  }
  const auto u = parse_elements<F>(party.receive(owner, label, 2 * F::kBytes), label, owner);
  const AuthValue<F>& mask = masks[mask_index(owner, party.id())];
  if (u[0] + u[1] * gamma != verifier_sum<F>(owner, gamma, values, mask, relations, chi)) {
    throw ProtocolAbort(AbortCode::kFpProof, label, "a relation does not hold", owner);
  }
}

void prove_bit_relations(net::Party& party, const Block& delta, PartyId owner,
                         const prep::AuthBits& bits, const prep::AuthBits& masks,
                         const BitRelations& relations, const Digest& coin,
                         std::string_view label) {
  FLEXROOM_ASSERT(masks.size() == 128 * (party.num_parties() - 1));
  const Digest stream =
      RandomOracle("bit proof", party.scope()).field(coin_label(label, owner)).field(coin).digest();
  const Block seed = load_block(stream.data());
  const auto mask_of = [&](const BlockVec& blocks, PartyId verifier) {
    return blocks.span().subspan(128 * mask_index(owner, verifier), 128);
  };

  if (party.id() == owner) {
    for (const PartyId j : party.peers()) {
      const auto mask = mask_of(masks.mac[j], j);
      math::GfSum u0, u1;
      u0.add(math::gf_pack(mask));
      Block mask_bits;
      for (unsigned t = 0; t < 128; ++t) mask_bits.set_bit(t, mask[t].lsb());
      u1.add(mask_bits);
      Prg chi(seed);
      relations(bits.mac[j].span(), prep::constant_mac(j),
                [&](const Block& x, const Block& y, const Block& w) {
                  const Block c = chi.next_block();
                  u0.add(c, math::gf_mul(x, y));
                  u1.add(c, select(x.lsb(), y) ^ select(y.lsb(), x) ^ w);
                });
      Writer message;
      message.block(u0.value()).block(u1.value());
      party.send(j, label, message.bytes());
    }
    return;
  }

  math::GfSum sum;
  sum.add(math::gf_pack(mask_of(masks.key[owner], party.id())));
  Prg chi(seed);
  relations(bits.key[owner].span(), delta ^ prep::constant_mac(party.id()),
            [&](const Block& x, const Block& y, const Block& w) {
              sum.add(chi.next_block(), math::gf_mul(x, y) ^ math::gf_mul(w, delta));
            });
  const Bytes message = party.receive(owner, label, 32);
  const Block u0 = load_block(message.data());
  const Block u1 = load_block(message.data() + 16);
  if (!ct_equal(u0 ^ math::gf_mul(u1, delta), sum.value())) {
    throw ProtocolAbort(AbortCode::kBitProof, label, "a relation between bits does not hold",
                        owner);
  }
}

#define FLEXROOM_INSTANTIATE_QUICKSILVER(F)                                                       \
  template std::array<F, 2> relation_proof<F>(PartyId, const Values<F>&, const AuthValue<F>&,     \
                                              std::span<const Relation<F>>, std::span<const F>);  \
  template void prove_relations<F>(net::Party&, const F&, PartyId, const Values<F>&,              \
                                   const Values<F>&, std::span<const Relation<F>>, const Digest&, \
                                   std::string_view);
FLEXROOM_INSTANTIATE_QUICKSILVER(math::F25519)
FLEXROOM_INSTANTIATE_QUICKSILVER(math::FP256)

}  // namespace flexroom::arith
