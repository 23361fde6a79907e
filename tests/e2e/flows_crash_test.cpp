#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/base64.h"
#include "e2e/crash_rig.h"

// The other shipped flows, killed, aborted and restored anywhere (crash_rig.h): a card is charged
// once, there is one case, one quota request, one machine, one second factor, and the room has it.

namespace flexroom::flow {
namespace {

using cloud::Service;

/// A room with the key of an account of the sandbox, as create-session leaves it.
constexpr const char* kSeed = R"([flow]
name = "seed"
provider = "sandbox"
prefix = "account"
hosts = ["console.flexroom.example"]

[[step]]
name = "Seed"
request = """
GET /seed HTTP/1.1
Host: console.flexroom.example
"""
open."keys/id"   = { at = "json /id", class = "urlsafe", max = 20 }
open."account-id" = { at = "json /account", class = "digits", max = 12 }

[step.keep."keys/secret"]
at = "json /secret"
class = "base64"
length = 40
entropy = 240
purposes = ["sigv4 iam,sts,s3,ec2,ssm,sagemaker,servicequotas,support us-east-1"]
)";

/// One flow, and what must be true of the sandbox once it is done.
struct Subject {
  std::string file;
  size_t usual = 3;         // kill points of a run that is not long
  bool has_key = true;      // signs with the key of an account of its own
  std::string before = {};  // a flow that is done first
  friend void PrintTo(const Subject& of, std::ostream* out) { *out << of.file; }
};

class FlowsCrash : public FlowCrash, public ::testing::WithParamInterface<Subject> {
 protected:
  struct Room {
    std::unique_ptr<History> h;
    cloud::AccountKey key;
    Counts before;
  };
  static Room room(const Subject& of, size_t n) {
    static size_t made = 0;
    Room out{history(n), {}, counts()};
    History& h = *out.h;
    const std::string script = "#!/bin/sh\npoweroff\n";
    h.arguments["user-data"] = base64_encode(as_bytes(script));
    h.arguments["training-image"] = "none";
    h.arguments["value"] = "80";
    if (!of.has_key) return out;
    out.key = fixture_->sandbox->create_account("crash-" + std::to_string(++made));
    h.toy.provider = [key = out.key](const ToyRequest& request) -> std::optional<ToyAnswer> {
      if (request.path != "/seed") return hosts_->call(request);
      const json body = {{"id", key.access_key_id},
                         {"secret", key.secret_access_key},
                         {"account", key.account_id}};
      return ToyAnswer{200, body, {}, {}};
    };
    static const Flow seed = parse_flow(kSeed, "seed.toml", sandbox_room());
    EXPECT_TRUE(h.finish(seed, 1)) << h.last[0];
    if (!of.before.empty()) {
      EXPECT_TRUE(h.finish(shipped_file(of.before), 1)) << h.last[0];
    }
    return out;
  }
  /// Killed behind its last commit there is nothing to go on with.
  static bool finishes(History& h, const Flow& flow) {
    return h.is_done_at_all(flow) || h.finish(flow);
  }
  static std::string why(const History& h) {
    return h.last.empty() ? "" : h.last[0] + " / " + h.last[1];
  }
  /// A call with the room's key, in the clear.
  static json call(const Room& of, Service service, const std::string& host,
                   cloud::Request request) {
    request.headers.insert(request.headers.begin(), {"host", host});
    const std::string text = cloud::test::exchange(
        *fixture_->sandbox, host, cloud::test::signed_request(of.key, service, std::move(request)));
    const std::string body = text.substr(text.find("\r\n\r\n") + 4);
    return json::parse(body, nullptr, false);
  }
  static json json_call(const Room& of, Service service, const std::string& host,
                        const std::string& target, const json& body) {
    return call(of, service, host,
                {"POST",
                 "/",
                 "",
                 {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", target}},
                 body.dump()});
  }
  static std::string harm_of(const Subject& of, Room& in) {
    if (of.file.starts_with("buy-card")) return harm_of_card(in);
    if (of.file == "support-case") return harm_of_case(in);
    if (of.file == "quota-increase" || of.file == "quota-state") return harm_of_quota(in);
    if (of.file == "run-script-classic") return harm_of_machine(in);
    return harm_of_factor(in, of.file == "enrol-totp" ? 1 : 0);
  }
  /// One charge, of the payer's card; one mailbox, ours; the room's number is what was sold.
  static std::string harm_of_card(Room& in) {
    const Counts now = counts();
    const std::string address = in.h->current("card", "address");
    for (const std::string& box : now.boxes) {
      if (!in.before.boxes.contains(box) && box != address) return "an orphan: " + box;
    }
    const json boxes = hosts_->kept("mailboxes.json");
    if (!boxes.contains(address)) return "no mailbox";
    if (boxes[address]["password"] != in.h->current("card", "password")) return "lost mailbox";
    if (now.charges != in.before.charges + 1) {
      return "charges: " + std::to_string(now.charges - in.before.charges);
    }
    if (seen_->values("card number").back() != in.h->current("card", "card-number")) {
      return "another card";
    }
    return "";
  }
  /// Of an abandoned purchase: what is there and was not told, or is there twice.
  static std::string untold(const Room& in) {
    const Counts now = counts();
    const std::vector<std::string>& told = in.h->told;
    const auto tells = [&](const char* what) {
      return std::find(told.begin(), told.end(), what) != told.end();
    };
    const size_t boxes = now.boxes.size() - in.before.boxes.size();
    const size_t charges = now.charges - in.before.charges;
    if (boxes > 1 || charges > 1) return "there twice";
    if (boxes > 0 && !tells("a mailbox")) return "a mailbox";
    return charges > 0 && !tells("a paid order") ? "a paid order" : "";
  }
  static std::string harm_of_case(Room& in) {
    const json all =
        json_call(in, Service::kSupport, "support.us-east-1.amazonaws.com",
                  "AWSSupport_20130415.DescribeCases", {{"includeResolvedCases", true}});
    if (all["cases"].size() != 1) return "cases: " + all.dump();
    const bool ours = all["cases"][0]["caseId"] == in.h->current("account", "case");
    return ours ? "" : "another case";
  }
  static std::string harm_of_quota(Room& in) {
    const json all = json_call(in, Service::kServiceQuotas, "servicequotas.us-east-1.amazonaws.com",
                               "ServiceQuotasV20190624.ListRequestedServiceQuotaChangeHistory",
                               {{"ServiceCode", "ec2"}});
    if (all["RequestedQuotas"].size() != 1) return "requests: " + all.dump();
    const bool ours = all["RequestedQuotas"][0]["Id"] == in.h->current("account", "quota-request");
    return ours ? "" : "another request";
  }
  /// So many second factors, switched on, of the seed that the room has.
  static std::string harm_of_factor(Room& in, size_t count) {
    const json devices = hosts_->kept("iam.json")["accounts"][in.key.account_id]["mfa"];
    if (devices.size() != count) return "devices: " + devices.dump();
    for (const json& one : devices) {
      if (one["enabled"] != true) return "a factor that is off";
      if (one["seed"] != in.h->current("account", "mfa/seed")) return "another seed";
    }
    return "";
  }
  /// One machine, one training job, one role, one key pair and one group.
  static std::string harm_of_machine(Room& in) {
    const auto ec2 = [&](const std::string& action, const std::string& element) {
      const std::string text = cloud::test::query_call(*fixture_->sandbox, in.key, Service::kEc2,
                                                       "ec2.us-east-1.amazonaws.com",
                                                       "Action=" + action + "&Version=2016-11-15");
      size_t count = 0;
      for (size_t at = 0; (at = text.find("<" + element + ">", at)) != std::string::npos; ++at) {
        ++count;
      }
      return count == 1 ? std::string() : action + ": " + text;
    };
    const json jobs = json_call(in, Service::kSageMaker, "api.sagemaker.us-east-1.amazonaws.com",
                                "SageMaker.ListTrainingJobs", json::object());
    if (jobs["TrainingJobSummaries"].size() != 1) return "jobs: " + jobs.dump();
    const json roles = hosts_->kept("iam.json")["accounts"][in.key.account_id]["roles"];
    if (roles.size() != 1) return "roles: " + roles.dump();
    return ec2("DescribeInstances", "instanceId") + ec2("DescribeKeyPairs", "keyName");
  }
};

std::string name_of(const ::testing::TestParamInfo<Subject>& of) {
  std::string out = of.param.file;
  std::erase(out, '-');
  return out;
}
INSTANTIATE_TEST_SUITE_P(Files, FlowsCrash,
                         ::testing::Values(Subject{"buy-card", 3, false},
                                           Subject{"buy-card-pdf", 2, false},
                                           Subject{"support-case"}, Subject{"quota-increase"},
                                           Subject{"quota-state", 2, true, "quota-increase"},
                                           Subject{"enrol-totp"},
                                           Subject{"drop-totp", 2, true, "enrol-totp"},
                                           Subject{"run-script-classic", 4}),
                         name_of);

TEST_P(FlowsCrash, IsDoneOnceWhereverItIsKilledSweep) {
  const Flow& flow = shipped_file(GetParam().file);
  size_t turn = 0;
  for (const size_t n : {2, 3}) {
    Room base = room(GetParam(), n);
    ASSERT_TRUE(base.h->finish(flow, 1)) << base.h->last[0];
    ASSERT_EQ(harm_of(GetParam(), base), "");
    for (const size_t at : some_of(base.h->steps(0), n == 2 ? GetParam().usual : 1)) {
      for (const Kill& kill : kills(at, turn++, n)) {
        SCOPED_TRACE(std::to_string(n) + " members, " + std::to_string(at) +
                     (kill.all ? " all" : " of " + std::to_string(kill.member)));
        Room in = room(GetParam(), n);
        ASSERT_TRUE(fired(in.h->session(flow, History::Op::kRun, kill), kill));
        ASSERT_TRUE(finishes(*in.h, flow)) << why(*in.h);
        ASSERT_EQ(harm_of(GetParam(), in), "");
      }
    }
  }
}

// A member that leaves behind `armed`, before it gives its part of the request: nothing left, and
// nobody can know it.
TEST_P(FlowsCrash, IsDoneOnceWhereverAMemberAbortsSweep) {
  const Flow& flow = shipped_file(GetParam().file);
  Room base = room(GetParam(), 2);
  const size_t begin = base.h->toy.releases;
  ASSERT_TRUE(base.h->finish(flow, 1)) << base.h->last[0];
  const size_t releases = base.h->toy.releases - begin;
  for (const size_t at : some_of(releases, std::min<size_t>(releases, 2))) {
    SCOPED_TRACE(at);
    Room in = room(GetParam(), 2);
    History& h = *in.h;
    size_t count = 0;
    h.toy.behind_armed = [&](PartyId i) {
      if (i == 1 && ++count == at) throw ProtocolAbort(AbortCode::kCancelled, "test", "leaves");
    };
    const std::vector<std::string> ended = h.session(flow);
    ASSERT_EQ(count, at);
    EXPECT_NE(ended[1].find("leaves"), std::string::npos) << ended[1];
    h.toy.behind_armed = nullptr;
    ASSERT_TRUE(finishes(h, flow)) << why(h);
    ASSERT_EQ(harm_of(GetParam(), in), "");
  }
}

// A member whose state.db is of an earlier step: it is refused by name, or nothing was committed
// since; `--continue` or, where that cannot be, `--abandon` and a new run do the rest. Of a birth
// that a member lost there is no new run below that prefix, and what was made is told.
TEST_P(FlowsCrash, IsDoneOnceWhateverWasRestoredSweep) {
  const Flow& flow = shipped_file(GetParam().file);
  Room base = room(GetParam(), 2);
  ASSERT_TRUE(base.h->finish(flow, 1)) << base.h->last[0];
  const size_t steps = base.h->steps(0);
  size_t refused = 0;
  for (const size_t at : some_of(steps, 2)) {
    SCOPED_TRACE(at);
    Room in = room(GetParam(), 2);
    History& h = *in.h;
    const Kill first{0, at, true};
    ASSERT_TRUE(fired(h.session(flow, History::Op::kRun, first), first));
    if (h.is_done_at_all(flow)) continue;  // there is nothing to go on with
    h.save(1, "backup");
    (void)h.session(flow, History::Op::kRun, Kill{0, 1 + steps / 3});
    h.restore(1, "backup");
    std::vector<std::string> ended = h.session(flow);
    bool abandoned = false;
    if (ended[0].find("restored") != std::string::npos) {
      ++refused;
      ended = h.session(flow, History::Op::kGoOn);
      abandoned = !History::done(ended);
      if (abandoned) {
        ASSERT_TRUE(History::done(h.session(flow, History::Op::kAbandon)));
      }
    }
    if (abandoned && !flow.born.empty()) {
      ASSERT_EQ(untold(in), "");
      continue;
    }
    ASSERT_TRUE(History::done(ended) || finishes(h, flow)) << why(h);
    ASSERT_EQ(harm_of(GetParam(), in), "");
  }
  // Of one step there is nothing committed that a member could lack.
  if (flow.lines.front().steps.size() > 1) {
    EXPECT_GT(refused, 0u);
  }
}

}  // namespace
}  // namespace flexroom::flow
