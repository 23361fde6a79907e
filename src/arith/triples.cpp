#include "arith/triples.h"

#include "arith/coefficients.h"
#include "arith/open.h"
#include "math/zn.h"

namespace flexroom::arith {
namespace {

constexpr std::string_view kProductLabel = "arith/triples/products";

/// PRG(seed) -> F_p, bias < 2^-128.
template <typename F>
F pad(const Block& seed) {
  Prg prg(seed);
  return F::random(prg);
}

}  // namespace

template <typename F>
TripleBatch<F>::TripleBatch(net::Party& party, prep::Source& source, size_t count)
    : party_(party), count_(count), a_bits_(count * kTau * F::kBits) {
  Prg& prg = party.prg();
  for (size_t at = 0; at < a_bits_.size(); at += 64) {
    const uint64_t random = prg.next_u64();
    for (size_t t = at; t < std::min(at + 64, a_bits_.size()); ++t) {
      a_bits_[t] = (random >> (t - at)) & 1;
    }
  }
  for (size_t t = 0; t < count * kTau; ++t) {
    typename F::Integer a{};
    for (unsigned h = 0; h < F::kBits; ++h) {
      a[h / 64] |= uint64_t{a_bits_[t * F::kBits + h]} << (h % 64);
    }
    a_.push_back(F::from_any(a));
    wipe(&a, sizeof(a));
  }
  for (size_t m = 0; m < count; ++m) b_.push_back(F::random(prg));
  for (size_t t = 0; t < count * kTau; ++t) c_.push_back(a_[t] * b_[t / kTau]);
  multiply_with_peers(source);
}

// c_i += share of a_i * b_j (this party receives by its bits of a) and of a_j * b_i (it sends).
template <typename F>
void TripleBatch<F>::multiply_with_peers(prep::Source& source) {
  constexpr size_t kOtsPerTriple = kTau * F::kBits;
  const size_t ots = count_ * kOtsPerTriple;
  std::vector<prep::Source::RotReceiver> received(party_.num_parties());
  for (const PartyId j : party_.peers()) {
    prep::Source::RotSender sent;
    if (party_.id() < j) {
      received[j] = source.rot_receive(j, ots, a_bits_);
      sent = source.rot_send(j, ots);
    } else {
      sent = source.rot_send(j, ots);
      received[j] = source.rot_receive(j, ots, a_bits_);
    }
    FLEXROOM_ASSERT(sent.seed0.size() == ots && received[j].seed.size() == ots);
    for (size_t m = 0; m < count_; ++m) {
      Bytes message(kOtsPerTriple * F::kBytes);
      for (size_t t = 0; t < kTau; ++t) {
        F sum;
        for (unsigned h = F::kBits; h-- > 0;) {
          const size_t in_triple = t * F::kBits + h;
          const size_t ot = m * kOtsPerTriple + in_triple;
          const F q0 = pad<F>(sent.seed0[ot]);
          const F d = q0 - pad<F>(sent.seed1[ot]) + b_[m];
          uint8_t* at = message.data() + in_triple * F::kBytes;
          d.to_bytes_be(std::span<uint8_t, F::kBytes>(at, F::kBytes));
          sum = sum.doubled() + q0;
        }
        c_[m * kTau + t] -= sum;
      }
      party_.send(j, kProductLabel, message);
    }
  }
  for (const PartyId j : party_.peers()) {
    for (size_t m = 0; m < count_; ++m) {
      const auto d = parse_elements<F>(party_.receive(j, kProductLabel, kOtsPerTriple * F::kBytes),
                                       kProductLabel, j);
      for (size_t t = 0; t < kTau; ++t) {
        F sum;
        for (unsigned h = F::kBits; h-- > 0;) {
          const size_t in_triple = t * F::kBits + h;
          const size_t ot = m * kOtsPerTriple + in_triple;
          sum = sum.doubled() + pad<F>(received[j].seed[ot]) +
                F::select(a_bits_[ot], d[in_triple], F());
        }
        c_[m * kTau + t] += sum;
      }
    }
  }
}

template <typename F>
void TripleBatch<F>::append_elements(const Digest& coin1, math::SecretVector<F>& out) const {
  Coefficients stream(party_, coin1, "triples combine");
  for (size_t m = 0; m < count_; ++m) {
    const std::vector<F> chi = stream.take<F>(kTau);
    const std::vector<F> chi_hat = stream.take<F>(kTau);
    F a, c, a_hat, c_hat;
    for (size_t t = 0; t < kTau; ++t) {
      a += chi[t] * a_[m * kTau + t];
      c += chi[t] * c_[m * kTau + t];
      a_hat += chi_hat[t] * a_[m * kTau + t];
      c_hat += chi_hat[t] * c_[m * kTau + t];
    }
    for (const F& v : {a, b_[m], c, a_hat, c_hat}) out.push_back(v);
  }
}

template <typename F>
std::vector<Triple<F>> TripleBatch<F>::sacrifice(const F& gamma, const Digest& coin2,
                                                 const Values<F>& shared) {
  FLEXROOM_ASSERT(shared.size() == count_ * kElementsPerTriple);
  const std::vector<F> s = Coefficients(party_, coin2, "triples sacrifice").take<F>(count_);
  const auto at = [&](size_t m, size_t which) -> const AuthValue<F>& {
    return shared[m * kElementsPerTriple + which];
  };
  Values<F> differences;  // s a - a^
  for (size_t m = 0; m < count_; ++m) differences.push_back(at(m, 0) * s[m] - at(m, 3));
  const std::vector<F> rho =
      open_values<F>(party_, gamma, differences, "arith/triples/sacrifice difference");
  Values<F> verdicts;  // s c - c^ - rho b = 0
  for (size_t m = 0; m < count_; ++m) {
    verdicts.push_back(at(m, 2) * s[m] - at(m, 4) - at(m, 1) * rho[m]);
  }
  for (const F& v : open_values<F>(party_, gamma, verdicts, "arith/triples/sacrifice verdict")) {
    if (!v.is_zero()) {
      throw ProtocolAbort(AbortCode::kFpSacrifice, "arith/triples", "a product is wrong");
    }
  }
  std::vector<Triple<F>> out;
  for (size_t m = 0; m < count_; ++m) out.push_back({at(m, 0), at(m, 1), at(m, 2)});
  return out;
}

template <typename F>
Values<F> multiply(net::Party& party, const F& gamma, std::span<const Factors<F>> factors,
                   TripleStock<F>& stock, std::string_view label) {
  std::vector<Triple<F>> triples;
  Values<F> masked;
  for (const Factors<F>& f : factors) {
    triples.push_back(stock.take());
    masked.push_back(f.x - triples.back().a);
    masked.push_back(f.y - triples.back().b);
  }
  const std::vector<F> opened = open_values<F>(party, gamma, masked, label);
  Values<F> out;
  for (size_t m = 0; m < factors.size(); ++m) {
    const F& d = opened[2 * m];
    const F& e = opened[2 * m + 1];
    AuthValue<F> product = triples[m].c + triples[m].b * d + triples[m].a * e;
    product.add_constant(d * e, party.id(), gamma);
    out.push_back(std::move(product));
  }
  return out;
}

#define FLEXROOM_INSTANTIATE_TRIPLES(F)                                              \
  template class TripleBatch<F>;                                                     \
  template Values<F> multiply<F>(net::Party&, const F&, std::span<const Factors<F>>, \
                                 TripleStock<F>&, std::string_view);
FLEXROOM_INSTANTIATE_TRIPLES(math::F25519)
FLEXROOM_INSTANTIATE_TRIPLES(math::FP256)
FLEXROOM_INSTANTIATE_TRIPLES(math::FPoly1305)
FLEXROOM_INSTANTIATE_TRIPLES(math::Z2048)
FLEXROOM_INSTANTIATE_TRIPLES(math::Z3072)
FLEXROOM_INSTANTIATE_TRIPLES(math::Z4096)

}  // namespace flexroom::arith
