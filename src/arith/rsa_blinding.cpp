#include "arith/rsa_blinding.h"

#include "arith/coefficients.h"
#include "arith/open.h"
#include "base/ct.h"

namespace flexroom::arith {
namespace {

constexpr std::string_view kCommitLabel = "arith/rsa/commit";
constexpr std::string_view kOpenLabel = "arith/rsa/open";

/// Elements of one party in the first input.
enum Slot : size_t { kFactor, kMask };

template <typename F>
typename F::Integer integer_of(ByteView modulus) {
  FLEXROOM_ASSERT(modulus.size() == F::kBytes);
  typename F::Integer out{};
  for (size_t k = 0; k < F::kBytes; ++k) {
    out[k / 8] |= uint64_t{modulus[F::kBytes - 1 - k]} << (8 * (k % 8));
  }
  return out;
}

template <typename F>
Bytes bytes_of(const F& v) {
  Bytes out;
  v.append_be(out);
  return out;
}

template <typename F>
std::optional<F> inverse_vartime(const RsaPublicKey& key, const F& v) {
  const auto inverse = key.inverse_vartime(bytes_of(v));
  if (!inverse) return std::nullopt;
  return F::from_bytes_be(std::span<const uint8_t, F::kBytes>(inverse->data(), F::kBytes));
}

}  // namespace

template <typename F>
BlindingWitness<F> BlindingWitness<F>::random(Prg& prg, const RsaPublicKey& key) {
  BlindingWitness w;
  w.mask = MaskWitness<F>::random(prg);
  do {
    w.factor = F::uniform(prg);
    w.power = w.factor.pow_65537();
    // What is looked at in variable time is either published or thrown away.
  } while (!key.inverse_vartime(bytes_of(w.power)));
  return w;
}

template <typename F>
struct RsaBlindingOver<F>::State {
  std::vector<MaskWitness<F>> masks;  // this party's one; read by `edabits`
  F factor, power;
  std::optional<Cope<F>> cope;
  std::optional<PrivateEdaBits<F>> edabits;
  std::optional<PrivateInput<F>> first, second;
  std::optional<TripleBatch<F>> triple_batch;
  std::optional<TripleStock<F>> stock;
  AuthValue<F> product;  // of all r_i
  F inverse_powers;      // prod s_i^-1
  ~State() { wipe(&factor, sizeof(F)); }
};

template <typename F>
class RsaBlindingOver<F>::Step {
 public:
  explicit Step(RsaBlindingOver& of)
      : of_(of), csid_(of.party_, of.attempt_), modulus_(of.modulus_) {}
  ~Step() {
    if (!ended_well_) of_.state_.reset();
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  void done() { ended_well_ = true; }

 private:
  RsaBlindingOver& of_;
  const ScopeGuard csid_;
  const typename F::Scope modulus_;
  bool ended_well_ = false;
};

template <typename F>
RsaBlindingOver<F>::RsaBlindingOver(net::Party& party, prep::Source& source,
                                    const RsaPublicKey& key, const Digest& attempt,
                                    const Choose& choose)
    : party_(party),
      key_(key),
      attempt_(attempt),
      modulus_(integer_of<F>(key.modulus())),
      state_(std::make_unique<State>()) {
  Step step(*this);
  BlindingWitness<F> own = choose(party.prg(), key);
  state_->masks = {own.mask};
  state_->factor = own.factor;
  state_->power = own.power;
  authenticate(source);
  exchange_integers_and_check();
  multiply_factors();
  step.done();
}

template <typename F>
RsaBlindingOver<F>::~RsaBlindingOver() = default;

// Stages 1 and 2 of §1.11.
template <typename F>
void RsaBlindingOver<F>::authenticate(prep::Source& source) {
  State& s = *state_;
  s.cope.emplace(party_, source);
  s.edabits.emplace(party_, source, s.masks);
  math::SecretVector<F> own;
  own.reserve(2 + PrivateEdaBits<F>::kElementsPerMask);
  own.push_back(s.factor);
  s.edabits->append_elements(0, own);
  s.first.emplace(party_, *s.cope, own, "arith/rsa/stage 1");
  s.triple_batch.emplace(party_, source, party_.num_parties());
}

// Stages 3 to 6: no value that a party sends after a coin is a claim of a check with that coin.
template <typename F>
void RsaBlindingOver<F>::exchange_integers_and_check() {
  State& s = *state_;
  const Digest coin1 = party_.coin("arith/coin 1");
  s.first->check(coin1);
  math::SecretVector<F> own;
  s.triple_batch->append_elements(coin1, own);
  s.second.emplace(party_, *s.cope, own, "arith/rsa/stage 4");
  s.edabits->exchange_integers(coin1);
  party_.echo("arith/rsa/stage 4");

  const Digest coin2 = party_.coin("arith/coin 2");
  s.second->check(coin2);
  s.edabits->check(s.cope->gamma(), coin2, [&](PartyId owner, size_t) {
    return std::span<const AuthValue<F>>(&s.first->values()[owner][kMask],
                                         PrivateEdaBits<F>::kElementsPerMask);
  });
  party_.echo("arith/rsa/stage 6");
  const auto& by_owner = s.second->values();
  Values<F> sums = by_owner[0];
  for (size_t i = 1; i < by_owner.size(); ++i) {
    for (size_t l = 0; l < sums.size(); ++l) sums[l] += by_owner[i][l];
  }
  s.stock.emplace(s.triple_batch->sacrifice(s.cope->gamma(), coin2, sums));
}

template <typename F>
AuthValue<F> RsaBlindingOver<F>::shared(size_t slot) const {
  AuthValue<F> sum = state_->first->values()[0][slot];
  for (PartyId i = 1; i < party_.num_parties(); ++i) sum += state_->first->values()[i][slot];
  return sum;
}

template <typename F>
void RsaBlindingOver<F>::multiply_factors() {
  State& s = *state_;
  s.product = s.first->values()[0][kFactor];
  for (PartyId i = 1; i < party_.num_parties(); ++i) {
    const std::vector<Factors<F>> pair = {{s.product, s.first->values()[i][kFactor]}};
    s.product = multiply<F>(party_, s.cope->gamma(), pair, *s.stock, "arith/rsa/factors")[0];
  }
}

template <typename F>
prep::AuthBits RsaBlindingOver<F>::mask_bits(PartyId owner) const {
  FLEXROOM_ASSERT(state_ != nullptr);
  return state_->edabits->rho_bits(owner, 0);
}

template <typename F>
void RsaBlindingOver<F>::publish_powers() {
  FLEXROOM_ASSERT(state_ != nullptr && stage_ == Stage::kPrepared);
  stage_ = Stage::kPublished;
  Step step(*this);
  const uint64_t counter = party_.next_counter("com rsa power");
  Bytes own(32);  // nonce, then s_i
  party_.prg().fill(std::span<uint8_t>(own));
  state_->power.append_be(own);
  const auto commitment = [&](PartyId i, ByteView bytes) {
    return RandomOracle("com", party_.scope(), counter, i)
        .field(kCommitLabel)
        .field(bytes.subspan(32))
        .field(bytes.first(32))
        .digest();
  };
  const auto commitments = party_.exchange(kCommitLabel, commitment(party_.id(), own));
  party_.echo(kCommitLabel);
  const auto openings = party_.exchange(kOpenLabel, own);
  party_.echo(kOpenLabel);

  state_->inverse_powers = F::one();
  for (PartyId i = 0; i < party_.num_parties(); ++i) {
    if (!ct_equal(commitments[i], commitment(i, openings[i]))) {
      throw ProtocolAbort(AbortCode::kFpKeyShare, kOpenLabel,
                          "the power of a factor is not the one committed to", i);
    }
    const F power = parse_elements<F>(ByteView(openings[i]).subspan(32), kOpenLabel, i)[0];
    const auto inverse = inverse_vartime(key_, power);
    if (!inverse) {
      throw ProtocolAbort(AbortCode::kFpRange, kOpenLabel,
                          "the power of a factor is no unit modulo the key", i);
    }
    state_->inverse_powers *= *inverse;
  }
  step.done();
}

template <typename F>
Bytes RsaBlindingOver<F>::encrypt(ByteView c) {
  FLEXROOM_ASSERT(state_ != nullptr && stage_ == Stage::kPublished && c.size() == F::kBytes);
  stage_ = Stage::kSpent;
  Step step(*this);  // never done(): nothing is left to use
  State& s = *state_;
  const auto masked = F::from_bytes_be(std::span<const uint8_t, F::kBytes>(c.data(), F::kBytes));
  FLEXROOM_ASSERT(masked.has_value());  // the circuit reduces, and the masks are proved below N
  AuthValue<F> block = shared(kMask) * -F::one();
  block.add_constant(*masked, party_.id(), s.cope->gamma());
  const std::vector<Factors<F>> pair = {{block, s.product}};
  const Values<F> blinded = multiply<F>(party_, s.cope->gamma(), pair, *s.stock, "arith/rsa/block");
  FLEXROOM_ASSERT(s.stock->empty());
  const F w = open_values<F>(party_, s.cope->gamma(), blinded, "arith/rsa/w")[0];
  if (!key_.inverse_vartime(bytes_of(w))) {
    throw ProtocolAbort(
        AbortCode::kFpRange, "arith/rsa/w",
        "the blinded block is no unit modulo the key: a member's factor is none, or "
        "the service's key has small factors");
  }
  return bytes_of(w.pow_65537() * s.inverse_powers);
}

std::unique_ptr<RsaBlinding> RsaBlinding::make(net::Party& party, prep::Source& source,
                                               const RsaPublicKey& key, const Digest& attempt) {
  switch (key.bits()) {
    case 2048:
      return std::make_unique<RsaBlindingOver<math::Z2048>>(party, source, key, attempt);
    case 3072:
      return std::make_unique<RsaBlindingOver<math::Z3072>>(party, source, key, attempt);
    default:
      FLEXROOM_ASSERT(key.bits() == 4096);
      return std::make_unique<RsaBlindingOver<math::Z4096>>(party, source, key, attempt);
  }
}

#define FLEXROOM_INSTANTIATE_BLINDING(F) \
  template struct BlindingWitness<F>;    \
  template class RsaBlindingOver<F>;
FLEXROOM_INSTANTIATE_BLINDING(math::Z2048)
FLEXROOM_INSTANTIATE_BLINDING(math::Z3072)
FLEXROOM_INSTANTIATE_BLINDING(math::Z4096)

}  // namespace flexroom::arith
