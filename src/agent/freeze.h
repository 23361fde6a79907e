#pragma once

#include "agent/read_direction.h"

namespace flexroom::agent {

/// Collects the records of an answer until the stream is frozen (tls-in-mpc.md §4.6): R2-5 says
/// when. Nothing that comes later is ever read. Aborts only where `await_close` refuses the end.
tls::FrozenResponse freeze(const Released& request, const ReadTerms& terms);

/// Of a connection that goes on (§4.9): waits until at least one more record is there, or none will
/// come. `settle`: then also for what is on its way.
tls::FrozenResponse freeze_next(const Released& request, const ReadTerms& terms, bool settle);

/// A4 of what was frozen: stream, offsets, records and the stated end.
Digest freeze_view(const Released& request, const tls::FrozenResponse& frozen);

}  // namespace flexroom::agent
