#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "agent/timeline.h"
#include "bench/bench_members.h"

/// The measurements behind run_bench(): what one member does, in a process of its own. Everything
/// is the product's own code: agent::Connection and RunScriptCall with their Timeline, SessionPrep,
/// the boolean engine.
///
/// Orders, each a JSON object with "do":
///   join        {ports, link, folder}          the mesh and an epoch, "fast" or "slow"
///   (room.link);
///                                              once.db lies in the folder
///   small_pages {}                             from now on the process gets no huge pages
///   start       {times}                        sessions up to their first AND triples
///   preprocess  {triples, times, protocol}     AND triples of a session, "bucket" or "masked"
///   measure     {service, signatures, connections, folder, ca_file}
///               SigV4 signatures, the handshake circuit in the engine, whole connections
///   jwe         {}                             one JWE of a secret, from nothing in stock
///   hand_over   {secrets, times}               secrets from three members to four
///   keep_cookie {folder, ca_file}              a cookie of a sealed answer of 4 KB
///   prepare     {service, run, protocol}       run-script up to where all is prepared; each has
///                                              a number `run` of its own
///   call        {}                             its one request
/// where service = {port, ca_file, access_key, secret_key} is the sandbox.
namespace flexroom::bench {

inline constexpr const char* kBenchHost = "ec2.us-east-1.amazonaws.com";
inline constexpr PartyId kBenchCourier = 1;
/// How much longer the longer of two requests is, whose difference is the time of a request's
/// bytes.
inline constexpr size_t kMoreBytes = 4 * size_t{224};

/// The shorter one.
inline constexpr size_t kShortBytes = 112;

std::unique_ptr<BenchMember> make_bench_member(const LoopbackMembers& members, PartyId self);

/// One phase of a Timeline, as JSON and back.
struct BenchPhase : agent::Timeline::Phase {};
void to_json(nlohmann::json& out, const BenchPhase& phase);
void from_json(const nlohmann::json& in, BenchPhase& phase);

}  // namespace flexroom::bench
