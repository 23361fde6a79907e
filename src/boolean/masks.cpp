#include "boolean/masks.h"

#include <cstring>

#include "prep/open.h"

namespace flexroom::boolean {
namespace {

using mpc::InputGroup;
using mpc::InputKind;
using mpc::Program;
using prep::AuthBits;

/// The mac and the key of one wire mask with one peer; XORed together.
struct alignas(32) Pair {
  __m256i v;
  Pair() = default;
  explicit Pair(__m256i value) : v(value) {}
  Pair(const Block& mac, const Block& key) : v(_mm256_set_m128i(key.m(), mac.m())) {}
  Block mac() const { return _mm256_castsi256_si128(v); }
  Block key() const { return _mm256_extracti128_si256(v, 1); }
  friend Pair operator^(const Pair& a, const Pair& b) { return Pair(_mm256_xor_si256(a.v, b.v)); }
};

/// Every block of it is written before it is read; large enough that zeroing it first would show.
AuthBits unwritten_bits(PartyId self, size_t num_parties, size_t size) {
  std::vector<BlockVec> macs(num_parties), keys(num_parties);
  for (PartyId j = 0; j < num_parties; ++j) {
    if (j == self) continue;
    macs[j] = BlockVec(size, BlockVec::uninitialised);
    keys[j] = BlockVec(size, BlockVec::uninitialised);
  }
  return {self, size, std::move(macs), std::move(keys)};
}

size_t num_outputs(const Program& program) {
  size_t count = 0;
  for (const auto& output : program.outputs) count += output.literals.size();
  return count;
}

/// n > 2: masks of a private input are aBit(all), opened to the owner alone (§6.1; owner-only masks
/// would make output shares reveal inputs, §3.5).
SecretBytes open_to_owner(net::Party& party, const Block& delta, const AuthBits& masks,
                          PartyId owner) {
  prep::BitOpening opening(party, delta, masks, "boolean/F0 private mask");
  if (party.id() != owner) {
    opening.send_to(owner);
    return {};
  }
  opening.receive_from_all();
  return SecretBytes(opening.result());
}

/// Step 1: masks of the input wires, all groups one after the other.
AuthBits make_input_masks(net::Party& party, prep::Source& source, Instance::Data& instance,
                          std::vector<AuthBits>& zero) {
  const Program& program = *instance.program;
  const PartyId self = party.id();
  const size_t n = party.num_parties();
  AuthBits all(self, n, program.num_inputs());
  instance.own_masks.resize(program.inputs.size());
  instance.dyn_masks.resize(program.inputs.size());
  zero.resize(program.inputs.size());
  for (size_t g = 0; g < program.inputs.size(); ++g) {
    const InputGroup& group = program.inputs[g];
    if (group.size == 0) continue;
    AuthBits masks;
    switch (group.kind) {
      case InputKind::kPriv:
        FLEXROOM_ASSERT(group.owner < n);
        if (n == 2) {
          masks = source.owned_bits(group.owner, group.size);
          if (self == group.owner) {
            instance.own_masks[g] = SecretBytes(group.size);
            const auto out = instance.own_masks[g].writable();
            for (size_t t = 0; t < group.size; ++t) out[t] = masks.share(t) ? 1 : 0;
          }
        } else {
          masks = source.random_bits(group.size);
          instance.own_masks[g] = open_to_owner(party, source.delta(), masks, group.owner);
        }
        break;
      case InputKind::kDyn:
        masks = source.random_bits(group.size);
        instance.dyn_masks[g] = masks.clone();
        break;
      case InputKind::kZero:
        masks = std::move(zero[g]);  // <lambda> := <v>, Lambda = 0 forever
        break;
      case InputKind::kPub:
        continue;  // lambda = 0
    }
    FLEXROOM_ASSERT(masks.size() == group.size);
    FLEXROOM_ASSERT(masks.self() == self && masks.num_parties() == n);
    const size_t offset = program.input_offset(g);
    for (const PartyId j : party.peers()) {
      std::memcpy(static_cast<void*>(all.mac[j].data() + offset), masks.mac[j].data(),
                  group.size * sizeof(Block));
      std::memcpy(static_cast<void*>(all.key[j].data() + offset), masks.key[j].data(),
                  group.size * sizeof(Block));
    }
  }
  return all;
}

/// Step 2: the XOR fabric, for one peer's macs and keys, and on the way the operands to open:
/// e = x + lambda_alpha of all ANDs with a triple, then f = y + lambda_beta. `gamma` are the masks
/// of AND outputs.
void spread_masks(const Program& program, PartyId peer, const AuthBits& inputs,
                  const AuthBits& gamma, const prep::AndTriples& triples, AndMasks& masks,
                  AuthBits& operands, AuthBits& outputs) {
  BlockVec storage(2 * size_t{program.num_slots});
  Pair* slots = reinterpret_cast<Pair*>(storage.data());
  for (uint32_t w = 0; w < program.num_inputs(); ++w) {
    slots[program.input_slots[w]] = Pair(inputs.mac[peer][w], inputs.key[peer][w]);
  }
  Block* const alpha_mac = masks.alpha.mac[peer].data();
  Block* const alpha_key = masks.alpha.key[peer].data();
  Block* const beta_mac = masks.beta.mac[peer].data();
  Block* const beta_key = masks.beta.key[peer].data();
  const Block* const gamma_mac = gamma.mac[peer].data();
  const Block* const gamma_key = gamma.key[peer].data();
  const size_t count = program.num_triples;
  const Block* x_mac = nullptr;
  const Block* x_key = nullptr;
  const Block* y_mac = nullptr;
  const Block* y_key = nullptr;
  Block* out_mac = nullptr;
  Block* out_key = nullptr;
  if (count != 0) {
    x_mac = triples.x.mac[peer].data();
    x_key = triples.x.key[peer].data();
    y_mac = triples.y.mac[peer].data();
    y_key = triples.y.key[peer].data();
    out_mac = operands.mac[peer].data();
    out_key = operands.key[peer].data();
  }
  size_t k = 0;
  walk(program, slots, [&](uint32_t begin, uint32_t end) {
    for (uint32_t t = begin; t < end; ++t) {
      const mpc::AndOp& op = program.ands[t];
      const Pair a = slots[op.a], b = slots[op.b];
      alpha_mac[t] = a.mac();
      alpha_key[t] = a.key();
      beta_mac[t] = b.mac();
      beta_key[t] = b.key();
      slots[op.out] = Pair(gamma_mac[t], gamma_key[t]);
      if (op.beta_is_pub != 0) continue;  // no triple
      out_mac[k] = x_mac[k] ^ a.mac();
      out_key[k] = x_key[k] ^ a.key();
      out_mac[count + k] = y_mac[k] ^ b.mac();
      out_key[count + k] = y_key[k] ^ b.key();
      ++k;
    }
  });
  size_t at = 0;
  for (const auto& output : program.outputs) {
    for (const mpc::Literal& literal : output.literals) {
      outputs.mac[peer][at] = slots[literal.slot].mac();
      outputs.key[peer][at] = slots[literal.slot].key();
      ++at;
    }
  }
}

/// Step 3: <s> = <z> + e<y> + f<x> + ef + <lambda_gamma>, where <y> = <f> + <lambda_beta> as
/// sharings and <x> = <e> + <lambda_alpha>. masks.s holds <lambda_gamma> before.
void add_products(const Program& program, const Block& delta, const AuthBits& z,
                  const AuthBits& opened, const std::vector<uint8_t>& ef, AndMasks& masks) {
  const size_t count = program.num_triples;
  const PartyId self = z.self();
  const Block one(0, 1);
  for (PartyId j = 0; j < z.num_parties(); ++j) {
    if (j == self) continue;
    // Public constants: party 0 changes its macs, the others their key with party 0 (§2.4).
    const Block mac_constant = self == 0 ? one : Block();
    const Block key_constant = self != 0 && j == 0 ? delta ^ one : Block();
    const auto add = [&](BlockVec& s, const BlockVec& z_plane, const BlockVec& open_plane,
                         const BlockVec& alpha, const BlockVec& beta, const Block& constant) {
      size_t k = 0;
      for (uint32_t t = 0; t < program.num_ands(); ++t) {
        if (program.ands[t].beta_is_pub != 0) continue;  // sigma = 0
        const bool e = ef[k] != 0, f = ef[count + k] != 0;
        s[t] ^= z_plane[k] ^ select(e, open_plane[count + k] ^ beta[t]) ^
                select(f, open_plane[k] ^ alpha[t]) ^ select(e && f, constant);
        ++k;
      }
    };
    add(masks.s.mac[j], z.mac[j], opened.mac[j], masks.alpha.mac[j], masks.beta.mac[j],
        mac_constant);
    add(masks.s.key[j], z.key[j], opened.key[j], masks.alpha.key[j], masks.beta.key[j],
        key_constant);
  }
}

/// Outputs whose XOR cone contains a kZero wire: that sharing may be owned by one party.
std::vector<size_t> outputs_over_zero_inputs(const Program& program) {
  std::vector<uint8_t> tainted(program.num_slots);
  for (size_t g = 0; g < program.inputs.size(); ++g) {
    if (program.inputs[g].kind != InputKind::kZero) continue;
    const size_t offset = program.input_offset(g);
    for (size_t t = 0; t < program.inputs[g].size; ++t) {
      tainted[program.input_slots[offset + t]] = 1;
    }
  }
  for (const mpc::Batch& batch : program.batches) {
    for (uint32_t x = batch.xor_begin; x < batch.xor_end; ++x) {
      const mpc::XorOp& op = program.xors[x];
      tainted[op.out] = tainted[op.a] | tainted[op.b];
    }
    for (uint32_t t = batch.and_begin; t < batch.and_end; ++t) tainted[program.ands[t].out] = 0;
  }
  std::vector<size_t> out;
  size_t at = 0;
  for (const auto& output : program.outputs) {
    for (const mpc::Literal& literal : output.literals) {
      if (tainted[literal.slot] != 0) out.push_back(at);
      ++at;
    }
  }
  return out;
}

/// Re-mask (§3.5): <lambda> := <r> + Open(lambda + r), r fresh aBit(all). Offline, on the mask
/// instead of the value: v = lambda + Lambda with Lambda public, so the shares come out as fresh.
void remask(net::Party& party, prep::Source& source, const std::vector<size_t>& which,
            AuthBits& outputs) {
  if (which.empty()) return;
  AuthBits fresh = source.random_bits(which.size());
  AuthBits sum = fresh.clone();
  for (const PartyId j : party.peers()) {
    for (size_t k = 0; k < which.size(); ++k) {
      sum.mac[j][k] ^= outputs.mac[j][which[k]];
      sum.key[j][k] ^= outputs.key[j][which[k]];
    }
  }
  const auto opened = prep::open_bits(party, source.delta(), sum, "boolean/re-mask");
  prep::add_constants(fresh, opened, source.delta());
  for (const PartyId j : party.peers()) {
    for (size_t k = 0; k < which.size(); ++k) {
      outputs.mac[j][which[k]] = fresh.mac[j][k];
      outputs.key[j][which[k]] = fresh.key[j][k];
    }
  }
}

}  // namespace

AndMasks make_masks(net::Party& party, prep::Source& source, Instance::Data& instance,
                    std::vector<AuthBits> zero) {
  const Program& program = *instance.program;
  const PartyId self = party.id();
  const size_t n = party.num_parties();
  const AuthBits inputs = make_input_masks(party, source, instance, zero);

  AndMasks masks{
      unwritten_bits(self, n, program.num_ands()), unwritten_bits(self, n, program.num_ands()), {}};
  // <lambda_gamma> until the products are added.
  masks.s = program.num_ands() == 0 ? AuthBits(self, n, 0) : source.random_bits(program.num_ands());
  instance.output_masks = AuthBits(self, n, num_outputs(program));
  prep::AndTriples triples;
  if (program.num_triples != 0) triples = source.and_triples(program.num_triples);
  AuthBits operands = unwritten_bits(self, n, 2 * size_t{program.num_triples});
  for (const PartyId j : party.peers()) {
    spread_masks(program, j, inputs, masks.s, triples, masks, operands, instance.output_masks);
  }
  triples.x = AuthBits();
  triples.y = AuthBits();
  if (n > 2) remask(party, source, outputs_over_zero_inputs(program), instance.output_masks);

  if (program.num_triples == 0) return masks;
  const auto ef = prep::open_bits(party, source.delta(), operands, "boolean/F1 operands");
  add_products(program, source.delta(), triples.z, operands, ef, masks);
  return masks;
}

}  // namespace flexroom::boolean
