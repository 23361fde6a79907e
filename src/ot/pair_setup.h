#pragma once

#include "base/hash.h"
#include "net/party.h"
#include "ot/pprf.h"
#include "ot/verdict.h"

namespace flexroom::ot {

/// What this party keeps of the set-up with one peer, for one epoch (boolean-engine.md §4.1): the
/// leaves of both COT directions. As secret as a private key.
struct PairSeeds {
  unsigned subfield_bits = 0;    // k; 128/k trees of 2^k leaves
  LockedBlocks sender_leaves;    // this party is COT sender: entry [v][x + alpha_v], slot 0 zero
  LockedBlocks receiver_leaves;  // this party is COT receiver: entry [v][x]

  PairSeeds clone() const;
};

/// Digests of both directions' set-up transcripts, equal at both ends.
struct PairTranscripts {
  Digest as_sender{};    // this party COT sender
  Digest as_receiver{};  // this party COT receiver
};

struct PairSetup {
  PairSeeds seeds;
  PairTranscripts transcripts;
};

/// Base OT, trees and PPRF check with every peer, both directions (§4.1). The party's scope must be
/// the set-up scope (eid = sid = suid). Returns one entry per party, the own one empty.
///
/// Aborts  kBaseOt (invalid or identity point), kPprf
/// `notes`, if not null, is told around the PPRF checks.
std::vector<PairSetup> setup_pairs(net::Party& party, const Block& delta, unsigned subfield_bits,
                                   VerdictNotes* notes = nullptr);

}  // namespace flexroom::ot
