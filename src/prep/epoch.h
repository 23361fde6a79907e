#pragma once

#include <vector>

#include "base/hash.h"
#include "base/secret.h"
#include "net/party.h"
#include "ot/pair_setup.h"
#include "prep/prep.h"
#include "prep/protocol.h"

namespace flexroom::prep {

/// For links below about half a gigabit a second: COT sends half the bytes for five times the AES.
inline constexpr unsigned kSlowLinkSubfieldBits = 8;

/// Public parameters of an epoch, agreed beforehand; part of suid and so of every hash.
struct EpochParameters {
  unsigned subfield_bits = 4;     // k of boolean-engine.md §0: 2, 4 or 8
  std::vector<Bytes> identities;  // of all parties, by PartyId (public keys or names)
  uint16_t protocol = kProtocol;  // that the room speaks; an epoch serves any
};

/// What a party keeps for one epoch (boolean-engine.md §4.1): its global key and the base seeds of
/// its 2(n-1) COT directions. Everything in it but eid is as secret as a private key.
struct EpochState {
  Digest eid{};
  PartyId self = 0;
  size_t num_parties = 0;
  LockedBlock delta;                 // bit0 = 1; bit1 = 1 at party 0 only
  std::vector<ot::PairSeeds> pairs;  // [n], own entry empty
  std::vector<Block> zero_keys;      // [n], own entry zero; used for n > 2 (§3.3)

  EpochState() = default;
  EpochState(EpochState&&) noexcept = default;
  EpochState& operator=(EpochState&&) noexcept = default;
  ~EpochState();

  SecretBytes serialise() const;
  /// Throws InputError when the bytes are not a serialised epoch.
  static EpochState deserialise(ByteView bytes);
};

/// Sets up an epoch between all parties of the mesh.
///
/// Protocol   boolean-engine.md §4.1 (base OT, PPRF trees, check) for every ordered pair, zero
///            sharing keys §3.3, digests of all pair set-ups exchanged and echoed, eid; for n > 2
///            Delta consistency §4.4
/// Guarantee  each P_i holds one Delta_i towards all peers, with the pinned bits of §2.1 (every COT
///            enforces them); eid names exactly this set-up
/// Cost       n = 2, k = 4: 13.4 KB each way and about 50 ms
/// Aborts     kBaseOt, kPprf, kRowCheck, kBitConsistency, kDeltaConsistency, kEcho, kCoin
/// Leaves the party's scope at the set-up session; call session_hello() before using the epoch.
/// `safety`, if not null, is told around its verdicts.
EpochState setup_epoch(net::Party& party, const EpochParameters& parameters,
                       Safety* safety = nullptr);

/// Every P_i uses one Delta_i towards all peers; run by setup_epoch for n > 2.
///
/// Protocol   boolean-engine.md §4.4, all i in parallel, 5 flows
/// In         128 * n bits of aBit(all), consumed
/// Guarantee  two keys pass with probability 2^-126; a failing run shows nothing about honest keys
///            (commit before open, T_i opened only by a satisfied P_i)
/// Aborts     kDeltaConsistency, kEcho
/// `notes`, if not null, is told around its comparisons.
void check_delta_consistency(net::Party& party, const Block& delta, const AuthBits& bits,
                             ot::VerdictNotes* notes = nullptr);

}  // namespace flexroom::prep
