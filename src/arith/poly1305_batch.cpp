#include "arith/poly1305_batch.h"

#include "arith/coefficients.h"

namespace flexroom::arith {

Poly1305Witness Poly1305Witness::random(Prg& prg) {
  Poly1305Witness w;
  w.rho = MaskWitness<F>::random(prg);
  w.sigma = MaskWitness<F>::random(prg);
  w.g = F::random(prg);
  return w;
}

Poly1305Batch::Poly1305Batch(net::Party& party, prep::Source& source, Cope<F>& cope,
                             std::vector<Digest> ids, std::vector<Poly1305Plan> plans,
                             std::vector<Poly1305Witness> witnesses)
    : party_(party),
      source_(source),
      cope_(cope),
      ids_(std::move(ids)),
      plans_(std::move(plans)),
      witnesses_(std::move(witnesses)) {
  FLEXROOM_ASSERT(!ids_.empty() && ids_.size() == plans_.size() &&
                  ids_.size() == witnesses_.size());
  eda_witnesses_.reserve(2 * ids_.size());
  for (const Poly1305Witness& w : witnesses_) {
    eda_witnesses_.push_back(w.rho);
    eda_witnesses_.push_back(w.sigma);
  }
}

std::vector<Poly1305Masks> Poly1305Batch::run() {
  authenticate_choices();  // stage 1
  size_t triples = 0;
  for (const Poly1305Plan& plan : plans_) triples += plan.triples();
  triple_batch_.emplace(party_, source_, triples);            // stage 2
  const Digest coin1 = party_.coin("arith/poly1305/coin 1");  // stage 3
  second_stage(coin1);                                        // stages 3, 4
  const Digest coin2 = party_.coin("arith/poly1305/coin 2");  // stage 5
  check_all(coin2);                                           // stage 6
  raise_powers();                                             // stage 7
  return finish();
}

void Poly1305Batch::authenticate_choices() {
  edabits_.emplace(party_, source_, eda_witnesses_);
  math::SecretVector<F> own;
  own.reserve(ids_.size() * kSlots);
  for (size_t t = 0; t < ids_.size(); ++t) {
    edabits_->append_elements(2 * t, own);
    edabits_->append_elements(2 * t + 1, own);
    own.push_back(witnesses_[t].g);
  }
  first_.emplace(party_, cope_, own, "arith/poly1305/stage 1");
}

void Poly1305Batch::second_stage(const Digest& coin1) {
  first_->check(coin1);
  math::SecretVector<F> own;
  triple_batch_->append_elements(coin1, own);
  second_.emplace(party_, cope_, own, "arith/poly1305/stage 4");
  edabits_->exchange_integers(coin1);
  // Before coin 2: claims of the first input and all integers are the same at everybody.
  party_.echo("arith/poly1305/stage 4");
}

void Poly1305Batch::check_all(const Digest& coin2) {
  second_->check(coin2);
  edabits_->check(cope_.gamma(), coin2, [&](PartyId owner, size_t m) {
    const size_t at = m / 2 * kSlots + (m % 2 == 0 ? kRho : kSigma);
    return std::span<const AuthValue<F>>(&first_->values()[owner][at],
                                         PrivateEdaBits<F>::kElementsPerMask);
  });
  party_.echo("arith/poly1305/stage 6");

  const auto& by_owner = second_->values();
  Values<F> sums = by_owner[0];
  for (size_t i = 1; i < by_owner.size(); ++i) {
    for (size_t l = 0; l < sums.size(); ++l) sums[l] += by_owner[i][l];
  }
  stock_.emplace(triple_batch_->sacrifice(cope_.gamma(), coin2, sums));
}

AuthValue<math::FPoly1305> Poly1305Batch::shared(size_t tag, size_t slot) const {
  AuthValue<F> sum = first_->values()[0][tag * kSlots + slot];
  for (PartyId i = 1; i < party_.num_parties(); ++i) {
    sum += first_->values()[i][tag * kSlots + slot];
  }
  return sum;
}

// Every level doubles the powers there are: x^(k+j) = x^k x^j for j <= k, one opening for all.
void Poly1305Batch::raise_powers() {
  std::vector<size_t> wanted;
  for (size_t t = 0; t < ids_.size(); ++t) {
    powers_.push_back({shared(t, kRho)});
    wanted.push_back(plans_[t].baby);
    powers_.push_back({shared(t, kG)});
    wanted.push_back(plans_[t].giant_powers());
  }
  for (;;) {
    std::vector<Factors<F>> factors;
    std::vector<size_t> owners;
    for (size_t b = 0; b < powers_.size(); ++b) {
      const Values<F>& have = powers_[b];
      for (size_t j = 0; j < have.size() && have.size() + j < wanted[b]; ++j) {
        factors.push_back({have.back(), have[j]});
        owners.push_back(b);
      }
    }
    if (factors.empty()) return;
    Values<F> products =
        multiply<F>(party_, cope_.gamma(), factors, *stock_, "arith/poly1305/powers");
    for (size_t k = 0; k < products.size(); ++k) {
      powers_[owners[k]].push_back(std::move(products[k]));
    }
  }
}

std::vector<Poly1305Masks> Poly1305Batch::finish() {
  std::vector<Poly1305Masks> out;
  for (size_t t = 0; t < ids_.size(); ++t) {
    Poly1305Masks masks;
    masks.plan = plans_[t];
    masks.id = ids_[t];
    for (PartyId i = 0; i < party_.num_parties(); ++i) {
      masks.rho.push_back(edabits_->rho_bits(i, 2 * t));
      masks.sigma.push_back(edabits_->rho_bits(i, 2 * t + 1));
    }
    masks.secrets = std::make_unique<Poly1305Secrets>();
    masks.secrets->gamma = cope_.gamma();
    masks.secrets->rho_powers = std::move(powers_[2 * t]);
    masks.secrets->g_powers = std::move(powers_[2 * t + 1]);
    masks.secrets->sigma = shared(t, kSigma);
    std::vector<Triple<F>> products;
    for (size_t k = 0; k < plans_[t].products(); ++k) products.push_back(stock_->take());
    masks.secrets->products.emplace(std::move(products));
    out.push_back(std::move(masks));
  }
  FLEXROOM_ASSERT(stock_->empty());
  return out;
}

}  // namespace flexroom::arith
