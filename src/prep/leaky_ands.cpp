#include "prep/leaky_ands.h"

#include <algorithm>
#include <cstring>

#include "math/gf128.h"
#include "math/secret_vector.h"
#include "prep/zero_test.h"

namespace flexroom::prep {
namespace {

constexpr size_t kMessageItems = size_t{1} << 13;  // strings in one message
constexpr size_t kKernelItems = 512;               // hashed at a time: stays in the L1 cache
constexpr size_t kBitsOfItem = 3;                  // x, y, r
constexpr std::string_view kLabel = "leaky and";

// --- Strings: the low w bits of blocks, as uint64_t (w = 64) or Block (w = 128) ----------------

template <typename String>
String truncate(const Block& block);
template <>
inline uint64_t truncate<uint64_t>(const Block& block) {
  return block.lo;
}
template <>
inline Block truncate<Block>(const Block& block) {
  return block;
}

inline uint64_t masked(uint64_t bit, uint64_t string) { return (0 - bit) & string; }
inline Block masked(uint64_t bit, const Block& string) { return Block(0 - bit, 0 - bit) & string; }

inline uint8_t bit1(uint64_t string) { return static_cast<uint8_t>((string >> 1) & 1); }
inline uint8_t bit1(const Block& string) { return bit1(string.lo); }

void accumulate(math::GfSum& sum, std::span<const Block> chi, std::span<const Block> strings) {
  math::gf_accumulate(sum, chi, strings);
}

// 128 x 64 bits: half the multiplications of the general product.
void accumulate(math::GfSum& sum, std::span<const Block> chi, std::span<const uint64_t> strings) {
  __m128i low = _mm_setzero_si128(), middle = _mm_setzero_si128();
  for (size_t t = 0; t < strings.size(); ++t) {
    const __m128i string = _mm_cvtsi64_si128(static_cast<long long>(strings[t]));
    low = _mm_xor_si128(low, _mm_clmulepi64_si128(chi[t].m(), string, 0x00));
    middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(chi[t].m(), string, 0x01));
  }
  sum.add_parts(low, middle, _mm_setzero_si128());
}

// --- The protocol -------------------------------------------------------------------------------

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
        messages_(party_.num_parties()) {}

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

  // Steps 1 to 3. The peers' strings are taken one message behind the own ones, so that both
  // directions flow and little is queued.
  void exchange_strings(size_t k) {
    size_t received = 0;
    for (size_t first = 0; first < items_; first += kMessageItems) {
      send_strings(k, first, std::min(kMessageItems, items_ - first));
      if (first > 0) {
        receive_strings(k, received, kMessageItems);
        received += kMessageItems;
      }
    }
    // The bits of the next layer are under way while this one waits for its last strings; those
    // of the next batch while this one waits for its openings and coins.
    if (k + 1 < num_layers_ || more_follow_) {
      context_.bits.begin_random_bits(kBitsOfItem * items_);
    }
    receive_strings(k, received, items_ - received);
  }

  void send_strings(size_t k, size_t first, size_t count) {
    for (const PartyId j : party_.peers()) messages_[j].resize(count * sizeof(String));
    for (size_t done = 0; done < count; done += kKernelItems) {
      const size_t here = std::min(kKernelItems, count - done);
      begin_sums(k, first + done, here);
      for (const PartyId j : party_.peers()) {
        mask_strings(k, j, first + done, here, messages_[j].data() + done * sizeof(String));
      }
    }
    for (const PartyId j : party_.peers()) party_.send(j, "leaky and/U", messages_[j]);
  }

  // Phi = y*Delta + sum_j (K[y^j] + M_j[y]), so that the sum over the parties is y * Delta.
  // S = x*Phi + r*Delta + sum_j (K[r^j] + M_j[r]) so far.
  void begin_sums(size_t k, size_t first, size_t count) {
    const AndTriples& layer = layers_[k];
    const PartyId any = layer.x.first_peer();
    const Block* x = layer.x.mac[any].data() + first;
    const Block* y = layer.y.mac[any].data() + first;
    const Block* r = layer.z.mac[any].data() + first;
    const String delta = truncate<String>(delta_);
    String* sum = sums_[k].data() + first;
    for (size_t t = 0; t < count; ++t) phi_[t] = masked(y[t].lo & 1, delta);
    for (const PartyId j : party_.peers()) add_keys_and_macs(phi_.data(), layer.y, j, first, count);
    for (size_t t = 0; t < count; ++t) {
      sum[t] = masked(x[t].lo & 1, phi_[t]) ^ masked(r[t].lo & 1, delta);
    }
    for (const PartyId j : party_.peers()) add_keys_and_macs(sum, layer.z, j, first, count);
  }

  static void add_keys_and_macs(String* out, const AuthBits& bits, PartyId j, size_t first,
                                size_t count) {
    const Block* key = bits.key[j].data() + first;
    const Block* mac = bits.mac[j].data() + first;
    for (size_t t = 0; t < count; ++t)
      out[t] ^= truncate<String>(key[t]) ^ truncate<String>(mac[t]);
  }

  // U = H(K[x^j]) + H(K[x^j] + Delta) + Phi; S += H(K[x^j]).
  void mask_strings(size_t k, PartyId j, size_t first, size_t count, uint8_t* out) {
    context_.bits.hash().hash2(tweak(party_.id(), j, k, first),
                               layers_[k].x.key[j].span().subspan(first, count), delta_,
                               pad0_.span().first(count), pad1_.span().first(count));
    String* sum = sums_[k].data() + first;
    for (size_t t = 0; t < count; ++t) {
      const String pad = truncate<String>(pad0_[t]);
      sum[t] ^= pad;
      const String u = pad ^ truncate<String>(pad1_[t]) ^ phi_[t];
      std::memcpy(out + t * sizeof(String), &u, sizeof(String));
    }
  }

  // S += H(M_j[x]) + x * U, with the sender's tweak.
  void receive_strings(size_t k, size_t first, size_t count) {
    for (const PartyId j : party_.peers()) {
      Bytes& message = messages_[j];  // what was sent in it has left
      message.resize(count * sizeof(String));
      party_.receive_into(j, "leaky and/U", message);
      for (size_t done = 0; done < count; done += kKernelItems) {
        const size_t here = std::min(kKernelItems, count - done);
        const std::span<const Block> macs = layers_[k].x.mac[j].span().subspan(first + done, here);
        context_.bits.hash().hash1(tweak(j, party_.id(), k, first + done), macs,
                                   pad0_.span().first(here));
        const uint8_t* in = message.data() + done * sizeof(String);
        String* sum = sums_[k].data() + first + done;
        for (size_t t = 0; t < here; ++t) {
          String u;
          std::memcpy(&u, in + t * sizeof(String), sizeof(String));
          sum[t] ^= truncate<String>(pad0_[t]) ^ masked(macs[t].lo & 1, u);
        }
      }
    }
  }

  Block tweak(PartyId sender, PartyId receiver, size_t k, size_t item) const {
    return math::hash_tweak(math::HashDomain::kLeakyAnd, sender, receiver,
                            first_counter_ + k * items_ + item);
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
        const uint8_t* in = packed.data() + k * layer_bytes;
        for (size_t t = 0; t < items_; ++t) {
          d[t] = static_cast<uint8_t>(d[t] ^ ((in[t / 8] >> (t % 8)) & 1));
        }
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
    std::vector<Block> chi(kKernelItems);
    for (size_t k = 0; k < num_layers_; ++k) {
      math::GfSum sum;
      for (size_t first = 0; first < items_; first += kKernelItems) {
        const size_t count = std::min(kKernelItems, items_ - first);
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
  std::vector<Bytes> messages_;  // by peer
  uint64_t first_counter_ = 0;
  std::vector<AndTriples> layers_;
  std::vector<math::SecretVector<String>> sums_;  // S_i, then L_i, by layer
  math::SecretVector<String> phi_ = math::SecretVector<String>(kKernelItems);
  BlockVec pad0_ = BlockVec(kKernelItems), pad1_ = BlockVec(kKernelItems);
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
