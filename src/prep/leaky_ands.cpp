#include "prep/leaky_ands.h"

#include <algorithm>

#include "prep/and_strings.h"
#include "prep/zero_test.h"

namespace flexroom::prep {
namespace {

constexpr size_t kBitsOfItem = 3;  // x, y, r
constexpr std::string_view kLabel = "leaky and";

template <typename String>
class Maker {
 public:
  Maker(Context& context, size_t items, size_t num_layers, bool more_follow,
        const std::function<void(size_t)>& tick)
      : context_(context),
        party_(context.party),
        delta_(context.bits.delta()),
        items_(items),
        num_layers_(num_layers),
        more_follow_(more_follow),
        tick_(tick),
        strings_(context, "leaky and/U") {}

  std::vector<AndTriples> run(std::vector<VecTriple> products, BatchInFlight& batch) {
    first_counter_ = Context::reserve(context_.leaky_and_counter, items_ * num_layers_);
    for (size_t k = 0; k < num_layers_; ++k) {
      layers_.push_back(draw());
      sums_.emplace_back(items_);
      exchange_strings(k);
      if (tick_) tick_((k + 1) * items_);
    }
    exchange_d();
    check(std::move(products), batch);
    return std::move(layers_);
  }

 private:
  // z starts as r and becomes r + d.
  AndTriples draw() {
    AuthBits all = context_.bits.random_bits(kBitsOfItem * items_);  // of one allocation
    AndTriples layer;
    layer.x = all.take_front(items_);
    layer.y = all.take_front(items_);
    layer.z = std::move(all);
    return layer;
  }

  // Steps 1 to 3. The bits of the next layer are under way while this one waits for its last
  // strings; those of the next batch while this one waits for its openings and coins.
  void exchange_strings(size_t k) {
    const AndTriples& layer = layers_[k];
    strings_.exchange({layer.x, layer.y, layer.z, first_counter_ + k * items_}, sums_[k], [&] {
      if (k + 1 < num_layers_ || more_follow_) {
        context_.bits.begin_random_bits(kBitsOfItem * items_);
      }
    });
  }

  // Step 4: d = sum of bit1(S_i) = xy + r, because bit1 of the sum of all Delta is 1.
  void exchange_d() {
    const size_t layer_bytes = (items_ + 7) / 8;
    Bytes own(layer_bytes * num_layers_);
    for (size_t k = 0; k < num_layers_; ++k) {
      uint8_t* out = own.data() + k * layer_bytes;
      for (size_t t = 0; t < items_; ++t) {
        out[t / 8] = static_cast<uint8_t>(out[t / 8] | (bit1(sums_[k][t]) << (t % 8)));
      }
    }
    party_.broadcast("leaky and/d", own);
    context_.bits.continue_random_bits();
    std::vector<Bytes> all(party_.num_parties());
    for (const PartyId j : party_.peers()) {
      all[j] = party_.receive_broadcast(j, "leaky and/d", own.size());
    }
    all[party_.id()] = std::move(own);
    context_.bits.continue_random_bits();
    std::vector<uint8_t> d(items_);
    const String delta = truncate<String>(delta_);
    for (size_t k = 0; k < num_layers_; ++k) {
      std::fill(d.begin(), d.end(), uint8_t{0});
      for (const Bytes& packed : all) {
        add_packed_bits(d, packed.data() + k * layer_bytes);
      }
      add_constants(layers_[k].z, d, delta_);
      for (size_t t = 0; t < items_; ++t) sums_[k][t] ^= masked(d[t], delta);  // L = S + d*Delta
    }
  }

  // Step 5. The coin comes after all U and d (and their echo); every layer has its own zero test,
  // the tests share their messages.
  void check(std::vector<VecTriple> products, BatchInFlight& batch) {
    context_.bits.continue_random_bits();
    const Digest coin = party_.coin("leaky and/chi");
    const math::ChiStream stream(load_block(coin.data()));
    BlockVec values(num_layers_);
    std::vector<Block> chi(kStringKernelItems);
    for (size_t k = 0; k < num_layers_; ++k) {
      math::GfSum sum;
      for (size_t first = 0; first < items_; first += kStringKernelItems) {
        const size_t count = std::min(kStringKernelItems, items_ - first);
        const std::span<Block> here(chi.data(), count);
        stream.fill(k * items_ + first, here);
        accumulate(sum, here, std::span<const String>(sums_[k].data() + first, count));
      }
      values[k] = sum.value();
    }
    zero_test(context_, values.span(), std::move(products), batch, kLabel);
  }

  Context& context_;
  net::Party& party_;
  const Block& delta_;
  const size_t items_, num_layers_;
  const bool more_follow_;  // leaky ANDs of another call, next
  const std::function<void(size_t)>& tick_;
  AndStrings<String> strings_;
  uint64_t first_counter_ = 0;
  std::vector<AndTriples> layers_;
  std::vector<math::SecretVector<String>> sums_;  // S_i, then L_i, by layer
};

}  // namespace

std::vector<AndTriples> make_leaky_ands(Context& context, const TripleParameters& parameters,
                                        size_t num_layers, std::vector<VecTriple> products,
                                        BatchInFlight& batch, bool more_follow,
                                        const std::function<void(size_t)>& tick) {
  FLEXROOM_ASSERT(products.size() == num_layers);
  if (parameters.string_bits == 64) {
    return Maker<uint64_t>(context, parameters.batch, num_layers, more_follow, tick)
        .run(std::move(products), batch);
  }
  return Maker<Block>(context, parameters.batch, num_layers, more_follow, tick)
      .run(std::move(products), batch);
}

}  // namespace flexroom::prep
