#include "boolean/masks.h"

#include <cstring>
#include <span>

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

/// <s> = <z> + e<y> + f<x> + ef + <lambda_gamma>, where <y> = <f> + <lambda_beta> as sharings and
/// <x> = <e> + <lambda_alpha>.
struct ProductsOf {
  std::span<const mpc::AndOp> ands;
  size_t and_at, triple_at;       // the first of them in the slab, and its triple
  std::span<const uint8_t> e, f;  // of all triples of the slab
};

/// One plane of macs or keys. `s` holds <lambda_gamma> before.
void add_products_to(BlockVec& s, const ProductsOf& of, const BlockVec& z, const BlockVec& opened_e,
                     const BlockVec& opened_f, const BlockVec& alpha, const BlockVec& beta,
                     const Block& constant) {
  size_t t = of.and_at, k = of.triple_at;
  for (const mpc::AndOp& op : of.ands) {
    const size_t here = t++;
    if (op.beta_is_pub != 0) continue;  // sigma = 0
    const bool e = of.e[k] != 0, f = of.f[k] != 0;
    s[here] ^= z[k] ^ select(e, opened_f[k] ^ beta[here]) ^ select(f, opened_e[k] ^ alpha[here]) ^
               select(e && f, constant);
    ++k;
  }
}

size_t num_triples(std::span<const mpc::AndOp> ands) {
  return static_cast<size_t>(std::count_if(
      ands.begin(), ands.end(), [](const mpc::AndOp& op) { return op.beta_is_pub == 0; }));
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
      const mpc::XorOp op = program.xors.at(x);
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

// --- One slab -----------------------------------------------------------------------------------

void MaskSlab::send() {
  if (triples_.size() == 0) return;
  opening_ = std::make_unique<prep::BitOpening>(
      party_, delta_, std::vector<const prep::AuthBits*>{&triples_.x, &triples_.y},
      "boolean/F1 operands");
  opening_->send_to_all();
}

void MaskSlab::receive() {
  if (opening_ == nullptr) return;
  opening_->receive_from_all();
  ef_ = opening_->result();
}

void MaskSlab::add_products(uint32_t end) {
  FLEXROOM_ASSERT(end <= count_);
  if (end <= added_ || triples_.size() == 0) return;
  FLEXROOM_ASSERT(ef_.size() == 2 * triples_.size());
  const std::span<const uint8_t> ef(ef_);
  const ProductsOf of{std::span(program_.ands).subspan(first_ + added_, end - added_), added_,
                      triple_, ef.first(triples_.size()), ef.last(triples_.size())};
  const PartyId self = triples_.z.self();
  const Block one(0, 1);
  for (PartyId j = 0; j < triples_.z.num_parties(); ++j) {
    if (j == self) continue;
    // Public constants: party 0 changes its macs, the others their key with party 0 (§2.4).
    add_products_to(masks_.s.mac[j], of, triples_.z.mac[j], triples_.x.mac[j], triples_.y.mac[j],
                    masks_.alpha.mac[j], masks_.beta.mac[j], self == 0 ? one : Block());
    add_products_to(masks_.s.key[j], of, triples_.z.key[j], triples_.x.key[j], triples_.y.key[j],
                    masks_.alpha.key[j], masks_.beta.key[j],
                    self != 0 && j == 0 ? delta_ ^ one : Block());
  }
  triple_ += num_triples(of.ands);
  added_ = end;
  if (end < count_) return;
  opening_.reset();  // what it took is half of the slab, and rows follow
  triples_ = prep::AndTriples();
}

// --- All of them --------------------------------------------------------------------------------

MaskMaker::MaskMaker(net::Party& party, prep::Source& source, Instance::Data& instance,
                     std::vector<AuthBits> zero)
    : party_(party),
      source_(source),
      delta_(source.delta()),
      instance_(instance),
      program_(*instance.program),
      slots_(party.num_parties()),
      walks_(party.num_parties(), Walk(program_)) {
  const AuthBits inputs = make_input_masks(party, source, instance, zero);
  for (const PartyId j : party.peers()) {
    slots_[j] = BlockVec(2 * size_t{program_.num_slots});
    Pair* const slots = reinterpret_cast<Pair*>(slots_[j].data());
    for (uint32_t w = 0; w < program_.num_inputs(); ++w) {
      slots[program_.input_slots[w]] = Pair(inputs.mac[j][w], inputs.key[j][w]);
    }
  }
}

MaskMaker::~MaskMaker() { wipe(&delta_, sizeof delta_); }

std::unique_ptr<MaskSlab> MaskMaker::next() {
  const uint32_t count = std::min(ands_per_slab(party_.num_parties()), program_.num_ands() - next_);
  if (count == 0) return nullptr;
  std::unique_ptr<MaskSlab> slab(new MaskSlab(party_, program_, delta_, next_, count));
  const size_t needed = num_triples(std::span(program_.ands).subspan(next_, count));
  next_ += count;
  const PartyId self = party_.id();
  const size_t n = party_.num_parties();
  slab->masks_ = {AuthBits::unwritten(self, n, count), AuthBits::unwritten(self, n, count),
                  source_.random_bits(count)};
  if (needed != 0) slab->triples_ = source_.and_triples(needed);
  for (const PartyId j : party_.peers()) spread(j, *slab);
  return slab;
}

/// The XOR fabric over one peer's macs and keys, and on the way the operands to open.
void MaskMaker::spread(PartyId peer, MaskSlab& slab) {
  Pair* const slots = reinterpret_cast<Pair*>(slots_[peer].data());
  const uint32_t first = slab.first_;
  Block* const alpha_mac = slab.masks_.alpha.mac[peer].data();
  Block* const alpha_key = slab.masks_.alpha.key[peer].data();
  Block* const beta_mac = slab.masks_.beta.mac[peer].data();
  Block* const beta_key = slab.masks_.beta.key[peer].data();
  const Block* const gamma_mac = slab.masks_.s.mac[peer].data();
  const Block* const gamma_key = slab.masks_.s.key[peer].data();
  const bool any = slab.triples_.size() != 0;
  Block* const x_mac = any ? slab.triples_.x.mac[peer].data() : nullptr;
  Block* const x_key = any ? slab.triples_.x.key[peer].data() : nullptr;
  Block* const y_mac = any ? slab.triples_.y.mac[peer].data() : nullptr;
  Block* const y_key = any ? slab.triples_.y.key[peer].data() : nullptr;
  size_t k = 0;
  walks_[peer].to(first + slab.count_, slots, [&](uint32_t begin, uint32_t end) {
    for (uint32_t t = begin - first; t < end - first; ++t) {
      const mpc::AndOp& op = program_.ands[first + t];
      const Pair a = slots[op.a], b = slots[op.b];
      alpha_mac[t] = a.mac();
      alpha_key[t] = a.key();
      beta_mac[t] = b.mac();
      beta_key[t] = b.key();
      slots[op.out] = Pair(gamma_mac[t], gamma_key[t]);
      if (op.beta_is_pub != 0) continue;  // no triple
      x_mac[k] ^= a.mac();
      x_key[k] ^= a.key();
      y_mac[k] ^= b.mac();
      y_key[k] ^= b.key();
      ++k;
    }
  });
}

void MaskMaker::finish() {
  FLEXROOM_ASSERT(next_ == program_.num_ands());
  AuthBits& outputs = instance_.output_masks;
  outputs = AuthBits(party_.id(), party_.num_parties(), num_outputs(program_));
  for (const PartyId j : party_.peers()) {
    Pair* const slots = reinterpret_cast<Pair*>(slots_[j].data());
    walks_[j].to(program_.num_ands(), slots, [](uint32_t, uint32_t) {});  // a program of XORs only
    size_t at = 0;
    for (const auto& output : program_.outputs) {
      for (const mpc::Literal& literal : output.literals) {
        outputs.mac[j][at] = slots[literal.slot].mac();
        outputs.key[j][at] = slots[literal.slot].key();
        ++at;
      }
    }
  }
  if (party_.num_parties() > 2) {
    remask(party_, source_, outputs_over_zero_inputs(program_), outputs);
  }
}

}  // namespace flexroom::boolean
