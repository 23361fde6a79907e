#pragma once

#include <filesystem>
#include <string>

#include "call/run_script.h"
#include "flexroom/session.h"
#include "room/runs.h"

// What both forms of run-script do before their first request: a member's links, and the record of
// its run.

namespace flexroom::room {

/// The links of this member, looked at; what is worth telling is told. Throws InputError.
void tell_of_links(Session& session, const LinksConfig& links, const std::string& place,
                   const JobConfig& job);
/// The same, of a file.
LinksConfig good_links(Session& session, const std::filesystem::path& file, const JobConfig& job);

/// What the records of a run have in common at all members.
struct RunPlace {
  uint64_t index = 0;   // the runs of this proposal so far, by whoever remembers most
  int64_t started = 0;  // by party 0's clock: which run is the last is the same at all members
};
/// `own`: the runs of this proposal that this member has.
RunPlace agree_on_place(net::Party& party, uint64_t own);

/// The record of a run that begins. `terms`: with its proposal.
runs::Run begin_run(const JobConfig& job, const LinksConfig& links, const RunScriptTerms& terms,
                    const Digest& rid, const Digest& session, const RunPlace& place);

/// This member's links of a run.
struct TriedLinks {
  const LinksConfig& links;
  const std::string& place;  // links.toml, for messages
  bool carries = false;      // the loader lies behind one of them
};
/// Tries them (try_links()); an earlier result that lay there is kept in the run's folder, and what
/// lies there now in its record, which is durable when this returns.
void try_own_links(Session& session, runs::RunHistory& history, runs::Run& run,
                   const RunScriptTerms& terms, const TriedLinks& own);

/// Of what is shown before the members meet: the other members' links are taken as long as this
/// one's.
RunScriptTerms terms_of_plan(const RoomConfig& room, const JobConfig& job, const LinksConfig& links,
                             const std::filesystem::path& file);

}  // namespace flexroom::room
