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

std::vector<uint8_t> poly1305_masked(net::Party& party, Poly1305Masks& masks,
                                     const std::vector<uint8_t>& c,
                                     std::span<const math::U256> blocks) {
  if (!masks.secrets) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "arith/poly1305",
                        "these masks served a tag already");
  }
  const std::unique_ptr<Poly1305Secrets> secrets = std::move(masks.secrets);
  const Poly1305Plan& plan = masks.plan;
  FLEXROOM_ASSERT(blocks.size() == plan.blocks);
  const F& gamma = secrets->gamma;
  const PartyId self = party.id();

  // r^1 .. r^baby: r = c + rho.
  const Values<F> baby = shifted_powers(secrets->rho_powers, plan.baby, element_of(c), self, gamma);
  // R^0 is 1, R^1 = r^baby; above, R = d - g behind one opening: (-1)^k (g - d)^k.
  Values<F> giant;
  if (plan.giant > 1) giant.push_back(baby.back());
  if (plan.giant_powers() > 0) {
    const AuthValue<F> masked = baby.back() + secrets->g_powers.front();
    const F d = open_values<F>(party, gamma, {&masked, 1}, "arith/poly1305/giant step").front();
    giant = shifted_powers(secrets->g_powers, plan.giant_powers(), -d, self, gamma);
    for (size_t k = 0; k < giant.size(); k += 2) giant[k] *= -F::one();
  }

  // Segment j holds the coefficients of r^(j * baby + 1) .. r^((j + 1) * baby); block i counts from
  // the front and has exponent L - i.
  Values<F> segments(plan.giant, AuthValue<F>(party.num_parties()));
  for (size_t exponent = 1; exponent <= plan.blocks; ++exponent) {
    const F coefficient = F::from_any(blocks[plan.blocks - exponent]);
    segments[(exponent - 1) / plan.baby] += baby[(exponent - 1) % plan.baby] * coefficient;
  }
  AuthValue<F> sum = segments.front() + secrets->sigma;
  if (plan.giant > 1) {
    std::vector<Factors<F>> factors;
    for (size_t j = 1; j < plan.giant; ++j) factors.push_back({segments[j], giant[j - 1]});
    for (const AuthValue<F>& product :
         multiply<F>(party, gamma, factors, *secrets->products, "arith/poly1305/products")) {
      sum += product;
    }
  }
  const F masked =
      open_values<F>(party, gamma, {&sum, 1}, "arith/poly1305/masked accumulator").front();
  return canonical_bits(masked);
}

}  // namespace flexroom::arith
