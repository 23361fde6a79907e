#pragma once

#include <filesystem>
#include <string_view>

#include "bench/bench.h"
#include "bench/bench_answers.h"

/// Figures of single layers, out of what the members answered or were asked here.
namespace flexroom::bench {

/// How much of one preprocessing, and how often.
struct Preprocessing {
  size_t triples = 0, times = 0;
  std::string_view protocol;      // "masked" or "bucket"
  std::string_view unusual = "";  // what is so about it, for the condition
};
/// AND/s as figure `name`. Returns what the members answered.
Answers add_preprocessing(BenchReport& report, std::string_view name, MemberProcesses& members,
                          const Preprocessing& what);
/// From a meeting to the first AND triples, nothing in stock.
void add_session_start(BenchReport& report, MemberProcesses& members, size_t times);
/// Three members meet, with ML-KEM-768 on every link: what it adds. In this process.
void add_mesh_kem(BenchReport& report, size_t times);
/// Secrets from three members to four, who have met.
void add_hand_over(BenchReport& report, MemberProcesses& members, size_t times);
/// The boolean engine alone, on the handshake circuit.
void add_engine(BenchReport& report, const Answers& both);
/// Connections of a short and of a longer request: the handshake up to the sealed request, and what
/// more bytes cost.
void add_connections(BenchReport& report, const Answers& both);
void add_signatures(BenchReport& report, const Answers& both);
/// One JWE of a password, all of it before the connection that carries it.
void add_jwe(BenchReport& report, const Answers& both);
/// A cookie out of a sealed answer, by members that did it once before: their memory is not new.
void add_keep_cookie(BenchReport& report, MemberProcesses& members,
                     const std::filesystem::path& folder);

}  // namespace flexroom::bench
