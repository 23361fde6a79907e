#include "arith/token_batch.h"

#include "arith/coefficients.h"
#include "arith/open.h"

namespace flexroom::arith {

template <typename G>
TokenWitness<G> TokenWitness<G>::random(net::Party& party, const Digest& token_id) {
  Prg& prg = party.prg();
  TokenWitness t;
  t.k = G::Scalar::random_nonzero(prg);
  t.key_proof = KeyContribution<G>::prove(party, token_id, t.k);
  math::Wiped<typename G::Scalar> factor(G::Scalar::random_nonzero(prg));
  t.mask = math::multiply<G>(factor.value, math::generator<G>());
  t.x = t.mask.x;
  t.y = t.mask.y;
  t.w = t.mask.x.square();
  t.r = F::random(prg);
  for (size_t l = 1; l < party.num_parties(); ++l) t.shields.push_back(F::random(prg));
  t.eda = MaskWitness<F>::random(prg);
  return t;
}

template <typename G>
TokenBatch<G>::TokenBatch(net::Party& party, prep::Source& source, Cope<F>& cope,
                          std::vector<Digest> ids, std::vector<TokenWitness<G>> witnesses)
    : party_(party),
      source_(source),
      cope_(cope),
      ids_(std::move(ids)),
      witnesses_(std::move(witnesses)) {
  FLEXROOM_ASSERT(ids_.size() == witnesses_.size() && !ids_.empty());
  for (const auto& w : witnesses_) eda_witnesses_.push_back(w.eda);
}

template <typename G>
std::vector<Token> TokenBatch<G>::run() {
  std::vector<KeyContribution<G>> own;
  for (const auto& w : witnesses_) own.push_back(w.key_proof);
  keys_ = exchange_key_shares<G>(party_, ids_, own);

  authenticate_choices();                                                     // stage 1
  triple_batch_.emplace(party_, source_, ids_.size() * triples_per_token());  // stage 2
  const Digest coin1 = party_.coin("arith/coin 1");                           // stage 3
  second_stage(coin1);                                                        // stages 3, 4
  const Digest coin2 = party_.coin("arith/coin 2");                           // stage 5
  check_all(coin2);                                                           // stage 6
  add_points();                                                               // stage 7
  make_monomials();
  return finish();
}

template <typename G>
void TokenBatch<G>::authenticate_choices() {
  edabits_.emplace(party_, source_, eda_witnesses_);
  math::SecretVector<F> own;
  own.reserve(witnesses_.size() * slots() + party_.num_parties());
  for (size_t m = 0; m < witnesses_.size(); ++m) {
    const TokenWitness<G>& t = witnesses_[m];
    for (const F& v : {t.x, t.y, t.w, t.r}) own.push_back(v);
    edabits_->append_elements(m, own);
    own.insert(own.end(), t.shields.begin(), t.shields.end());
  }
  // Proof masks of this party, one for every verifier.
  for (size_t l = 1; l < party_.num_parties(); ++l) own.push_back(F::random(party_.prg()));
  first_.emplace(party_, cope_, own, "arith/stage 1");
}

template <typename G>
void TokenBatch<G>::second_stage(const Digest& coin1) {
  first_->check(coin1);
  math::SecretVector<F> own;
  triple_batch_->append_elements(coin1, own);
  second_.emplace(party_, cope_, own, "arith/stage 4");
  edabits_->exchange_integers(coin1);
  // Before coin 2: claims of the first input and all integers are the same at everybody.
  party_.echo("arith/stage 4");
}

template <typename G>
void TokenBatch<G>::check_all(const Digest& coin2) {
  second_->check(coin2);
  const F& gamma = cope_.gamma();
  edabits_->check(gamma, coin2, [&](PartyId owner, size_t m) {
    return std::span<const AuthValue<F>>(&element(owner, m, kEda),
                                         PrivateEdaBits<F>::kElementsPerMask);
  });
  prove_points(coin2);
  party_.echo("arith/stage 6");

  const auto& by_owner = second_->values();
  Values<F> sums = by_owner[0];
  for (size_t i = 1; i < by_owner.size(); ++i) {
    for (size_t l = 0; l < sums.size(); ++l) sums[l] += by_owner[i][l];
  }
  stock_.emplace(triple_batch_->sacrifice(gamma, coin2, sums));
}

// Every party's pair (x, y) is a point of the curve: w = x^2, y^2 = x w + a2 w + a4 x + a6.
template <typename G>
void TokenBatch<G>::prove_points(const Digest& coin2) {
  const F minus_one = -F::one();
  std::vector<Relation<F>> relations;
  for (size_t m = 0; m < ids_.size(); ++m) {
    const size_t x = m * slots() + kX;
    const size_t y = m * slots() + kY;
    const size_t w = m * slots() + kW;
    relations.push_back({{{F::one(), x, x}}, {{minus_one, w}}, F()});
    relations.push_back(
        {{{F::one(), y, y}, {minus_one, x, w}}, {{-G::kA2, w}, {-G::kA4, x}}, -G::kA6});
  }
  for (PartyId owner = 0; owner < party_.num_parties(); ++owner) {
    const Values<F>& values = first_->values()[owner];
    const Values<F> masks(values.end() - static_cast<ptrdiff_t>(party_.num_parties() - 1),
                          values.end());
    prove_relations<F>(party_, cope_.gamma(), owner, values, masks, relations, coin2,
                       "arith/point proof");
  }
}

template <typename G>
AuthValue<typename G::Field> TokenBatch<G>::shared(size_t token, size_t slot) const {
  AuthValue<F> sum = element(0, token, slot);
  for (PartyId i = 1; i < party_.num_parties(); ++i) sum += element(i, token, slot);
  return sum;
}

// [R] = sum R_i by affine additions; the denominator is opened under a random factor (§2.3).
template <typename G>
void TokenBatch<G>::add_points() {
  const F& gamma = cope_.gamma();
  const size_t count = ids_.size();
  for (size_t m = 0; m < count; ++m) {
    x_.push_back(element(0, m, kX));
    y_.push_back(element(0, m, kY));
  }
  for (PartyId i = 1; i < party_.num_parties(); ++i) {
    Values<F> shields, dx, dy;
    for (size_t m = 0; m < count; ++m) {
      shields.push_back(shared(m, kShields + i - 1));
      dx.push_back(element(i, m, kX) - x_[m]);
      dy.push_back(element(i, m, kY) - y_[m]);
    }
    std::vector<Factors<F>> factors;
    for (size_t m = 0; m < count; ++m) {
      factors.push_back({shields[m], dx[m]});
      factors.push_back({shields[m], dy[m]});
    }
    const Values<F> uv = multiply<F>(party_, gamma, factors, *stock_, "arith/add/slope");
    Values<F> u;
    for (size_t m = 0; m < count; ++m) u.push_back(uv[2 * m]);
    const std::vector<F> opened = open_values<F>(party_, gamma, u, "arith/add/denominator");

    Values<F> slope;
    factors.clear();
    for (size_t m = 0; m < count; ++m) {
      if (opened[m].is_zero()) {
        throw ProtocolAbort(AbortCode::kFpKeyShare, "arith/add",
                            "two masking points have the same x coordinate");
      }
      slope.push_back(uv[2 * m + 1] * opened[m].inverse());
    }
    for (size_t m = 0; m < count; ++m) factors.push_back({slope[m], slope[m]});
    const Values<F> squares = multiply<F>(party_, gamma, factors, *stock_, "arith/add/x");

    Values<F> x3, step;
    factors.clear();
    for (size_t m = 0; m < count; ++m) {
      AuthValue<F> x = squares[m] - x_[m] - element(i, m, kX);
      x.add_constant(-G::kA2, party_.id(), gamma);
      step.push_back(x_[m] - x);
      x3.push_back(std::move(x));
    }
    for (size_t m = 0; m < count; ++m) factors.push_back({slope[m], step[m]});
    const Values<F> rise = multiply<F>(party_, gamma, factors, *stock_, "arith/add/y");
    for (size_t m = 0; m < count; ++m) y_[m] = rise[m] - y_[m];
    x_ = std::move(x3);
  }
}

template <typename G>
void TokenBatch<G>::make_monomials() {
  const F& gamma = cope_.gamma();
  const size_t count = ids_.size();
  Values<F> r, rho;
  for (size_t m = 0; m < count; ++m) {
    r.push_back(shared(m, kR));
    rho.push_back(shared(m, kEda));
  }
  std::vector<Factors<F>> factors;
  for (size_t m = 0; m < count; ++m) {
    factors.push_back({r[m], x_[m]});
    factors.push_back({r[m], y_[m]});
    factors.push_back({r[m], rho[m]});
  }
  const Values<F> first = multiply<F>(party_, gamma, factors, *stock_, "arith/monomials 1");
  factors.clear();
  for (size_t m = 0; m < count; ++m) {
    factors.push_back({first[3 * m], x_[m]});
    factors.push_back({first[3 * m + 2], x_[m]});
  }
  const Values<F> second = multiply<F>(party_, gamma, factors, *stock_, "arith/monomials 2");
  factors.clear();
  for (size_t m = 0; m < count; ++m) factors.push_back({second[2 * m + 1], x_[m]});
  const Values<F> third = multiply<F>(party_, gamma, factors, *stock_, "arith/monomials 3");
  FLEXROOM_ASSERT(stock_->empty());
  for (size_t m = 0; m < count; ++m) {
    monomials_.push_back({r[m], first[3 * m], second[2 * m], first[3 * m + 1], first[3 * m + 2],
                          second[2 * m + 1], third[m]});
  }
}

template <typename G>
std::vector<Token> TokenBatch<G>::finish() {
  std::vector<Token> tokens;
  for (size_t m = 0; m < ids_.size(); ++m) {
    Token token;
    token.group = std::is_same_v<G, math::X25519Group> ? NamedGroup::kX25519 : NamedGroup::kP256;
    token.id = ids_[m];
    token.key_share = math::encode_share<G>(keys_[m]);
    for (PartyId i = 0; i < party_.num_parties(); ++i) {
      token.rho.push_back(edabits_->rho_bits(i, m));
    }
    auto secrets = std::make_unique<GroupTokenSecrets<G>>();
    secrets->scalar = witnesses_[m].k;
    secrets->mask = witnesses_[m].mask;
    secrets->gamma = cope_.gamma();
    secrets->monomials = std::move(monomials_[m]);
    token.secrets = std::move(secrets);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

#define FLEXROOM_INSTANTIATE_TOKENS(G) \
  template struct TokenWitness<G>;     \
  template class TokenBatch<G>;
FLEXROOM_INSTANTIATE_TOKENS(math::X25519Group)
FLEXROOM_INSTANTIATE_TOKENS(math::P256Group)

}  // namespace flexroom::arith
