#include "prep/zero_test.h"

#include "base/ct.h"
#include "prep/field_ops.h"
#include "prep/open.h"

namespace flexroom::prep {
namespace {

// [[V]] = sum_i ([[rho_i]] + g_i), g_i = V_i + rho_i; rho_i is known to P_i alone.
AuthField authenticate_sum(Context& context, std::span<const Block> shares,
                           std::string_view label) {
  net::Party& party = context.party;
  const size_t count = shares.size();
  AuthField value(party.id(), party.num_parties(), count);
  BlockVec masked(count);
  for (PartyId i = 0; i < party.num_parties(); ++i) {
    const AuthField rho = pack(context.bits.owned_bits(i, 128 * count));
    if (i == party.id()) {
      for (size_t h = 0; h < count; ++h) masked[h] = shares[h] ^ rho.share[h];
    }
    add(value, rho);
  }
  const std::string tag = std::string(label) + "/zero masked";
  const std::vector<Bytes> all = party.exchange(tag, masked.bytes());
  party.echo(tag);
  std::vector<Block> sum(count);
  for (const Bytes& g : all) {
    for (size_t h = 0; h < count; ++h) sum[h] ^= load_block(g.data() + 16 * h);
  }
  add_constants(value, sum, context.bits.delta());
  return value;
}

/// [[W]] = [[V * b]] of each value: uniform and nonzero unless V is zero.
AuthField times_factor(net::Party& party, const Block& delta, AuthField values,
                       std::vector<VecTriple> products, std::string_view label) {
  FLEXROOM_ASSERT(values.size() == products.size() && !products.empty());
  for (const VecTriple& product : products) FLEXROOM_ASSERT(product.a.size() == 1);
  add(values, join(products, &VecTriple::a));
  const std::vector<Block> e = open_field(party, delta, values, std::string(label) + "/zero e");
  AuthField w = join(products, &VecTriple::b);  // [[c]] + e * [[b]]
  scale(w, e);
  add(w, join(products, &VecTriple::c));
  return w;
}

}  // namespace

std::vector<bool> are_zero(net::Party& party, const Block& delta, AuthField values,
                           std::vector<VecTriple> products, std::string_view label) {
  const AuthField w = times_factor(party, delta, std::move(values), std::move(products), label);
  std::vector<bool> out;
  for (const Block& value : open_field(party, delta, w, std::string(label) + "/zero verdict")) {
    out.push_back(value == Block());
  }
  return out;
}

bool zero_test_field(net::Party& party, const Block& delta, AuthField values,
                     std::vector<VecTriple> products, BatchInFlight& batch, std::string_view label,
                     ot::VerdictNotes* notes) {
  const AuthField w = times_factor(party, delta, std::move(values), std::move(products), label);
  batch.before_verdict();
  const std::vector<Block> opened =
      open_field(party, delta, w, std::string(label) + "/zero verdict");
  Verdict verdict(notes);
  bool all_zero = true;
  for (const Block& value : opened) all_zero &= value == Block();
  if (all_zero) verdict.passed();
  return all_zero;
}

void zero_test(Context& context, std::span<const Block> shares, std::vector<VecTriple> products,
               BatchInFlight& batch, std::string_view label) {
  AuthField values = authenticate_sum(context, shares, label);
  if (!zero_test_field(context.party, context.bits.delta(), std::move(values), std::move(products),
                       batch, label, &context.safety)) {
    throw ProtocolAbort(AbortCode::kZeroTest, label, "a member deviated in this batch");
  }
}

}  // namespace flexroom::prep
