#include "prep/powers.h"

#include <array>
#include <bit>
#include <map>
#include <memory>

#include "math/gf128.h"
#include "prep/field_ops.h"
#include "prep/field_products.h"
#include "prep/open.h"

namespace flexroom::prep {
namespace {

constexpr size_t kFieldBits = 128;

struct Term {
  Block coefficient;
  const AuthBits* bits;
  size_t offset;  // 128 bits from here
};

/// A secret power of r as a public linear form of bit vectors: sum of coefficient * pack(bits),
/// plus a constant. Its 2^s-th power is local: sum of coefficient^(2^s) * pack_s(bits), plus
/// constant^(2^s).
struct LinearForm {
  std::vector<Term> terms;
  Block constant;
};

void evaluate(const LinearForm& form, unsigned s, AuthField& out, size_t index,
              std::vector<Block>& constants) {
  for (const Term& term : form.terms) {
    accumulate_packed(out, index, math::gf_frobenius(term.coefficient, s), *term.bits, term.offset,
                      s);
  }
  constants[index] = math::gf_frobenius(form.constant, s);
}

/// Odd j below 2^level whose j + 2^level is wanted.
std::vector<size_t> sources_of_level(unsigned level, size_t max_power) {
  const size_t step = size_t{1} << level;
  std::vector<size_t> out;
  for (size_t j = 1; j < step && j + step <= max_power; j += 2) out.push_back(j);
  return out;
}

// r^(j + 2^level) = (r^(2^level)) * r^j, for all j of the level: with f = r^(2^level) + b and
// e_j = r^j + a_j opened it is c_j + e_j * b + f * a_j + e_j * f.
void raise(Context& context, unsigned level, std::span<const size_t> sources,
           const FieldProducts& products, std::map<size_t, LinearForm>& odd) {
  const size_t count = sources.size();
  AuthField masked(context.party.id(), context.party.num_parties(), count + 1);
  std::vector<Block> constants(count + 1);
  evaluate(odd.at(1), level, masked, count, constants);
  for (size_t h = 0; h < count; ++h) evaluate(odd.at(sources[h]), 0, masked, h, constants);
  add_constants(masked, constants, context.bits.delta());
  AuthField factors = products.triple.a.clone();
  factors.append(products.triple.b);
  add(masked, factors);
  const std::vector<Block> opened =
      open_field(context.party, context.bits.delta(), masked, "powers/open");
  const Block f = opened[count];
  for (size_t h = 0; h < count; ++h) {
    const Block e = opened[h];
    LinearForm form;
    form.terms = {{Block(0, 1), &products.rho, kFieldBits * h}, {e, &products.b_bits, 0}};
    for (size_t s = 0; s < kExtractionFactors; ++s) {
      const size_t part = kExtractionFactors * h + s;
      form.terms.push_back(
          {math::gf_mul(f, products.chi[part]), &products.alpha, kFieldBits * part});
    }
    form.constant = products.g[h] ^ math::gf_mul(e, f);
    odd.emplace(sources[h] + (size_t{1} << level), std::move(form));
  }
}

}  // namespace

Powers make_powers(Context& context, size_t max_power) {
  FLEXROOM_ASSERT(max_power >= 1);
  Powers out;
  out.r_bits = context.bits.random_bits(kFieldBits);
  std::vector<std::vector<size_t>> sources;
  std::vector<size_t> counts;
  for (unsigned level = 1; (size_t{1} << level) < max_power; ++level) {
    sources.push_back(sources_of_level(level, max_power));
    counts.push_back(sources.back().size());
  }
  // All levels' products in one batch, each level with its own b.
  const std::vector<FieldProducts> products = make_field_products(context, counts);

  std::map<size_t, LinearForm> odd;
  odd[1].terms = {{Block(0, 1), &out.r_bits, 0}};
  for (size_t t = 0; t < sources.size(); ++t) {
    raise(context, static_cast<unsigned>(t + 1), sources[t], products[t], odd);
  }

  out.powers = AuthField(context.party.id(), context.party.num_parties(), max_power + 1);
  std::vector<Block> constants(max_power + 1);
  constants[0] = Block(0, 1);
  for (size_t j = 1; j <= max_power; ++j) {
    const auto s = static_cast<unsigned>(std::countr_zero(j));
    evaluate(odd.at(j >> s), s, out.powers, j, constants);
  }
  add_constants(out.powers, constants, context.bits.delta());
  return out;
}

}  // namespace flexroom::prep
