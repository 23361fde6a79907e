#include "support/dealer.h"

#include <any>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/prg.h"

namespace flexroom::support {
namespace {

using prep::AndTriples;
using prep::AuthBits;
using prep::AuthField;
using prep::Powers;
using prep::VecTriple;

// Bit by bit and on purpose not math/gf128: the dealer is what math/ and prep/ are compared with.
Block times_x(const Block& a) {
  const uint64_t carry = a.hi >> 63;
  return {(a.hi << 1) | (a.lo >> 63), (a.lo << 1) ^ (carry * 0x87)};
}

Block multiply(const Block& a, Block b) {
  Block sum;
  for (unsigned t = 0; t < 128; ++t) {
    sum ^= select(a.bit(t), b);
    b = times_x(b);
  }
  return sum;
}

using Bits = std::vector<uint8_t>;

}  // namespace

/// One call that all its callers make with equal arguments; `parts[i]` waits for party i.
struct Call {
  std::string arguments;
  std::vector<std::any> parts;
  size_t taken = 0;
};

struct Dealer::State {
  State(size_t n, uint64_t dealer_seed)
      : num_parties(n), seed(dealer_seed), prg(Block(seed, 0)), deltas(n) {
    for (PartyId i = 0; i < n; ++i) {
      deltas[i] = prg.next_block();
      deltas[i].set_bit(0, true);
      deltas[i].set_bit(1, i == 0);
    }
  }

  /// Authenticates shares[i][t] of every party i towards every peer; an empty shares[i] makes the
  /// bits of party i zero without macs and keys.
  std::vector<AuthBits> authenticate(const std::vector<Bits>& shares, size_t count, Prg& random) {
    std::vector<AuthBits> out;
    for (PartyId i = 0; i < num_parties; ++i) out.emplace_back(i, num_parties, count);
    for (PartyId i = 0; i < num_parties; ++i) {
      if (shares[i].empty()) continue;
      for (PartyId j = 0; j < num_parties; ++j) {
        if (j == i) continue;
        random.fill(out[j].key[i].span());
        for (size_t t = 0; t < count; ++t) {
          out[j].key[i][t].set_bit(0, false);
          out[j].key[i][t].set_bit(1, false);
          out[i].mac[j][t] = out[j].key[i][t] ^ select(shares[i][t] != 0, deltas[j]);
        }
      }
    }
    return out;
  }

  std::vector<AuthField> authenticate_field(const std::vector<std::vector<Block>>& shares,
                                            size_t count) {
    std::vector<AuthField> out;
    for (PartyId i = 0; i < num_parties; ++i) out.emplace_back(i, num_parties, count);
    for (PartyId i = 0; i < num_parties; ++i) {
      for (size_t t = 0; t < count; ++t) out[i].share[t] = shares[i][t];
      for (PartyId j = 0; j < num_parties; ++j) {
        if (j == i) continue;
        prg.fill(out[j].key[i].span());
        for (size_t t = 0; t < count; ++t) {
          out[i].mac[j][t] = out[j].key[i][t] ^ multiply(shares[i][t], deltas[j]);
        }
      }
    }
    return out;
  }

  Bits random_bit_vector(size_t count, Prg& random) {
    Bits bits(count);
    random.fill(std::span<uint8_t>(bits));
    for (uint8_t& bit : bits) bit &= 1;
    return bits;
  }

  std::vector<Bits> random_shares(size_t count) {
    std::vector<Bits> shares(num_parties);
    for (auto& share : shares) share = random_bit_vector(count, prg);
    return shares;
  }

  /// Random shares of given bits.
  std::vector<Bits> shares_of(const Bits& secret, Prg& random) {
    std::vector<Bits> shares(num_parties);
    shares[0] = secret;
    for (PartyId i = 1; i < num_parties; ++i) {
      shares[i] = random_bit_vector(secret.size(), random);
      for (size_t t = 0; t < secret.size(); ++t) shares[0][t] ^= shares[i][t];
    }
    return shares;
  }

  std::vector<std::vector<Block>> field_shares_of(const std::vector<Block>& secret) {
    std::vector<std::vector<Block>> shares(num_parties, std::vector<Block>(secret.size()));
    shares[0] = secret;
    for (PartyId i = 1; i < num_parties; ++i) {
      prg.fill(std::span<Block>(shares[i]));
      for (size_t t = 0; t < secret.size(); ++t) shares[0][t] ^= shares[i][t];
    }
    return shares;
  }

  std::vector<Block> random_field(size_t count) {
    std::vector<Block> values(count);
    prg.fill(std::span<Block>(values));
    return values;
  }

  /// Party `party`'s part of the call that follows its last one on `stream`. The first caller's
  /// `make` makes everybody's parts; equal arguments are asserted; a call that all `callers` took
  /// is forgotten.
  template <typename Part, typename Make>
  Part take(PartyId party, const std::string& stream, size_t callers, const std::string& arguments,
            Make make) {
    const std::lock_guard lock(mutex);
    const std::pair<std::string, size_t> id(stream, next_call[{stream, party}]++);
    auto found = calls.find(id);
    if (found == calls.end()) {
      Call call;
      call.arguments = arguments;
      call.parts.resize(num_parties);
      std::vector<Part> parts = make();
      for (PartyId i = 0; i < num_parties; ++i) {
        call.parts[i] = std::make_shared<Part>(std::move(parts[i]));
      }
      found = calls.emplace(id, std::move(call)).first;
    }
    Call& call = found->second;
    FLEXROOM_ASSERT(call.arguments == arguments);
    Part part = std::move(*std::any_cast<std::shared_ptr<Part>&>(call.parts[party]));
    call.parts[party].reset();
    if (++call.taken == callers) calls.erase(found);
    return part;
  }

  const size_t num_parties;
  const uint64_t seed;
  std::mutex mutex;
  Prg prg;
  std::vector<Block> deltas;
  std::map<std::pair<std::string, PartyId>, size_t> next_call;
  std::map<std::pair<std::string, size_t>, Call> calls;
  std::vector<std::unique_ptr<prep::Source>> sources;
};

// --- One party's view -------------------------------------------------------------------------

class DealerSource : public prep::Source {
 public:
  DealerSource(Dealer::State& state, PartyId self) : state_(state), self_(self) {}

  const Block& delta() const override { return state_.deltas[self_]; }

  AuthBits random_bits(size_t count) override {
    return take<AuthBits>("random_bits " + std::to_string(count), [&] {
      return state_.authenticate(state_.random_shares(count), count, state_.prg);
    });
  }

  AuthBits owned_bits(PartyId owner, size_t count) override {
    return take<AuthBits>(owned("owned_bits", owner, count), [&] {
      std::vector<Bits> shares(state_.num_parties);
      shares[owner] = state_.random_bit_vector(count, state_.prg);
      return state_.authenticate(shares, count, state_.prg);
    });
  }

  AuthBits owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) override {
    FLEXROOM_ASSERT(self_ != owner || bits.size() == count);
    // The owner's bits need not be known when another party asks first: its part is made with
    // zeros, whose macs are the keys, and corrected when the owner itself comes.
    AuthBits part = take<AuthBits>(owned("owned_bits_of", owner, count), [&] {
      std::vector<Bits> shares(state_.num_parties);
      shares[owner].assign(count, 0);
      return state_.authenticate(shares, count, state_.prg);
    });
    if (self_ == owner) {
      for (PartyId j = 0; j < state_.num_parties; ++j) {
        if (j == self_) continue;
        for (size_t t = 0; t < count; ++t) {
          part.mac[j][t] ^= select(bits[t] != 0, state_.deltas[j]);
        }
      }
    }
    return part;
  }

  AndTriples and_triples(size_t count) override {
    return take<AndTriples>("and_triples " + std::to_string(count), [&] {
      Bits x(count), y(count), z(count);
      const auto x_shares = state_.random_shares(count), y_shares = state_.random_shares(count);
      for (PartyId i = 0; i < state_.num_parties; ++i) {
        for (size_t t = 0; t < count; ++t) {
          x[t] ^= x_shares[i][t];
          y[t] ^= y_shares[i][t];
        }
      }
      for (size_t t = 0; t < count; ++t) z[t] = x[t] & y[t];
      auto xs = state_.authenticate(x_shares, count, state_.prg);
      auto ys = state_.authenticate(y_shares, count, state_.prg);
      auto zs = state_.authenticate(state_.shares_of(z, state_.prg), count, state_.prg);
      std::vector<AndTriples> parts(state_.num_parties);
      for (PartyId i = 0; i < state_.num_parties; ++i) {
        parts[i].x = std::move(xs[i]);
        parts[i].y = std::move(ys[i]);
        parts[i].z = std::move(zs[i]);
      }
      return parts;
    });
  }

  VecTriple vec_triple(size_t count) override {
    return take<VecTriple>("vec_triple " + std::to_string(count), [&] {
      const std::vector<Block> b = state_.random_field(1), a = state_.random_field(count);
      std::vector<Block> c(count);
      for (size_t h = 0; h < count; ++h) c[h] = multiply(a[h], b[0]);
      auto bs = state_.authenticate_field(state_.field_shares_of(b), 1);
      auto as = state_.authenticate_field(state_.field_shares_of(a), count);
      auto cs = state_.authenticate_field(state_.field_shares_of(c), count);
      std::vector<VecTriple> parts(state_.num_parties);
      for (PartyId i = 0; i < state_.num_parties; ++i) {
        parts[i].b = std::move(bs[i]);
        parts[i].a = std::move(as[i]);
        parts[i].c = std::move(cs[i]);
      }
      return parts;
    });
  }

  Powers powers(size_t max_power) override {
    return take<Powers>("powers " + std::to_string(max_power),
                        [&] { return make_powers(max_power); });
  }

  RotSender rot_send(PartyId receiver, size_t count) override {
    const Rot rot = take_rot(self_, receiver, count);
    return {rot.seed0->clone(), rot.seed1->clone()};
  }

  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override {
    FLEXROOM_ASSERT(choices.empty() || choices.size() == count);
    const Rot rot = take_rot(sender, self_, count);
    RotReceiver out{rot.choice, BlockVec(count)};
    if (!choices.empty()) out.choice.assign(choices.begin(), choices.end());
    for (size_t t = 0; t < count; ++t) {
      out.seed[t] = out.choice[t] != 0 ? (*rot.seed1)[t] : (*rot.seed0)[t];
    }
    return out;
  }

 private:
  struct Rot {
    std::shared_ptr<BlockVec> seed0, seed1;
    Bits choice;
  };

  static std::string owned(const char* what, PartyId owner, size_t count) {
    return std::string(what) + " " + std::to_string(owner) + " " + std::to_string(count);
  }

  template <typename Part, typename Make>
  Part take(const std::string& arguments, Make make) {
    return state_.take<Part>(self_, "all", state_.num_parties, arguments, make);
  }

  Rot take_rot(PartyId sender, PartyId receiver, size_t count) {
    FLEXROOM_ASSERT(sender != receiver && sender < state_.num_parties &&
                    receiver < state_.num_parties);
    const std::string pair = "rot " + std::to_string(sender) + " " + std::to_string(receiver);
    return state_.take<Rot>(self_, pair, 2, std::to_string(count), [&] {
      Rot rot{std::make_shared<BlockVec>(count), std::make_shared<BlockVec>(count),
              state_.random_bit_vector(count, state_.prg)};
      state_.prg.fill(rot.seed0->span());
      state_.prg.fill(rot.seed1->span());
      return std::vector<Rot>(state_.num_parties, rot);
    });
  }

  std::vector<Powers> make_powers(size_t max_power) {
    const auto r_shares = state_.random_shares(128);
    std::vector<Block> powers(max_power + 1);
    std::vector<std::vector<Block>> r_packed(state_.num_parties, std::vector<Block>(1));
    Block r;
    for (PartyId i = 0; i < state_.num_parties; ++i) {
      for (unsigned q = 0; q < 128; ++q) r_packed[i][0].set_bit(q, r_shares[i][q] != 0);
      r ^= r_packed[i][0];
    }
    powers[0] = Block(0, 1);
    for (size_t j = 1; j <= max_power; ++j) powers[j] = multiply(powers[j - 1], r);
    auto shares = state_.field_shares_of(powers);
    auto bits = state_.authenticate(r_shares, 128, state_.prg);
    for (PartyId i = 0; i < state_.num_parties && max_power >= 1; ++i)
      shares[i][1] = r_packed[i][0];
    auto fields = state_.authenticate_field(shares, max_power + 1);
    std::vector<Powers> parts(state_.num_parties);
    for (PartyId i = 0; i < state_.num_parties; ++i) {
      parts[i].powers = std::move(fields[i]);
      parts[i].r_bits = std::move(bits[i]);
    }
    return parts;
  }

  Dealer::State& state_;
  const PartyId self_;
};

// --- The dealer -------------------------------------------------------------------------------

Dealer::Dealer(size_t num_parties, uint64_t seed)
    : state_(std::make_unique<State>(num_parties, seed)) {
  for (PartyId i = 0; i < num_parties; ++i) {
    state_->sources.push_back(std::make_unique<DealerSource>(*state_, i));
  }
}

Dealer::~Dealer() = default;

prep::Source& Dealer::source(PartyId party) { return *state_->sources.at(party); }

Block Dealer::delta(PartyId party) const { return state_->deltas.at(party); }

AuthBits Dealer::share_bits(PartyId party, uint64_t id, const std::vector<uint8_t>& bits) {
  Bits secret = bits;
  for (uint8_t& bit : secret) bit &= 1;
  // A function of (seed, id, bits) alone: every party gets its part of the same sharing, whenever
  // and how often it asks.
  Prg random(Block(state_->seed, id + 1));
  auto parts = state_->authenticate(state_->shares_of(secret, random), bits.size(), random);
  return std::move(parts.at(party));
}

}  // namespace flexroom::support
