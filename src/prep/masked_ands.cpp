#include "prep/masked_ands.h"

#include <array>
#include <functional>
#include <optional>
#include <utility>

#include "prep/and_strings.h"
#include "prep/field_ops.h"
#include "prep/key_kernels.h"
#include "prep/open.h"
#include "prep/zero_test.h"

namespace flexroom::prep {
namespace {

constexpr size_t kFieldBits = 128;
constexpr size_t kBitsOfItem = 2;  // x, r; y comes with the key
constexpr std::string_view kLabel = "masked and";

template <typename String>
class MaskedBatch {
 public:
  MaskedBatch(Context& context, const MaskedBatchSize& size)
      : context_(context),
        party_(context.party),
        delta_(context.bits.delta()),
        short_delta_(truncate<String>(delta_)),
        size_(size),
        sums_(size.items) {}
  MaskedBatch(const MaskedBatch&) = delete;
  MaskedBatch& operator=(const MaskedBatch&) = delete;
  ~MaskedBatch() { wipe(&short_delta_, sizeof short_delta_); }

  AndTriples run(AuthBits x, AuthBits r, TupledKey key, VecTriple product) {
    x_ = std::move(x);
    z_ = std::move(r);
    TossedKey tossed = fix_strings_and_toss(std::move(key));
    // Behind the coin: one message of it, with nothing of the coin between, for every wait below.
    if (size_.next > 0) context_.bits.begin_random_bits(kBitsOfItem * size_.next);
    exchange_d(tossed);
    check(tossed, std::move(product));
    for (const PartyId j : party_.peers()) {
      add_masks(x_.mac[j], tossed.key().mac[j].span(), tossed.h());
      add_masks(x_.key[j], tossed.key().key[j].span(), tossed.h());
    }
    return {std::move(x_), std::move(tossed).finish(), std::move(z_)};
  }

 private:
  // Steps 1 to 4. Nothing but the tossed key is left of the other.
  TossedKey fix_strings_and_toss(TupledKey key) {
    exchange_strings(key.y(), [&] {
      key.commit_coin(context_);
      chi_.emplace(party_, "masked and/chi");
      chi_->commit();
    });
    key.receive_commitments();
    chi_->receive_commitments();
    // Every U is here, every check of the key passed, the batch is counted.
    return std::move(key).toss();
  }

  // Steps 1 to 3. `behind` runs when the own strings have left: the commitments of both coins fly
  // with them, their openings follow what they are about.
  void exchange_strings(const AuthBits& y, const std::function<void()>& behind) {
    const uint64_t counter = Context::reserve(context_.leaky_and_counter, size_.items);
    AndStrings<String> strings(context_, "masked and/U");
    strings.exchange({x_, y, z_, counter}, sums_, behind);
  }

  // Step 5: d = sum of bit1(S_i) + <h, Psi_i> = x^ y + r. Masked by the honest r, which bit1(S_i)
  // contains once because row 1 is pinned (Q3). z becomes r + d, S becomes L = S + d*Delta.
  void exchange_d(const TossedKey& key) {
    Bytes own((size_.items + 7) / 8);
    for (size_t t = 0; t < size_.items; ++t) {
      own[t / 8] = static_cast<uint8_t>(own[t / 8] | (bit1(sums_[t]) << (t % 8)));
    }
    add_parities(key.psi(), key.h(), size_.items, own);
    party_.broadcast("masked and/d", own);
    context_.bits.continue_random_bits();
    std::vector<uint8_t> d(size_.items);
    add_packed_bits(d, own.data());
    for (const PartyId j : party_.peers()) {
      add_packed_bits(d, party_.receive_broadcast(j, "masked and/d", own.size()).data());
    }
    context_.bits.continue_random_bits();
    add_constants(z_, d, delta_);
    for (size_t t = 0; t < size_.items; ++t) sums_[t] ^= masked(d[t], short_delta_);
  }

  // Steps 6 to 8. The coin comes after all d; its echo covers them (n > 2, Q6).
  void check(TossedKey& key, VecTriple product) {
    context_.bits.continue_random_bits();
    const math::ChiStream stream(load_block(chi_->toss().data()));
    math::GfSum sum;
    AuthField masked_y = weighted_y(key, stream, sum);
    add(masked_y, key.beta());
    // Q has to be that of an authenticated Y: a claimed one would let a flipped z pass.
    const std::vector<Block> p = open_field(party_, delta_, masked_y, "masked and/p");
    sum.add(share_of_q(key, p));
    std::vector<VecTriple> products;
    products.push_back(std::move(product));
    BlockVec value(1);
    value[0] = sum.value();
    zero_test(context_, value.span(), std::move(products), key.count(), kLabel);
  }

  // [[Y_q]] = sum_t chi_t h_{t,q} <y_t>; adds sum_t chi_t L_t to `sum`.
  AuthField weighted_y(const TossedKey& key, const math::ChiStream& stream, math::GfSum& sum) {
    AuthField out(party_.id(), party_.num_parties(), key.key().size());
    const BlockVec& shares = key.y().mac[key.y().first_peer()];
    out.share = weighted(key, stream,
                         [&](size_t t, const Block& chi) { return select(shares[t].lsb(), chi); });
    for (const PartyId j : party_.peers()) {
      for (const auto& [from, to] :
           {std::pair(&key.y().mac[j], &out.mac[j]), std::pair(&key.y().key[j], &out.key[j])}) {
        const Block* const blocks = from->data();
        *to = weighted(key, stream, [blocks](size_t t, const Block& chi) {
          return math::gf_mul(chi, blocks[t]);
        });
      }
    }
    for_runs(
        [&](size_t first, std::span<const Block> chi) {
          accumulate(sum, chi, std::span<const String>(sums_.data() + first, chi.size()));
        },
        stream);
    return out;
  }

  template <typename Weight>
  BlockVec weighted(const TossedKey& key, const math::ChiStream& stream, Weight weight) {
    MaskedSums out(key.key().size());
    BlockVec weights(kStringKernelItems);
    for_runs(
        [&](size_t first, std::span<const Block> chi) {
          for (size_t t = 0; t < chi.size(); ++t) weights[t] = weight(first + t, chi[t]);
          out.add(first, weights.span().first(chi.size()), key.h());
        },
        stream);
    return out.values();
  }

  // Calls f(first item, chi of a run) for all items.
  template <typename Run>
  void for_runs(Run f, const math::ChiStream& stream) {
    std::vector<Block> chi(kStringKernelItems);
    for (size_t first = 0; first < size_.items; first += kStringKernelItems) {
      const std::span<Block> here(chi.data(), std::min(kStringKernelItems, size_.items - first));
      stream.fill(first, here);
      f(first, here);
    }
  }

  // Step 7: this party's share of Q * trunc(Delta), [[Q]] = [[c]] + sum_q p_q <G[q]>, from the
  // truncated blocks of its bits: no product, no message.
  Block share_of_q(const TossedKey& key, const std::vector<Block>& p) const {
    const std::array<Block, kFieldBits> powers = math::gf_basis(0);
    math::GfSum sum;
    math::Wiped<Block> own;  // the share of Q; the constant g counts as one of every party's
    own.value = key.g();
    const auto add_bits = [&](const AuthBits& bits, std::span<const Block> coefficients) {
      for (size_t q = 0; q < coefficients.size(); ++q) {
        own.value ^= select(bits.share(q), coefficients[q]);
        for (const PartyId j : party_.peers()) {
          sum.add(coefficients[q], widened(static_cast<String>(truncate<String>(bits.key[j][q]) ^
                                                               truncate<String>(bits.mac[j][q]))));
        }
      }
    };
    add_bits(key.rho(), powers);
    add_bits(key.key(), p);
    sum.add(own.value, widened(short_delta_));
    return sum.value();
  }

  Context& context_;
  net::Party& party_;
  const Block& delta_;
  String short_delta_;
  const MaskedBatchSize size_;
  AuthBits x_, z_;
  math::SecretVector<String> sums_;  // S_i, then L_i
  std::optional<net::Coin> chi_;
};

template <typename String>
AndTriples make(Context& context, KeyedBitSupply& supply, const MaskedBatchSize& size,
                VecTriple product) {
  AuthBits xr = context.bits.random_bits(kBitsOfItem * size.items);  // of one allocation
  AuthBits x = xr.take_front(size.items);
  TupledKey key = TupledKey::make(context, supply.keyed_bits(size.items, size.bits));
  return MaskedBatch<String>(context, size)
      .run(std::move(x), std::move(xr), std::move(key), std::move(product));
}

}  // namespace

AndTriples make_masked_ands(Context& context, KeyedBitSupply& supply, const MaskedBatchSize& size,
                            VecTriple product) {
  FLEXROOM_ASSERT(size.items > 0 && (size.bits == 64 || size.bits == 128));
  FLEXROOM_ASSERT(&supply == &context.bits);
  if (size.bits == 64) return make<uint64_t>(context, supply, size, std::move(product));
  return make<Block>(context, supply, size, std::move(product));
}

}  // namespace flexroom::prep
