#include "net/coin.h"

#include "base/ct.h"
#include "base/secret.h"

namespace flexroom::net {
namespace {

constexpr size_t kSeedBytes = 32, kNonceBytes = 32;

}  // namespace

Coin::Coin(Party& party, std::string_view label)
    : party_(party),
      counter_(party.next_counter("coin")),
      label_(label),
      commit_label_(label_ + "/coin commit"),
      open_label_(label_ + "/coin open"),
      commitments_(party.num_parties()),
      openings_(party.num_parties()) {
  Bytes own(kSeedBytes + kNonceBytes);
  party.prg().fill(std::span<uint8_t>(own));
  openings_[party.id()] = std::move(own);
}

// What was never opened stays this party's secret.
Coin::~Coin() {
  for (Bytes& opening : openings_) wipe(opening);
}

void Coin::go(State from, State to) {
  FLEXROOM_ASSERT(state_ == from);
  state_ = to;
}

Digest Coin::commitment(PartyId of, ByteView opening) const {
  return RandomOracle("com", party_.scope(), counter_, of)
      .field(label_)
      .field(opening.first(kSeedBytes))
      .field(opening.subspan(kSeedBytes))
      .digest();
}

void Coin::commit() {
  go(State::kNew, State::kCommitted);
  const PartyId self = party_.id();
  if (two() && self != 0) return;
  const Digest own = commitment(self, openings_[self]);
  commitments_[self] = Bytes(own.begin(), own.end());
  party_.broadcast(commit_label_, own);
}

void Coin::receive_commitments() {
  go(State::kCommitted, State::kReceived);
  for (const PartyId j : party_.peers()) {
    if (two() && j != 0) continue;
    commitments_[j] = party_.receive_broadcast(j, commit_label_, Digest{}.size());
  }
  if (two()) return;
  for (PartyId i = 0; i < party_.num_parties(); ++i) {
    for (PartyId j = 0; j < i; ++j) {
      if (commitments_[i] != commitments_[j]) continue;
      throw ProtocolAbort(AbortCode::kCoin, label_, "copied another member's commitment", i);
    }
  }
}

void Coin::exchange_of_two() {
  const PartyId self = party_.id(), peer = self == 0 ? 1 : 0;
  const size_t bytes = openings_[self].size();
  if (self == 0) openings_[peer] = party_.receive(peer, open_label_, bytes);
  party_.send(peer, open_label_, openings_[self]);
  if (self != 0) openings_[peer] = party_.receive(peer, open_label_, bytes);
}

void Coin::exchange_of_many() {
  party_.echo(commit_label_);
  openings_ = party_.exchange(open_label_, openings_[party_.id()]);
}

Digest Coin::toss() {
  go(State::kReceived, State::kTossed);
  two() ? exchange_of_two() : exchange_of_many();
  Digest seed{};
  for (PartyId j = 0; j < party_.num_parties(); ++j) {
    if (j != party_.id() && (!two() || j == 0) &&
        !ct_equal(commitments_[j], commitment(j, openings_[j]))) {
      throw ProtocolAbort(AbortCode::kCoin, label_, "opening does not match the commitment", j);
    }
    for (size_t b = 0; b < seed.size(); ++b) {
      seed[b] = static_cast<uint8_t>(seed[b] ^ openings_[j][b]);
    }
  }
  return RandomOracle("coin", party_.scope(), counter_).field(label_).field(seed).digest();
}

}  // namespace flexroom::net
