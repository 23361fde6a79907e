#include "prep/refresh.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "ot/cot.h"
#include "prep/bit_consistency.h"
#include "prep/open.h"
#include "prep/session_hello.h"

namespace flexroom::prep {

/// The COTs under one of the two global keys, with all peers, in both directions.
struct BitRefresh::Instance {
  Instance(net::Party& p, const EpochState& epoch)
      : party(p),
        delta(epoch.delta),
        senders(p.num_parties()),
        receivers(p.num_parties()),
        batches(p.num_parties()) {
    for (const PartyId j : p.peers()) {
      senders[j].emplace(p, j, epoch.pairs[j], delta, kLane);
      receivers[j].emplace(p, j, epoch.pairs[j], kLane);
    }
    for (PartyId o = 0; o < p.num_parties(); ++o) batches[o].owner = o;
  }
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  void send_corrections(size_t count, ByteView choices) {
    for (const PartyId j : party.peers()) receivers[j]->send_corrections(count, choices);
  }
  void receive_corrections(size_t count) {
    for (const PartyId j : party.peers()) senders[j]->receive_corrections(count, true);
  }
  void answer() {
    OwnedBatch& own = batches[party.id()];
    own.blocks = std::vector<BlockVec>(party.num_parties());
    for (const PartyId j : party.peers()) own.blocks[j] = receivers[j]->answer();
  }
  void receive_answers() {
    for (const PartyId j : party.peers()) senders[j]->receive_answer();
  }
  void finish() {
    for (const PartyId j : party.peers()) {
      batches[j].blocks = std::vector<BlockVec>(party.num_parties());
      batches[j].blocks[j] = senders[j]->finish();
    }
  }
  /// The first `count` bits of the batches, which are gone then; the masks of the check go too.
  AuthBits take(size_t count) {
    std::vector<BlockVec> mac(party.num_parties()), key(party.num_parties());
    for (const PartyId j : party.peers()) {
      mac[j] = std::exchange(batches[party.id()].blocks[j], BlockVec()).slice(0, count);
      key[j] = std::exchange(batches[j].blocks[j], BlockVec()).slice(0, count);
    }
    return AuthBits(party.id(), count, std::move(mac), std::move(key));
  }

  static constexpr uint16_t kLane = 0;  // of the refresh session, which has no other
  net::Party& party;
  const Block& delta;
  std::vector<std::optional<ot::CotSender>> senders;      // by peer
  std::vector<std::optional<ot::CotReceiver>> receivers;  // by peer
  std::vector<OwnedBatch> batches;                        // by owner
};

BitRefresh::BitRefresh(net::Party& party, const EpochState& from, const EpochState& to,
                       Safety* safety, uint16_t protocol)
    : party_(party), safety_(safety) {
  refresh_hello(party, from, to, protocol);
  old_ = std::make_unique<Instance>(party, from);
  new_ = std::make_unique<Instance>(party, to);
}

BitRefresh::~BitRefresh() = default;

AuthBits BitRefresh::refresh(const AuthBits& bits) {
  if (!live_) {
    throw ProtocolAbort(AbortCode::kCancelled, "refresh", "this session was aborted before");
  }
  if (bits.empty()) return AuthBits(party_.id(), party_.num_parties(), 0);
  FLEXROOM_ASSERT(bits.self() == party_.id() && bits.num_parties() == party_.num_parties());
  live_ = false;
  AuthBits out = run(bits);
  live_ = true;
  return out;
}

AuthBits BitRefresh::run(const AuthBits& bits) {
  const size_t count = bits.size() + kConsistencyMasks;
  const std::array<Instance*, 2> instances = {old_.get(), new_.get()};
  // r, and the masks of the check: the same towards all peers and in both instances (§4.2, §4.3).
  SecretBytes choices((count + 7) / 8);
  party_.prg().fill(choices.writable());
  for (Instance* instance : instances) instance->send_corrections(count, choices.reveal());
  for (Instance* instance : instances) instance->receive_corrections(count);
  for (Instance* instance : instances) instance->answer();
  for (Instance* instance : instances) instance->receive_answers();
  Verdict verdict(safety_);
  for (Instance* instance : instances) instance->finish();
  verdict.passed();
  const std::array<ConsistencyInstance, 2> both = {ConsistencyInstance{old_->delta, old_->batches},
                                                   ConsistencyInstance{new_->delta, new_->batches}};
  check_bit_consistency(party_, both, bits.size(), safety_);

  AuthBits masked = old_->take(bits.size());
  AuthBits fresh = new_->take(bits.size());
  masked.add(bits);
  const std::vector<uint8_t> e = open_bits(party_, old_->delta, masked, "refresh/open");
  add_constants(fresh, e, new_->delta);
  return fresh;
}

}  // namespace flexroom::prep
