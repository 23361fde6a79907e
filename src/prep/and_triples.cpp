#include "prep/and_triples.h"

#include <algorithm>
#include <memory>

#include "prep/leaky_ands.h"
#include "prep/open.h"

namespace flexroom::prep {
namespace {

// Layers that are made in the same flows are live together; larger batches go layer by layer.
constexpr size_t kMaxItemsTogether = size_t{1} << 18;

/// One layer against the accumulator: leaky item (t + shift) mod L meets item t, in two sequential
/// runs over t.
template <typename Visit>
void for_shifted(size_t items, size_t shift, Visit visit) {
  for (size_t t = 0; t < items - shift; ++t) visit(t, t + shift);
  for (size_t t = items - shift; t < items; ++t) visit(t, t + shift - items);
}

void add_shifted(BlockVec& out, const BlockVec& layer, size_t shift) {
  for_shifted(out.size(), shift, [&](size_t t, size_t s) { out[t] ^= layer[s]; });
}

/// The accumulator x, y, z of the batch and the fold of one more layer into it.
class Buckets {
 public:
  Buckets(Context& context, AndTriples first) : context_(context), sum_(std::move(first)) {}

  // d = y + y' of every layer, one opening a layer, all in one flow; checked before any use.
  void fold(std::vector<AndTriples> layers, std::span<const size_t> shifts) {
    const net::Party& party = context_.party;
    std::vector<std::unique_ptr<BitOpening>> openings;
    for (size_t k = 0; k < layers.size(); ++k) {
      mask_y(layers[k].y, shifts[k]);
      openings.push_back(std::make_unique<BitOpening>(context_.party, context_.bits.delta(),
                                                      layers[k].y, "and triples/bucket d"));
    }
    for (auto& opening : openings) opening->send_to_all();
    for (auto& opening : openings) opening->receive_from_all();
    for (size_t k = 0; k < layers.size(); ++k) {
      const std::vector<uint8_t> d = openings[k]->result();
      for (const PartyId j : party.peers()) {
        add_shifted(sum_.x.mac[j], layers[k].x.mac[j], shifts[k]);
        add_shifted(sum_.x.key[j], layers[k].x.key[j], shifts[k]);
        add_product(sum_.z.mac[j], layers[k].z.mac[j], layers[k].x.mac[j], d, shifts[k]);
        add_product(sum_.z.key[j], layers[k].z.key[j], layers[k].x.key[j], d, shifts[k]);
      }
    }
  }

  AndTriples take() { return std::move(sum_); }

 private:
  // y' := y' + y in place, in the layer's order; y' is not needed afterwards.
  void mask_y(AuthBits& layer_y, size_t shift) const {
    const auto add = [&](BlockVec& layer, const BlockVec& y) {
      for_shifted(y.size(), shift, [&](size_t t, size_t s) { layer[s] ^= y[t]; });
    };
    for (const PartyId j : context_.party.peers()) {
      add(layer_y.mac[j], sum_.y.mac[j]);
      add(layer_y.key[j], sum_.y.key[j]);
    }
  }

  // z += z' + d * x'
  static void add_product(BlockVec& out, const BlockVec& z, const BlockVec& x,
                          const std::vector<uint8_t>& d, size_t shift) {
    for_shifted(out.size(), shift,
                [&](size_t t, size_t s) { out[t] ^= z[s] ^ select(d[s] != 0, x[s]); });
  }

  Context& context_;
  AndTriples sum_;
};

// Uniform below L, a power of two, from the coin (§5.3; never from a transcript hash).
std::vector<size_t> shifts_from(const Digest& coin, const RoScope& scope, size_t count,
                                size_t batch) {
  std::vector<size_t> shifts;
  for (size_t k = 0; k < count; ++k) {
    const Block word = RandomOracle("shift", scope).field(coin).field(uint64_t{k}).block();
    shifts.push_back(static_cast<size_t>(word.lo) & (batch - 1));
  }
  return shifts;
}

}  // namespace

AndTriples make_and_triples(Context& context, const TripleParameters& parameters,
                            std::vector<VecTriple> products, bool more_follow,
                            const std::function<void(size_t)>& tick) {
  require_acceptable(parameters);
  const size_t num_layers = parameters.bucket_size;
  FLEXROOM_ASSERT(products.size() == num_layers);
  const size_t together = std::clamp<size_t>(kMaxItemsTogether / parameters.batch, 1, num_layers);

  BatchInFlight batch(context.safety);
  std::unique_ptr<Buckets> buckets;
  for (size_t first = 0; first < num_layers; first += together) {
    const size_t count = std::min(together, num_layers - first);
    std::vector<VecTriple> own;
    for (size_t k = 0; k < count; ++k) own.push_back(std::move(products[first + k]));
    const auto layer_tick = [&](size_t done) {
      if (tick) tick(first * parameters.batch + done);
    };
    const bool more = more_follow || first + count < num_layers;
    std::vector<AndTriples> layers =
        make_leaky_ands(context, parameters, count, std::move(own), batch, more, layer_tick);
    if (buckets == nullptr) {
      buckets = std::make_unique<Buckets>(context, std::move(layers[0]));
      layers.erase(layers.begin());
    }
    if (layers.empty()) continue;
    // Only now, after every layer concerned passed its check.
    const Digest coin = context.party.coin("and triples/shift");
    const std::vector<size_t> shifts =
        shifts_from(coin, context.party.scope(), layers.size(), parameters.batch);
    buckets->fold(std::move(layers), shifts);
  }
  batch.finished();
  return buckets->take();
}

}  // namespace flexroom::prep
