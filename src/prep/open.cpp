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

// Appends the shares of `bits` behind the first `before` bits.
void append_shares(Bytes& packed, size_t before, const AuthBits& bits) {
  Bytes more = bits.packed_shares();
  if (const unsigned shift = before % 8; shift == 0) {
    append(packed, more);
  } else {
    for (const uint8_t byte : more) {
      packed.back() = static_cast<uint8_t>(packed.back() | byte << shift);
      packed.push_back(static_cast<uint8_t>(byte >> (8 - shift)));
    }
    packed.resize((before + bits.size() + 7) / 8);
  }
  wipe(more);
}

Block seed_of(const AuthBits*, size_t size, const Scope& scope, ByteView packed) {
  return RandomOracle("mac", scope.party.scope(), scope.counter, scope.sender)
      .field(scope.label)
      .field(uint64_t{size})
      .field(packed)
      .block();
}

void require_canonical(const AuthBits*, size_t size, ByteView packed, std::string_view label,
                       PartyId peer) {
  const size_t tail = size % 8;
  if (tail != 0 && (packed.back() >> tail) != 0) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, label, "bits beyond the last share", peer);
  }
}

Block combine(const AuthBits*, size_t size, const math::ChiStream& chi, ByteView packed) {
  return chi.combine_bits(0, packed, size);
}

std::vector<uint8_t> values_of(const AuthBits*, size_t size, ByteView packed) {
  std::vector<uint8_t> out(size);
  for (size_t t = 0; t < out.size(); ++t) out[t] = (packed[t / 8] >> (t % 8)) & 1;
  return out;
}

// --- Field elements: 16 bytes each --------------------------------------------------------------

void append_shares(Bytes& shares, size_t, const AuthField& values) {
  append(shares, values.share.bytes());
}

Block seed_of(const AuthField*, size_t, const Scope& scope, ByteView shares) {
  return RandomOracle("mac field", scope.party.scope(), scope.counter, scope.sender)
      .field(scope.label)
      .field(shares)
      .block();
}

void require_canonical(const AuthField*, size_t, ByteView, std::string_view, PartyId) {}

std::vector<Block> values_of(const AuthField*, size_t size, ByteView bytes) {
  std::vector<Block> out(size);
  for (size_t t = 0; t < out.size(); ++t) out[t] = load_block(bytes.data() + 16 * t);
  return out;
}

Block combine(const AuthField* kind, size_t size, const math::ChiStream& chi, ByteView shares) {
  math::GfSum sum;
  chi.accumulate(sum, 0, values_of(kind, size, shares));
  return sum.value();
}

/// sum_t chi_t * plane_t over all parts.
template <typename Values>
math::GfSum weighted(const std::vector<const Values*>& parts, const math::ChiStream& chi,
                     std::vector<BlockVec> Values::*plane, PartyId peer) {
  math::GfSum sum;
  uint64_t first = 0;
  for (const Values* part : parts) {
    chi.accumulate(sum, first, (part->*plane)[peer].span());
    first += part->size();
  }
  return sum;
}

}  // namespace

template <typename Values>
MacOpening<Values>::MacOpening(net::Party& party, const Block& delta,
                               std::vector<const Values*> parts, std::string_view label)
    : party_(party),
      delta_(delta),
      parts_(std::move(parts)),
      label_(label),
      counter_(party.next_counter("mac")),
      received_(party.num_parties()) {
  std::erase_if(parts_, [](const Values* part) { return part->size() == 0; });
  for (const Values* part : parts_) {
    FLEXROOM_ASSERT(part->self() == party.id() && part->num_parties() == party.num_parties());
    append_shares(own_, size_, *part);
    size_ += part->size();
  }
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
  constexpr const Values* kKind = nullptr;
  const math::ChiStream chi(seed_of(kKind, size_, {party_, counter_, party_.id(), label_}, own_));
  const math::GfSum tag = weighted(parts_, chi, &Values::mac, peer);
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
  constexpr const Values* kKind = nullptr;
  require_canonical(kKind, size_, shares, label_, peer);
  const math::ChiStream chi(seed_of(kKind, size_, {party_, counter_, peer, label_}, shares));
  math::GfSum expected = weighted(parts_, chi, &Values::key, peer);
  expected.add(combine(kKind, size_, chi, shares), delta_);
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
  return values_of(static_cast<const Values*>(nullptr), size_, sum_);
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
