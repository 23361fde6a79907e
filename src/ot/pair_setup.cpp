#include "ot/pair_setup.h"

#include <optional>

#include "base/error.h"

namespace flexroom::ot {
namespace {

constexpr std::string_view kPointsLabel = "setup/base OT points";
constexpr std::string_view kSenderPointLabel = "setup/base OT sender point";
constexpr std::string_view kTreesLabel = "setup/trees";

// Both directions with one peer between the two rounds.
struct Pending {
  PairContext sending, receiving;  // this party as COT sender, as COT receiver
  std::optional<BaseOtReceiver> base_receiver;
  std::optional<BaseOtSender> base_sender;
  Bytes points, peer_point;  // received
};

Digest transcript(const PairContext& pair, ByteView points, ByteView sender_point, ByteView trees) {
  return RandomOracle("pair setup", pair.scope, 0, pair.cot_sender, pair.cot_receiver)
      .field(points)
      .field(sender_point)
      .field(trees)
      .digest();
}

}  // namespace

PairSeeds PairSeeds::clone() const {
  return {subfield_bits, sender_leaves.clone(), receiver_leaves.clone()};
}

std::vector<PairSetup> setup_pairs(net::Party& party, const Block& delta, unsigned subfield_bits,
                                   VerdictNotes* notes) {
  FLEXROOM_ASSERT(subfield_bits == 2 || subfield_bits == 4 || subfield_bits == 8);
  const PprfShape shape{subfield_bits};
  std::vector<Pending> pending(party.num_parties());
  std::vector<PairSetup> out(party.num_parties());

  // Round 1: S1 (R_0, R_1)[128] as COT sender, S2 B as COT receiver.
  for (const PartyId j : party.peers()) {
    Pending& p = pending[j];
    p.sending = {party.scope(), party.id(), j};
    p.receiving = {party.scope(), j, party.id()};
    p.base_receiver.emplace(p.sending, pprf_choices(shape, delta), party.prg());
    p.base_sender.emplace(p.receiving, party.prg());
    party.send(j, kPointsLabel, p.base_receiver->message());
    party.send(j, kSenderPointLabel, p.base_sender->message());
  }
  // Round 2: S3, trees of the direction in which this party is COT receiver.
  for (const PartyId j : party.peers()) {
    Pending& p = pending[j];
    p.points = party.receive(j, kPointsLabel, kBaseOtReceiverBytes);
    p.peer_point = party.receive(j, kSenderPointLabel, kPointBytes);
    PprfOwner trees = grow_trees(shape, p.receiving, p.base_sender->keys(p.points), party.prg());
    party.send(j, kTreesLabel, trees.message);
    out[j].seeds.receiver_leaves = LockedBlocks(trees.leaves.span());
    out[j].transcripts.as_receiver =
        transcript(p.receiving, p.points, p.base_sender->message(), trees.message);
  }
  for (const PartyId j : party.peers()) {
    Pending& p = pending[j];
    const BlockVec keys = p.base_receiver->keys(p.peer_point);
    const Bytes trees = party.receive(j, kTreesLabel, shape.message_bytes());
    out[j].seeds.subfield_bits = subfield_bits;
    Verdict verdict(notes);
    out[j].seeds.sender_leaves =
        LockedBlocks(recover_trees(shape, p.sending, delta, keys.span(), trees).span());
    verdict.passed();
    out[j].transcripts.as_sender =
        transcript(p.sending, p.base_receiver->message(), p.peer_point, trees);
  }
  return out;
}

}  // namespace flexroom::ot
