#include "call/run_instances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/codec.h"
#include "base/error.h"
#include "call/boot_loader.h"
#include "call/run_script.h"
#include "support/parties.h"

namespace flexroom {
namespace run_instances_test {

constexpr const char* kDate = "20260102T030405Z";

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

/// Member 0 carries the loader, at a place of its own for it (loader_url) or at its result link.
std::unique_ptr<OwnLinks> own_links(size_t i, bool own_place = true) {
  Prg prg(Block(1, i));
  const PrivateUrl result = presigned(i, "results/run-0001.json");
  const PrivateUrl loader =
      split_private_url("https://joint-scripts.s3.amazonaws.com/loader-0001", "test");
  return std::make_unique<OwnLinks>(presigned(i, "data/cohort-2026-01.csv"), result,
                                    i == 0 && own_place ? loader : result, prg);
}

std::vector<PublicLinks> links(size_t n, bool own_place = true) {
  std::vector<PublicLinks> out;
  for (size_t i = 0; i < n; ++i) {
    out.push_back(own_links(i, own_place)->public_part("member-" + std::to_string(i)));
  }
  return out;
}

/// The script as the machine gets it.
std::string rendered(const agent::ScriptWriter& script, const std::vector<std::string>& own) {
  constexpr std::string_view kNonce = "0123456789-_abcdefABCD";
  std::string out;
  for (const agent::ScriptByte& byte : script.bytes()) {
    if (byte.kind == agent::ScriptByte::Kind::kPublic) {
      out.push_back(static_cast<char>(byte.value));
    } else if (byte.kind == agent::ScriptByte::Kind::kNonce) {
      out.push_back(kNonce[byte.index]);
    } else {
      out.push_back(own[byte.member][byte.index]);
    }
  }
  return out;
}

/// All of a run: signing key, handshake, payload and request, with links as an SDK signs them.
RunScriptCost cost_of(size_t n, const JobConfig& agreed, const std::vector<PublicLinks>& of,
                      const tls::CipherSuite& suite = tls::aes128_gcm_sha256(),
                      const Groups& groups = all_curves()) {
  RunScriptTerms terms;
  terms.job = agreed;
  terms.links = of;
  terms.client_token = "8e81973e-0bec-47b0-b898-d190f9ebdacc";
  const ConnectionShape shape{.suite = &suite, .groups = groups, .num_members = n};
  return run_script_cost(*lay_out_run_script(terms, shape), shape);
}

// Where a member names a place of its own for the loader (`loader_url`). ML-KEM in the hello is on
// top of what was promised (tls-complete.md §1.3).
TEST(RunScriptCostTest, StaysBelowWhatWasPromised) {
  JobConfig agreed = job();
  agreed.instance_profile = "script-role";
  for (const auto& [n, most] : {std::pair<size_t, uint64_t>{2, 1'200'000}, {3, 1'600'000}}) {
    const RunScriptCost cost = cost_of(n, agreed, links(n));
    EXPECT_LE(cost.total(), most) << n << " members: payload " << cost.payload_ands << ", key "
                                  << cost.signing_key_ands << ", handshake " << cost.handshake_ands
                                  << ", request " << cost.request_ands << " of "
                                  << cost.request_bytes << " bytes";
    const auto with_kem = cost_of(n, agreed, links(n), tls::aes128_gcm_sha256(), all_groups());
    EXPECT_EQ(with_kem.total(), cost.total() + 17'556) << n;
  }
}

// Where nobody does, the machine is told a pre-signed result link whole: its query, public, its
// path and signature, private. The documents name these numbers (tls-in-mpc.md §5.11,
// docs/files.md).
TEST(RunScriptCostTest, AResultLinkAsCarrierCostsMore) {
  JobConfig agreed = job();
  agreed.instance_profile = "script-role";
  const auto total = [&](size_t n, const tls::CipherSuite& suite, bool own_place) {
    return cost_of(n, agreed, links(n, own_place), suite).total();
  };
  struct Named {
    size_t n;
    double at_its_place, aes, chacha;
  };
  for (const Named& named : {Named{2, 1.19e6, 1.35e6, 1.12e6}, Named{3, 1.22e6, 1.37e6, 1.15e6}}) {
    const auto expect = [&](uint64_t got, double said) {
      EXPECT_NEAR(static_cast<double>(got), said, 6'000) << named.n;
    };
    expect(total(named.n, tls::aes128_gcm_sha256(), true), named.at_its_place);
    expect(total(named.n, tls::aes128_gcm_sha256(), false), named.aes);
    expect(total(named.n, tls::chacha20_poly1305_sha256(), false), named.chacha);
  }
}

// A plan counts what a run would build, under the suite that is not offered too.
TEST(RunScriptCostTest, EverySuiteIsCountedAsItIsBuilt) {
  RunScriptTerms terms;
  terms.job = job();
  terms.links = links(2);
  terms.client_token = "8e81973e-0bec-47b0-b898-d190f9ebdacc";
  for (const tls::CipherSuite& offered : tls::cipher_suites()) {
    const ConnectionShape shape{.suite = &offered, .num_members = 2};
    const auto layout = lay_out_run_script(terms, shape);
    const std::vector<CostUnderSuite> costs = call_costs(layout->call, *layout->layout, shape);
    ASSERT_EQ(costs.size(), tls::cipher_suites().size());
    EXPECT_EQ(costs[0].suite->setting, offered.setting);
    EXPECT_EQ(costs[0].cost.total(), run_script_cost(*layout, shape).total());
    for (const CostUnderSuite& under : costs) {
      EXPECT_GT(under.tag_bytes, 0);
      const uint64_t built = cost_of(2, job(), links(2), *under.suite, all_groups()).total();
      EXPECT_GE(under.cost.total(), built) << under.suite->setting;
      EXPECT_LE(under.cost.total(), built + 50)
          << under.suite->setting;  // blocks whose counters fold
    }
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
  const OpenCall call = run_instances_call(job(), links(2), "a&UserData=x", kDate);
  EXPECT_NE(to_text(call.text()).find("ClientToken=a%26UserData%3Dx&UserData="), std::string::npos);
  EXPECT_EQ(call.model.body_value("ClientToken")->shown(), "a&UserData=x");
}

// A3: the built-in recipe goes the road of all recipes: model, action, positions, nonce, signature.
TEST(RunInstancesCallTest, IsARecipeLikeAnyOther) {
  for (const size_t n : {2u, 3u, 5u}) {
    const OpenCall call = run_instances_call(job(), links(n), "token", kDate);
    EXPECT_EQ(call.action.text, "ec2:RunInstances");
    EXPECT_EQ(call.text().size(), call.bytes);
    ASSERT_TRUE(call.signing.has_value());
    EXPECT_TRUE(call.hidden_body_at.has_value());
    EXPECT_EQ(call.signing->scope.text(), "20260102/us-east-1/ec2/aws4_request");
    std::map<std::string, Bytes> values = {{"signature", Bytes(64, 'a')}};
    std::vector<std::string> own;
    for (size_t i = 0; i < n; ++i) own.push_back(own_links(i)->private_part(i == 0));
    std::vector<size_t> used(n);
    for (const CallSlot& placed : call.slots) {
      EXPECT_EQ(placed.position.name, "form UserData");
      EXPECT_GE(placed.offset, call.body_start);
      EXPECT_LE(placed.end, call.bytes);
      if (placed.slot.source == http::SlotSource::kRandom) {
        values[placed.slot.name] = to_bytes("0123456789-_abcdefABCD");
        continue;
      }
      const size_t i = std::stoul(placed.slot.from.substr(std::string("member-").size()));
      values[placed.slot.name] = to_bytes(own[i].substr(used[i], placed.slot.length));
      used[i] += placed.slot.length;
    }
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(used[i], own[i].size());
    // What the service decodes is the boot loader.
    const std::string whole = to_text(http::render(call.request, values));
    EXPECT_EQ(whole.size(), call.bytes);
    const std::string user_data = whole.substr(whole.find("&UserData=") + 10);
    const auto decoded = base64_decode(*http::percent_decode(user_data));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(to_text(*decoded), rendered(boot_loader(job(), links(n)), own));
    // Elsewhere only the bytes of whole groups depend on slots.
    const Bytes zeros = call.text();
    for (size_t at = 0; at < whole.size(); ++at) {
      const bool in_slot = std::any_of(
          call.slots.begin(), call.slots.end(),
          [&](const CallSlot& placed) { return at >= placed.offset && at < placed.end; });
      const bool in_signature = at >= *call.signature_offset && at < *call.signature_offset + 64;
      if (!in_slot && !in_signature) {
        ASSERT_EQ(static_cast<char>(zeros[at]), whole[at]) << at;
      }
    }
  }
}

// B15, R2-4: errors print the Authorization line, so nothing in it is the job's to shape.
TEST(RunInstancesCallTest, AccessKeyIdsAreOfTheFixedGrammar) {
  for (const char* bad : {"AKIA EXAMPLE", "AKIA=EXAMPLE", "AKIA/X", "AKIA,X", "", "AKIA\r\nX: y"}) {
    JobConfig other = job();
    other.access_key_id = bad;
    EXPECT_THROW(run_instances_call(other, links(2), "token", kDate), InputError) << bad;
  }
}

// A job's key signs for its own provider, service and region alone.
TEST(RunInstancesCallTest, TheKeyBelongsToTheJob) {
  JobConfig agreed = job();
  agreed.provider = "aws";
  store::RecordMeta key;
  key.name = "joint/key";
  key.value_class = "b64";
  key.bits = 8 * 40;
  key.entropy = 238;
  key.provider = "aws";
  key.purposes = {"sigv4 ec2 us-east-1"};
  EXPECT_NO_THROW(check_key(agreed, key));
  store::RecordMeta other = key;
  other.provider = "other";
  EXPECT_THROW(check_key(agreed, other), InputError);
  other = key;
  other.purposes = {"sigv4 sts us-east-1"};
  EXPECT_THROW(check_key(agreed, other), InputError);
  other = key;
  other.entropy = 127;
  EXPECT_THROW(check_key(agreed, other), InputError);
  agreed.region = "eu-west-1";
  EXPECT_THROW(check_key(agreed, key), InputError);
}

// 34: the time is party 0's word, and every member holds all clocks to it.
TEST(AgreeOnTimeTest, FarClocksAreRefused) {
  for (const size_t n : {2u, 3u}) {
    const auto honest = support::run_parties(n, [](net::Party& p) { return agree_on_time(p); });
    for (const auto& outcome : honest.outcomes) {
      EXPECT_EQ(outcome.value, honest.outcomes[0].value);
    }
    for (const uint64_t shift : {uint64_t{301}, uint64_t{0} - 310, uint64_t{1} << 62,
                                 uint64_t{1} << 63, uint64_t{0} - (uint64_t{1} << 40)}) {
      const auto run = support::run_parties(n, [shift](net::Party& p) {
        const auto now = static_cast<uint64_t>(std::time(nullptr));
        return agree_on_time(p, static_cast<int64_t>(p.id() == 0 ? now + shift : now));
      });
      for (const auto& outcome : run.outcomes) {
        EXPECT_EQ(outcome.code(), AbortCode::kRefusedByRule) << shift;
      }
    }
  }
}

TEST(AgreeOnTimeTest, EveryMemberIsToldOfAnothersClock) {
  const auto run = support::run_parties(3, [](net::Party& p) {
    return agree_on_time(p, std::time(nullptr) + (p.id() == 1 ? 1200 : 0));
  });
  for (const PartyId i : {PartyId{0}, PartyId{1}, PartyId{2}}) {
    ASSERT_EQ(run.outcomes[i].code(), AbortCode::kRefusedByRule);
    EXPECT_EQ(run.outcomes[i].abort->peer(), std::optional<PartyId>(i == 1 ? 0 : 1));
    EXPECT_THAT(run.outcomes[i].abort->what(),
                testing::HasSubstr(i == 2 ? "s away from the first member's" : "s away from ours"));
  }
  const std::vector<uint64_t> said = {1000, 5000};
  for (const PartyId self : {PartyId{0}, PartyId{1}}) {
    try {
      (void)time_of_first(said, self);
      FAIL();
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.peer(), std::optional<PartyId>(1 - self));
      EXPECT_THAT(abort.what(), testing::HasSubstr("its clock is 4000 s away from ours"));
      EXPECT_THAT(abort.what(),
                  testing::HasSubstr(self == 0 ? "01:23:20Z there" : "01:23:20Z here"));
    }
  }
}

// A liar that tells different members different times is no difference of clocks.
TEST(AgreeOnTimeTest, WhoTellsTwoTimesIsNotJudgedByOne) {
  const auto run = support::run_parties(
      3, [](net::Party& p) { return agree_on_time(p); },
      [](const net::MessageId& message, Bytes& payload) {
        if (message.label != "run/time" || message.sender != 0 || message.receiver != 1) return;
        payload = Writer().u64(Reader(payload, "", 0).u64() - 1200).take();
      },
      std::chrono::seconds(5));
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.abort.has_value());
    EXPECT_NE(outcome.code(), AbortCode::kRefusedByRule);
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

}  // namespace run_instances_test
}  // namespace flexroom
