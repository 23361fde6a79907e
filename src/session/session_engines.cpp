#include "session/session_engines.h"

#include "prep/forward_source.h"

namespace flexroom::session {

SessionEngines::SessionEngines(net::Party& mesh, prep::EpochState e, store::OnceDb& once,
                               const prep::TripleParameters& parameters,
                               const prep::Progress& progress)
    : party(mesh),
      epoch(std::move(e)),
      live(party, epoch, once, parameters,
           [this, progress](std::string_view phase, uint64_t done, uint64_t total) {
             if (progress && !filling) progress(phase, done, total);
           }),
      source(
          party, once, epoch.delta, parameters.batch,
          [this] { return std::make_unique<prep::ForwardSource>(live); },
          prep::protocol_number(parameters.protocol)),
      arith(party, source),
      engine(party, source),
      journal(once, party.scope().sid) {
  engine.set_start_hook([this](const Digest& id) { journal.start(id); });
  if (progress) {
    engine.set_progress(
        [progress](uint64_t done, uint64_t total) { progress("garbling", done, total); });
  }
}

agent::Context SessionEngines::context() { return {party, source, arith, engine, journal}; }

void SessionEngines::reserve_triples(size_t count) {
  const size_t missing = triples_to_make(count);
  if (missing > 0) live.reserve_triples(missing);
}

}  // namespace flexroom::session
