#include "prep/open.h"

#include "base/ct.h"
#include "base/secret.h"
#include "math/gf128.h"

namespace flexroom::prep {
namespace {

void append_block(Bytes& out, const Block& block) { append(out, block_bytes(block)); }

void check_tag(const Block& expected, ByteView got, std::string_view label, PartyId peer) {
  if (!ct_equal(expected, load_block(got.data()))) {
    throw ProtocolAbort(AbortCode::kMac, label, "the tag does not fit the opened shares", peer);
  }
}

}  // namespace

BitOpening::BitOpening(net::Party& party, const Block& delta, const AuthBits& bits,
                       std::string_view label)
    : party_(party),
      delta_(delta),
      bits_(bits),
      label_(label),
      counter_(party.next_counter("mac")),
      received_(party.num_parties()) {
  FLEXROOM_ASSERT(bits.empty() ||
                  (bits.self() == party.id() && bits.num_parties() == party.num_parties()));
  if (!bits.empty()) own_ = bits.packed_shares();
  sum_ = own_;
  received_[party.id()] = true;
}

// An opening to this party alone is its secret, and so is what was not sent yet.
BitOpening::~BitOpening() {
  wipe(&delta_, sizeof delta_);
  wipe(own_);
  wipe(sum_);
}

Block BitOpening::seed(PartyId sender, ByteView packed) const {
  return RandomOracle("mac", party_.scope(), counter_, sender)
      .field(label_)
      .field(uint64_t{bits_.size()})
      .field(packed)
      .block();
}

void BitOpening::send_to(PartyId peer) {
  if (bits_.empty()) return;
  const math::ChiStream chi(seed(party_.id(), own_));
  math::GfSum tag;
  chi.accumulate(tag, 0, bits_.mac[peer].span());
  Bytes message = own_;
  append_block(message, tag.value());
  party_.send(peer, label_, message);
}

void BitOpening::send_to_all() {
  if (bits_.empty()) return;
  for (const PartyId j : party_.peers()) send_to(j);
}

void BitOpening::receive_from(PartyId peer) {
  FLEXROOM_ASSERT(!received_[peer]);
  received_[peer] = true;
  if (bits_.empty()) return;
  const Bytes message = party_.receive(peer, label_, own_.size() + 16);
  const ByteView packed = ByteView(message).first(own_.size());
  const size_t tail = bits_.size() % 8;
  if (tail != 0 && (packed.back() >> tail) != 0) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, label_, "bits beyond the last share", peer);
  }
  const math::ChiStream chi(seed(peer, packed));
  math::GfSum expected;
  chi.accumulate(expected, 0, bits_.key[peer].span());
  expected.add(chi.combine_bits(0, packed, bits_.size()), delta_);
  check_tag(expected.value(), ByteView(message).subspan(own_.size()), label_, peer);
  for (size_t i = 0; i < sum_.size(); ++i) sum_[i] ^= packed[i];
}

void BitOpening::receive_from_all() {
  for (const PartyId j : party_.peers()) receive_from(j);
}

std::vector<uint8_t> BitOpening::result() const {
  for (const bool received : received_) FLEXROOM_ASSERT(received);
  declassify(sum_.data(), sum_.size());  // opened; to this party alone, its owner's business
  std::vector<uint8_t> out(bits_.size());
  for (size_t t = 0; t < out.size(); ++t) out[t] = (sum_[t / 8] >> (t % 8)) & 1;
  return out;
}

std::vector<uint8_t> open_bits(net::Party& party, const Block& delta, const AuthBits& bits,
                               std::string_view label) {
  BitOpening opening(party, delta, bits, label);
  opening.send_to_all();
  opening.receive_from_all();
  return opening.result();
}

FieldOpening::FieldOpening(net::Party& party, const Block& delta, const AuthField& values,
                           std::string_view label)
    : party_(party),
      delta_(delta),
      values_(values),
      label_(label),
      counter_(party.next_counter("mac")),
      sum_(values.share.begin(), values.share.end()),
      received_(party.num_parties()) {
  FLEXROOM_ASSERT(values.size() == 0 ||
                  (values.self() == party.id() && values.num_parties() == party.num_parties()));
  received_[party.id()] = true;
}

FieldOpening::~FieldOpening() {
  wipe(&delta_, sizeof delta_);
  wipe(sum_.data(), sum_.size() * sizeof(Block));
}

Block FieldOpening::seed(PartyId sender, ByteView shares) const {
  return RandomOracle("mac field", party_.scope(), counter_, sender)
      .field(label_)
      .field(shares)
      .block();
}

void FieldOpening::send_to(PartyId peer) {
  if (values_.size() == 0) return;
  const math::ChiStream chi(seed(party_.id(), values_.share.bytes()));
  math::GfSum tag;
  chi.accumulate(tag, 0, values_.mac[peer].span());
  Bytes message(values_.share.bytes().begin(), values_.share.bytes().end());
  append_block(message, tag.value());
  party_.send(peer, label_, message);
}

void FieldOpening::send_to_all() {
  for (const PartyId j : party_.peers()) send_to(j);
}

void FieldOpening::receive_from(PartyId peer) {
  FLEXROOM_ASSERT(!received_[peer]);
  received_[peer] = true;
  const size_t count = values_.size();
  if (count == 0) return;
  const Bytes message = party_.receive(peer, label_, 16 * count + 16);
  const ByteView shares = ByteView(message).first(16 * count);
  std::vector<Block> got(count);
  for (size_t t = 0; t < count; ++t) got[t] = load_block(shares.data() + 16 * t);
  const math::ChiStream chi(seed(peer, shares));
  math::GfSum expected;
  math::GfSum combined;
  chi.accumulate(expected, 0, values_.key[peer].span());
  chi.accumulate(combined, 0, got);
  expected.add(combined.value(), delta_);
  check_tag(expected.value(), ByteView(message).subspan(16 * count), label_, peer);
  for (size_t t = 0; t < count; ++t) sum_[t] ^= got[t];
}

void FieldOpening::receive_from_all() {
  for (const PartyId j : party_.peers()) receive_from(j);
}

const std::vector<Block>& FieldOpening::result() const {
  for (const bool received : received_) FLEXROOM_ASSERT(received);
  declassify(sum_.data(), sum_.size() * sizeof(Block));
  return sum_;
}

std::vector<Block> open_field(net::Party& party, const Block& delta, const AuthField& values,
                              std::string_view label) {
  FieldOpening opening(party, delta, values, label);
  opening.send_to_all();
  opening.receive_from_all();
  return opening.result();
}

}  // namespace flexroom::prep
