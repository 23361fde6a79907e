#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "support/connection_rig.h"

// Attacks of tls-in-mpc.md §8 on one connection, by number.

namespace flexroom {
namespace {

using support::ConnectionRig;
using support::TestService;
using Scenario = ConnectionRig::Scenario;
using Report = ConnectionRig::Report;

ConnectionRig& rig(size_t n) {
  static std::map<size_t, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[n];
  if (!rig) rig = std::make_unique<ConnectionRig>(n);
  return *rig;
}

constexpr std::string_view kClientSecret = "tls/open c_hs";

class AgentAttack : public ::testing::TestWithParam<size_t> {
 protected:
  ConnectionRig& members() { return rig(GetParam()); }
  Report run(const Scenario& scenario) {
    Report report = members().run(scenario);
    EXPECT_TRUE(report.ended);
    return report;
  }
  PartyId last() const { return static_cast<PartyId>(GetParam() - 1); }

  /// Nothing was asked of the service, nobody has an answer, everybody's abort is of this class or
  /// of the network's (a peer that is gone).
  void expect_nothing_happened(const Report& report, AbortClass allowed) {
    EXPECT_EQ(report.seen.request, "");
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.replied);
      ASSERT_TRUE(member.code.has_value());
      EXPECT_TRUE(member.abort_class() == allowed || member.abort_class() == AbortClass::kNetwork)
          << member.where << ": " << member.detail;
      EXPECT_EQ(member.sent_count("tls/open s_ap"), 0u);
      EXPECT_EQ(member.sent_count("tls/tag share"), 0u);
      EXPECT_FALSE(member.released);
    }
  }
  /// Labels of GC-B are the second set of labels that a garbler sends, or the first of the one that
  /// evaluated GC-A.
  void expect_no_label_of_gc_b(const Report& report, PartyId except = kNoParty) {
    for (PartyId i = 0; i < report.members.size(); ++i) {
      if (i == except) continue;
      EXPECT_LE(report.members[i].sent_count("boolean/O2 labels"),
                i == members().evaluators().gc_a ? 0u : 1u)
          << i;
    }
  }
};

// Changes the `index`-th forwarded piece on its way from the courier to one member.
net::Tamper alter_forward(PartyId to, size_t index, std::function<void(Bytes&)> change) {
  return [=](const net::MessageId& message, Bytes& payload) {
    if (message.label == "tls/forward" && message.receiver == to && message.index == index) {
      change(payload);
    }
  };
}

// 10: the tokens are marked before a hello with their keys leaves; a journal that has one lets
// nothing leave.
TEST_P(AgentAttack, TokenServesOnce) {
  Scenario scenario;
  scenario.marked = {{0, "token"}};
  const Report report = run(scenario);
  expect_nothing_happened(report, AbortClass::kBooleanCheat);
  EXPECT_EQ(report.members[0].sent_count("arith/dh/Z"), 0u);
  EXPECT_FALSE(report.seen.hello);
  EXPECT_EQ(report.members[0].code, AbortCode::kReuse);
}

// 44: a record position that is marked already gives no second ciphertext; neither Lambda, label
// nor share of it leaves the member that knows.
TEST_P(AgentAttack, MarkedRecordGivesNoSecondCiphertext) {
  for (const PartyId who : {PartyId{0}, last()}) {
    Scenario scenario;
    scenario.marked = {{who, "record"}};
    const Report report = run(scenario);
    expect_nothing_happened(report, AbortClass::kBooleanCheat);
    EXPECT_EQ(report.members[who].code, AbortCode::kReuse);
    EXPECT_EQ(report.members[who].sent_count("boolean/masked inputs") / (GetParam() - 1), 1u);
    EXPECT_EQ(report.members[who].sent_count("boolean/dyn inputs"), 0u);
    expect_no_label_of_gc_b(report);
  }
}

// 36, 19: a request that was released once is not released again; the courier's tag share stays.
TEST_P(AgentAttack, RequestIsReleasedOnce) {
  Scenario scenario;
  scenario.marked = {{0, "release"}};
  const Report report = run(scenario);
  EXPECT_EQ(report.members[0].code, AbortCode::kReuse);
  EXPECT_FALSE(report.members[0].released);
  EXPECT_EQ(report.members[0].sent_count("tls/tag share"), 0u);
  EXPECT_FALSE(report.seen.finished);
  EXPECT_FALSE(report.members[members().courier()].released);
}

// 36: the connection is cut behind the release: everybody knows that the outcome is unknown.
TEST_P(AgentAttack, AbortBehindTheReleaseLeavesAnUnknownOutcome) {
  Scenario scenario;
  scenario.script.answer = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok";
  const Report report = run(scenario);
  EXPECT_EQ(report.seen.request, members().expected_request());
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.replied);
    EXPECT_TRUE(member.unknown);
    EXPECT_TRUE(member.released);
  }
}

// 14: the courier shows one member another ServerHello: A1, before any share of the conversion.
TEST_P(AgentAttack, EquivocatedServerHelloStopsAtA1) {
  Scenario scenario;
  // The last byte of the server's key share: still a canonical number most of the time.
  scenario.tamper = alter_forward(0, 0, [](Bytes& m) { m[9 + 5 + 4 + 2 + 10] ^= 1; });
  const Report report = run(scenario);
  expect_nothing_happened(report, AbortClass::kNetwork);
  for (const auto& member : report.members) {
    EXPECT_EQ(member.sent_count("arith/dh/open"), 0u);
    EXPECT_EQ(member.sent_count("boolean/O2 labels"), 0u);
  }
}

// 14, 43: the courier shows one member an equally valid flight with another signature (as (r,-s)
// would be, with the Finished recomputed): A2, a dead connection, GC-B untouched.
TEST_P(AgentAttack, EquivocatedFlightStopsAtA2) {
  for (PartyId victim = 0; victim < GetParam(); ++victim) {
    if (victim == members().courier()) continue;
    Scenario scenario;
    scenario.tamper = alter_forward(victim, 1, [this](Bytes& m) {
      m.resize(9);  // kind, offset
      append(m, members().seen()->other_flight);
    });
    const Report report = run(scenario);
    expect_nothing_happened(report, AbortClass::kNetwork);
    expect_no_label_of_gc_b(report);
    EXPECT_EQ(report.members[victim].sent_count("boolean/O3 label proof"),
              victim == members().evaluators().gc_a ? GetParam() - 1 : 0u);  // of GC-A alone
    EXPECT_TRUE(report.members[0].code == AbortCode::kViewMismatch ||
                report.members[1].code == AbortCode::kViewMismatch);
  }
}

// 14: other bytes of the answer to one member: A4, no share of s_ap of an honest member leaves.
// n = 2: the courier's own share goes with its view (it is the liar here).
TEST_P(AgentAttack, EquivocatedAnswerStopsAtA4) {
  Scenario scenario;
  scenario.tamper = alter_forward(0, 2, [](Bytes& m) { m[9 + 5 + 3] ^= 1; });
  const Report report = run(scenario);
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.replied);
    EXPECT_EQ(member.abort_class(), AbortClass::kNetwork) << member.where;
  }
  EXPECT_EQ(report.members[0].code, AbortCode::kViewMismatch);
  EXPECT_EQ(report.members[0].sent_count("tls/open s_ap"), 0u);
}

// 15: a member whose view of the handshake differs (here: it withholds by sending another hash).
TEST_P(AgentAttack, WrongViewOfTheHandshakeReleasesNoLabel) {
  const size_t n = GetParam();
  for (const PartyId liar : {PartyId{0}, last()}) {
    Scenario scenario;
    scenario.tamper = [=](const net::MessageId& message, Bytes& payload) {
      if (message.sender == liar && message.label == "boolean/masked inputs" &&
          message.index == 1) {
        payload.back() ^= 1;
      }
    };
    const Report report = run(scenario);
    // n > 2: altered on the wire it is an equivocated broadcast, which the echo calls cheating.
    expect_nothing_happened(report, n == 2 ? AbortClass::kNetwork : AbortClass::kBooleanCheat);
    expect_no_label_of_gc_b(report, n == 2 ? liar : kNoParty);  // the liar may do what it likes
  }
}

// 30: the requests differ in one public byte: refused before the service is contacted.
TEST_P(AgentAttack, OtherRequestIsRefusedBeforeContact) {
  Scenario scenario;
  scenario.other_request = last();
  const Report report = run(scenario);
  expect_nothing_happened(report, AbortClass::kRefuse);
  EXPECT_FALSE(report.seen.hello);
  EXPECT_EQ(report.members[0].code, AbortCode::kDisagreement);
  for (const auto& member : report.members) EXPECT_TRUE(member.scope_restored);
}

// c_hs leaves once a member, to the courier alone, behind every HS_OK and beside its first share of
// a tag (tls-complete.md §4.2).
TEST_P(AgentAttack, SharesOfTheClientSecretLeaveBesideTheTag) {
  const Report report = run({});
  const PartyId courier = members().courier();
  EXPECT_TRUE(report.seen.finished);
  for (PartyId i = 0; i < GetParam(); ++i) {
    const auto& sent = report.members[i].sent;
    EXPECT_EQ(report.members[i].sent_count(kClientSecret), i == courier ? 0u : 1u);
    const auto at = [&](std::string_view label) {
      return std::find_if(sent.begin(), sent.end(),
                          [&](const auto& m) { return m.label == label; });
    };
    if (i == courier) continue;
    EXPECT_EQ(at(kClientSecret)->receiver, courier);
    EXPECT_LT(at("tls/A3"), at(kClientSecret));
    EXPECT_LT(at(kClientSecret), at("tls/tag share"));
  }
}

// 68: c_hs in an ABORT after HS_OK. A courier that had it could put its own certificate in front of
// a released request, so an abort behind HS_OK carries no share, whatever it is for.
TEST_P(AgentAttack, NoAbortBehindHsOkCarriesTheClientSecret) {
  // The proof of GC-B is the last one that its evaluator gets.
  net::MessageId proof;
  const Report honest = run({});
  for (const auto& member : honest.members) {
    for (const net::MessageId& sent : member.sent) {
      const bool of_gc_b = sent.receiver == members().evaluators().gc_b;
      if (sent.label == "boolean/O4 c-proof" && of_gc_b && sent.index >= proof.index) proof = sent;
    }
  }
  ASSERT_EQ(proof.label, "boolean/O4 c-proof");
  net::MessageId input = proof, output = proof;
  input.label = "boolean/dyn inputs";
  input.sender = output.sender = 1;
  input.index = 0;
  output.label = "boolean/outputs";
  output.index = 1;
  for (const net::MessageId& lie : {input, proof, output}) {
    Scenario scenario;
    scenario.tamper = [&](const net::MessageId& m, Bytes& payload) {
      if (m.label != lie.label || m.index != lie.index || m.sender != lie.sender) return;
      if (lie.label == proof.label && m.receiver != proof.receiver) return;
      payload[0] ^= 1;
    };
    const Report report = run(scenario);
    expect_nothing_happened(report, AbortClass::kBooleanCheat);
    for (const auto& member : report.members) EXPECT_EQ(member.sent_count(kClientSecret), 0u);
    EXPECT_FALSE(report.seen.finished) << lie.label;
  }
}

// 68: a flight that all find bad: each share of c_hs leaves once, for the alert, before any HS_OK
// and any label of GC-B. One that is bad for one member alone gives the courier that share and no
// other: whoever found it good agreed, and its abort carries none.
TEST_P(AgentAttack, AbortsBeforeHsOkOpenTheClientSecretForTheAlert) {
  const PartyId courier = members().courier();
  Scenario scenario;
  scenario.script.server.bad_finished = true;
  Report report = run(scenario);
  expect_nothing_happened(report, AbortClass::kNetwork);
  expect_no_label_of_gc_b(report);
  EXPECT_EQ(report.seen.alert, (Bytes{2, 51}));
  for (PartyId i = 0; i < GetParam(); ++i) {
    EXPECT_EQ(report.members[i].sent_count(kClientSecret), i == courier ? 0u : 1u);
  }
  // A share that is not the member's is cheating, and there is no alert.
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.label == kClientSecret && message.sender == 0) payload[0] ^= 1;
  };
  report = run(scenario);
  EXPECT_EQ(report.members[courier].code, AbortCode::kMac);
  EXPECT_EQ(report.seen.alert, Bytes());

  scenario = {};
  const PartyId victim = 0;
  scenario.tamper = alter_forward(victim, 1, [](Bytes& m) { m.back() ^= 1; });
  report = run(scenario);
  expect_nothing_happened(report, AbortClass::kNetwork);
  expect_no_label_of_gc_b(report);
  for (PartyId i = 0; i < GetParam(); ++i) {
    EXPECT_EQ(report.members[i].sent_count(kClientSecret), i == victim ? 1u : 0u);
  }
  EXPECT_EQ(report.seen.alert, Bytes());
}

// 68: the courier alone finds the flight bad. The others, who found it good or wait for the rest of
// it, give no share and are not waited for long; all learn that it ended.
TEST_P(AgentAttack, ACourierThatRefusesAloneIsNotStuck) {
  const PartyId courier = members().courier();
  support::ConnectionRig rig(GetParam(), [&](PartyId i, agent::ConnectionConfig& config) {
    if (i != courier) return;
    tls::ChainPolicy policy = tls::testing::chain_policy();
    policy.spki_pin = Digest{};  // of no key
    config.handshake = tls::handshake_config(policy);
  });
  const auto start = std::chrono::steady_clock::now();
  const Report report = rig.run({});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(45));
  expect_nothing_happened(report, AbortClass::kNetwork);
  for (PartyId i = 0; i < GetParam(); ++i) {
    EXPECT_EQ(report.members[i].sent_count(kClientSecret), 0u);
  }
}

// 67, 42: the service asks for a client certificate: nobody's share of c_hs leaves, so nobody can
// answer with its own.
TEST_P(AgentAttack, ACertificateRequestKeepsTheClientSecretClosed) {
  Scenario scenario;
  scenario.script.server.asks_for_certificate = true;
  const Report report = run(scenario);
  expect_nothing_happened(report, AbortClass::kNetwork);
  expect_no_label_of_gc_b(report);
  for (const auto& member : report.members) {
    EXPECT_EQ(member.sent_count(kClientSecret), 0u);
    EXPECT_NE(member.detail.find("client certificate"), std::string::npos) << member.detail;
    EXPECT_NE(member.detail.find("client_auth"), std::string::npos) << member.detail;
  }
  EXPECT_EQ(report.seen.alert, Bytes());
  EXPECT_FALSE(report.seen.finished);
}

// 68: a false share of c_hs beside the tag is a MAC failure, never a Finished.
TEST_P(AgentAttack, WrongShareOfTheClientSecretIsCheating) {
  Scenario scenario;
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.label == kClientSecret && message.sender == 0) payload[0] ^= 1;
  };
  const Report report = run(scenario);
  EXPECT_EQ(report.members[members().courier()].code, AbortCode::kMac);
  EXPECT_FALSE(report.members[members().courier()].released);
  EXPECT_FALSE(report.seen.finished);
}

// 19: a share of the tag under another view is not taken by an honest courier.
TEST_P(AgentAttack, TagShareForSomethingElseIsNotTaken) {
  Scenario scenario;
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.label == "tls/A3" && message.sender == 0) payload[0] ^= 1;
  };
  const Report report = run(scenario);
  const auto& courier = report.members[members().courier()];
  EXPECT_EQ(courier.code, AbortCode::kViewMismatch);
  EXPECT_FALSE(courier.released);
  EXPECT_FALSE(report.seen.finished);
}

// 19, 32: a wrong share of the tag is a MAC failure, never a record.
TEST_P(AgentAttack, WrongTagShareIsCheating) {
  Scenario scenario;
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.label == "tls/tag share" && message.sender == 0) payload[0] ^= 1;
  };
  const Report report = run(scenario);
  const auto& courier = report.members[members().courier()];
  EXPECT_EQ(courier.code, AbortCode::kMac);
  EXPECT_FALSE(courier.released);
  EXPECT_FALSE(report.seen.finished);
}

// 21, 23 (R2-2, R2-5): s_ap is opened once, behind everything else; no tag share or label follows.
TEST_P(AgentAttack, NothingFollowsTheRevealOfTheServerKey) {
  const Report report = run({});
  for (const auto& member : report.members) {
    ASSERT_TRUE(member.replied);
    EXPECT_EQ(member.sent_count("tls/open s_ap"), GetParam() - 1);
    bool revealed = false, viewed = false;
    for (const net::MessageId& message : member.sent) {
      viewed = viewed || message.label == "tls/A4";
      revealed = revealed || message.label == "tls/open s_ap";
      EXPECT_TRUE(!revealed || viewed);
      if (revealed) {
        EXPECT_TRUE(message.label == "tls/open s_ap" || message.label == "boolean/O6 ok" ||
                    message.label == "tls/A4")
            << message.label;
      }
    }
  }
}

// 23 (R2-5): the courier ends the stream early: unknown, not an answer.
TEST_P(AgentAttack, EarlyEndOfTheAnswerIsNoAnswer) {
  Scenario scenario;
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.label == "tls/forward" && message.index == 2) {
      payload.resize(9);
      payload[0] = 1;  // end of stream
    }
  };
  const Report report = run(scenario);
  for (PartyId i = 0; i < GetParam(); ++i) {
    if (i == members().courier()) continue;
    EXPECT_FALSE(report.members[i].replied);
    EXPECT_TRUE(report.members[i].released);
  }
}

// 34 lives in unit_flexroom (agree_on_time). 48: shares of outputs leave behind the c-proof only.
TEST_P(AgentAttack, OutputSharesLeaveBehindTheProofs) {
  const Report report = run({});
  for (PartyId i = 0; i < GetParam(); ++i) {
    // Of each instance a proof, then shares: label proofs go to all, c-proofs to the evaluator.
    size_t label_proofs = 0, c_proofs = 0, outputs = 0;
    for (const net::MessageId& message : report.members[i].sent) {
      if (message.label == "boolean/O3 label proof") ++label_proofs;
      if (message.label == "boolean/O4 c-proof") ++c_proofs;
      if (message.label == "boolean/outputs") ++outputs;
      EXPECT_LE(outputs, label_proofs + c_proofs * (GetParam() - 1));
    }
    EXPECT_EQ(outputs, 2 * (GetParam() - 1));
  }
  // The evaluator answers with shares only after the garblers' c-proof held.
  const PartyId evaluator = members().evaluators().gc_b;
  const PartyId garbler = evaluator == 0 ? 1 : 0;
  const size_t before = members().evaluators().gc_a == evaluator ? 1 : 0;
  Scenario scenario;
  scenario.tamper = [=](const net::MessageId& message, Bytes& payload) {
    // One of the garblers: the same change at two of them would cancel in the sum.
    if (message.label == "boolean/O4 c-proof" && message.sender == garbler &&
        message.receiver == evaluator && message.index == before) {
      payload[0] ^= 1;
    }
  };
  const Report cheated = run(scenario);
  EXPECT_EQ(cheated.members[evaluator].code, AbortCode::kCProof);
  EXPECT_EQ(cheated.members[evaluator].sent_count("boolean/outputs"), GetParam() - 1);  // of GC-A
  EXPECT_EQ(cheated.members[evaluator].sent_count("tls/tag share"), 0u);
}

// 49: whatever the network flips, the epoch lives: no member blames another.
TEST_P(AgentAttack, NetworkBitFlipsAreNetworkAborts) {
  const size_t flips = GetParam() == 2 ? 24 : 6;
  const uint64_t stream = run({}).seen.stream;  // ServerHello, flight and answer
  ASSERT_GT(stream, 1000u);
  for (size_t k = 0; k < flips; ++k) {
    Scenario scenario;
    // Signatures differ in length from run to run: stay clear of the last bytes.
    scenario.script.flip_byte = 3 + k * ((stream - 20) / flips);
    const Report report = run(scenario);
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.replied) << "byte " << *scenario.script.flip_byte;
      if (member.code) {
        EXPECT_EQ(member.abort_class(), AbortClass::kNetwork)
            << "byte " << *scenario.script.flip_byte << ": " << member.where << ": "
            << member.detail;
      }
    }
  }
}

// 50: an answer that was there before the request is no answer to it.
TEST_P(AgentAttack, AnswerBeforeTheRequestIsNotTaken) {
  Scenario scenario;
  scenario.script.answers_before_the_request = true;
  const Report report = run(scenario);
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.replied);
    EXPECT_TRUE(member.unknown);
    EXPECT_NE(member.unknown_why.find("before the request was released"), std::string::npos);
    EXPECT_TRUE(member.released);
  }
}

// 50: where the answer may begin is agreed at A4, whatever the courier took for agreed at A3: it
// cuts the stream differently for one member, so that a record which was there before the request
// counts as its answer there and not elsewhere.
TEST_P(AgentAttack, CutPiecesDifferentlyStopAtA4) {
  const PartyId victim = 0;
  struct Shared {
    std::mutex mutex;
    std::condition_variable come;
    Bytes moved;              // taken off the flight of the victim
    std::optional<Bytes> a3;  // what the courier takes for the right one
  };
  const auto shared = std::make_shared<Shared>();
  Scenario scenario;
  scenario.script.ticket_with_flight = true;
  scenario.concurrent_tamper = true;
  const size_t n = GetParam();
  if (n == 2) return;  // the courier's own A3 is the only other one
  scenario.tamper = [this, shared](const net::MessageId& message, Bytes& payload) {
    std::unique_lock lock(shared->mutex);
    if (message.label == "tls/forward" && message.receiver == victim) {
      const size_t flight = members().seen()->flight.size();
      if (message.index == 1) {
        shared->moved.assign(payload.begin() + 9 + static_cast<ptrdiff_t>(flight), payload.end());
        payload.resize(9 + flight);
      } else if (message.index == 2) {
        Writer offset;
        Reader reader(ByteView(payload).subspan(1, 8), "offset");
        offset.u64(reader.u64() - shared->moved.size());
        std::copy(offset.bytes().begin(), offset.bytes().end(), payload.begin() + 1);
        payload.insert(payload.begin() + 9, shared->moved.begin(), shared->moved.end());
      }
    }
    if (message.label != "tls/A3") return;
    if (message.sender == victim) {
      shared->come.wait_for(lock, std::chrono::seconds(30), [&] { return shared->a3.has_value(); });
      if (shared->a3) payload = *shared->a3;
    } else {
      shared->a3 = payload;
      shared->come.notify_all();
    }
  };
  const Report report = run(scenario);
  EXPECT_EQ(report.seen.request, members().expected_request());
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.replied);
    EXPECT_FALSE(member.unknown);
    EXPECT_EQ(member.sent_count("tls/open s_ap"), 0u);
  }
  EXPECT_EQ(report.members[victim].code, AbortCode::kViewMismatch);
  EXPECT_EQ(report.members[victim].where, "tls/A4");
}

// A verified answer stays one when a member withholds or spoils its last word.
TEST_P(AgentAttack, ASpoiledConfirmationTakesNoAnswer) {
  Scenario scenario;
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.label == "boolean/O6 ok" && message.sender == 0) payload[0] ^= 1;
  };
  const Report report = run(scenario);
  for (PartyId i = 0; i < GetParam(); ++i) {
    EXPECT_TRUE(report.members[i].replied) << i;
    EXPECT_EQ(report.members[i].status, 200);
    if (i != 0) {
      EXPECT_NE(report.members[i].unconfirmed, "") << i;
    }
  }
}

// §0.3(10): a wrong share in the conversion ends the arithmetic engine of whoever saw it.
TEST_P(AgentAttack, WrongConversionShareEndsTheArithmeticEngine) {
  Scenario scenario;
  scenario.tokens_afterwards = true;
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.label == "arith/dh/open" && message.sender == 0) payload[40] ^= 1;
  };
  const Report report = run(scenario);
  size_t saw = 0;  // who hears of it from another before it looked, did not
  for (PartyId i = 1; i < GetParam(); ++i) {
    EXPECT_TRUE(report.members[i].code.has_value());
    if (report.members[i].code != AbortCode::kFpMac) continue;
    ++saw;
    EXPECT_TRUE(report.members[i].engine_ended);
  }
  EXPECT_GE(saw, 1u);
}

INSTANTIATE_TEST_SUITE_P(Rooms, AgentAttack, ::testing::Values(2, 3));

}  // namespace
}  // namespace flexroom
