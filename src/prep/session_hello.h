#pragma once

#include "prep/epoch.h"

namespace flexroom::prep {

/// Starts a session of an epoch (boolean-engine.md §8.3): exchanges eid and 32-byte nonces,
/// sid = RO("ses", eid, nonces), sets the party's scope and zero-sharing keys. A new connection is
/// always a new session; call it once per Party object.
///
/// Aborts  kDisagreement (refuse) when a peer is in another epoch; kEcho
void session_hello(net::Party& party, const EpochState& epoch);

/// S_ses = RO128("S", sid): the key part of every H of a lane of the session. Each lane counts its
/// tweaks from 0, so each has its own key (§2.3: one (S, t) for two points only).
Block session_hash_key(const RoScope& scope, uint16_t lane = 0);

}  // namespace flexroom::prep
