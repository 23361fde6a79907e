#include <gtest/gtest.h>
#include <time.h>

#include <atomic>
#include <deque>
#include <map>
#include <set>
#include <thread>

#include "agent/memory_journal.h"
#include "base/codec.h"
#include "call/run_script.h"
#include "support/dealer.h"
#include "support/forked.h"
#include "support/memory_mesh.h"
#include "support/sweeps.h"
#include "support/test_service.h"

// The whole road of a run-script, from the signing key to the answer: every kind of message of
// every member altered, and nobody else gets a wrong answer. The road goes in stages; a run with an
// altered message starts in a copy of the members at the stage of that message. The online messages
// of the connection, one by one, are in unit_agent (ConnectionTest); the preprocessing below has
// its own sweeps in unit_prep, and its messages are the dealer's here.

/// Not 0: the time of every member of this program, which agree_on_time() takes from time().
static std::atomic<time_t> stands_at = 0;

extern "C" time_t time(time_t* out) noexcept {
  timespec now{stands_at, 0};
  if (now.tv_sec == 0) clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

namespace flexroom {
namespace run_script_sweep_test {

using support::TestService;

constexpr std::string_view kInstance = "i-0123456789abcdef0";
constexpr size_t kStages = 4;

struct Ending {
  bool has_answer = false, right = false;
  std::optional<AbortCode> code;
  std::string where;
  int status = 0;
  unsigned attempts = 0;
  bool unclear = false;
  bool released = false;
};
struct Sent {
  size_t stage = 0;
  net::MessageId message;
};
struct Report {
  std::vector<Ending> members;
  std::vector<Sent> sent;  // by sender, in order
  bool asked = false;      // the service saw a request
  std::vector<std::string> requests;
};

class Road {
 public:
  explicit Road(size_t n) : n_(n), dealer_(n), members_(n) {
    auto transports = support::memory_mesh(n, std::chrono::seconds(60));
    for (PartyId i = 0; i < n; ++i) {
      Member& m = members_[i];
      m.party = std::make_unique<net::Party>(std::move(transports[i]), Prg(Block(5, i)));
      RoScope scope;
      scope.eid[0] = 1;
      scope.sid[0] = 2;
      m.party->set_scope(scope);
      std::vector<Block> zero_keys(n);
      for (PartyId j = 0; j < n; ++j) {
        zero_keys[j] = Block(77 + std::min(i, j), 99 + std::max(i, j));
      }
      m.party->set_zero_keys(std::move(zero_keys));
      m.arith = std::make_unique<arith::ArithEngine>(*m.party, dealer_.source(i));
      m.engine = std::make_unique<boolean::Engine>(*m.party, dealer_.source(i));
      agent::ConnectionConfig config;
      config.host = "ec2.us-east-1.amazonaws.com";
      config.handshake = tls::handshake_config(tls::testing::chain_policy());
      m.call = std::make_unique<RunScriptCall>(
          agent::Context{*m.party, dealer_.source(i), *m.arith, *m.engine, m.journal}, terms(),
          config, links(i).private_part(i == 0));
    }
  }

  /// What happens from `stage` on, in a copy.
  std::optional<Report> rest(size_t stage, const net::Tamper& tamper) {
    const auto bytes = support::run_in_copy([&] { return run(stage, kStages, tamper); });
    return bytes ? std::optional(parse(*bytes)) : std::nullopt;
  }
  void advance(size_t stage) { run(stage, stage + 1, nullptr); }
  /// What the service says to one attempt after the other; the members try again.
  void answers_are(std::vector<std::string> answers) { answers_ = std::move(answers); }
  static std::string refusal(int status, const std::string& code) {
    const std::string body = "<Response><Errors><Error><Code>" + code +
                             "</Code><Message>Invalid "
                             "IAM Instance Profile name</Message></Error></Errors></Response>";
    return "HTTP/1.1 " + std::to_string(status) +
           " No\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static std::string success() {
    return "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n<instanceId>" + std::string(kInstance) +
           "</instanceId>";
  }
  /// What that member does before another attempt.
  void before_again(PartyId who, std::function<void(RunScriptCall&)> body) {
    who_ = who;
    before_again_ = std::move(body);
  }
  /// As if the signing key had been derived on another day.
  void key_is_of(const std::string& day) {
    for (Member& m : members_) m.date = day;
  }

 private:
  struct Member {
    std::unique_ptr<net::Party> party;
    std::unique_ptr<arith::ArithEngine> arith;
    std::unique_ptr<boolean::Engine> engine;
    agent::MemoryJournal journal;
    std::unique_ptr<agent::SigningKeyDerivation> derivation;
    std::string date;
    agent::SigningKey key;
    std::unique_ptr<RunScriptCall> call;
  };

  static OwnLinks links(size_t i) {
    Prg prg(Block(i, 1));
    return {url(i, "in"), url(i, "out"), url(i, "out"), prg};
  }
  static PrivateUrl url(size_t i, const std::string& object) {
    return split_private_url("https://m" + std::to_string(i) + ".example/" + object, "test");
  }
  RunScriptTerms terms() const {
    RunScriptTerms out;
    out.job.region = "us-east-1";
    out.job.image_id = "ami-0123456789abcdef0";
    out.job.instance_type = "t3.large";
    out.job.access_key_id = "AKIAIOSFODNN7EXAMPLE";
    out.job.script_url = "https://scripts.example/train.py";
    out.job.script_sha256 = std::string(64, 'a');
    out.client_token = "8e81973e-0bec-47b0-b898-d190f9ebdacc";
    for (size_t i = 0; i < n_; ++i) {
      out.links.push_back(links(i).public_part("m" + std::to_string(i)));
    }
    return out;
  }

  RunScriptResult call(PartyId i, agent::Timeline& timeline, std::deque<TestService::Seen>& seen) {
    const auto connect = [&] {
      TestService::Script script;
      script.answer = answers_.at(seen.size());
      return std::make_unique<TestService>(script, seen.emplace_back());
    };
    const auto again = [&](const RunScriptResult&, std::chrono::seconds) {
      if (before_again_ && i == who_) before_again_(*members_[i].call);
    };
    return members_[i].call->call(connect, timeline, again);
  }

  std::optional<RunScriptResult> do_stage(PartyId i, size_t stage,
                                          std::deque<TestService::Seen>& seen) {
    Member& m = members_[i];
    agent::Timeline timeline(*m.party);
    switch (stage) {
      case 0: {  // circuits of the signing key
        m.date = amz_date(agree_on_time(*m.party)).substr(0, 8);
        std::vector<uint8_t> bits;
        for (size_t t = 0; t < 8 * 40; ++t) bits.push_back(static_cast<uint8_t>(t % 7 % 2));
        m.derivation = std::make_unique<agent::SigningKeyDerivation>(
            *m.engine, dealer_.share_bits(i, 1, bits));
        return {};
      }
      case 1:
        m.key = m.derivation->run(*m.party, {m.date, "us-east-1", "ec2"});
        return {};
      case 2:  // payload circuit, nonces, token, circuits of the connection
        m.call->prepare(std::move(m.key), m.date, timeline);
        return {};
      default:
        return call(i, timeline, seen);
    }
  }

  Bytes run(size_t first, size_t end, const net::Tamper& tamper) {
    std::deque<TestService::Seen> seen;  // one an attempt, of the courier
    std::mutex mutex;
    std::vector<Ending> endings(n_);
    std::vector<std::vector<Sent>> sent(n_);
    std::vector<std::thread> threads;
    for (PartyId i = 0; i < n_; ++i) {
      threads.emplace_back([&, i] {
        Member& m = members_[i];
        size_t stage = first;
        m.party->set_tamper([&](const net::MessageId& message, Bytes& payload) {
          const std::lock_guard lock(mutex);
          if (tamper) tamper(message, payload);
        });
        m.party->set_observer([&](const net::MessageId& message, ByteView) {
          sent[i].push_back({stage, message});
        });
        try {
          for (; stage < end; ++stage) {
            const auto result = do_stage(i, stage, seen);
            if (!result) continue;
            endings[i].has_answer = true;
            endings[i].right = result->status == 200 && result->instance_id == kInstance;
            endings[i].status = result->status;
            endings[i].attempts = result->attempts;
            endings[i].unclear = result->unclear;
          }
        } catch (const ProtocolAbort& abort) {
          endings[i].code = abort.code();
          endings[i].where = abort.operation();
          m.party->abort();
        }
        endings[i].released = m.call->released();
        m.party->set_tamper(nullptr);
        m.party->set_observer(nullptr);
      });
    }
    for (auto& thread : threads) thread.join();
    Writer out;
    out.u32(static_cast<uint32_t>(seen.size()));
    for (const TestService::Seen& attempt : seen) out.field(as_bytes(attempt.request));
    for (const Ending& e : endings) {
      out.u8(e.has_answer).u8(e.right).u8(e.code.has_value());
      out.u8(e.code ? static_cast<uint8_t>(*e.code) : uint8_t{0}).field(as_bytes(e.where));
      out.u32(static_cast<uint32_t>(e.status)).u32(e.attempts).u8(e.unclear).u8(e.released);
    }
    for (const auto& messages : sent) {
      for (const Sent& s : messages) {
        out.u8(static_cast<uint8_t>(s.stage)).u32(s.message.sender).u32(s.message.receiver);
        out.field(as_bytes(s.message.label)).u64(s.message.index).u64(s.message.bytes);
      }
    }
    return out.take();
  }

  Report parse(ByteView bytes) const {
    Reader in(bytes, "report", 0);
    Report report;
    for (uint32_t left = in.u32(); left > 0; --left) {
      report.requests.push_back(to_text(in.field(1 << 16)));
      report.asked = report.asked || !report.requests.back().empty();
    }
    for (size_t i = 0; i < n_; ++i) {
      Ending& e = report.members.emplace_back();
      e.has_answer = in.u8() != 0;
      e.right = in.u8() != 0;
      const bool aborted = in.u8() != 0;
      const auto code = static_cast<AbortCode>(in.u8());
      if (aborted) e.code = code;
      e.where = to_text(in.field(1 << 16));
      e.status = static_cast<int>(in.u32());
      e.attempts = in.u32();
      e.unclear = in.u8() != 0;
      e.released = in.u8() != 0;
    }
    while (in.remaining() > 0) {
      Sent& s = report.sent.emplace_back();
      s.stage = in.u8();
      s.message.sender = static_cast<PartyId>(in.u32());
      s.message.receiver = static_cast<PartyId>(in.u32());
      s.message.label = to_text(in.field(1 << 16));
      s.message.index = static_cast<size_t>(in.u64());
      s.message.bytes = static_cast<size_t>(in.u64());
    }
    return report;
  }

  const size_t n_;
  support::Dealer dealer_;
  std::vector<Member> members_;
  std::vector<std::string> answers_ = {success()};
  PartyId who_ = 0;
  std::function<void(RunScriptCall&)> before_again_;
};

/// What the design predicts to change nothing, and how often; the rates have their own tests.
bool may_be_harmless(size_t n, const net::MessageId& m) {
  // A row that the masked values do not select, 1/2 for each of G_0, G_1, C_0, C_1
  // (Tampering.EveryRowKind).
  if (m.label == "boolean/F2 rows") return true;
  // A correction for a bit of Gamma that is 0: 1/2
  // (PrivateInput.SelectiveFailureAbortsOrIsHarmless).
  if (m.label.ends_with("/correction")) return true;
  // A product for a bit of a that is 0: 1/2 (PrivateInputTest.TriplesAreRightOrAbort).
  if (m.label == "arith/triples/products") return true;
  // n = 2: party 1 says its seed of a coin after the commitment of party 0, another one is its free
  // choice: 1.
  return n == 2 && m.sender == 1 && m.label.ends_with("/coin open");
}

using Kinds = std::map<std::pair<PartyId, std::string>, std::vector<net::MessageId>>;

/// Of every kind of message of a stage, by sender, the first one; n = 2: and the last one. Those of
/// the arithmetic engine are in unit_arith one by one (EcdhTest) and here once, for n = 2.
Kinds kinds_of(size_t n, const Report& honest, size_t stage) {
  Kinds kinds;
  std::set<PartyId> connected;
  for (const Sent& s : honest.sent) {
    if (s.stage != stage || s.message.bytes == 0) continue;
    // From here on ConnectionTest alters one message after the other.
    if (s.message.label == "tls/nonce open") connected.insert(s.message.sender);
    if (connected.count(s.message.sender) != 0) continue;
    const bool arith = s.message.label.starts_with("arith/");
    if (arith && n > 2) continue;
    auto& some = kinds[{s.message.sender, s.message.label}];
    if (some.empty()) {
      some.push_back(s.message);
    } else if (n == 2 && !arith) {
      some.resize(1);
      some.push_back(s.message);
    }
  }
  return kinds;
}

class RunScriptSweep : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Rooms, RunScriptSweep, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, RunScriptSweep,
                         ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(RunScriptSweep, NoAlteredMessageYieldsAWrongAnswer) {
  const size_t n = GetParam();
  Road road(n);
  const auto honest = road.rest(0, nullptr);
  ASSERT_TRUE(honest.has_value());
  EXPECT_TRUE(honest->asked);
  for (const Ending& e : honest->members) ASSERT_TRUE(e.right);

  size_t altered = 0, harmless = 0;
  for (size_t stage = 0; stage < kStages; ++stage) {
    const auto kinds = kinds_of(n, *honest, stage);
    for (const auto& [kind, targets] : kinds) {
      for (const net::MessageId& target : targets) {
        const auto report = road.rest(stage, [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender == target.sender && m.receiver == target.receiver &&
              m.label == target.label && m.index == target.index) {
            payload[payload.size() / 2] ^= 0x10;
          }
        });
        const std::string name =
            std::to_string(target.sender) + " " + target.label + "#" + std::to_string(target.index);
        ASSERT_TRUE(report.has_value()) << name;
        ++altered;
        bool answered = false;
        for (PartyId i = 0; i < n; ++i) {
          if (i == target.sender) continue;
          const Ending& e = report->members[i];
          EXPECT_TRUE(!e.has_answer || e.right) << name << " at " << i;
          answered |= e.has_answer;
        }
        EXPECT_TRUE(!answered || may_be_harmless(n, target)) << name;
        harmless += answered ? 1 : 0;
        EXPECT_TRUE(answered || !report->asked) << name;
      }
    }
    if (stage + 1 < kStages) road.advance(stage);
  }
  EXPECT_GT(altered, n == 2 ? 80u : 50u);
  EXPECT_LT(harmless, altered / 4);
  RecordProperty("altered", static_cast<int>(altered));
  RecordProperty("harmless", static_cast<int>(harmless));
}

// A key of yesterday signs nothing that the service would accept; no member lets it leave.
TEST(RunScriptRoad, ADayThatChangedIsRefusedBeforeAnythingLeaves) {
  Road road(2);
  road.advance(0);
  road.advance(1);
  road.key_is_of("20200101");
  const auto report = road.rest(2, nullptr);
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->asked);
  for (const Ending& e : report->members) {
    EXPECT_FALSE(e.has_answer);
    EXPECT_EQ(e.code, AbortCode::kRefusedByRule);
  }
}

// Further attempts in one run (§5.8).
class RunScriptAgain : public ::testing::TestWithParam<size_t> {
 protected:
  RunScriptAgain() : road_(GetParam()) {
    for (size_t stage = 0; stage + 1 < kStages; ++stage) road_.advance(stage);
  }
  Report run(std::vector<std::string> answers, const net::Tamper& tamper = nullptr) {
    road_.answers_are(std::move(answers));
    auto report = road_.rest(kStages - 1, tamper);
    EXPECT_TRUE(report.has_value());
    return report.value_or(Report{});
  }
  static std::string body_of(const std::string& request) {
    return request.substr(request.find("\r\n\r\n"));
  }
  static std::string throttled() { return Road::refusal(503, "RequestLimitExceeded"); }

  Road road_;
};
INSTANTIATE_TEST_SUITE_P(Rooms, RunScriptAgain, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, RunScriptAgain,
                         ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(RunScriptAgain, AThrottledRequestIsMadeAgainWithTheSameBody) {
  const Report report =
      run({throttled(), Road::refusal(400, "InvalidParameterValue"), throttled(), Road::success()});
  for (const Ending& e : report.members) {
    EXPECT_TRUE(e.right);
    EXPECT_EQ(e.attempts, 4u);
    EXPECT_FALSE(e.unclear);
  }
  ASSERT_EQ(report.requests.size(), 4u);
  // Client token and hidden nonce are the same: the service can know that it is the same request.
  EXPECT_NE(report.requests[0].find("ClientToken=8e81973e"), std::string::npos);
  for (const std::string& request : report.requests) {
    EXPECT_EQ(body_of(request), body_of(report.requests[0]));
  }
}

// In one second they are the same bytes, and each has a mark of its own.
TEST_P(RunScriptAgain, AttemptsOfOneSecondAreRequestsOfTheirOwn) {
  stands_at = ::time(nullptr);
  const Report report = run({throttled(), throttled(), Road::success()});
  stands_at = 0;
  ASSERT_EQ(report.requests.size(), 3u);
  for (const std::string& request : report.requests) EXPECT_EQ(request, report.requests[0]);
  for (const Ending& e : report.members) EXPECT_TRUE(e.right);
}

TEST_P(RunScriptAgain, ItEndsAfterFiveAttempts) {
  const Report report = run(std::vector<std::string>(9, throttled()));
  EXPECT_EQ(report.requests.size(), kMaxAttempts);
  for (const Ending& e : report.members) {
    EXPECT_TRUE(e.has_answer);
    EXPECT_EQ(e.status, 503);
    EXPECT_EQ(e.attempts, kMaxAttempts);
    EXPECT_FALSE(e.unclear);
    EXPECT_FALSE(e.released);
  }
}

// What the service does not deny may have been done, whatever it says to a later attempt.
TEST_P(RunScriptAgain, AnUnclearAnswerStaysUnclear) {
  const Report report =
      run({Road::refusal(500, "InternalError"), Road::refusal(403, "UnauthorizedOperation")});
  EXPECT_EQ(report.requests.size(), 2u);
  for (const Ending& e : report.members) {
    EXPECT_EQ(e.status, 403);
    EXPECT_TRUE(e.unclear);
    EXPECT_TRUE(e.released);
  }
}

TEST_P(RunScriptAgain, AFinalRefusalIsOne) {
  for (const auto& [status, code] : {std::pair(403, "UnauthorizedOperation"),
                                     {400, "VcpuLimitExceeded"},
                                     {500, "InsufficientInstanceCapacity"}}) {
    const Report report = run({Road::refusal(status, code), Road::success()});
    EXPECT_EQ(report.requests.size(), 1u) << code;
    for (const Ending& e : report.members) EXPECT_EQ(e.status, status);
  }
}

TEST_P(RunScriptAgain, ARedirectSaysNothingOfTheMachine) {
  const Report report = run({Road::refusal(302, "Found"), Road::success()});
  EXPECT_EQ(report.requests.size(), 1u);
  for (const Ending& e : report.members) {
    EXPECT_EQ(e.status, 302);
    EXPECT_TRUE(e.unclear);
    EXPECT_TRUE(e.released);
  }
}

// What came may be half of an answer of success: a person looks before anything is tried again.
TEST_P(RunScriptAgain, WithoutAWholeAnswerNothingIsTriedAgain) {
  const std::string cut = throttled().substr(0, throttled().size() - 9);
  const Report report = run({cut, Road::success()});
  EXPECT_EQ(report.requests.size(), 1u);
  for (const Ending& e : report.members) {
    EXPECT_EQ(e.code, AbortCode::kServer);
    EXPECT_TRUE(e.released);
  }
}

/// The k-th message of that label that a member sends, altered.
net::Tamper alter(PartyId sender, const std::string& label, size_t index) {
  return [=](const net::MessageId& m, Bytes& payload) {
    if (m.sender == sender && m.label == label && m.index == index) payload[0] ^= 1;
  };
}

TEST_P(RunScriptAgain, AMemberThatWantsAnotherAttemptIsNamedAndNothingLeaves) {
  const auto liar = static_cast<PartyId>(GetParam() - 1);
  const Report report =
      run({throttled(), Road::success()}, [&](const net::MessageId& m, Bytes& payload) {
        if (m.sender == liar && m.label == "run/again") payload[0] ^= 1;
      });
  EXPECT_EQ(report.requests.size(), 1u);
  for (PartyId i = 0; i < liar; ++i) {
    EXPECT_FALSE(report.members[i].has_answer);
    EXPECT_FALSE(report.members[i].released);
  }
  EXPECT_EQ(report.members[0].code, AbortCode::kDisagreement);
  EXPECT_EQ(report.members[0].where, "run/again");
}

// One that stops where the others go on.
TEST_P(RunScriptAgain, AMemberThatDecidesOtherwiseReleasesNothingMore) {
  const auto liar = static_cast<PartyId>(GetParam() - 1);
  road_.before_again(liar, [](RunScriptCall&) {
    throw ProtocolAbort(AbortCode::kCancelled, "liar", "has enough");
  });
  const Report report = run({throttled(), Road::success()});
  EXPECT_EQ(report.requests.size(), 1u);
  for (PartyId i = 0; i < liar; ++i) {
    EXPECT_FALSE(report.members[i].has_answer);
    EXPECT_FALSE(report.members[i].released);
  }
}

TEST_P(RunScriptAgain, NoAlteredMessageOfTheNextAttemptYieldsAWrongAnswer) {
  const auto liar = static_cast<PartyId>(GetParam() - 1);
  const auto honest = run({throttled(), Road::success()});
  // Each kind of message of the second attempt, the first one of it, altered by the last member.
  std::map<std::string, size_t> first;
  bool again = false;
  for (const Sent& s : honest.sent) {
    if (s.message.sender != liar || s.message.bytes == 0) continue;
    again = again || s.message.label == "run/again";
    if (again && s.message.label.starts_with("tls/"))
      first.emplace(s.message.label, s.message.index);
  }
  EXPECT_GT(first.size(), 3u);
  for (const auto& [label, index] : first) {
    const Report report = run({throttled(), Road::success()}, alter(liar, label, index));
    for (PartyId i = 0; i < liar; ++i) {
      const Ending& e = report.members[i];
      EXPECT_TRUE(!e.has_answer || e.right) << label;
    }
  }
}

}  // namespace run_script_sweep_test
}  // namespace flexroom
