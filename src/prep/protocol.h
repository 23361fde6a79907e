#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/prg.h"
#include "prep/triple_parameters.h"

namespace flexroom::prep {

/// The numbers of the protocol between members (boolean-engine.md §8.3), never the program's
/// version. 1: row 1 of a COT not pinned, leaf streams without an iv; not spoken any more, pools of
/// it are void, and stored shares are pinned when they are loaded (§8.1). 2: triples from buckets.
/// 3: masked triples (engine-v2.md); all else is as in 2. Not spoken any more, its triples are
/// used. 4: masked triples as in 3, but commitments leave early and batches have other lengths, so
/// the messages come in another order. 5 and 6: triples as in 2 and 4, and each garbled instance
/// has an evaluator of its own (boolean-engine.md §6.7). A room speaks the number of its triples:
/// of 2 and 4 only what lies in a pool is used, which knows no evaluator. 7 and 8: as 5 and 6, but
/// bit 0 of an input label is its masked value, and masked values leave while the evaluator goes on
/// (§6.3, §7.2, §7.4); pools of 5 and 6 are used. 9: as 8, but a batch of masked triples is as long
/// as what is missing (engine-v2.md §V0).
inline constexpr uint16_t kFirstBucketProtocol = 2;
inline constexpr uint16_t kProtocol = 7;
inline constexpr uint16_t kMaskedProtocol = 9;

constexpr uint16_t protocol_number(TripleProtocol triples) {
  return triples == TripleProtocol::kMasked ? kMaskedProtocol : kProtocol;
}
/// Whether what was made under that number is used by this program, in a room of any triples: an
/// item of a pool says nothing of how it was made.
constexpr bool is_usable_protocol(uint16_t number) {
  return number >= kFirstBucketProtocol && number <= kMaskedProtocol;
}

inline constexpr size_t kHelloNonceBytes = 32;

/// This member's nonce of a session or a set-up: 8 bytes that name the protocol, 24 random ones.
/// Members of protocol 1 sent 32 random bytes in its place.
Bytes hello_nonce(Prg& prg, uint16_t protocol);

/// Throws kDisagreement (refuse; nothing is burned) naming both numbers when `peer` speaks another
/// protocol than this member's `protocol`: its MACs, trees and streams, or its next messages, would
/// not fit ours, which looks like a cheat.
void require_same_protocol(ByteView nonce, uint16_t protocol, std::string_view label, PartyId peer);

}  // namespace flexroom::prep
