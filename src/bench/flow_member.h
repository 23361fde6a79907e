#pragma once

#include <memory>
#include <string>

#include "bench/bench_members.h"

/// Flows in a room of the product: what one member does, in a process of its own, with the
/// library's own calls. No part of the pipeline is built here.
namespace flexroom::bench {

/// Orders, each a JSON object with "do":
///   identity {folder, address}   the member's files; answers {certificate}
///   room     {text}              room.toml, and the set-up with the others
///   stock    {triples}           AND triples on disk until there are so many
///   flow     {file, arguments, inputs, seen}
///                                a flow from the first contact to its end; `inputs`: what this
///                                member gives, `seen`: where the sandbox writes down what a person
///                                would read. Answers {seconds, bytes, ands, steps, rss_mib,
///                                rss_alone}; bytes are those that this member sent, rss_mib its
///                                largest resident set in this flow, or, where the kernel does not
///                                tell that (rss_alone is false), since its process began
std::unique_ptr<BenchMember> make_flow_member(const LoopbackMembers& members, PartyId self);

}  // namespace flexroom::bench
