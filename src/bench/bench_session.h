#pragma once

#include <nlohmann/json.hpp>
#include <set>

#include "agent/connection.h"
#include "agent/journal.h"
#include "agent/memory_journal.h"
#include "bench/bench_figures.h"
#include "boolean/engine.h"
#include "prep/memory_safety.h"
#include "prep/session_prep.h"

namespace flexroom::bench {

/// How AND triples are made by a room of the default profile that says "bucket" or "masked".
prep::TripleParameters bench_triples(std::string_view protocol);
/// What new rooms say.
inline constexpr std::string_view kNewRooms = "masked";

/// A session of one member over the bench's mesh: what session::MemberSession is without a disk.
struct BenchSession {
  BenchSession(net::Party& mesh, const prep::EpochState& epoch,
               const prep::TripleParameters& parameters);
  agent::Context context() { return {party, source, arith, engine, journal}; }

  net::Party& party;
  prep::MemorySafety safety;
  prep::SessionPrep source;
  arith::ArithEngine arith;
  boolean::Engine engine;
  agent::MemoryJournal journal;
};

/// The sandbox, as the orders name it.
struct BenchService {
  explicit BenchService(const nlohmann::json& order);
  uint16_t port;
  std::string ca_file, access_key, secret_key;  // the sandbox's own, nobody's secret
  agent::ConnectionConfig connection() const;
  agent::ServerBytes::Connect connect() const;
};

nlohmann::json phases_of(const agent::Timeline& timeline);

/// The order "measure" (bench_connection.cpp).
nlohmann::json measure(BenchSession& session, const nlohmann::json& order);

/// The order "jwe" (bench_jwe.cpp).
nlohmann::json measure_jwe(BenchSession& session);
/// The order "keep_cookie" (bench_keep_cookie.cpp): a sealed connection from nothing but the epoch;
/// seconds of all of it and of what follows the release of the request.
nlohmann::json keep_cookie(net::Party& party, const prep::EpochState& epoch,
                           const nlohmann::json& order);

/// The orders "prepare" and "call" (bench_run_script.cpp).
class BenchRunScript {
 public:
  BenchRunScript(net::Party& party, const prep::EpochState& epoch, const nlohmann::json& order);
  ~BenchRunScript();
  nlohmann::json prepare();
  nlohmann::json call();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::bench
