#pragma once

#include <vector>

#include "flow/flow.h"

namespace flexroom::flow {

/// Which requests share a connection, by the file alone, so that all members decide alike and
/// `plan` can show it (tls-in-mpc.md §4.9, operations.md (c) "Connections"): a sealed step of a
/// line goes on the connection of the sealed step before it to the same host, where nothing between
/// the two, nor the first one, takes a person's time or may wait, where the later one sends no
/// one-time code, and where reading the first one's header for it costs less than a handshake. An
/// open answer ends its connection (§4.6 R2-2). Fills in Step::previous_on_connection and
/// next_on_connection.
void share_connections(Flow& flow);

/// Steps that are to follow on the connection of this one, in their order.
std::vector<const Step*> behind_on_connection(const Flow& flow, const Step& step);

}  // namespace flexroom::flow
