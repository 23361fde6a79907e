#pragma once

#include "agent/read_direction.h"

namespace flexroom::agent {

/// Collects the records of an answer until the stream is frozen (tls-in-mpc.md §4.6): R2-5 says
/// when. Nothing that comes later is ever read. Aborts only where `await_close` refuses the end.
tls::FrozenResponse freeze(const Released& request, const ReadTerms& terms);

/// How long freeze_next() waits. Only the courier does; nothing is accepted because of it.
struct Patience {
  /// For the first record; if absent, as long as a connection may be silent.
  std::optional<std::chrono::milliseconds> first;
  std::chrono::milliseconds then{0};  // for each further one
  size_t enough = 0;  // bytes of application data behind which nothing is waited for
};

/// Of a connection that goes on (§4.9): waits until at least one more record is there, or none will
/// come, then for what is on its way.
tls::FrozenResponse freeze_next(const Released& request, const ReadTerms& terms,
                                const Patience& patience);

/// A4 of what was frozen: stream, offsets, records and the stated end.
Digest freeze_view(const Released& request, const tls::FrozenResponse& frozen);

}  // namespace flexroom::agent
