#pragma once

#include "agent/context.h"
#include "arith/ecdh.h"
#include "boolean/engine.h"
#include "net/party.h"
#include "prep/epoch.h"
#include "prep/session_prep.h"
#include "session/once_journal.h"
#include "session/pool_source.h"
#include "store/once_db.h"

namespace flexroom::session {

/// What a session computes with, from session_hello() to its end: preprocessing from the pool and
/// live, both engines, and the journal. The one place that joins them, for the product and for its
/// benchmark.
struct SessionEngines {
  /// `once` is in that epoch and session (enter(), begin_session(), connect()); it and `party`
  /// outlive the engines.
  SessionEngines(net::Party& party, prep::EpochState e, store::OnceDb& once,
                 const prep::TripleParameters& parameters,
                 const prep::Progress& progress = nullptr);
  SessionEngines(const SessionEngines&) = delete;
  SessionEngines& operator=(const SessionEngines&) = delete;
  agent::Context context();
  /// How many of `count` triples are not in the pool.
  size_t triples_to_make(size_t count) { return count - std::min(count, source.stock().triples); }
  /// The next `count` triples are used in this session: SessionPrep::reserve_triples() of those
  /// that are not in the pool.
  void reserve_triples(size_t count);

  net::Party& party;
  prep::EpochState epoch;
  bool filling = false;  // the pool tells how far that is
  prep::SessionPrep live;
  PooledSource source;
  arith::ArithEngine arith;
  boolean::Engine engine;
  OnceJournal journal;
};

}  // namespace flexroom::session
