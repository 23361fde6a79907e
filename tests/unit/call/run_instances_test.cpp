#include "call/run_instances.h"

#include <gtest/gtest.h>

#include "base/codec.h"
#include "base/error.h"
#include "call/run_script.h"
#include "support/parties.h"

namespace flexroom {
namespace {

JobConfig job() {
  JobConfig out;
  out.region = "us-east-1";
  out.image_id = "ami-0123456789abcdef0";
  out.instance_type = "t3.large";
  out.access_key_id = "AKIAIOSFODNN7EXAMPLE";
  out.script_url = "https://scripts.example/train.py";
  out.script_sha256 = std::string(64, 'a');
  return out;
}

PrivateUrl presigned(size_t i, const std::string& object) {
  return split_private_url("https://member-" + std::to_string(i) + ".s3.us-east-1.amazonaws.com/" +
                               object +
                               "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
                               "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260101%2Fus-east-1%2Fs3"
                               "%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600"
                               "&X-Amz-SignedHeaders=host&X-Amz-Signature=" +
                               std::string(64, 'b'),
                           "test");
}

std::vector<PublicLinks> links(size_t n) {
  Prg prg(Block(1, 2));
  std::vector<PublicLinks> out;
  for (size_t i = 0; i < n; ++i) {
    const PrivateUrl result = presigned(i, "results/run-0001.json");
    const PrivateUrl loader =
        split_private_url("https://joint-scripts.s3.amazonaws.com/loader-0001", "test");
    out.push_back(
        OwnLinks(presigned(i, "data/cohort-2026-01.csv"), result, i == 0 ? loader : result, prg)
            .public_part("member-" + std::to_string(i)));
  }
  return out;
}

/// All of a run: signing key, handshake, payload and request, with links as an SDK signs them.
RunScriptCost cost_of(size_t n, const JobConfig& agreed, const std::vector<PublicLinks>& of) {
  RunScriptTerms terms;
  terms.job = agreed;
  terms.links = of;
  terms.client_token = "8e81973e-0bec-47b0-b898-d190f9ebdacc";
  return run_script_cost(*lay_out_run_script(terms), arith::Group::kX25519, n);
}

TEST(RunScriptCostTest, StaysBelowWhatWasPromised) {
  JobConfig agreed = job();
  agreed.instance_profile = "script-role";
  for (const auto& [n, most] : {std::pair<size_t, uint64_t>{2, 1'200'000}, {3, 1'600'000}}) {
    const RunScriptCost cost = cost_of(n, agreed, links(n));
    EXPECT_LE(cost.total(), most) << n << " members: payload " << cost.payload_ands << ", key "
                                  << cost.signing_key_ands << ", handshake " << cost.handshake_ands
                                  << ", request " << cost.request_ands << " of "
                                  << cost.request_bytes << " bytes";
  }
}

// What the members' links are, and how many, is no matter of the computation.
TEST(RunScriptCostTest, LongLinksCostNothingInside) {
  std::vector<PublicLinks> of = links(2);
  const uint64_t before = cost_of(2, job(), of).total();
  const std::string token(2000, 'T');
  Prg prg(Block(1, 2));
  const PrivateUrl url = split_private_url(
      "https://h.example/o?X-Amz-Security-Token=" + token + "&X-Amz-Signature=" + token, "test");
  of[1] = OwnLinks(url, url, std::nullopt, prg).public_part("member-1");
  // Constants of a hash or of a link differ by some gates.
  EXPECT_NEAR(static_cast<double>(cost_of(2, job(), of).total()), static_cast<double>(before), 200);
}

TEST(RunInstancesBodyTest, ClientTokenCannotAddFields) {
  const std::string body = run_instances_body(job(), links(2), "a&UserData=x\r\n").text;
  EXPECT_NE(body.find("ClientToken=a%26UserData%3Dx%0D%0A&UserData="), std::string::npos);
}

// 34: the time is party 0's word, and every other member holds it to its own clock.
TEST(AgreeOnTimeTest, FarClocksAreRefused) {
  for (const size_t n : {2u, 3u}) {
    const auto honest = support::run_parties(n, [](net::Party& p) { return agree_on_time(p); });
    for (const auto& outcome : honest.outcomes) {
      EXPECT_EQ(outcome.value, honest.outcomes[0].value);
    }
    for (const uint64_t shift : {uint64_t{301}, uint64_t{0} - 310, uint64_t{1} << 62,
                                 uint64_t{1} << 63, uint64_t{0} - (uint64_t{1} << 40)}) {
      const auto run = support::run_parties(
          n, [](net::Party& p) { return agree_on_time(p); },
          [shift](const net::MessageId& message, Bytes& payload) {
            if (message.label != "run/time") return;
            const uint64_t time = Reader(payload, "", 0).u64();
            payload = Writer().u64(time + shift).take();
          },
          std::chrono::seconds(5));
      for (PartyId i = 1; i < n; ++i) {
        EXPECT_EQ(run.outcomes[i].code(), AbortCode::kRefusedByRule) << shift;
      }
    }
  }
}

// What was broadcast before is checked under its own name: equivocation there stays cheating.
TEST(AgreeOnTimeTest, EarlierEquivocationIsNotADisagreementAboutTheTime) {
  const auto run = support::run_parties(
      3,
      [](net::Party& p) {
        (void)p.exchange("earlier", Bytes(8, 1));
        return agree_on_time(p);
      },
      [](const net::MessageId& message, Bytes& payload) {
        if (message.label == "earlier" && message.sender == 0 && message.receiver == 1) {
          payload[0] ^= 1;
        }
      },
      std::chrono::seconds(5));
  bool cheat = false;
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.abort.has_value());
    cheat = cheat || outcome.code() == AbortCode::kEcho;
    EXPECT_NE(outcome.code(), AbortCode::kDisagreement);
  }
  EXPECT_TRUE(cheat);
}

TEST(AmzDateTest, Utc) { EXPECT_EQ(amz_date(1767323045), "20260102T030405Z"); }

}  // namespace
}  // namespace flexroom
