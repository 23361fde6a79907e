#include "arith/poly1305.h"

#include "arith/dh_online.h"
#include "arith/open.h"
#include "arith/poly1305_batch.h"

namespace flexroom::arith {
namespace {

using F = math::FPoly1305;
constexpr size_t kBlockBytes = 16;

/// (x + shift)^1 .. (x + shift)^count from x^1 .. x^count, for public `shift`: local.
Values<F> shifted_powers(const Values<F>& powers, size_t count, const F& shift, PartyId self,
                         const F& gamma) {
  FLEXROOM_ASSERT(count <= powers.size());
  std::vector<F> row = {F::one()};  // coefficients of (x + shift)^k
  Values<F> out;
  for (size_t k = 1; k <= count; ++k) {
    row.push_back(F::one());
    for (size_t j = k; j-- > 0;) row[j] = row[j] * shift + (j > 0 ? row[j - 1] : F());
    AuthValue<F> power = powers[k - 1];
    for (size_t j = 1; j < k; ++j) power += powers[j - 1] * row[j];
    power.add_constant(row[0], self, gamma);
    out.push_back(std::move(power));
  }
  return out;
}

F element_of(const std::vector<uint8_t>& bits) {
  FLEXROOM_ASSERT(bits.size() == F::kBits);
  math::U256 v{};
  for (unsigned t = 0; t < F::kBits; ++t) v[t / 64] |= uint64_t{bits[t] & 1u} << (t % 64);
  return F::from_any(v);
}

void append_padded(std::vector<math::U256>& out, ByteView data) {
  for (size_t at = 0; at < data.size(); at += kBlockBytes) {
    std::array<uint8_t, kBlockBytes> block{};
    const ByteView part = data.subspan(at, std::min(kBlockBytes, data.size() - at));
    std::copy(part.begin(), part.end(), block.begin());
    out.push_back(poly1305_block(block));
  }
}

}  // namespace

Poly1305Masks::Poly1305Masks() = default;
Poly1305Masks::Poly1305Masks(Poly1305Masks&&) noexcept = default;
Poly1305Masks& Poly1305Masks::operator=(Poly1305Masks&&) noexcept = default;
Poly1305Masks::~Poly1305Masks() = default;

Poly1305Plan Poly1305Plan::of(size_t blocks) {
  FLEXROOM_ASSERT(blocks > 0);
  Poly1305Plan best{blocks, blocks, 1};
  for (size_t baby = 1; baby < blocks; ++baby) {
    const Poly1305Plan plan{blocks, baby, (blocks + baby - 1) / baby};
    if (plan.triples() < best.triples()) best = plan;
  }
  return best;
}

double poly1305_bytes_to_each_peer(const Poly1305Plan& plan) {
  constexpr size_t kElement = size_t{F::kBits} * F::kBytes;  // one authenticated element (1.4)
  constexpr size_t kMask = PrivateEdaBits<F>::kElementsPerMask;
  const size_t elements =
      plan.triples() * (TripleBatch<F>::kTau + TripleBatch<F>::kElementsPerTriple) + 2 * kMask + 1;
  return static_cast<double>(kElement * elements);
}

math::U256 poly1305_block(ByteView bytes) {
  FLEXROOM_ASSERT(!bytes.empty() && bytes.size() <= kBlockBytes);
  math::U256 v{};
  for (size_t k = 0; k < bytes.size(); ++k) v[k / 8] |= uint64_t{bytes[k]} << (8 * (k % 8));
  v[bytes.size() / 8] |= uint64_t{1} << (8 * (bytes.size() % 8));
  return v;
}

size_t poly1305_aead_block_count(size_t aad_bytes, size_t ciphertext_bytes) {
  const auto blocks = [](size_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; };
  return blocks(aad_bytes) + blocks(ciphertext_bytes) + 1;
}

std::vector<math::U256> poly1305_aead_blocks(ByteView aad, ByteView ciphertext) {
  std::vector<math::U256> out;
  append_padded(out, aad);
  append_padded(out, ciphertext);
  Bytes lengths;
  for (const uint64_t length : {uint64_t{aad.size()}, uint64_t{ciphertext.size()}}) {
    for (unsigned b = 0; b < 8; ++b) lengths.push_back(static_cast<uint8_t>(length >> (8 * b)));
  }
  append_padded(out, lengths);
  return out;
}

namespace {

/// One tag on its way: its powers, and what its segments make.
struct Evaluation {
  std::unique_ptr<Poly1305Secrets> secrets;
  Values<F> baby, giant;  // r^1 .. r^baby; (r^baby)^1 ..
  Values<F> segments;     // those that have a block
};

std::unique_ptr<Poly1305Secrets> take_secrets(Poly1305Masks& masks) {
  if (!masks.secrets) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "arith/poly1305",
                        "these masks served a tag already");
  }
  return std::move(masks.secrets);
}

// r^1 .. r^baby: r = c + rho. Segment j holds the coefficients of r^(j * baby + 1) ..
// r^((j + 1) * baby); block i counts from the front and has exponent L - i.
Evaluation begin_evaluation(const net::Party& party, const Poly1305Use& use) {
  const Poly1305Plan& plan = use.masks->plan;
  const size_t blocks = use.blocks.size();
  FLEXROOM_ASSERT(blocks > 0 && blocks <= plan.blocks);
  Evaluation out;
  out.secrets = take_secrets(*use.masks);
  out.baby = shifted_powers(out.secrets->rho_powers, plan.baby, element_of(use.c), party.id(),
                            out.secrets->gamma);
  out.segments.assign((blocks + plan.baby - 1) / plan.baby, AuthValue<F>(party.num_parties()));
  for (size_t exponent = 1; exponent <= blocks; ++exponent) {
    const F coefficient = F::from_any(use.blocks[blocks - exponent]);
    out.segments[(exponent - 1) / plan.baby] += out.baby[(exponent - 1) % plan.baby] * coefficient;
  }
  // R^0 is 1, R^1 = r^baby; above, R = d - g behind one opening.
  if (out.segments.size() == 2) out.giant.push_back(out.baby.back());
  return out;
}

// R = d - g, so that R^k = (-1)^k (g - d)^k, all of the tags behind one opening.
void take_giant_steps(net::Party& party, const F& gamma, std::vector<Evaluation>& tags) {
  std::vector<Evaluation*> wanting;
  Values<F> masked;
  for (Evaluation& tag : tags) {
    if (tag.segments.size() <= 2) continue;
    wanting.push_back(&tag);
    masked.push_back(tag.baby.back() + tag.secrets->g_powers.front());
  }
  if (wanting.empty()) return;
  const auto opened = open_values<F>(party, gamma, masked, "arith/poly1305/giant step");
  for (size_t t = 0; t < wanting.size(); ++t) {
    Evaluation& tag = *wanting[t];
    tag.giant = shifted_powers(tag.secrets->g_powers, tag.segments.size() - 1, -opened[t],
                               party.id(), gamma);
    for (size_t k = 0; k < tag.giant.size(); k += 2) tag.giant[k] *= -F::one();
  }
}

// acc + sigma of each: the products of all of them have one opening.
Values<F> sum_up(net::Party& party, const F& gamma, std::vector<Evaluation>& tags) {
  Values<F> sums;
  std::vector<Factors<F>> factors;
  std::vector<Triple<F>> triples;
  std::vector<size_t> owners;
  for (size_t t = 0; t < tags.size(); ++t) {
    Evaluation& tag = tags[t];
    sums.push_back(tag.segments.front() + tag.secrets->sigma);
    for (size_t j = 1; j < tag.segments.size(); ++j) {
      factors.push_back({tag.segments[j], tag.giant[j - 1]});
      triples.push_back(tag.secrets->products->take());
      owners.push_back(t);
    }
  }
  if (factors.empty()) return sums;
  TripleStock<F> stock(std::move(triples));
  const Values<F> products = multiply<F>(party, gamma, factors, stock, "arith/poly1305/products");
  for (size_t k = 0; k < products.size(); ++k) sums[owners[k]] += products[k];
  return sums;
}

}  // namespace

std::vector<std::vector<uint8_t>> poly1305_masked(net::Party& party, std::span<Poly1305Use> tags) {
  FLEXROOM_ASSERT(!tags.empty());
  std::vector<Evaluation> evaluations;
  for (const Poly1305Use& use : tags) evaluations.push_back(begin_evaluation(party, use));
  const F& gamma = evaluations.front().secrets->gamma;  // of the session: the same for all
  take_giant_steps(party, gamma, evaluations);
  const Values<F> sums = sum_up(party, gamma, evaluations);
  std::vector<std::vector<uint8_t>> out;
  for (const F& masked : open_values<F>(party, gamma, sums, "arith/poly1305/masked accumulator")) {
    out.push_back(canonical_bits(masked));
  }
  return out;
}

std::vector<uint8_t> poly1305_masked(net::Party& party, Poly1305Masks& masks,
                                     const std::vector<uint8_t>& c,
                                     std::span<const math::U256> blocks) {
  Poly1305Use use{&masks, c, {blocks.begin(), blocks.end()}};
  return poly1305_masked(party, {&use, 1}).front();
}

}  // namespace flexroom::arith
