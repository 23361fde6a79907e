#include "prep/masking_key.h"

#include "math/gf128.h"
#include "prep/field_ops.h"
#include "prep/open.h"

namespace flexroom::prep {
namespace {

constexpr size_t kFieldBits = 128;
constexpr size_t kTuples = 2;  // h = 0 is sacrificed

/// The two inner products of §2.4 before their check.
class Maker {
 public:
  Maker(Context& context, const AuthBits& key)
      : context_(context), party_(context.party), key_(key), key_bits_(key.size()) {}

  /// Step 1: aBit(all); [h][q], then [h].
  void draw_bits() {
    beta_ = pack(context_.bits.random_bits(kTuples * key_bits_ * kFieldBits));
    rho_ = context_.bits.random_bits(kTuples * kFieldBits);
  }

  /// Step 2: u = H(K[G_q]) + H(K[G_q] + Delta) + beta_{h,q}; the choice bits are the authenticated
  /// bits of the key, so that a chooser cannot use others.
  void transfer() {
    counter_ = Context::reserve(context_.key_tuple_counter, kTuples * key_bits_);
    const size_t count = kTuples * key_bits_;
    BlockVec pad0(count), u(count);
    for (const PartyId j : party_.peers()) {
      const BlockVec keys = twice(key_.key[j]);
      context_.bits.hash().hash2(tweak(party_.id(), j), keys.span(), context_.bits.delta(),
                                 pad0.span(), u.span());
      for (size_t q = 0; q < count; ++q) {
        u[q] ^= pad0[q] ^ beta_.share[q];
        shares_[q / key_bits_] ^= pad0[q];
      }
      net::send_blocks(party_, j, "key tuple/u", u.span());
    }
    for (const PartyId j : party_.peers()) {
      const BlockVec macs = twice(key_.mac[j]);
      net::receive_blocks(party_, j, "key tuple/u", u.span());
      context_.bits.hash().hash1(tweak(j, party_.id()), macs.span(), pad0.span());
      for (size_t q = 0; q < count; ++q) {
        shares_[q / key_bits_] ^= pad0[q] ^ select(macs[q].lsb(), u[q]);
      }
    }
  }

  /// Step 3: [[c_h]] = pack(rho_h) + sum_i g^i_h.
  void authenticate() {
    c_ = pack(rho_);
    BlockVec masked(kTuples);
    const BlockVec& own = key_.mac[key_.first_peer()];
    for (size_t h = 0; h < kTuples; ++h) {
      masked[h] = shares_[h] ^ c_.share[h];
      for (size_t q = 0; q < key_bits_; ++q) {
        masked[h] ^= select(own[q].lsb(), beta_.share[h * key_bits_ + q]);
      }
    }
    party_.broadcast("key tuple/g", masked.bytes());
    eta_.commit();
    for (size_t h = 0; h < kTuples; ++h) g_[h] = masked[h];
    for (const PartyId j : party_.peers()) {
      const Bytes g = party_.receive_broadcast(j, "key tuple/g", kTuples * sizeof(Block));
      for (size_t h = 0; h < kTuples; ++h) g_[h] ^= load_block(g.data() + 16 * h);
    }
    eta_.receive_commitments();
    add_constants(c_, g_, context_.bits.delta());
  }

  /// Step 4. The coin's echo covers g (n > 2). Counts before the own share of v leaves.
  void check(BatchInFlight& count) {
    const Block& delta = context_.bits.delta();
    Block eta;
    math::ChiStream(load_block(eta_.toss().data())).fill(0, {&eta, 1});
    AuthField o = kept_beta();
    scale(o, std::vector<Block>(key_bits_, eta));
    add(o, beta_.slice(0, key_bits_));
    const std::vector<Block> opened = open_field(party_, delta, o, "key tuple/o");
    AuthField v = combine(key_, opened);
    const Block weights[kTuples] = {Block(0, 1), eta};
    add(v, combine(c_, weights));
    count.before_verdict();
    const Block value = open_field(party_, delta, v, "key tuple/v")[0];
    Verdict verdict(&context_.safety);
    if (value != Block()) {
      throw ProtocolAbort(AbortCode::kSacrifice, "key tuple", "a member deviated in this batch");
    }
    verdict.passed();
  }

  AuthField kept_beta() const { return beta_.slice(key_bits_, key_bits_); }
  AuthBits kept_rho() const { return rho_.slice(kFieldBits, kFieldBits); }
  Block kept_g() const { return g_[1]; }

 private:
  static BlockVec twice(const BlockVec& blocks) {
    BlockVec out(kTuples * blocks.size());
    for (size_t q = 0; q < out.size(); ++q) out[q] = blocks[q % blocks.size()];
    return out;
  }

  Block tweak(PartyId sender, PartyId chooser) const {
    return math::hash_tweak(math::HashDomain::kKeyTuple, sender, chooser, counter_);
  }

  Context& context_;
  net::Party& party_;
  const AuthBits& key_;
  const size_t key_bits_;
  uint64_t counter_ = 0;
  AuthField beta_;  // [h][q]
  AuthBits rho_;
  AuthField c_;
  BlockVec shares_ = BlockVec(kTuples);  // of the cross terms
  std::vector<Block> g_ = std::vector<Block>(kTuples);
  net::Coin eta_{context_.party, "key tuple/eta"};
};

}  // namespace

TupledKey TupledKey::make(Context& context, KeyedBits bits) {
  FLEXROOM_ASSERT(bits.key_bits() == 64 || bits.key_bits() == 128);  // not moved from
  FLEXROOM_ASSERT(bits.psi().size() == bits.size() * (bits.key_bits() / 64));
  auto count = std::make_unique<BatchInFlight>(context.safety);
  Maker maker(context, bits.key());
  maker.draw_bits();
  maker.transfer();
  maker.authenticate();
  maker.check(*count);
  AuthField beta = maker.kept_beta();
  AuthBits rho = maker.kept_rho();
  const Block g = maker.kept_g();
  return TupledKey(std::move(bits), std::move(beta), std::move(rho), g, std::move(count));
}

void TupledKey::commit_coin(Context& context) {
  FLEXROOM_ASSERT(count_ != nullptr && coin_ == nullptr);  // not moved from; one coin
  coin_ = std::make_unique<net::Coin>(context.party, "masked and/h");
  coin_->commit();
}

void TupledKey::receive_commitments() {
  FLEXROOM_ASSERT(coin_ != nullptr);
  coin_->receive_commitments();
}

TossedKey TupledKey::toss() && {
  FLEXROOM_ASSERT(count_ != nullptr && count_->counted() && coin_ != nullptr);  // Q4
  const size_t bytes = bits_.size() * bits_.key_bits() / 8;
  const math::ChiStream stream(load_block(std::exchange(coin_, nullptr)->toss().data()));
  std::vector<Block> blocks((bytes + sizeof(Block) - 1) / sizeof(Block));
  stream.fill(0, blocks);
  const auto* const raw = reinterpret_cast<const uint8_t*>(blocks.data());
  return {std::move(bits_.key_),   std::move(bits_.y_), std::move(bits_.psi_),
          std::move(beta_),        std::move(rho_),     g_,
          Bytes(raw, raw + bytes), std::move(count_)};
}

AuthBits TossedKey::finish() && {
  FLEXROOM_ASSERT(count_ != nullptr);  // not moved from
  std::exchange(count_, nullptr)->finished();
  TossedKey last(std::move(*this));
  return std::move(last.y_);
}

}  // namespace flexroom::prep
