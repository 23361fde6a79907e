#pragma once

#include "prep/epoch.h"
#include "prep/protocol.h"

namespace flexroom::prep {

/// Starts a session of an epoch (boolean-engine.md §8.3): exchanges eid and nonces that name this
/// room's protocol (prep/protocol.h), sid = RO("ses", eid, nonces), sets the party's scope and
/// zero-sharing keys. A new connection is always a new session; call it once per Party object.
///
/// Aborts  kDisagreement (refuse) when a peer speaks another protocol or is in another epoch; kEcho
void session_hello(net::Party& party, const EpochState& epoch, uint16_t protocol);

/// The same for a session that carries bits from one epoch to another (§8.4): its eid is
/// RO("refresh", both eids), so that every hash and every COT stream of it belongs to this pair of
/// epochs and to no session of either. There are no zero-sharing keys.
void refresh_hello(net::Party& party, const EpochState& from, const EpochState& to,
                   uint16_t protocol);

/// S_ses = RO128("S", sid): the key part of every H of a lane of the session. Each lane counts its
/// tweaks from 0, so each has its own key (§2.3: one (S, t) for two points only).
Block session_hash_key(const RoScope& scope, uint16_t lane = 0);

}  // namespace flexroom::prep
