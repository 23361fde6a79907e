#include "arith/open.h"

#include "arith/coefficients.h"
#include "base/ct.h"
#include "math/zn.h"

namespace flexroom::arith {
namespace {

template <typename F>
Digest mac_digest(const net::Party& party, std::string_view label, uint64_t counter, PartyId sender,
                  PartyId receiver, std::span<const F> macs) {
  math::SecretVector<uint8_t> bytes(macs.size() * F::kBytes);
  for (size_t l = 0; l < macs.size(); ++l) {
    macs[l].to_bytes_be(std::span<uint8_t, F::kBytes>(bytes.data() + l * F::kBytes, F::kBytes));
  }
  return RandomOracle("open", party.scope(), counter, sender, receiver)
      .field(label)
      .field(ByteView(bytes))
      .digest();
}

}  // namespace

template <typename F>
Opening<F>::Opening(net::Party& party, const F& gamma, std::span<const AuthValue<F>> values,
                    std::string_view label)
    : party_(party),
      gamma_(gamma),
      values_(values),
      label_(label),
      counter_(party.next_counter("F_p open")),
      accepted_(party.num_parties()) {
  for (const AuthValue<F>& v : values) sum_.push_back(v.share());
  accepted_[party.id()] = true;
}

template <typename F>
Bytes Opening<F>::message_to(PartyId peer) const {
  Bytes message;
  math::SecretVector<F> macs;
  for (const AuthValue<F>& v : values_) {
    v.share().append_be(message);
    macs.push_back(v.mac(peer));
  }
  append(message, mac_digest<F>(party_, label_, counter_, party_.id(), peer, macs));
  return message;
}

template <typename F>
void Opening<F>::accept(PartyId peer, ByteView message) {
  FLEXROOM_ASSERT(message.size() == message_bytes() && !accepted_[peer]);
  const size_t count = values_.size();
  const auto shares = parse_elements<F>(message.first(count * F::kBytes), label_, peer);
  math::SecretVector<F> macs;
  for (size_t l = 0; l < count; ++l) macs.push_back(values_[l].key(peer) + shares[l] * gamma_);
  const Digest want = mac_digest<F>(party_, label_, counter_, peer, party_.id(), macs);
  if (!ct_equal(want, message.last(32))) {
    throw ProtocolAbort(AbortCode::kFpMac, label_, "a share does not fit its MAC", peer);
  }
  for (size_t l = 0; l < count; ++l) sum_[l] += shares[l];
  accepted_[peer] = true;
}

template <typename F>
std::vector<F> Opening<F>::result() const {
  for (const bool ok : accepted_) FLEXROOM_ASSERT(ok);
  return sum_;
}

template <typename F>
std::vector<F> open_values(net::Party& party, const F& gamma, std::span<const AuthValue<F>> values,
                           std::string_view label) {
  Opening<F> opening(party, gamma, values, label);
  for (const PartyId j : party.peers()) party.send(j, label, opening.message_to(j));
  for (const PartyId j : party.peers()) {
    opening.accept(j, party.receive(j, label, opening.message_bytes()));
  }
  return opening.result();
}

template <typename F>
void check_private_values(net::Party& party, const F& gamma, PartyId owner,
                          std::span<const AuthValue<F>> values, std::span<const F> claims,
                          std::string_view label, AbortCode failure) {
  FLEXROOM_ASSERT(values.size() == claims.size());
  const uint64_t counter = party.next_counter("F_p open");
  const PartyId self = party.id();
  math::SecretVector<F> macs(values.size());
  if (self == owner) {
    for (const PartyId j : party.peers()) {
      for (size_t l = 0; l < values.size(); ++l) macs[l] = values[l].mac(j);
      party.send(j, label, mac_digest<F>(party, label, counter, self, j, macs));
    }
    return;
  }
  for (size_t l = 0; l < values.size(); ++l) macs[l] = values[l].key(owner) + claims[l] * gamma;
  const Digest want = mac_digest<F>(party, label, counter, owner, self, macs);
  if (!ct_equal(want, party.receive(owner, label, 32))) {
    throw ProtocolAbort(failure, label, "the authenticated value is another one", owner);
  }
}

#define FLEXROOM_INSTANTIATE_OPEN(F)                                                           \
  template class Opening<F>;                                                                   \
  template std::vector<F> open_values<F>(net::Party&, const F&, std::span<const AuthValue<F>>, \
                                         std::string_view);                                    \
  template void check_private_values<F>(net::Party&, const F&, PartyId,                        \
                                        std::span<const AuthValue<F>>, std::span<const F>,     \
                                        std::string_view, AbortCode);
FLEXROOM_INSTANTIATE_OPEN(math::F25519)
FLEXROOM_INSTANTIATE_OPEN(math::FP256)
FLEXROOM_INSTANTIATE_OPEN(math::FPoly1305)
FLEXROOM_INSTANTIATE_OPEN(math::Z2048)
FLEXROOM_INSTANTIATE_OPEN(math::Z3072)
FLEXROOM_INSTANTIATE_OPEN(math::Z4096)

}  // namespace flexroom::arith
