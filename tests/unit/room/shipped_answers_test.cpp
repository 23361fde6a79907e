#include <fmt/core.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "flow_fixture.h"
#include "http/text.h"
#include "support/sealed_rig.h"

// Answers as services send them, read by the steps of the shipped files: sealed ones by the
// circuits, over whole connections, open ones by the reader in the clear.

namespace flexroom::room {
namespace {

using agent::SealedPlan;
using support::answer_with;
using support::ConnectionRig;
using support::make_rig;
using Report = ConnectionRig::Report;

const std::map<std::string, std::string>& answers_as_sent() {
  static const std::map<std::string, std::string> all = [] {
    std::map<std::string, std::string> out;
    std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/sealed-answers.json");
    for (const auto& row : nlohmann::json::parse(in)) out[row[0]] = row[1];
    return out;
  }();
  return all;
}

const flow::Flow& shipped_file(const std::string& name) {
  static std::map<std::string, flow::Flow> loaded;
  const auto it = loaded.find(name);
  if (it != loaded.end()) return it->second;
  const std::filesystem::path file =
      std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows" / (name + ".toml");
  flow::RoomView room = view();
  room.providers->front().host_mailbox["mail.flexroom.example"] = true;
  return loaded.emplace(name, flow::load_flow(file, room)).first->second;
}

/// EC2's 400 as it comes, without a Content-Type, with that code.
std::string ec2_refusal(const std::string& code) {
  const std::string& sent = answers_as_sent().at("06-ec2-DescribeKeyPairs");
  const std::string old_code = "InvalidKeyPair.NotFound";
  std::string out = replaced(sent, old_code, code);
  const size_t at = sent.find("\r\n\r\n") + 4;
  const size_t size = std::stoul(sent.substr(at), nullptr, 16) + code.size() - old_code.size();
  return out.replace(at, sent.find("\r\n", at) - at, fmt::format("{:x}", size));
}

class ShippedAnswers : public ::testing::TestWithParam<size_t> {
 protected:
  /// The connection of that step, prepared once.
  ConnectionRig& members(const std::string& file, const std::string& step) {
    static std::map<std::tuple<size_t, std::string, std::string>, std::unique_ptr<ConnectionRig>>
        made;
    auto& rig = made[{GetParam(), file, step}];
    if (!rig) {
      rig = make_rig(GetParam(), sealed_plan(*shipped_file(file).step(step), terms()));
    }
    return *rig;
  }
  /// What all members say of a refusal; its text is opened to none.
  static std::pair<int, std::string> refused(const Report& report) {
    EXPECT_TRUE(report.ended);
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.sealed) << member.where << ": " << member.detail;
      EXPECT_EQ(member.failure, "");
      EXPECT_EQ(member.leak.opened_bytes, 0u);
      EXPECT_EQ(member.listed_code, report.members[0].listed_code);
      EXPECT_EQ(member.sealed_status, report.members[0].sealed_status);
    }
    return {report.members[0].sealed_status, report.members[0].listed_code};
  }
};
INSTANTIATE_TEST_SUITE_P(Members, ShippedAnswers, ::testing::Values(2, 3));

// EC2 refuses without a Content-Type (tls-in-mpc.md §5.6): the code is found all the same, or the
// machine that runs already would be nobody's.
TEST_P(ShippedAnswers, ACodeIsFoundWhereTheServiceSaysNoType) {
  using Said = std::pair<int, std::string>;
  ConnectionRig& pair = members("run-script-classic", "CreateKeyPair");
  EXPECT_EQ(refused(answer_with(pair, ec2_refusal("InvalidKeyPair.Duplicate"))),
            Said(400, "InvalidKeyPair.Duplicate"));
  EXPECT_EQ(refused(answer_with(pair, answers_as_sent().at("09e-ec2-error-VcpuLimitExceeded"))),
            Said(400, "other"));
  if (GetParam() > 2) return;  // what is wrong with an answer is judged by public code
  // One that is there must be the right one, and the only one.
  const std::string typed = ec2_refusal("InvalidKeyPair.Duplicate");
  const auto with_lines = [&](const std::string& lines) {
    return refused(answer_with(pair, replaced(typed, "Connection: close\r\n", lines)));
  };
  EXPECT_EQ(with_lines("Content-Type: text/xml;charset=UTF-8\r\n"),
            Said(400, "InvalidKeyPair.Duplicate"));
  EXPECT_EQ(with_lines("Content-Type: text/html\r\n"), Said(400, "other"));
  EXPECT_EQ(with_lines("Content-Type: text/xml\r\nContent-Type: text/xml\r\n"), Said(400, "other"));
}

TEST(ShippedOpenAnswers, ACodeIsFoundWhereTheServiceSaysNoType) {
  const flow::Step& start = *shipped_file("run-script-classic").step("StartEC2Instance");
  const auto code = [&](const std::string& answer) {
    return open_answer(start, http::parse_response(as_bytes(answer)), terms()).code;
  };
  EXPECT_EQ(code(ec2_refusal("IdempotentParameterMismatch")), "IdempotentParameterMismatch");
  EXPECT_EQ(code(ec2_refusal("IdempotentInstanceTerminated")), "IdempotentInstanceTerminated");
  EXPECT_EQ(code(answers_as_sent().at("09e-ec2-error-VcpuLimitExceeded")), "other");
  // An answer that is taken says its type.
  const std::string& started = answers_as_sent().at("09-ec2-RunInstances");
  const auto read = [&](const std::string& answer) {
    return open_answer(start, http::parse_response(as_bytes(answer)), terms());
  };
  EXPECT_EQ(read(started).opened.at("instance-id"), "i-0123456789abcdef0");
  EXPECT_EQ(read(replaced(started, "Content-Type: text/xml;charset=UTF-8\r\n", "")).failure,
            "other type");
}

// --- mails (the cases of SmorcIRL/mail.tm#4, #6 and pymailtm#14) ---

// The address that is taken is ours: of what says so the status is known, to nobody its text.
TEST_P(ShippedAnswers, OfARefusedMailboxTheStatusAloneIsOpened) {
  const flow::Step& step = *shipped_file("create-account").step("CreateEmail");
  ConnectionRig& all = members("create-account", "CreateEmail");
  for (const auto& [name, status] : {std::pair("mail/account-422", 422), {"mail/rate-429", 429}}) {
    const Report report = answer_with(all, answers_as_sent().at(name));
    EXPECT_EQ(refused(report), (std::pair<int, std::string>(status, "")));
    for (const auto& member : report.members) {
      EXPECT_EQ(member.leak.header_bytes, 0u);
      EXPECT_EQ(member.leak.body_bytes, 0u);
      EXPECT_EQ(member.leak.tests, 0u);
    }
  }
  ASSERT_NE(step.rule("422"), nullptr);
  EXPECT_EQ(step.rule("422")->kind, flow::Rule::Kind::kNext);
}

SealedPlan escaped_code() {
  SealedPlan plan = support::small_plan();
  plan.content_type = "application/ld+json";
  plan.body_max = 512;
  plan.items.push_back(
      support::item_at(support::json_path({std::string("text")}), http::CharClass::kDigits, 6));
  plan.items.back().min_bytes = 6;
  plan.items.back().behind = "code: \\\"";  // as it is sent: \"
  return plan;
}

// Of mail.tm's text, with line ends, quotes and a dash as escapes: the code with its leading zero,
// not the digits behind it, nor those of `intro` and `html`.
TEST_P(ShippedAnswers, ACodeBetweenEscapedQuotesIsKept) {
  if (GetParam() > 2) return;  // which bytes it is, is judged by the circuit of every number
  const Report report = answer_with(support::rig(GetParam(), "escaped code", escaped_code),
                                    answers_as_sent().at("mail/otp-escaped-text"));
  support::expect_kept(report, "042917");
  for (const auto& member : report.members) EXPECT_EQ(member.leak.opened_bytes, 0u);
}

// The domain is a literal of the file, because the owner of another one would read the mails: not
// the first of the list that is open, but the one that is named has to be.
TEST(ShippedOpenAnswers, TheDomainThatTheFileNamesIsOpenForRegistration) {
  const std::string& sent = answers_as_sent().at("mail/domains-one-inactive");
  const http::Response response = http::parse_response(as_bytes(sent));
  flow::Step step = *shipped_file("create-account").step("GetDomains");
  step.type = "application/ld+json";
  AnswerTerms with = terms();
  with.fill = [](std::string_view text) { return std::string(text); };
  for (const auto& [domain, is_open] : {std::pair("first.test", false),
                                        {"second.test", false},
                                        {"third.test", true},
                                        {"fourth.test", false}}) {
    ASSERT_TRUE(step.item.has_value());
    step.item->filters.front().value = domain;
    const flow::StepAnswer got = open_answer(step, response, with);
    EXPECT_EQ(got.none, !is_open) << domain;
    EXPECT_EQ(got.failure, "");
  }
}

// --- AWS: requests and answers of documented shapes (tests/vectors/README.md) ---

struct AwsCall {
  const char *file, *step, *request, *answer;
  std::vector<std::string> more, without;  // parameters that ours has, or has not
  const char *opens, *value;
};
const std::vector<AwsCall>& aws_calls() {
  static const std::vector<AwsCall> all = {
      {"run-script-classic",
       "CreateIamRole",
       "01-iam-CreateRole",
       "01-iam-CreateRole",
       {},
       {},
       "run/role",
       "arn:aws:iam::123456789012:role/FlexroomSageMakerRole"},
      {"run-script-classic",
       "AttachSagePolicy",
       "02-iam-AttachRolePolicy-sagemaker",
       "02-iam-AttachRolePolicy-sagemaker",
       {},
       {},
       "",
       ""},
      {"run-script-classic",
       "AttachS3Policy",
       "03-iam-AttachRolePolicy-s3",
       "02-iam-AttachRolePolicy-sagemaker",
       {},
       {},
       "",
       ""},
      {"run-script-classic",
       "CreateS3Bucket",
       "04-s3-CreateBucket",
       "04-s3-CreateBucket",
       {},
       {},
       "",
       ""},
      {"run-script-classic",
       "GetAmiID",
       "05-ssm-GetParameter",
       "05-ssm-GetParameter",
       {},
       {},
       "run/ami",
       "ami-0123456789abcdef0"},
      {"run-script-classic",
       "CheckKeyPair",
       "26-ec2-DescribeKeyPairs-exists",
       "26-ec2-DescribeKeyPairs-exists",
       {"Filter.N.Name", "Filter.N.Value.N"},
       {"KeyName.N"},
       "",
       ""},
      {"run-script-classic", "CreateKeyPair", "07-ec2-CreateKeyPair", "", {}, {}, "", ""},
      {"run-script-classic",
       "CreateSecurityGroup",
       "08-ec2-CreateSecurityGroup",
       "08-ec2-CreateSecurityGroup",
       {},
       {},
       "run/group",
       "sg-0123456789abcdef0"},
      {"run-script-classic",
       "StartEC2Instance",
       "09-ec2-RunInstances",
       "09-ec2-RunInstances",
       {"InstanceInitiatedShutdownBehavior"},
       {},
       "instance-id",
       "i-0123456789abcdef0"},
      {"run-script-classic",
       "CreateSagemakerJob",
       "10-sagemaker-CreateTrainingJob",
       "10-sagemaker-CreateTrainingJob",
       {},
       {"/InputDataConfig", "/HyperParameters"},
       "",
       ""},
      {"run-script-classic",
       "FindInstance",
       "14-ec2-DescribeInstances",
       "14-ec2-DescribeInstances",
       {"Filter.N.Name", "Filter.N.Value.N"},
       {"InstanceId.N"},
       "instance-id",
       "i-0123456789abcdef0"},
      {"create-session",
       "GetCallerIdentity",
       "11-sts-GetCallerIdentity",
       "11-sts-GetCallerIdentity",
       {},
       {},
       "",
       ""}};
  return all;
}

/// Action and Version with their values, of other parameters the name, numbers as N.
std::set<std::string> shape_of_form(const std::string& body) {
  std::set<std::string> out;
  std::istringstream in(body);
  for (std::string field; std::getline(in, field, '&');) {
    const std::string name = field.substr(0, field.find('='));
    if (name == "Action" || name == "Version") {
      out.insert(field);
      continue;
    }
    std::string generic;
    std::istringstream parts(name);
    for (std::string part; std::getline(parts, part, '.');) {
      const bool number = part.find_first_not_of("0123456789") == std::string::npos;
      generic += (generic.empty() ? "" : ".") + (number ? "N" : part);
    }
    out.insert(generic);
  }
  return out;
}

/// The path of every member, with the kind of its value.
void shape_of_json(const nlohmann::json& value, const std::string& path,
                   std::set<std::string>& out) {
  if (!value.is_object()) return;
  for (const auto& [key, inner] : value.items()) {
    const std::string here = path + "/" + key;
    out.insert(here + (inner.is_object() ? "" : std::string(" ") + inner.type_name()));
    shape_of_json(inner, here, out);
  }
}

std::set<std::string> shape_of(const std::string& body) {
  if (!body.starts_with('{')) return shape_of_form(body);
  std::set<std::string> out;
  shape_of_json(nlohmann::json::parse(body), "", out);
  return out;
}

/// Of a request as a file writes it.
std::string header_line(const std::string& request, const std::string& name) {
  const size_t at = http::to_lower(request).find("\n" + name + ": ");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 3;
  return request.substr(begin, request.find('\n', begin) - begin);
}

TEST(ShippedAws, RequestsHaveTheShapeOfTheServices) {
  std::map<std::string, nlohmann::json> known;
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/aws-requests.json");
  for (const auto& row : nlohmann::json::parse(in)) known[row[0]] = row;
  for (const AwsCall& call : aws_calls()) {
    SCOPED_TRACE(call.step);
    const std::string& ours = shipped_file(call.file).step(call.step)->request;
    const nlohmann::json& theirs = known.at(call.request);
    EXPECT_EQ(ours.substr(0, ours.find('\n')), theirs[1]);
    std::string host = theirs[2], type = theirs[3];
    // A bucket is named in the host, with its region; the others are as they are.
    if (const size_t bucket = host.find(".s3."); bucket != std::string::npos) {
      EXPECT_TRUE(header_line(ours, "host").ends_with(".s3.us-east-1.amazonaws.com"));
    } else if (host == "sts.amazonaws.com") {
      EXPECT_EQ(header_line(ours, "host"), "sts.us-east-1.amazonaws.com");
    } else {
      EXPECT_EQ(header_line(ours, "host"), host);
    }
    EXPECT_EQ(header_line(ours, "content-type"), type.substr(0, type.find(';')));
    EXPECT_EQ(header_line(ours, "x-amz-target"), theirs[4]);
    const size_t body = ours.find("\n\n");
    std::set<std::string> wanted = shape_of(theirs[5]);
    for (const std::string& name : call.without) {
      EXPECT_GT(std::erase_if(wanted, [&](const auto& one) { return one.starts_with(name); }), 0u)
          << name;
    }
    wanted.insert(call.more.begin(), call.more.end());
    EXPECT_EQ(shape_of(body == std::string::npos ? "" : ours.substr(body + 2)), wanted);
  }
}

// What each step selects, by the code that runs on the marks of the circuits too; the answer is
// within the bounds of the step.
TEST(ShippedAws, SelectorsFindWhatTheServicesAnswer) {
  for (const AwsCall& call : aws_calls()) {
    if (*call.answer == '\0') continue;
    SCOPED_TRACE(call.step);
    const flow::Step& step = *shipped_file(call.file).step(call.step);
    const std::string& sent = answers_as_sent().at(call.answer);
    AnswerTerms with = terms();
    with.fill = [](std::string_view text) {
      return text == "{{account-id}}" ? "123456789012" : std::string(text);
    };
    const http::Response response = http::parse_response(as_bytes(sent));
    const flow::StepAnswer got = open_answer(step, response, with);
    EXPECT_EQ(got.failure, "");
    EXPECT_TRUE(step.is_ok(got.status)) << got.status;
    if (*call.opens != '\0') {
      EXPECT_EQ(got.opened.at(call.opens), call.value);
    }
    EXPECT_LE(sent.find("\r\n\r\n") + 4, step.header_max);
    if (step.sealed && step.reads_body()) {
      EXPECT_LE(response.body.size(), step.body_max);
    }
    with.fill = [](std::string_view) { return std::string("210987654321"); };
    if (!step.asserts.empty()) {
      EXPECT_EQ(open_answer(step, response, with).failure.substr(0, 7), "assert ");
    }
  }
  const flow::Step& role = *shipped_file("run-script-classic").step("CreateIamRole");
  const std::string& there = answers_as_sent().at("01e-iam-error-EntityAlreadyExists");
  EXPECT_EQ(open_answer(role, http::parse_response(as_bytes(there)), terms()).code,
            "EntityAlreadyExists");
}

}  // namespace
}  // namespace flexroom::room
