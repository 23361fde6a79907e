#include "prep/open.h"

#include "base/ct.h"
#include "base/secret.h"
#include "math/gf128.h"

namespace flexroom::prep {
namespace {

constexpr size_t kTagBytes = 16;

void check_tag(const Block& expected, ByteView got, std::string_view label, PartyId peer) {
  if (!ct_equal(expected, load_block(got.data()))) {
    throw ProtocolAbort(AbortCode::kMac, label, "the tag does not fit the opened shares", peer);
  }
}

/// Which tag is meant.
struct Scope {
  const net::Party& party;
  uint64_t counter;
  PartyId sender;
  std::string_view label;
};

// What differs between bits and field elements: how shares travel, what the seed of the tag covers,
// and what the tag's weights are applied to.

// --- Bits: packed, LSB first --------------------------------------------------------------------

Bytes shares_of(const AuthBits& bits) { return bits.packed_shares(); }

Block seed_of(const AuthBits& bits, const Scope& scope, ByteView packed) {
  return RandomOracle("mac", scope.party.scope(), scope.counter, scope.sender)
      .field(scope.label)
      .field(uint64_t{bits.size()})
      .field(packed)
      .block();
}

void require_canonical(const AuthBits& bits, ByteView packed, std::string_view label,
                       PartyId peer) {
  const size_t tail = bits.size() % 8;
  if (tail != 0 && (packed.back() >> tail) != 0) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, label, "bits beyond the last share", peer);
  }
}

Block combine(const AuthBits& bits, const math::ChiStream& chi, ByteView packed) {
  return chi.combine_bits(0, packed, bits.size());
}

std::vector<uint8_t> values_of(const AuthBits& bits, ByteView packed) {
  std::vector<uint8_t> out(bits.size());
  for (size_t t = 0; t < out.size(); ++t) out[t] = (packed[t / 8] >> (t % 8)) & 1;
  return out;
}

// --- Field elements: 16 bytes each --------------------------------------------------------------

Bytes shares_of(const AuthField& values) {
  const ByteView bytes = values.share.bytes();
  return Bytes(bytes.begin(), bytes.end());
}

Block seed_of(const AuthField&, const Scope& scope, ByteView shares) {
  return RandomOracle("mac field", scope.party.scope(), scope.counter, scope.sender)
      .field(scope.label)
      .field(shares)
      .block();
}

void require_canonical(const AuthField&, ByteView, std::string_view, PartyId) {}

std::vector<Block> values_of(const AuthField& values, ByteView bytes) {
  std::vector<Block> out(values.size());
  for (size_t t = 0; t < out.size(); ++t) out[t] = load_block(bytes.data() + 16 * t);
  return out;
}

Block combine(const AuthField& values, const math::ChiStream& chi, ByteView shares) {
  math::GfSum sum;
  chi.accumulate(sum, 0, values_of(values, shares));
  return sum.value();
}

}  // namespace

template <typename Values>
MacOpening<Values>::MacOpening(net::Party& party, const Block& delta, const Values& values,
                               std::string_view label)
    : party_(party),
      delta_(delta),
      values_(values),
      label_(label),
      counter_(party.next_counter("mac")),
      received_(party.num_parties()) {
  FLEXROOM_ASSERT(values.size() == 0 ||
                  (values.self() == party.id() && values.num_parties() == party.num_parties()));
  if (values.size() > 0) own_ = shares_of(values);
  sum_ = own_;
  received_[party.id()] = true;
}

// An opening to this party alone is its secret, and so is what was not sent yet.
template <typename Values>
MacOpening<Values>::~MacOpening() {
  wipe(&delta_, sizeof delta_);
  wipe(own_);
  wipe(sum_);
}

template <typename Values>
void MacOpening<Values>::send_to(PartyId peer) {
  if (own_.empty()) return;
  const math::ChiStream chi(seed_of(values_, {party_, counter_, party_.id(), label_}, own_));
  math::GfSum tag;
  chi.accumulate(tag, 0, values_.mac[peer].span());
  Bytes message = own_;
  append(message, block_bytes(tag.value()));
  party_.send(peer, label_, message);
}

template <typename Values>
void MacOpening<Values>::send_to_all() {
  for (const PartyId j : party_.peers()) send_to(j);
}

template <typename Values>
void MacOpening<Values>::receive_from(PartyId peer) {
  FLEXROOM_ASSERT(!received_[peer]);
  received_[peer] = true;
  if (own_.empty()) return;
  const Bytes message = party_.receive(peer, label_, own_.size() + kTagBytes);
  const ByteView shares = ByteView(message).first(own_.size());
  require_canonical(values_, shares, label_, peer);
  const math::ChiStream chi(seed_of(values_, {party_, counter_, peer, label_}, shares));
  math::GfSum expected;
  chi.accumulate(expected, 0, values_.key[peer].span());
  expected.add(combine(values_, chi, shares), delta_);
  check_tag(expected.value(), ByteView(message).last(kTagBytes), label_, peer);
  for (size_t i = 0; i < sum_.size(); ++i) sum_[i] ^= shares[i];
}

template <typename Values>
void MacOpening<Values>::receive_from_all() {
  for (const PartyId j : party_.peers()) receive_from(j);
}

template <typename Values>
auto MacOpening<Values>::result() const -> std::vector<Opened> {
  for (const bool received : received_) FLEXROOM_ASSERT(received);
  declassify(sum_.data(), sum_.size());  // opened; to this party alone, its owner's business
  return values_of(values_, sum_);
}

template class MacOpening<AuthBits>;
template class MacOpening<AuthField>;

namespace {

template <typename Values>
auto open_all(net::Party& party, const Block& delta, const Values& values, std::string_view label) {
  MacOpening<Values> opening(party, delta, values, label);
  opening.send_to_all();
  opening.receive_from_all();
  return opening.result();
}

}  // namespace

std::vector<uint8_t> open_bits(net::Party& party, const Block& delta, const AuthBits& bits,
                               std::string_view label) {
  return open_all(party, delta, bits, label);
}

std::vector<Block> open_field(net::Party& party, const Block& delta, const AuthField& values,
                              std::string_view label) {
  return open_all(party, delta, values, label);
}

}  // namespace flexroom::prep
