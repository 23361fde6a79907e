#include "arith/input.h"

#include "arith/coefficients.h"
#include "math/zn.h"

namespace flexroom::arith {
namespace {

template <typename F>
math::SecretVector<F> with_mask(Prg& prg, std::span<const F> own) {
  math::SecretVector<F> out;
  out.reserve(own.size() + 1);
  out.insert(out.end(), own.begin(), own.end());
  out.push_back(F::random(prg));
  return out;
}

}  // namespace

template <typename F>
PrivateInput<F>::PrivateInput(net::Party& party, Cope<F>& cope, std::span<const F> own,
                              std::string_view label)
    : party_(party), cope_(cope), label_(label) {
  values_ = cope.extend(with_mask(party.prg(), own), label_ + "/correction");
}

template <typename F>
void PrivateInput<F>::check(const Digest& coin) {
  FLEXROOM_ASSERT(!checked_);
  const PartyId self = party_.id();
  const size_t count = values_[self].size() - 1;
  const std::vector<F> chi = Coefficients(party_, coin, "auth " + label_).take<F>(count);
  const auto combine = [&](const Values<F>& v, const auto& component) {
    F sum = component(v[count]);
    for (size_t l = 0; l < count; ++l) sum += chi[l] * component(v[l]);
    return sum;
  };

  Bytes claim;
  combine(values_[self], [](const AuthValue<F>& v) { return v.share(); }).append_be(claim);
  party_.broadcast(label_ + "/claim", claim);
  for (const PartyId j : party_.peers()) {
    Bytes mac;
    combine(values_[self], [j](const AuthValue<F>& v) { return v.mac(j); }).append_be(mac);
    party_.send(j, label_ + "/claim mac", mac);
  }
  for (const PartyId j : party_.peers()) {
    const F y =
        parse_elements<F>(party_.receive_broadcast(j, label_ + "/claim", F::kBytes), label_, j)[0];
    const F mac =
        parse_elements<F>(party_.receive(j, label_ + "/claim mac", F::kBytes), label_, j)[0];
    const F key = combine(values_[j], [j](const AuthValue<F>& v) { return v.key(j); });
    if (mac != key + y * cope_.gamma()) {
      throw ProtocolAbort(AbortCode::kFpAuth, label_, "the combined input does not verify", j);
    }
  }
  for (Values<F>& v : values_) v.pop_back();
  checked_ = true;
}

template <typename F>
const std::vector<Values<F>>& PrivateInput<F>::values() const {
  FLEXROOM_ASSERT(checked_);
  return values_;
}

template class PrivateInput<math::F25519>;
template class PrivateInput<math::FP256>;
template class PrivateInput<math::FPoly1305>;
template class PrivateInput<math::Z2048>;
template class PrivateInput<math::Z3072>;
template class PrivateInput<math::Z4096>;

}  // namespace flexroom::arith
