#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/connection.h"
#include "bench/bench_figures.h"
#include "session/session_engines.h"
#include "store/once_db.h"
#include "store/open_mark.h"

namespace flexroom::bench {

/// How AND triples are made by a room of the default profile that says "bucket" or "masked".
prep::TripleParameters bench_triples(std::string_view protocol);
/// What new rooms say.
inline constexpr std::string_view kNewRooms = "masked";

/// One member's links, epoch and counters on disk, as session::MemberSession has them; without the
/// terms, secrets and log of a room.
struct BenchRoom {
  /// Sets the epoch up. `folder` is made; it holds once.db.
  BenchRoom(std::unique_ptr<net::Party> mesh, const prep::EpochParameters& parameters,
            const std::filesystem::path& folder);

  const std::unique_ptr<net::Party> party;
  const std::filesystem::path folder;
  prep::EpochState epoch;
  std::unique_ptr<store::OnceDb> once;
};

/// A session of that member: what the product computes with (session::SessionEngines), and its
/// counters and marks in once.db.
struct BenchSession {
  BenchSession(BenchRoom& of, const prep::TripleParameters& parameters);
  ~BenchSession();
  BenchSession(const BenchSession&) = delete;
  BenchSession& operator=(const BenchSession&) = delete;
  agent::Context context() { return engines->context(); }

  BenchRoom& room;
  net::Party& party;
  store::OpenMark mark;
  std::unique_ptr<session::SessionEngines> engines;
  session::PooledSource& source;
  boolean::Engine& engine;
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

/// Round trips to a service up to the end of its answer, where it takes the key of the first hello
/// and where it asks for another (bench_retry.cpp); at the courier.
nlohmann::json measure_retry(BenchSession& session, const nlohmann::json& order);

/// Pairs of calls, signed with SigV4 and not (bench_signature.cpp).
nlohmann::json measure_signatures(BenchSession& session, const BenchService& service, size_t times);
/// The order "jwe" (bench_jwe.cpp).
nlohmann::json measure_jwe(BenchSession& session);
/// The order "hand_over" (bench_hand_over.cpp), among four members of an epoch of `parameters`.
nlohmann::json measure_hand_over(BenchRoom& room, const prep::EpochParameters& parameters,
                                 const nlohmann::json& order);
/// The order "keep_cookie" (bench_keep_cookie.cpp): a sealed connection from nothing but the epoch;
/// seconds of all of it and of what follows the release of the request.
nlohmann::json keep_cookie(BenchRoom& room, const nlohmann::json& order);

/// The orders "prepare" and "call" (bench_run_script.cpp).
class BenchRunScript {
 public:
  BenchRunScript(BenchRoom& room, const nlohmann::json& order);
  ~BenchRunScript();
  nlohmann::json prepare();
  nlohmann::json call();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::bench
