#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "support/sealed_rig.h"
#include "support/sweeps.h"

// `client_auth = "none"` (tls-complete.md §4.2, attacks 67 and 68): the client's flight with an
// empty Certificate, made by members of whom one may lie.

namespace flexroom {
namespace client_flight_test {

using support::ConnectionRig;
using support::OpensslService;
using support::TestService;
using ::testing::HasSubstr;
using Scenario = ConnectionRig::Scenario;
using Report = ConnectionRig::Report;

constexpr std::string_view kClientSecret = "tls/open c_hs";

struct Room {
  size_t members;
  const tls::CipherSuite* suite;
};
std::ostream& operator<<(std::ostream& out, const Room& room) {
  return out << room.members << " members, " << room.suite->setting;
}

ConnectionRig& rig(const Room& room, bool sealed = false) {
  static std::map<std::tuple<size_t, uint16_t, bool>, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[{room.members, room.suite->code, sealed}];
  if (!rig) {
    const auto plan = std::make_shared<const agent::SealedPlan>(support::small_plan());
    rig = std::make_unique<ConnectionRig>(room.members,
                                          [&](PartyId, agent::ConnectionConfig& config) {
                                            config.suite = room.suite;
                                            config.client_auth = tls::ClientAuth::kNone;
                                            if (!sealed) return;
                                            config.receive = agent::ReceiveMode::kSealed;
                                            config.sealed = plan;
                                          });
  }
  return *rig;
}

class ClientFlightAttack : public ::testing::TestWithParam<Room> {
 protected:
  size_t n() const { return GetParam().members; }
  ConnectionRig& members(bool sealed = false) { return rig(GetParam(), sealed); }
  PartyId last() const { return static_cast<PartyId>(n() - 1); }
  bool has_gcm() const { return GetParam().suite->code == tls::aes128_gcm_sha256().code; }

  static Scenario asked() {
    Scenario out;
    out.script.server.asks_for_certificate = true;
    return out;
  }
  Report run(const Scenario& scenario, bool sealed = false) {
    Report report = members(sealed).run(scenario);
    EXPECT_TRUE(report.ended);
    for (const auto& member : report.members) {
      if (scenario.script.server.asks_for_certificate) {
        EXPECT_EQ(member.sent_count(kClientSecret), 0u);  // whatever else happened
      }
    }
    return report;
  }
  void expect_answer(const Report& report, bool sealed = false) {
    EXPECT_EQ(report.seen.request, members().expected_request());
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
      EXPECT_EQ(sealed ? member.sealed : member.replied, true) << member.unknown_why;
      EXPECT_TRUE(member.released);
    }
  }
  /// No tag, no request, no key of the service; and the service has no flight.
  void expect_nothing_sent(const Report& report) {
    EXPECT_EQ(report.seen.request, "");
    EXPECT_FALSE(report.seen.finished);
    EXPECT_EQ(report.seen.alert, Bytes());
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.replied);
      EXPECT_TRUE(member.code.has_value());
      EXPECT_FALSE(member.released && &member == &report.members[members().courier()]);
      EXPECT_EQ(member.sent_count("tls/open s_ap"), 0u);
    }
  }
  /// Labels of GC-B and GC-CF follow those of GC-A at a garbler of it.
  void expect_no_label(const Report& report) {
    for (PartyId i = 0; i < report.members.size(); ++i) {
      EXPECT_LE(report.members[i].sent_count("boolean/O2 labels"),
                i == members().evaluators().gc_a ? 0u : 1u)
          << i;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Rooms, ClientFlightAttack,
                         ::testing::Values(Room{2, &tls::aes128_gcm_sha256()}));
INSTANTIATE_TEST_SUITE_P(
    LongSweep, ClientFlightAttack,
    ::testing::ValuesIn(support::in_long_runs<Room>({{3, &tls::aes128_gcm_sha256()},
                                                     {2, &tls::chacha20_poly1305_sha256()}})));

net::Tamper alter(PartyId sender, std::string_view label, size_t index, size_t byte = 0,
                  std::optional<PartyId> receiver = std::nullopt) {
  return [=](const net::MessageId& message, Bytes& payload) {
    if (message.sender == sender && message.label == label && message.index == index &&
        message.receiver == receiver.value_or(message.receiver)) {
      payload.at(byte) ^= 1;
    }
  };
}

// The service asks, gets an empty Certificate and a Finished over it, and answers; with and without
// HelloRetryRequest, sealed and open.
TEST_P(ClientFlightAttack, AServiceThatAsksGetsAnEmptyCertificate) {
  for (const bool sealed : {false, true}) {
    for (const bool retry : {false, true}) {
      Scenario scenario = asked();
      if (retry) scenario.script.retry = {tls::testing::hello_retry(0x0017)};
      const Report report = run(scenario, sealed);
      EXPECT_TRUE(report.seen.finished && report.seen.no_certificate);
      EXPECT_EQ(report.seen.retried, retry);
      expect_answer(report, sealed);
      for (const auto& member : report.members) {
        // Two positions are marked before the circuits run: of the flight and of the request.
        const std::vector<std::string> first = {"token", "token", "record", "record", "release"};
        ASSERT_GE(member.marks.size(), first.size());
        EXPECT_TRUE(std::equal(first.begin(), first.end(), member.marks.begin()));
      }
    }
  }
}

// A service that asks for nothing: GC-CF is not started, no label of it leaves, c_hs is opened as
// ever.
TEST_P(ClientFlightAttack, WithoutARequestNoLabelOfItLeaves) {
  const Report report = run({});
  EXPECT_TRUE(report.seen.finished);
  EXPECT_FALSE(report.seen.no_certificate);
  expect_answer(report);
  const Report asking = run(asked());
  for (PartyId i = 0; i < n(); ++i) {
    EXPECT_EQ(report.members[i].sent_count(kClientSecret), i == members().courier() ? 0u : 1u);
    const auto labels = [i](const Report& of) {
      return of.members[i].sent_count("boolean/O2 labels");
    };
    // One set more at each garbler of it; with ChaCha one of the tag's circuit beside.
    const size_t more = labels(asking) - labels(report);
    EXPECT_LE(more, has_gcm() ? 1u : 2u);
    if (has_gcm()) {
      EXPECT_EQ(more, i == members().evaluators().gc_b ? 0u : 1u);
    }
    EXPECT_EQ(report.members[i].marks,
              (std::vector<std::string>{"token", "token", "record", "release"}));
  }
}

// The flows of GC-CF are those of GC-B: no half round more (tls-complete.md §4.2).
TEST_P(ClientFlightAttack, GoesInTheFlowsOfTheRequest) {
  if (!has_gcm()) return;
  const Report plain = run({}), asking = run(asked());
  for (PartyId i = 0; i < n(); ++i) {
    EXPECT_GT(plain.members[i].half_rounds, 0u);
    EXPECT_EQ(plain.members[i].half_rounds, asking.members[i].half_rounds) << i;
  }
}

// 67: nothing that a courier gets holds c_hs, its keys or the key of the Finished.
TEST_P(ClientFlightAttack, TheCourierNeverGetsTheClientSecret) {
  Scenario scenario = asked();
  scenario.tamper = [this](const net::MessageId& message, Bytes& payload) {
    const tls::HashValue& c_hs = members().seen()->c_hs;
    if (c_hs.size() == 0) return;
    const tls::TrafficKeys keys = tls::traffic_keys(c_hs, *GetParam().suite);
    const Bytes finished =
        tls::hkdf_expand_label(GetParam().suite->hash(), c_hs, "finished", {},
                               static_cast<uint16_t>(GetParam().suite->hash().digest_bytes));
    bool found = message.label == kClientSecret;
    for (const ByteView secret :
         {ByteView(c_hs), ByteView(keys.key), ByteView(keys.iv), ByteView(finished)}) {
      found = found || std::search(payload.begin(), payload.end(), secret.begin(), secret.end()) !=
                           payload.end();
    }
    if (found) payload.clear();  // fails the run
  };
  expect_answer(run(scenario));
}

// 67, 68: the flight, with or without a CertificateRequest, is bad: no share of c_hs leaves where
// one was in it.
TEST_P(ClientFlightAttack, ABadFlightWithARequestOpensNothing) {
  Scenario scenario = asked();
  scenario.script.server.bad_finished = true;
  const Report report = run(scenario);
  expect_nothing_sent(report);
  expect_no_label(report);
  for (const auto& member : report.members) {
    EXPECT_EQ(member.abort_class(), AbortClass::kNetwork);
    EXPECT_EQ(member.sent_count("boolean/dyn inputs"), 0u);
  }
}

// 68: to one member a flight with the request, to the others one without, both signed: A2 differs,
// no label of GC-B or GC-CF leaves, no share of c_hs from anybody.
TEST_P(ClientFlightAttack, ARequestForOneMemberAloneStopsAtA2) {
  for (const bool asks : {true, false}) {
    for (PartyId victim = 0; victim < n(); ++victim) {
      if (victim == members().courier()) continue;
      Scenario scenario;
      scenario.script.server.asks_for_certificate = asks;
      scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
        if (message.label != "tls/forward" || message.receiver != victim || message.index != 1) {
          return;
        }
        payload.resize(9);  // kind, offset
        append(payload, members().seen()->flight_of_other_kind);
      };
      const Report report = run(scenario);
      expect_nothing_sent(report);
      expect_no_label(report);
      bool differs = false;
      for (const auto& member : report.members) {
        EXPECT_EQ(member.sent_count(kClientSecret), 0u);
        EXPECT_EQ(member.sent_count("tls/tag share"), 0u);
        EXPECT_EQ(member.abort_class(), AbortClass::kNetwork) << member.where << member.detail;
        differs = differs || member.code == AbortCode::kViewMismatch;
      }
      EXPECT_TRUE(differs);
    }
  }
}

// 68: an abort behind HS_OK, here by a lie in each step of GC-CF, carries no share of c_hs and
// leaves no tag.
TEST_P(ClientFlightAttack, ALieInTheFlightsCircuitReleasesNothing) {
  const PartyId evaluator = members().evaluators().gc_b;
  const PartyId garbler = evaluator == 0 ? 1 : 0;
  const Report honest = run(asked());
  // Of what goes in the flows of both circuits, GC-CF's is the second: the last before the tags.
  const auto last_of = [&](std::string_view label, PartyId sender, PartyId receiver) {
    size_t index = 0;
    for (const net::MessageId& sent : honest.members[sender].sent) {
      if (sent.label == "tls/A3" || (sent.label == "tls/tag share")) break;
      if (!has_gcm() && sent.label.starts_with("arith/poly1305")) break;
      if (sent.label == label && sent.receiver == receiver) index = sent.index;
    }
    return index;
  };
  struct Lie {
    std::string_view label;
    PartyId sender, receiver;
    AbortCode code;
  };
  const Lie lies[] = {
      {"boolean/dyn inputs", garbler, evaluator, AbortCode::kMac},
      {"boolean/O2 labels", garbler, evaluator, AbortCode::kLabelProof},
      {"boolean/O3 label proof", evaluator, garbler, AbortCode::kLabelProof},
      {"boolean/O4 c-proof", garbler, evaluator, AbortCode::kCProof},
      {"boolean/outputs", garbler, evaluator, AbortCode::kMac},
      {"boolean/outputs", evaluator, garbler, AbortCode::kMac},
  };
  for (const Lie& lie : lies) {
    Scenario scenario = asked();
    scenario.tamper =
        alter(lie.sender, lie.label, last_of(lie.label, lie.sender, lie.receiver), 0, lie.receiver);
    const Report report = run(scenario);
    expect_nothing_sent(report);
    EXPECT_EQ(report.members[lie.receiver].code, lie.code) << lie.label;
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.abort_class() == AbortClass::kBooleanCheat ||
                  member.abort_class() == AbortClass::kNetwork)
          << member.where;
    }
    EXPECT_EQ(report.members[lie.receiver].sent_count("tls/tag share"), 0u) << lie.label;
  }
}

// The tag of the flight and those of the request leave in one message (A3): a wrong share of either
// is cheating, and another number of them is refused before any tag is known.
TEST_P(ClientFlightAttack, BothTagsOrNone) {
  const PartyId courier = members().courier();
  const Report honest = run(asked());
  for (PartyId i = 0; i < n(); ++i) {
    const auto& sent = honest.members[i].sent;
    const auto shares = std::find_if(sent.begin(), sent.end(),
                                     [](const auto& m) { return m.label == "tls/tag share"; });
    ASSERT_EQ(shares == sent.end(), i == courier);
    EXPECT_EQ(honest.members[i].sent_count("tls/tag share"), i == courier ? 0u : 1u);
    if (i == courier) continue;
    EXPECT_EQ(shares->bytes, 16u + 16 + 16);  // flight, request, MAC
    EXPECT_EQ(shares->receiver, courier);
  }
  for (const size_t byte : {size_t{0}, size_t{16}}) {
    Scenario scenario = asked();
    scenario.tamper = alter(0, "tls/tag share", 0, byte);
    const Report report = run(scenario);
    expect_nothing_sent(report);
    EXPECT_EQ(report.members[courier].code, AbortCode::kMac);
  }
  for (const bool request_alone : {true, false}) {
    Scenario scenario = asked();
    scenario.tamper = [=](const net::MessageId& message, Bytes& payload) {
      if (message.label != "tls/tag share" || message.sender != 0) return;
      const auto from = payload.begin() + (request_alone ? 0 : 16);
      payload.erase(from, from + 16);
    };
    const Report report = run(scenario);
    expect_nothing_sent(report);
    EXPECT_EQ(report.members[courier].code, AbortCode::kUnexpectedMessage);
  }
  Scenario scenario = asked();
  scenario.tamper = alter(0, "tls/A3", 0);
  const Report report = run(scenario);
  expect_nothing_sent(report);
  EXPECT_EQ(report.members[courier].code, AbortCode::kViewMismatch);
}

// 44: the flight's place is marked before anything of it leaves; a journal that has it lets no
// label and no Lambda of either circuit leave. A released request is not released again, and then
// the flight is not either.
TEST_P(ClientFlightAttack, MarkedPlacesReleaseNothing) {
  for (const PartyId who : {PartyId{0}, last()}) {
    for (const size_t unmarked : {size_t{0}, size_t{1}}) {
      Scenario scenario = asked();
      scenario.marked = {{who, "record"}};
      scenario.unmarked = unmarked;
      const Report report = run(scenario);
      expect_nothing_sent(report);
      expect_no_label(report);
      EXPECT_EQ(report.members[who].code, AbortCode::kReuse);
      EXPECT_EQ(report.members[who].sent_count("boolean/dyn inputs"), 0u);
    }
  }
  Scenario scenario = asked();
  scenario.marked = {{0, "release"}};
  const Report report = run(scenario);
  expect_nothing_sent(report);
  EXPECT_EQ(report.members[0].code, AbortCode::kReuse);
  EXPECT_EQ(report.members[0].sent_count("tls/tag share"), 0u);
}

// --- live: OpenSSL's server ----------------------------------------------------------------------

class ClientFlightLive : public ClientFlightAttack {};
INSTANTIATE_TEST_SUITE_P(Rooms, ClientFlightLive,
                         ::testing::Values(Room{3, &tls::aes128_gcm_sha256()},
                                           Room{2, &tls::chacha20_poly1305_sha256()}));
INSTANTIATE_TEST_SUITE_P(
    LongSweep, ClientFlightLive,
    ::testing::ValuesIn(support::in_long_runs<Room>({{2, &tls::aes128_gcm_sha256()}})));

TEST_P(ClientFlightLive, OpensslAsksAndGoesOnWithoutACertificate) {
  for (const bool sealed : {false, true}) {
    for (const char* groups : {"", "P-256"}) {
      Scenario scenario;
      scenario.service = [&](TestService::Seen& seen) {
        OpensslService::Options options;
        options.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if (groups[0] != 0) options.groups = groups;
        options.verify = SSL_VERIFY_PEER;
        options.suite = GetParam().suite->name;
        return std::make_unique<OpensslService>(options, seen);
      };
      const Report report = members(sealed).run(scenario);
      ASSERT_TRUE(report.ended);
      EXPECT_TRUE(report.seen.finished);
      EXPECT_EQ(report.seen.retried, groups[0] != 0);
      EXPECT_EQ(report.seen.request + '\x17', members().expected_request());
      for (const auto& member : report.members) {
        EXPECT_EQ(sealed ? member.sealed : member.replied, true)
            << member.where << ": " << member.detail << member.unknown_why;
        EXPECT_EQ(member.sent_count(kClientSecret), 0u);
      }
    }
  }
}

// A server that does not go on without one says so under its application key, behind the release:
// the outcome is unknown, and its alert is in the words.
TEST_P(ClientFlightLive, OpensslThatRequiresOneEndsItWithItsAlert) {
  for (const bool sealed : {false, true}) {
    Scenario scenario;
    scenario.service = [&](TestService::Seen& seen) {
      OpensslService::Options options;
      options.verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
      options.suite = GetParam().suite->name;
      return std::make_unique<OpensslService>(options, seen);
    };
    const Report report = members(sealed).run(scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.seen.request, "");
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.replied);
      EXPECT_TRUE(member.released);
      EXPECT_TRUE(sealed ? member.sealed_unknown : member.unknown);
      EXPECT_THAT(sealed ? member.failure + member.unknown_why : member.unknown_why,
                  HasSubstr("certificate_required"));
      EXPECT_EQ(member.sent_count(kClientSecret), 0u);
    }
  }
}

}  // namespace client_flight_test
}  // namespace flexroom
