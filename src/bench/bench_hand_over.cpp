#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/bench_answers.h"
#include "bench/bench_layers.h"
#include "bench/bench_session.h"
#include "prep/rows.h"
#include "session/stored_hand_over.h"

namespace flexroom::bench {
namespace {

constexpr size_t kMembersBefore = 3, kMembersAfter = 4;
constexpr uint32_t kSecretBits = 8 * 40;  // an AWS secret access key

store::MemberId member_id(const Bytes& identity) {
  store::MemberId out{};
  std::copy_n(identity.begin(), out.size(), out.begin());
  return out;
}

}  // namespace

// The secrets are zeros, whose rows may be zeros too: tau = k x.
nlohmann::json measure_hand_over(BenchRoom& room, const prep::EpochParameters& parameters,
                                 const nlohmann::json& order) {
  net::Party& party = *room.party;
  session::HandOverTerms terms;
  terms.attempt[0] = 1;
  for (PartyId i = 0; i < kMembersAfter; ++i) {
    if (i < kMembersBefore) terms.from.push_back(i);
    terms.to.push_back(i);
  }
  terms.triples = bench_triples(kNewRooms);
  terms.of_union = terms.of_next = parameters;
  std::vector<store::MemberId> ids;
  for (const Bytes& identity : parameters.identities) ids.push_back(member_id(identity));

  const std::filesystem::path key = room.folder / "state.key";
  store::SealedDb state(room.folder / "state.db",
                        [&](bool, Bytes&) { return store::SealKey::create(key); });
  const store::RoomId rid = room.epoch.eid;
  store::SecretStore secrets(state, rid);
  session::Carried carried;
  for (size_t s = 0; s < order.at("secrets").get<size_t>(); ++s) {
    store::RecordMeta meta;
    meta.id[0] = static_cast<uint8_t>(s >> 8);
    meta.id[1] = static_cast<uint8_t>(s);
    meta.name = fmt::format("bench-{}", s);
    meta.bits = kSecretBits;
    meta.set[0] = 1;
    if (party.id() < kMembersBefore) {
      secrets.put_committed({meta, SecretBytes(prep::row_bytes(kSecretBits))});
    }
    carried.metas.push_back(std::move(meta));
  }
  nlohmann::json out = {{"cpu", nlohmann::json::array()}, {"seconds", nlohmann::json::array()}};
  for (size_t k = 0; k < order.at("times").get<size_t>(); ++k) {
    store::OpenMark mark(room.folder, Digest{}, terms.attempt, Digest{});
    session::StoredHandOver own({state, *room.once, rid, &mark}, terms, party.id(), ids, [] {});
    meet(party);
    const net::Traffic before = party.traffic();
    const double cpu = process_cpu_seconds();
    const auto start = BenchClock::now();
    (void)session::hand_over(party, terms, carried, own);
    out["seconds"].push_back(seconds_since(start));
    out["cpu"].push_back(process_cpu_seconds() - cpu);
    const net::Traffic sent = party.traffic().since(before);
    out["bytes"] = sent.bytes_sent / party.peers().size();
    out["rounds"] = sent.half_rounds;
  }
  return out;
}

void add_hand_over(BenchReport& report, MemberProcesses& members, size_t times) {
  constexpr size_t kSecrets = 100;
  const Answers answers =
      members.run({{"do", "hand_over"}, {"secrets", kSecrets}, {"times", times}});
  report.figures["hand_over_100_secrets_s"] = {
      median(slowest(answers, "seconds")), "s", std::nullopt,
      fmt::format("{} secrets of {} bytes from {} members to {} who have met: both epochs set up, "
                  "loaded, stored, staged in state.db and loaded again from there; {:.2f} MB from "
                  "a member to each other, {} waits, {:.2f} s of a member's core; median of {}",
                  kSecrets, kSecretBits / 8, kMembersBefore, kMembersAfter,
                  largest(answers, "bytes") / 1e6, answers.front().at("rounds").get<uint64_t>(),
                  median(slowest(answers, "cpu")), times)};
}

}  // namespace flexroom::bench
