#include "bench/bench_session.h"

#include <fmt/core.h>
#include <sys/prctl.h>

#include <algorithm>
#include <stdexcept>

#include "base/private_file.h"
#include "net/tcp_stream.h"
#include "prep/session_hello.h"

namespace flexroom::bench {
namespace {

constexpr size_t kPings = 100;

double round_trip_ms(net::Party& party) {
  const PartyId peer = party.id() == 0 ? 1 : 0;
  if (party.id() > 1) return 0;
  const auto start = BenchClock::now();
  for (size_t k = 0; k < kPings; ++k) {
    if (party.id() == 0) party.send(peer, "bench/ping", Bytes(1));
    (void)party.receive(peer, "bench/ping", 1);
    if (party.id() != 0) party.send(peer, "bench/ping", Bytes(1));
  }
  return 1e3 * seconds_since(start) / static_cast<double>(kPings);
}

class Member final : public BenchMember {
 public:
  Member(const LoopbackMembers& members, PartyId self) : members_(members), self_(self) {}

  nlohmann::json run(const nlohmann::json& order) override {
    const std::string what = order.at("do");
    if (what == "join") return join(order);
    if (what == "small_pages") return small_pages();
    if (what == "ping") {
      meet(*room_->party);
      return {{"rtt_ms", round_trip_ms(*room_->party)}};
    }
    if (what == "start") return start(order);
    if (what == "preprocess") return preprocess(order);
    if (what == "measure") {
      BenchSession session(*room_, bench_triples(kNewRooms));
      return measure(session, order);
    }
    if (what == "jwe") {
      BenchSession session(*room_, bench_triples(kNewRooms));
      return measure_jwe(session);
    }
    if (what == "hand_over") {
      return measure_hand_over(*room_, members_.epoch_parameters(), order);
    }
    if (what == "keep_cookie") return keep_cookie(*room_, order);
    if (what == "prepare") {
      run_script_ = std::make_unique<BenchRunScript>(*room_, order);
      return run_script_->prepare();
    }
    FLEXROOM_ASSERT(what == "call" && run_script_ != nullptr);
    nlohmann::json answer = run_script_->call();
    run_script_.reset();
    return answer;
  }

 private:
  /// What the process touches from now on lies in pages of the usual size.
  static nlohmann::json small_pages() {
    if (::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) {
      throw std::runtime_error("bench: this kernel does not let a process do without huge pages");
    }
    return {{"small_pages", ::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1}};
  }

  nlohmann::json join(const nlohmann::json& order) {
    prep::EpochParameters parameters = members_.epoch_parameters();
    if (order.at("link") == "slow") parameters.subfield_bits = prep::kSlowLinkSubfieldBits;
    const std::filesystem::path folder = order.at("folder").get<std::string>();
    room_ = std::make_unique<BenchRoom>(members_.join(self_, order.at("ports")), parameters,
                                        folder / fmt::format("member-{}", self_));
    meet(*room_->party);
    return {{"subfield_bits", parameters.subfield_bits}};
  }

  /// Sessions one after the other, each up to where its first triples can be used.
  nlohmann::json start(const nlohmann::json& order) {
    nlohmann::json out = {{"cpu", nlohmann::json::array()}, {"seconds", nlohmann::json::array()}};
    for (size_t k = 0; k < order.at("times").get<size_t>(); ++k) {
      net::Party& party = *room_->party;
      meet(party);
      const uint64_t rounds = party.traffic().half_rounds;
      const double cpu = thread_cpu_seconds();
      const auto start = BenchClock::now();
      BenchSession session(*room_, bench_triples(kNewRooms));
      session.engines->reserve_triples(1);
      out["seconds"].push_back(seconds_since(start));
      out["cpu"].push_back(thread_cpu_seconds() - cpu);
      out["rounds"] = party.traffic().half_rounds - rounds;
      out["triples"] = session.engines->live.triples_in_stock();
    }
    return out;
  }

  /// Again and again, as a member does that refills its stock: the first time, its memory is new.
  /// Taken as garbling takes them.
  nlohmann::json preprocess(const nlohmann::json& order) {
    const size_t triples = order.at("triples"), times = order.at("times");
    const prep::TripleParameters parameters =
        bench_triples(order.at("protocol").get<std::string>());
    nlohmann::json out = {{"cpu", nlohmann::json::array()}, {"seconds", nlohmann::json::array()}};
    for (size_t k = 0; k < times; ++k) {
      BenchSession session(*room_, parameters);
      meet(session.party);
      const uint64_t sent = session.party.traffic().bytes_sent;
      const double cpu = thread_cpu_seconds();
      const auto start = BenchClock::now();
      session.engines->reserve_triples(triples);
      constexpr size_t kSlab = size_t{1} << 16;
      for (size_t left = triples; left > 0; left -= std::min(left, kSlab)) {
        (void)session.engines->live.and_triples(std::min(left, kSlab));
      }
      out["cpu"].push_back(thread_cpu_seconds() - cpu);
      out["seconds"].push_back(seconds_since(start));
      out["bytes"] = session.party.traffic().bytes_sent - sent;
    }
    return out;
  }

  const LoopbackMembers& members_;
  const PartyId self_;
  std::unique_ptr<BenchRoom> room_;
  std::unique_ptr<BenchRunScript> run_script_;
};

}  // namespace

prep::TripleParameters bench_triples(std::string_view protocol) {
  return prep::profile("default", prep::triple_protocol(protocol)).triples;
}

BenchRoom::BenchRoom(std::unique_ptr<net::Party> mesh, const prep::EpochParameters& parameters,
                     const std::filesystem::path& in)
    : party(std::move(mesh)), folder(in) {
  make_private_folder(folder);
  const prep::Profile profile = prep::profile("default");
  std::vector<store::MemberId> peers;
  for (const PartyId j : party->peers()) {
    store::MemberId& id = peers.emplace_back();
    std::copy_n(parameters.identities.at(j).begin(), id.size(), id.begin());
  }
  once = std::make_unique<store::OnceDb>(folder / "once.db", folder / "once.key", false,
                                         store::OnceDb::Limits{profile.dirty_max, profile.life_max},
                                         peers);
  (void)once->enter("bench", std::nullopt, std::nullopt);
  epoch = prep::setup_epoch(*party, parameters, once.get());
  once->prepare_epoch(epoch.eid);
  once->set_room("bench", epoch.eid);
  once->start_epoch(epoch.eid);
}

namespace {
/// As MemberSession::start() does it.
std::unique_ptr<session::SessionEngines> begin(BenchRoom& room, store::OpenMark& mark,
                                               const prep::TripleParameters& parameters) {
  prep::session_hello(*room.party, room.epoch, prep::protocol_number(parameters.protocol));
  room.once->set_mark(&mark);
  room.once->begin_session(room.party->scope().sid);
  room.once->connect(*room.party);
  return std::make_unique<session::SessionEngines>(
      *room.party, prep::EpochState::deserialise(room.epoch.serialise().reveal()), *room.once,
      parameters);
}
}  // namespace

BenchSession::BenchSession(BenchRoom& of, const prep::TripleParameters& parameters)
    : room(of),
      party(*of.party),
      mark(of.folder, Digest{}, of.epoch.eid, Digest{}),
      engines(begin(of, mark, parameters)),
      source(engines->source),
      engine(engines->engine) {}

BenchSession::~BenchSession() {
  room.once->set_mark(nullptr);
  engines.reset();
  room.once->end_session(party.scope().sid);
}

BenchService::BenchService(const nlohmann::json& order)
    : port(order.at("port")),
      ca_file(order.at("ca_file")),
      access_key(order.at("access_key")),
      secret_key(order.at("secret_key")) {}

agent::ConnectionConfig BenchService::connection() const {
  agent::ConnectionConfig config;
  config.host = kBenchHost;
  config.courier = kBenchCourier;
  config.handshake =
      tls::handshake_config({config.host, tls::TrustStore::from_files({ca_file}, "sandbox"),
                             [] { return std::chrono::system_clock::now(); }, std::nullopt});
  return config;
}

agent::ServerBytes::Connect BenchService::connect() const {
  return [to = port] { return net::connect_tcp("127.0.0.1", to, std::chrono::seconds(20)); };
}

nlohmann::json phases_of(const agent::Timeline& timeline) {
  nlohmann::json out = nlohmann::json::array();
  for (const agent::Timeline::Phase& phase : timeline.phases()) {
    out.push_back(BenchPhase{phase});
  }
  return out;
}

void to_json(nlohmann::json& out, const BenchPhase& phase) {
  out = {{"name", phase.name},        {"start", phase.start_seconds}, {"seconds", phase.seconds},
         {"bytes", phase.bytes_sent}, {"rounds", phase.half_rounds},  {"ands", phase.ands}};
}
void from_json(const nlohmann::json& in, BenchPhase& phase) {
  phase = {{in.at("name"), in.at("start"), in.at("seconds"), in.at("bytes"), in.at("rounds"),
            in.at("ands")}};
}

std::unique_ptr<BenchMember> make_bench_member(const LoopbackMembers& members, PartyId self) {
  return std::make_unique<Member>(members, self);
}

}  // namespace flexroom::bench
